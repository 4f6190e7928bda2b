#!/bin/sh
# Makes the exact lock files from pyproject.toml. Needs uv. No registry address is written into them.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile pyproject.toml "$@" --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --quiet; }
lock -o requirements/run.lock
lock --extra test -c requirements/run.lock -o requirements/test.lock

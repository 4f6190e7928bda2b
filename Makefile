# The project's commands. `make help` lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo install test provide-servers lint format texts bench pictures lock clean

PYTHON ?= $(shell scripts/find-python)
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
# Settings of the caller's pip that would install elsewhere than into .venv, or refuse the project itself.
PIP := env -u PIP_USER -u PIP_TARGET -u PIP_PREFIX -u PIP_ROOT -u PIP_REQUIRE_HASHES -u PIP_CONSTRAINT \
  $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## the whole stack on this machine, loopback only; ARGS="--port 8080" and so on
	$(BIN)/sc-stim demo $(ARGS)

install: $(VENV)/run.stamp $(VENV)/pages.stamp ## .venv with the project, from the locked and hash-checked packages

test: $(VENV)/test.stamp $(VENV)/pages.stamp provide-servers lint ## everything: real servers, lint, the whole suite
	$(BIN)/pytest -n $(JOBS) --dist loadfile $(ARGS)

provide-servers: ## PostgreSQL, Redis, Mosquitto and Chromium for the tests
	scripts/provide-servers

lint: $(VENV)/test.stamp ## style, types and the import contract
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/test.stamp ## rewrite the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

texts: $(VENV)/run.stamp ## gather the texts of the pages for translators
	$(BIN)/pybabel -q extract -F pyproject.toml -k _lazy --no-location --sort-output --omit-header \
	  -o sc_stim/web/translations/messages.pot sc_stim/web

bench: $(VENV)/test.stamp $(VENV)/pages.stamp provide-servers ## measure, print a table, write benchmarks/results.json
	$(BIN)/python -m benchmarks $(ARGS)

pictures: $(VENV)/test.stamp $(VENV)/pages.stamp provide-servers ## photograph the main pages of a fresh demo into docs/pages
	$(BIN)/python scripts/take_pictures.py

lock: ## resolve the packages anew (needs uv)
	requirements/compile.sh

clean: ## remove .venv and everything made by the tools
	rm -rf $(VENV) build dist *.egg-info frontend/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.lock requirements/build.lock pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) what requirements/run.lock names: a minute or two, without a word ..."
	@$(PIP) --require-hashes -r requirements/run.lock -r requirements/build.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/test.stamp: requirements/test.lock $(VENV)/run.stamp
	$(PIP) --require-hashes -r requirements/test.lock
	@touch $@

# What browsers get from npm. A machine without npm is given one, inside .venv.
$(VENV)/pages.stamp: frontend/package-lock.json frontend/build.py requirements/node.lock | $(VENV)/run.stamp
	command -v npm >/dev/null || $(PIP) --require-hashes -r requirements/node.lock
	$(BIN)/python frontend/build.py
	@touch $@

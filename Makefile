# Needs GNU make and Python 3.11 or later; nothing else.
# `make run` and `make test` are all that a newcomer types.

VENV := .venv
BIN := $(VENV)/bin
# What the tests need from npm: the Node SDKs that they send with, and axe-core.
NODE := tests/system/senders tests/browser
# The first interpreter that is new enough; PYTHON=/path/to/python overrides it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
# How many processes run the tests: more than two cores, because many tests wait.
PROCESSES ?= 3
PARALLEL := --numprocesses=$(PROCESSES) --dist=worksteal
# How long `make faults` soaks.
SOAK ?= 60
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate pyproject.toml

export PIP_ROOT_USER_ACTION := ignore
export PIP_REQUIRE_VIRTUALENV := 1

.PHONY: help run test pytest coverage check fix bench faults senders lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

run: $(VENV)/runtime ## Start the service on 127.0.0.1:8000 with its own Postgres
	@exec $(BIN)/rollcall serve

test: ## Everything that CI runs: check, and meanwhile the tests
	@$(MAKE) --no-print-directory --jobs=2 $(VENV)/dev $(VENV)/node
	@$(MAKE) --no-print-directory --jobs=2 check pytest

pytest: $(VENV)/dev $(VENV)/node
	MAKEFLAGS= $(BIN)/python -m pytest $(PARALLEL) --durations=20

coverage: $(VENV)/dev $(VENV)/node ## The tests with branch coverage, which costs half as much time again
	$(BIN)/coverage erase
	MAKEFLAGS= $(BIN)/coverage run -m pytest $(PARALLEL)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(VENV)/dev ## Format, lint, types and imports; writes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/dev ## Format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/runtime ## Measure against the baseline and the limits (needs wrk and a quiet machine)
	$(BIN)/python -m bench compare

faults: $(VENV)/dev $(VENV)/node ## Break everything, one fault after the other (SOAK=seconds for the soak)
	$(BIN)/python -m pytest tests/faults --faults --soak=$(SOAK) --numprocesses=0

senders: $(VENV)/dev $(VENV)/node ## Send with clients of other languages (PHP, Ruby, Go, Java), where they are installed
	$(BIN)/python -m pytest tests/system/test_clients.py -m senders --numprocesses=0

lock: $(VENV)/dev ## Resolve the dependencies anew into the three lock files
	$(LOCK) --upgrade -o requirements.lock
	$(LOCK) --extra build -c requirements.lock -o requirements-build.lock
	$(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock

clean: ## Remove the virtual environment and the caches (never the data)
	rm -rf $(VENV) .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache

$(VENV)/python:
	@test -n "$(PYTHON)" || { echo "Rollcall needs Python 3.11 or later; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/runtime: $(VENV)/python requirements.lock requirements-build.lock pyproject.toml
	@echo "Installing the dependencies into $(VENV) (once) ..."
	$(PIP) install --require-hashes -r requirements-build.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# uv installs in a third of the time of pip, which takes its place where it fails, such
# as behind a mirror that only pip knows. The lock holds all of the runtime's, too.
$(VENV)/dev: $(VENV)/python requirements-dev.lock pyproject.toml
	@echo "Installing the dependencies of development into $(VENV) (once) ..."
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > $(VENV)/uv.lock
	$(PIP) install --require-hashes --no-deps -r $(VENV)/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock || \
		$(PIP) install --no-compile --require-hashes -r requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/runtime $@

$(VENV)/node: $(NODE:%=%/package.json) | $(VENV)/python
	@if command -v npm >/dev/null; then for directory in $(NODE); do \
		npm install --prefix $$directory --no-package-lock --ignore-scripts --no-audit --no-fund --silent; \
	done; else echo "npm is not here: the tests of Node SDKs and of accessibility will be skipped."; fi
	@touch $@

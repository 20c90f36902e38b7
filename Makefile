# Needs python3 (3.11 or newer, with venv) and make. Everything else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
NODE_DIR := tests/node
NODE_STAMP := $(NODE_DIR)/node_modules/.installed

# The tests start many processes: without cached bytecode each would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test check lint types unit exhaustive explore node-clients matrix conformance bench clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Triway needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(STAMP): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,compression]'
	@touch $@ $(VENV)/.installed

# The Vercel AI SDK. Where node, npm or the registry is missing, the tests that need it are skipped and say so.
$(NODE_STAMP): $(NODE_DIR)/package.json $(NODE_DIR)/package-lock.json
	@if ! command -v node >/dev/null || ! command -v npm >/dev/null; then echo "no node and npm here: no Vercel AI SDK"; \
	elif npm ci --prefix $(NODE_DIR) --silent; then touch $@; \
	else echo "npm could not install $(NODE_DIR): no Vercel AI SDK"; fi

run: $(VENV)/.installed ## Install, and serve gateway.yaml on 127.0.0.1:8080
	$(BIN)/triway serve --config gateway.yaml

test: lint types unit ## Install, and run every check

check: test

lint: $(STAMP) ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

# Two processes a core: half of a test is waiting. A process that has no test left takes one of another's.
PYTEST = $(BIN)/python -m pytest -q --dist worksteal --numprocesses $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())')

unit: $(STAMP) $(NODE_STAMP) ## pytest
	$(PYTEST) -m 'not exhaustive'

exhaustive: $(STAMP) $(NODE_STAMP) ## pytest: what unit leaves out, every shared recording over sockets and every planted fault
	$(PYTEST) -m exhaustive

explore: $(STAMP) ## pytest: the property tests, with random inputs that are new on each run
	HYPOTHESIS_PROFILE=explore $(PYTEST) -m hypothesis

node-clients: $(NODE_STAMP) ## Install the Vercel AI SDK, with node and npm, for the tests that ask by it

matrix: $(STAMP) $(NODE_STAMP) ## Ask every provider by every client SDK, and write docs/compatibility.md
	$(BIN)/python -m tests.matrix

conformance: $(STAMP) ## Every provider and the gateway over all recordings, with out/conformance.html (about 4 minutes on 2 cores)
	$(BIN)/triway conformance run --no-vendors --html out/conformance.html $(if $(wildcard ../shared/recordings),--recordings ../shared/recordings) $(CONFORMANCE)

bench: $(STAMP) ## Benchmarks beside the yardsticks (BENCH="--quick" for a minute's worth)
	$(BIN)/python -m benchmarks $(BENCH)

clean: ## Remove what make made
	rm -rf $(VENV) $(NODE_DIR)/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis out

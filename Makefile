# Needs python3 (3.11 or newer, with venv) and make. Everything else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help run test check lint types unit conformance bench clean

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

run: $(VENV)/.installed ## Install, and serve gateway.yaml on 127.0.0.1:8080
	$(BIN)/triway serve --config gateway.yaml

test: lint types unit ## Install, and run every check

check: test

lint: $(STAMP) ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

unit: $(STAMP) ## pytest
	$(BIN)/python -m pytest -q --numprocesses auto

conformance: $(STAMP) ## Every provider and the gateway over all recordings, with out/conformance.html (about 5 minutes)
	$(BIN)/triway conformance run --no-vendors --html out/conformance.html $(if $(wildcard ../shared/recordings),--recordings ../shared/recordings) $(CONFORMANCE)

bench: $(STAMP) ## Benchmarks beside the yardsticks (BENCH="--quick" for a minute's worth)
	$(BIN)/python -m benchmarks $(BENCH)

clean: ## Remove what make made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis out

# make demo   set up and show the sample newsroom     make check   ruff, mypy, the fast tests: seconds
# make test   set up and run everything CI runs       make clean   remove .venv and what tools leave behind
# make bench  cost beside the floor and the peers, small size, under 5 minutes: prints a table, leaves it in artifacts/
# make test-faults   fifteen times as many kills, failed writes and flipped bytes as in `make test`, and their totals

PYTHON ?= python3
# Which torch to install, as for pip: another version, a wheel, options. Default: the one that constraints.txt pins.
TORCH ?= $(shell grep '^torch==' constraints.txt)

BIN := .venv/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -c constraints.txt
SET_UP_FROM := pyproject.toml constraints.txt

.DEFAULT_GOAL := demo
.PHONY: demo test test-faults check bench clean
.DELETE_ON_ERROR:

demo: .venv/installed
	@$(BIN)/recommender demo --index artifacts/demo

test: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest

test-faults: .venv/installed-dev
	RECOMMENDER_FAULTS=$${RECOMMENDER_FAULTS:-15} $(BIN)/python -m pytest -m faults -s

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow"

bench: .venv/installed-bench
	$(BIN)/python -m scripts.benchmark --json artifacts/benchmark.json --markdown artifacts/benchmark.md --plots artifacts

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "make: Python 3.11 or newer is needed, '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | tail -n 1); try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: $(SET_UP_FROM) | .venv/python
	@echo "Installing into .venv (torch is large: this takes a minute or more) ..." >&2
	@$(PIP) $(TORCH)
	@$(PIP) -e .
	@touch $@

.venv/installed-dev: .venv/installed
	@$(PIP) -e '.[dev]'
	@touch $@

.venv/installed-bench: .venv/installed
	@$(PIP) -e '.[bench]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

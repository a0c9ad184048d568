# What people run here. `make help` lists it.

PYTHON ?= python3
PORT ?= 8080
DATA ?= ./demo-data
ROWS ?= 1000000
ONLY ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run translations vendor bench-pages test test-full check fix bench bench-formats docs lock clean

VENV := .venv
BIN := $(VENV)/bin
# An environment that looks like somebody else's must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_TARGET PIP_USER PIP_REQUIRE_VIRTUALENV
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# The lock is complete, so nothing is resolved: pip would take up "coverage[toml]" with the newest
# coverage there is, and end because that one is not pinned.
LOCKED := --require-hashes --no-deps --requirement
# Every file is pinned by hash, so where pip finds it does not matter; no build fetches anything.
INSTALL_US := $(PIP) install --no-deps --no-index --no-build-isolation --editable .

help: ## list what can be run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo 'PORT=8080, DATA=./demo-data and PYTHON=python3 can be given.'

run: $(VENV)/.installed ## build the demo data set once and serve it on PORT and PORT+1
	@exec $(BIN)/callreel demo --data '$(DATA)' --port '$(PORT)'

test: check $(VENV)/.test-programs ## check, then run every test
	$(BIN)/pytest -n auto --maxprocesses 4

test-full: check $(VENV)/.test-programs ## the counts in full, and which branches no test takes; writes docs/test-results.md
	CALLREEL_TEST_FULL=1 $(BIN)/pytest -n auto --maxprocesses 4 \
	  --junit-xml build/test-full.xml --cov --cov-report term-missing:skip-covered --cov-report json:build/coverage.json; \
	passed=$$?; $(BIN)/python -m tools.keep_test_results build/test-full.xml build/coverage.json && exit $$passed

check: $(VENV)/.installed-dev ## formatter, linter, types, layers, docstrings, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet callreel tests tools benchmarks
	$(BIN)/codespell

fix: $(VENV)/.installed-dev ## mend what the formatter and the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test-programs ## measure beside peers and write docs/benchmarks.md; ROWS=1000000, ONLY=name
	$(BIN)/python -m benchmarks --rows '$(ROWS)' $(if $(ONLY),--only '$(ONLY)')

bench-formats: $(VENV)/.installed-dev ## measure the output formats inside one process
	$(BIN)/python -m benchmarks.formats

vendor: ## fetch anew what the pages carry of others (needs npm)
	$(BIN)/python -m tools.vendor

bench-pages: $(VENV)/.test-programs ## measure the pages in a real browser, with 200 calls and with a million
	$(BIN)/python -m benchmarks.pages
	$(BIN)/python -m benchmarks.pages --calls 1000000

translations: $(VENV)/.installed-dev ## bring callreel/web/locale up to date with what the pages say
	$(BIN)/python -m tools.translations

docs: $(VENV)/.installed-dev ## check the links of the documents
	$(BIN)/python -m tools.check_links

# A release is a week old before it is taken, so that a bad one has been found by then.
LOCK := uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --all-extras --exclude-newer '7 days' \
	--no-config --no-emit-index-url --no-header --no-annotate
lock: ## take newer dependencies (needs uv)
	$(LOCK) --group dev --output-file requirements/dev.txt
	$(LOCK) --group build --constraint requirements/dev.txt --output-file requirements/run.txt

clean: ## remove what make and the tools made, but not demo data
	rm -rf $(VENV) build dist htmlcov .coverage* .hypothesis
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find callreel tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v '$(PYTHON)' >/dev/null || \
	  { echo "There is no '$(PYTHON)'. Install Python 3.11 or newer, or say where: make PYTHON=/path/to/python3"; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "'$(PYTHON)' is $$('$(PYTHON)' --version 2>&1 | head -n 1); Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "'$(PYTHON)' cannot make virtual environments. On Debian: apt-get install python3-venv"; exit 1; }
	@'$(PYTHON)' -m venv $(VENV)

$(VENV)/.installed: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo 'Installing locked dependencies into $(VENV) (once).'
	@$(PIP) install $(LOCKED) requirements/run.txt
	@$(INSTALL_US)
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt $(VENV)/.installed
	@$(PIP) install $(LOCKED) requirements/dev.txt
	@touch $@

$(VENV)/.test-programs: tools/test-programs.sh | $(VENV)/.installed-dev
	@sh tools/test-programs.sh
	@touch $@

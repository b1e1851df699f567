# Needs make and Python 3.11 or 3.12, nothing else; `make` alone lists the targets.
# Everything runs in .venv, which is created from requirements.lock at first, and again whenever that file changes.

.DEFAULT_GOAL := help
.PHONY: help setup run prove up down status test test-slow check docs bench lock wheel clean ci

# Values reach the recipes through the environment, as they were typed: spaces, quotes and dollars are harmless.
PIPELINE ?= streaming
DATA ?=
AS_OF ?=
DAYS ?= 3
PORT ?=
ARGS ?=
PYTHON ?=
override PIPELINE := $(value PIPELINE)
override DATA := $(value DATA)
override AS_OF := $(value AS_OF)
override DAYS := $(value DAYS)
override PORT := $(value PORT)
override ARGS := $(value ARGS)
override PYTHON := $(value PYTHON)
export PIPELINE DATA AS_OF DAYS PORT ARGS PYTHON
export OPENBLAS_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE
export GX_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

BIN := .venv/bin
READY := .venv/.installed

help: ## List the targets
	@echo "make <target> [PIPELINE=streaming] [DATA=folder] [AS_OF=YYYY-MM-DD] [DAYS=3] [PORT=8080] [ARGS=…]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## Create or update .venv from requirements.lock

run: $(READY) ## Run DAYS consecutive days of PIPELINE through Airflow, with live progress and a summary
	@set -- --days "$$DAYS"; \
	if [ -n "$$AS_OF" ]; then set -- "$$@" --as-of "$$AS_OF"; fi; \
	if [ -n "$$DATA" ]; then set -- "$$@" --data "$$DATA"; fi; \
	if [ -n "$$PORT" ]; then set -- "$$@" --port "$$PORT"; fi; \
	exec $(BIN)/matinee stack run "$$@" -- "$$PIPELINE"

prove: $(READY) ## Prove that nothing after AS_OF changes the run of that day of PIPELINE
	@set --; \
	if [ -n "$$AS_OF" ]; then set -- "$$@" --as-of "$$AS_OF"; fi; \
	if [ -n "$$DATA" ]; then set -- "$$@" --data "$$DATA"; fi; \
	exec $(BIN)/matinee prove "$$@" -- "$$PIPELINE"

up: $(READY) ## Start Airflow and leave it running, with the folder DATA for PIPELINE if given; prints address and login
	@set --; \
	if [ -n "$$DATA" ]; then set -- "$$@" --data "$$DATA" --pipeline "$$PIPELINE"; fi; \
	if [ -n "$$PORT" ]; then set -- "$$@" --port "$$PORT"; fi; \
	exec $(BIN)/matinee stack up "$$@"

down: $(READY) ## Stop Airflow and everything it started
	@exec $(BIN)/matinee stack down

status: $(READY) ## Show whether Airflow runs, and the state of its components
	@exec $(BIN)/matinee stack status

test: $(READY) ## Run the tests but the slow ones (ARGS="-k name" to choose)
	@PYTEST_ADDOPTS="$$ARGS" exec $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(READY) ## Run the slow tests: whole pipelines, proofs, benchmarks at a tiny size
	@PYTEST_ADDOPTS="$$ARGS" exec $(BIN)/python -m pytest -n 2 --dist worksteal -m slow

check: $(READY) ## Lint, format, types, import contracts, SQL, generated docs
	@exec $(MAKE) --no-print-directory -j 2 .check-code .check-sql

# mypy and sqlfluff take half a minute each, on one core.
.PHONY: .check-code .check-sql
.check-code:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/matinee docs --check

.check-sql:
	$(BIN)/sqlfluff lint transforms/models tasks

docs: $(READY) ## Write the generated reference pages in docs/
	@exec $(BIN)/matinee docs

bench: $(READY) ## Run the benchmarks in bench/ and print their tables
	@set -- bench/[a-z]*.py; [ -e "$$1" ] || { echo "bench/ holds no benchmarks yet"; exit 0; }; \
	for file in "$$@"; do echo "== $$file"; $(BIN)/python -m "bench.$$(basename "$$file" .py)" || exit 1; done

ci: ## Run what CI runs: install from the lock, check, test
	@exec .ci/run

lock: ## Resolve pyproject.toml into requirements.lock (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --excludes lock-excludes.txt \
	  --quiet --output-file requirements.lock
	@! grep -nE 'https?://|^--' requirements.lock || { echo "requirements.lock names a host"; exit 1; }

wheel: $(READY) ## Build the wheel into dist/, for projects outside of this clone (docs/own-project.md)
	@exec $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean: ## Remove caches and build products; .venv and the state in var/ stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis transforms/target transforms/logs
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

# Try each Python before use: a version manager's placeholder exists but does not run, and some lack venv.
# dbt-core names a parser that downloads a binary while it is built; it is left out of the lock, and is the one
# thing `pip check` may miss (docs/adr).
$(READY): requirements.lock
	@if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
	  found=; for python in "$$PYTHON" python3.11 python3.12 python3 python; do \
	    if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	      2>/dev/null; then found=$$python; break; fi; done; \
	  [ -n "$$found" ] || { echo "matinee needs Python 3.11 or 3.12 with the venv module (on Debian: apt install" \
	    "python3-venv); found none on PATH. Name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
	  echo "making .venv with $$("$$found" --version)"; rm -rf .venv; "$$found" -m venv .venv; fi
	@echo "installing $$(grep -c '^[a-z0-9].*==' requirements.lock) packages from requirements.lock (once; takes a minute or two) …"
	@rm -f .venv/.failed; \
	{ $(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --no-deps --no-compile --require-hashes \
	    -r requirements.lock || touch .venv/.failed; } | awk '/^(Collecting|Requirement already)/ { if (++n % 25 == 0) \
	    { print "  " n " packages found"; fflush() } } /^Installing/ { print "  installing them …"; fflush() }'; \
	  [ ! -e .venv/.failed ] || { rm -f .venv/.failed; exit 1; }
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || : # pip would compile on one core; some files are templates
	@broken=$$($(BIN)/python -m pip check --disable-pip-version-check | grep -v \
	  -e '^No broken requirements found' -e ' requires dbt-core-experimental-parser, which is not installed' || :); \
	  [ -z "$$broken" ] || { echo "$$broken" >&2; exit 1; }
	@$(BIN)/python -c 'import pathlib, sysconfig; \
	  pathlib.Path(sysconfig.get_path("purelib"), "matinee.pth").write_text(str(pathlib.Path.cwd()) + "\n")'
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -P -m tasks.cli "$$@"\n' > $(BIN)/matinee
	@chmod +x $(BIN)/matinee
	@touch $@

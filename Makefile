# Lazaretto: build, test, measure.  `make help` lists the verbs.
# Everything happens in .venv, which also remembers what is done: a second call is quick, `make clean` forgets.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
JOBS ?= 2
FUZZ_SECONDS ?= 600
MAX_BYPASS ?= 0
CORPUS ?= ../shared/corpus
PYTEST_ARGS ?=

SOURCES := $(shell find src -name '*.py' -o -name '*.yar' -o -name '*.txt' -o -name '*.toml') pyproject.toml
CODE := src tests fuzz benchmarks examples scripts

.PHONY: help demo test lint types check bench fuzz evasion corpus lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-10s%s\n", $$1, $$2 }' Makefile

demo: .venv/made-demo ## an infected message through the filter: what came out, and why
	@$(BIN)/python examples/demo.py

test: .venv/made-dev lint types ## lint, types and all tests
	$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

lint: .venv/made-dev
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)

types: .venv/made-dev
	MYPYPATH=tests:benchmarks $(BIN)/mypy --no-error-summary $(filter-out scripts,$(CODE))
	MYPYPATH=scripts $(BIN)/mypy --no-error-summary scripts

check: test ## test, then each parser fuzzed for half a minute
	$(BIN)/python fuzz/run.py --seconds 30 -j $(JOBS)

fuzz: .venv/made-dev ## each parser fuzzed for FUZZ_SECONDS (default 600)
	$(BIN)/python fuzz/run.py --seconds $(FUZZ_SECONDS) -j $(JOBS)

bench: .venv/made-dev ## the benchmarks of benchmarks/README.md
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/client.py
	$(BIN)/python benchmarks/server.py
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/hostile.py
	$(BIN)/python benchmarks/smtp.py --seconds 1 --sizes 2k,mix --sessions 1,8 --engines none,yara
	$(BIN)/python benchmarks/smtp_chaos.py --messages 1000 --kill 0.3 --reload 0.6
	$(BIN)/python benchmarks/milter.py --seconds 1 --sizes 2k,mix --sessions 1,8

evasion: .venv/made-dev ## the evasion corpus: blocked, neutralised, bypassed
	$(BIN)/python scripts/evasion.py $(CORPUS)/evasion --max-bypass $(MAX_BYPASS)

corpus: .venv/made-dev ## every message of the corpus through the filter
	$(BIN)/python scripts/corpus.py $(CORPUS)/messages

lock: ## resolve the development dependencies again
	@test -x .venv/lock/bin/pip || $(PYTHON) -m venv .venv/lock
	@.venv/lock/bin/pip install --quiet --disable-pip-version-check pip-tools
	.venv/lock/bin/python scripts/lock.py $(LOCK_ARGS)

clean: ## remove what make made
	rm -rf .venv build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

# -- environments ------------------------------------------------------------------------------------------------

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "lazaretto needs Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh scripts/debian python3-venv
	$(PYTHON) -m venv .venv

# The package with its one dependency.  An environment made by `make test` has it already, in place.
.venv/made-demo: .venv/bin/pip $(SOURCES)
	@rm -rf build
	@test -e .venv/made-dev || $(BIN)/pip install --quiet --disable-pip-version-check .
	@rm -rf build && touch $@

.venv/made-dev: .venv/bin/pip .venv/made-debian requirements-dev.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/made-debian: .venv/bin/pip $(wildcard scripts/debian*)
	@sh scripts/debian
	@sh scripts/debian-unpack
	@touch $@

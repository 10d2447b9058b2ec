# Every target first makes .venv in the checkout and installs the package there, if that is not
# done or if what is to be installed has changed. Only Python >= 3.11 and pip are presupposed.

PYTHON ?= python3
SEED ?= 0
DATA_ROOT ?= ringrift-data
PYTEST_ARGS ?=
# Two processes; a file's tests share what its fixtures made, so they stay together. The order of the
# files is that of tests/conftest.py, in which neighbours rarely need the same compiled code.
PYTEST_PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

BIN := .venv/bin
STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
BENCH_STAMP := .venv/.installed-bench

# One thread per process: two cores are shared by pytest's workers, not by their BLAS threads.
TEST_ENV := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help install loop test check lint acceptance bench docs clean

help:
	@echo "make loop        play, learn, measure, promote until the champion beats heuristic, in $(DATA_ROOT)/"
	@echo "make test        all tests except the acceptance measurements"
	@echo "make check       ruff, mypy, import order and the fast tests"
	@echo "make acceptance  the long measurements of the acceptance lists"
	@echo "make bench       the benchmark scripts"
	@echo "make docs        write docs/reference anew"
	@echo "make clean       remove caches and build results (never .venv or $(DATA_ROOT)/)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ringrift needs Python 3.11 or newer, found " + sys.version.split()[0] + "; try make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e .
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $(STAMP) $@

$(BENCH_STAMP): $(DEV_STAMP)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,bench]'
	@touch $@

install: $(DEV_STAMP)

loop: $(STAMP)
	$(BIN)/ringrift --root $(DATA_ROOT) loop run --profile quick --seed $(SEED) --yes --until beats_heuristic --max-minutes 45

test: $(DEV_STAMP)
	$(TEST_ENV) $(BIN)/python -m pytest $(PYTEST_PARALLEL) $(PYTEST_ARGS)

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(TEST_ENV) $(BIN)/python -m pytest -q tests/test_import_order.py

check: lint
	$(TEST_ENV) $(BIN)/python -m pytest -m 'not slow and not acceptance' $(PYTEST_ARGS)

acceptance: $(DEV_STAMP)
	$(TEST_ENV) $(BIN)/python -m pytest -m acceptance $(PYTEST_ARGS)

bench: $(BENCH_STAMP)
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

docs: $(DEV_STAMP)
	$(BIN)/ringrift scripts docs

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

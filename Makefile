# Everything runs in a virtual environment of this folder; a fresh machine needs python3 (3.10 or newer), make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST_ARGS ?=
BENCHMARK_ARGS ?=

.PHONY: demo test check benchmark format clean

demo: $(VENV)/.installed  ## four runs of a real Job manifest on the embedded one-node stand-in
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed  ## every test that needs no cluster
	$(BIN)/python -m pytest -n 4 $(PYTEST_ARGS)

check: $(VENV)/.installed  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/.installed  ## how fast and how small, each beside its floor; about three minutes
	$(BIN)/python -m benchmarks $(BENCHMARK_ARGS)

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("podhooks needs Python 3.10 or newer, and %s is %d.%d: make PYTHON=python3.12 ..." % (sys.executable, *sys.version_info[:2]) if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .import_linter_cache .hypothesis

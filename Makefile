# Everything that a newcomer or a machine types. Needs Python >= 3.11, git and make.
PYTHON ?= python3
BIN := .venv/bin
GPU_PYTHON := $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))

.PHONY: install demo test lint fuzz browser gpu format clean

# The stamp keeps `make` from installing twice; a change of pyproject.toml installs again.
.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

install: .venv/installed

demo: install
	$(BIN)/vidrnn demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

# Twenty thousand damaged videos, or as many as ten minutes allow; `make test` takes a few hundred others.
fuzz: install
	OMP_NUM_THREADS=1 SVT_LOG=1 $(BIN)/python -m tests.fuzz --files 20000 --minutes 10

# Annotated videos, reports and the page of `vidrnn app` in a headless Chromium; skipped where none is installed, as in `make test`.
browser: install
	$(BIN)/pytest -q tests/browser

# On a machine with an NVIDIA GPU; `make gpu PYTHON=python3` takes another Python that has PyTorch and what else is needed.
gpu:
	PYTHONPATH=.:$(PYTHONPATH) $(GPU_PYTHON) -m pytest -q tests/gpu
	PYTHONPATH=.:$(PYTHONPATH) $(GPU_PYTHON) -m benchmarks.gpu

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache demo_output

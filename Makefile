# Everything that a newcomer or a machine types. Needs Python >= 3.11, git and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint format clean

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

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache demo_output

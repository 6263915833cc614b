# One vocabulary for people and for CI: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test lint types unit house lock clean

setup: $(READY)

# uv checks the hashes in the constraints file, also of what other packages pull in.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	awk '/^uv==/ { inside = 1 } inside { print } inside && !/\\$$/ { exit }' constraints.txt > $(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	DEMO_EXIT=$(DEMO_EXIT) bash scripts/demo $(BIN)

test: lint types unit

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo --no-cache

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/pytest

# The picture in ARCHITECTURE.md; a test refuses a stale one.
house: setup
	$(BIN)/python scripts/house.py

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--all-extras --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) .nmr

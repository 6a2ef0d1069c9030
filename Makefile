# make repro   set up and run the pipeline on what params.yaml names
# make test    set up and run the tests; make lint: ruff
# make bench   set up and measure (quarter of an hour on two cores); writes benchmarks/results/latest.md
PYTHON ?= python3
BIN := .venv/bin

.PHONY: repro test lint bench clean

repro: .venv/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro
	@echo; echo "Read results/report.md and, on poolings, results/poolings.md; the pictures are results/layers.png and results/poolings.png."

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: .venv/installed-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest

bench: .venv/installed-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks.run

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@

clean: # the environment and unfinished dumps; data, results and DVC's cache stay
	rm -rf .venv .drillcore build *.egg-info

# make repro   set up, check params.yaml and catalog.yaml, and run the pipeline on what they name
# make test    set up and run the tests; make slow: the simulations; make lint: ruff and mypy
# make bench   set up and measure (a quarter of an hour on two cores); writes benchmarks/results/latest.md
# make pull    fetch what colleagues pushed, but for the states of every token
# make deps    which files each stage runs; make docs: write docs/reference anew
PYTHON ?= python3
BIN := .venv/bin
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/

.PHONY: repro check test slow lint bench deps docs clean

repro: .venv/installed check
	$(RUN)dvc repro
	@echo; echo "Open results/report.html: everything on one page (docs/howto/page.md). results/report.md, poolings.md, probes.md and claims.md say the same as text."

check: .venv/installed
	$(RUN)python -m stages.check

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: .venv/installed-dev # one thread in each process, one process for each core
	OMP_NUM_THREADS=1 $(RUN)python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

slow: .venv/installed-dev
	$(RUN)python -m pytest -m slow

bench: .venv/installed-dev
	$(RUN)python -m benchmarks.run

pull: .venv/installed # what colleagues pushed, but for the states of every token
	$(RUN)dvc ls . -R --dvc-only | grep -v '^data/states/' | xargs $(BIN)/dvc pull

deps: .venv/installed
	$(RUN)python docs/structure.py --stages

docs: .venv/installed
	$(RUN)python docs/generate.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@

clean: # the environment and unfinished dumps; data, results and DVC's cache stay
	rm -rf .venv .drillcore build *.egg-info

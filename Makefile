# The two commands: `make demo` shows the main job, `make test` passes the tests. Both set up what they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo serve test lowest docs dist bench lint format clean

help:    ## list the commands
	@grep -E '^[a-z]+: *.*##' Makefile | sed -E 's/:[^#]*## /	make\t/' | awk -F'\t' '{printf "  %s %-8s %s\n", $$2, $$1, $$3}'

demo:    ## show the main job on the bundled sample
	@$(PYTHON) tools/environment.py && $(BIN)/reelated demo

serve:   ## answer over HTTP from the bundled sample, at http://127.0.0.1:8000
	@$(PYTHON) tools/environment.py map web && $(BIN)/reelated serve --data sample --store sqlite:///build/sample/store.db

test:    ## run the tests
	@$(PYTHON) tools/environment.py test && $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lowest:  ## run the tests with the lowest versions of the dependencies
	@$(PYTHON) tools/lowest.py

docs:    ## build the documentation site, every warning an error
	@$(PYTHON) tools/environment.py docs && $(BIN)/python tools/website.py

dist:    ## build the release in dist/ and check it (DIST="--extras none" for a short check)
	@$(PYTHON) tools/environment.py release && $(BIN)/python tools/dist.py $(DIST)

lint:    ## check style, types and imports
	@$(PYTHON) tools/environment.py lint && $(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports

bench:   ## measure speed beside other libraries (hours; installs them under benchmarks/.environments)
	@$(PYTHON) tools/environment.py test && $(BIN)/python benchmarks/run.py

format:  ## format the code
	@$(PYTHON) tools/environment.py lint && $(BIN)/ruff format && $(BIN)/ruff check --fix

clean:   ## remove the environment and what was built
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

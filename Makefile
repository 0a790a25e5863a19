# Two commands do everything: `make play` (the main job) and `make test`.
# A stamp file under .venv records each finished set-up, so a second call skips it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto
INPUTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help play test test-all test-theorems check format bench figures docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.installed: $(INPUTS)
	@echo "Setting up $(VENV) (once; some minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the development tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	@echo "Installing the peers that the benchmarks compare with"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	@echo "Installing what builds the documentation"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

play: $(VENV)/.installed ## both acts: a mask with certificates, then tickets on real images (about a minute on 2 cores)
	@echo "Act one: a sparse mask, with proofs"
	@$(BIN)/convex-analysis demo
	@echo "Act two: lottery tickets in a network, on images of digits"
	@$(BIN)/lottery compare

# Each worker begins with one half, so what a file's tests share is made once, and takes from the other at the end.
# Byte code is kept though the environment may forbid it: else every process compiles the packages and the tests anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

test: $(VENV)/.installed-dev ## the test suite (about 6 minutes on 2 cores, one more where kernels are compiled first)
	@$(PYTEST)

test-all: $(VENV)/.installed-dev ## the test suite with its long runs
	@$(PYTEST) -m ""

test-theorems: $(VENV)/.installed-dev ## thousands of random problems per theorem
	@$(PYTEST) -m theorems

check: $(VENV)/.installed-dev ## lint, formatting and strict types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.installed-dev ## mend formatting and what the linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.installed-bench ## the benchmarks, side by side with their peers
	@$(BIN)/python benchmarks/convex.py

figures: $(VENV)/.installed ## redraw all figures from stored results
	@$(BIN)/python -m figures

docs: $(VENV)/.installed-docs ## build the documentation into site/ (proofs with rendered mathematics)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

clean: ## remove the environment and caches
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache .hypothesis

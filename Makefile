# Each target sets up what it needs: a virtual environment in .venv, with the versions of constraints.txt.
# Another Python: make test PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check docs bench bench-parts bench-gpu extension clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

demo: $(INSTALLED) ## outline the nuclei and glands of an example project, results in demo-out
	$(BIN)/python examples/demo.py --out demo-out

test: $(INSTALLED) ## run the tests and the examples in docstrings, on all cores
	$(BIN)/pytest -n auto --benchmark-disable

check: $(INSTALLED) docs ## lint, types, import layers, documentation
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v npm-groovy-lint >/dev/null; then npm-groovy-lint --noserver --failon warning -c qupath-extension/.groovylintrc.json -p qupath-extension/groovy -f '**/*.groovy'; \
	else echo 'npm-groovy-lint is not on the PATH: the Groovy of the extension was not linted'; fi

docs: $(INSTALLED) ## build the documentation into site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --clean

bench: $(INSTALLED) ## measure speed and scale into docs/benchmarks.md, in twenty minutes; BENCH=scale or large adds 100,000 clicks
	PYTHONPATH=tests $(BIN)/python -m benchmarks.bench $(BENCH)

bench-parts: $(INSTALLED) ## time single parts beside their alternatives
	$(BIN)/python -m pytest -o addopts= tests/benchmarks --benchmark-only

bench-gpu: ## test and measure on a GPU, without network, in eight minutes; OUT=FILE, WHEELS=DIR as examples/training/gpu.sh makes it
	PYTHON=$(firstword $(wildcard $(BIN)/python) $(PYTHON)) examples/training/gpu.sh $(if $(WHEELS),--wheels $(WHEELS)) bench $(or $(OUT),gpu-bench.json)

extension: ## build the extension for QuPath; needs a JDK
	$(PYTHON) qupath-extension/build.py

clean: ## remove .venv, caches, demo-out and site
	rm -rf .venv demo-out site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "nuclick-qp needs Python 3.11 or newer, and '$(PYTHON)' is not; name one, as in: make test PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# make demo | make test | make lint | make help. Everything happens in .venv, made on first use.
# The pinned lists are complete, so pip resolves nothing (--no-deps): older versions of pip look past a pin for a package
# that another one requires with an extra, and then refuse the newer version that they found for want of a hash.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PINS := requirements.txt

.DEFAULT_GOAL := help
.PHONY: help install demo paper test test-fast test-extended test-thorough coverage bench fuzz docs docs-pins lint typecheck mutants format pins clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(READY): $(PINS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "error: $$($(PYTHON) --version) is not supported; tlx needs Python 3.11, 3.12 or 3.13. Name one: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(PINS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(READY) ## make the environment .venv from the pinned packages

demo: $(READY) ## the main job: a phase diagram of trained networks with theory over it; ends with a page to open
	$(BIN)/python -m experiments.phase_diagram experiment=demo

paper: $(READY) ## every figure of the paper at laptop size and those it left out, on one page with contents
	$(BIN)/python -m experiments.paper

# Most of the time of the tests goes into compiling, so two workers share one cache of programs, compiled at the first
# level of optimisation; what measures time runs afterwards, alone, at the usual one. At the first level LLVM cannot select
# an instruction of AVX-512 that a program of the longer tests needs, and aborts: AVX2 is the most there (6 % slower).
PYTEST = XLA_FLAGS="--xla_backend_optimization_level=1 $(ISA)" $(BIN)/python -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder
test-extended test-thorough coverage: ISA := $(if $(filter x86_64,$(shell uname -m)),--xla_cpu_max_isa=AVX2)

test: $(READY) ## the tests, in about ten minutes; test-extended has the longer ones, test-thorough all there are
	$(PYTEST) -m "not alone and not thorough and not extended"
	$(BIN)/python -m pytest -q -m alone

test-fast: $(READY) ## the everyday tests, in three minutes
	$(PYTEST) -m "not slow and not alone and not thorough and not extended"

test-extended: $(READY) ## whole studies, figures, transformations of every form, stopped processes (CI: what fits into 12 minutes, on two idle cores all)
	$(PYTEST) -m "extended and not alone and not thorough"

test-thorough: $(READY) ## every test, those that take minutes too
	$(PYTEST) -m "not alone"
	$(BIN)/python -m pytest -q -m alone

coverage: $(READY) ## the everyday tests, and which lines none of them reaches
	$(PYTEST) -m "not slow and not alone and not thorough" --cov=tlx --cov=experiments \
	  --cov-report=term-missing:skip-covered

bench: $(READY) ## measure speed against PyTorch and the machine's limits (about 10 minutes; adds PyTorch to .venv)
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-build-isolation -e '.[baseline]'
	$(BIN)/python -m benchmarks

DOCS_READY := $(VENV)/.docs-ready

$(DOCS_READY): requirements-docs.txt $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-docs.txt
	@touch $@

docs: $(DOCS_READY) ## the documentation site: site/index.html, with the explorer in site/explorer/index.html
	rm -rf site docs/reference
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs site
	@echo "site/index.html"

docs-pins: requirements.txt ## pin the packages of the site, at the versions of requirements.txt where both name one (needs uv)
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' | \
	  uv pip compile - --constraint $(PINS) --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate --quiet --output-file requirements-docs.txt

fuzz: $(READY) ## thousands of random inputs, and a fault at every point at which a run touches the disk (an hour)
	$(BIN)/python -m benchmarks.fuzz
	$(BIN)/python -m benchmarks.faults

lint: $(READY) ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

typecheck: $(READY) ## types alone
	$(BIN)/mypy

mutants: $(READY) ## small faults, one at a time: does a test of their folder notice? (hours; writes tests/MUTANTS.md)
	$(BIN)/python -m tests.mutants

format: $(READY) ## rewrite files in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pins: ## pin every package again, with hashes and without addresses (needs uv)
	uv pip compile pyproject.toml --extra dev --extra slurm --extra flow --extra examples --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --quiet --output-file $(PINS) requirements.in

clean: ## remove the environment and caches, never results
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache

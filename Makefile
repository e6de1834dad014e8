# k2repro: every target sets up its own environment first (.venv, from constraints.txt).
# Needs: make, bash, and any Python from 3.11 to 3.14. Try `make help`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PROFILE ?= laptop
NB ?=
# One job on two threads: more threads than cores slow every matrix product down.
THREADS ?= 2
K2 := .venv/bin/k2repro
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false
export MPLBACKEND := Agg
export OMP_NUM_THREADS := $(THREADS)

.PHONY: help setup reproduce test test-browser wheelhouse lab lab-reset notebooks sync check bench clean

help:  ## List every target, one line each
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Create or refresh .venv (skipped in a blink when nothing changed)
	@tools/find-python tools/bootstrap.py

reproduce: setup  ## Rebuild every notebook, row, table and the report from nothing (PROFILE=laptop|smoke)
	@$(K2) reproduce --profile $(PROFILE)

test: setup  ## Run the test suite, nbval on the committed notebooks included
	@# Two processes of one thread each, file by file as they come: sorted, the longest file would come last.
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest -m "not browser" -n 2 --dist loadfile \
		--no-loadscope-reorder --nbval tests notebooks

test-browser: setup  ## Open JupyterLab and the report in headless Chromium (needs Chromium)
	@.venv/bin/python -m pytest -m browser

wheelhouse: setup  ## Collect every package in wheelhouse/, for set-ups in a room without a network
	@tools/find-python tools/bootstrap.py wheelhouse

lab: setup  ## Open copies of the notebooks in JupyterLab (workbench/; nothing committed is touched)
	@$(K2) notebook lab

lab-reset: setup  ## Bring one notebook of the workbench back to what ships (NB=03); yours is kept beside it
	@$(K2) notebook reset $(NB)

notebooks: setup  ## Rebuild the committed notebooks and results/laptop from notebooks/src (NB=01 for one)
	@$(K2) notebook build $(NB)

sync: setup  ## Send a change made in JupyterLab back to notebooks/src (NB=01)
	@$(K2) notebook sync $(NB)

check: setup  ## ruff, mypy, the floors of the house, and the lints of notebooks, rows, claims and stamps
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache --no-logo
	@$(K2) check

bench: setup  ## Side by side against the peers in one run, as ratios
	@$(K2) bench

clean:  ## Remove build products and caches; keeps .venv and everything committed
	@rm -rf build .k2repro results/smoke results/interactive .pytest_cache .mypy_cache .ruff_cache .hypothesis

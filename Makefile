# `make`: install, run the pipeline, show what came of it.  `make test`: lint and tests.  `make bench`: speed.
# `make wheel`: does the package work as others get it?
# `make status`: is what is committed up to date?  `make reproduce`: does it give the same bytes again?
PYTHON ?= python3
VENV := .venv
# DVC runs `python` of the caller's PATH.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: all test bench status reproduce wheel
all: $(VENV)/installed
	dvc repro
	python -m tools.reproduce --record
	python predict.py --describe

test: $(VENV)/installed-dev
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-logo
	# Two at a time: each trains on one thread.
	pytest -n 2 --dist loadgroup

status: $(VENV)/installed
	python -m tools.status

reproduce: $(VENV)/installed
	python -m tools.reproduce $(FLAGS)

wheel:
	PYTHON=$(PYTHON) .ci/wheel

bench: all
	python -m tests.benchmarks.training
	python -m tests.benchmarks.startup
	python -m tests.benchmarks.predicting

$(VENV)/installed: requirements.txt requirements-pipeline.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(PYTHON) -m venv $(VENV)
	pip install --quiet -r requirements.txt
	touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements-export.txt $(VENV)/installed
	pip install --quiet -r requirements-dev.txt
	touch $@

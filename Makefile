# `make`: install, run the pipeline, show what came of it.  `make test`: lint and tests.  `make bench`: speed.
# `make status`: is what is committed up to date?  `make reproduce`: does it give the same bytes again?
PYTHON ?= python3
VENV := .venv
# DVC runs `python` of the caller's PATH.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: all test bench status reproduce
all: $(VENV)/installed
	dvc repro
	python -m stages.reproduce --record
	python predict.py --describe

test: $(VENV)/installed-dev
	ruff check .
	ruff format --check .
	# Two at a time: each trains on one thread.
	pytest -n 2 --dist loadgroup

status: $(VENV)/installed
	python -m stages.status

reproduce: $(VENV)/installed
	python -m stages.reproduce $(FLAGS)

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

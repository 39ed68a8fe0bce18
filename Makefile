# Every target builds or refreshes .venv by itself when it is missing or the versions changed.
.DEFAULT_GOAL := help
.PHONY: help install bench test check report verify thousand format golden costs coverage fixtures clean

PYTHON ?= python3
BIN := .venv/bin
PUBLISHED := .venv/transformers-4.30.0

help:  ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

install: .venv/ready  ## Make .venv with seqrl and everything its tests need

.venv/ready: constraints.txt pyproject.toml .ci/environment.py
	@echo "Installing into .venv (several hundred MB the first time) ..."
	@$(PYTHON) .ci/environment.py .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch .venv/ready
	@echo "Ready: $(BIN)/seqrl --help"

bench: install  ## Agents on a task, from data to a table: make bench TASK=hopper-medium AGENTS="DT BC" SEEDS=5
	@$(BIN)/seqrl bench $(TASK) $(if $(EXPERIMENT),--experiment $(EXPERIMENT)) $(if $(DATA),--data $(DATA)) \
		$(if $(AGENTS),--agents "$(AGENTS)") $(if $(SEEDS),--seeds $(SEEDS))

test: install  ## Run the tests
	@$(BIN)/python -m pytest -n 2

check: install  ## Lint, types and tests: what CI runs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory verify
	@$(BIN)/python -m pytest -n 2

report: install  ## Write tables, figures and page of results/embedded again from its records
	@PATH=$(BIN):$$PATH .ci/report results/embedded

verify: install  ## Do the committed tables, figures and page follow from the committed records?
	@PATH=$(BIN):$$PATH .ci/verify

thousand: install  ## Measure how long table, page and figures of a thousand records take (a minute)
	@$(BIN)/python -m tests.report.thousand

format: install  ## Format the code, fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

golden: install  ## Play every embedded set in full and compare it with its known fingerprint (half an hour)
	@$(BIN)/python tests/data/golden.py

costs: install  ## Measure again what runs cost, for the estimates (ten minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m seqrl.speed.costs

coverage: install  ## Measure again how often intervals hold the truth (a quarter of an hour)
	@OMP_NUM_THREADS=1 $(BIN)/python -m seqrl.report.simulation

fixtures: install  ## Read again what d4rl's catalogue and transformers 4.30.0 say
	@$(BIN)/python tests/tasks/read_d4rl_wheel.py
	@$(PYTHON) .ci/environment.py $(PUBLISHED)
	@$(PUBLISHED)/bin/python -m pip install --quiet --disable-pip-version-check \
		transformers==4.30.0 torch==2.13.0 'numpy<2'
	@$(PUBLISHED)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@$(PUBLISHED)/bin/python tests/huggingface/make_fixtures.py

clean:  ## Remove .venv and caches; data sets stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info

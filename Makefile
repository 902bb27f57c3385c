# One way to do each thing. Plain `make` lists them.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo questionnaire test interop neighbours lint bench edition docs clean

help: ## list what can be done
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: .venv/ready ## a gateway, real spans through it, a lake and its page; Ctrl-C stops it
	@$(BIN)/python -m demo $(ARGS)

questionnaire: .venv/ready ## a customer's form about forty product surfaces, answered from a lake
	@$(BIN)/python -m demo.questionnaire $(ARGS)

test: .venv/dev ## run the tests
	$(BIN)/pytest $(ARGS)

interop: neighbours ## run the tests with other programs: opentelemetry-js, rotel, Phoenix, Prometheus
	WATTSPAN_REQUIRE_NEIGHBOURS=1 $(BIN)/pytest tests/interop $(ARGS)

neighbours: .venv/dev ## install those programs, outside the checkout (~/.cache/wattspan/neighbours, 1 GB)
	@$(BIN)/python -m tests.interop.neighbours

lint: .venv/dev ## ruff, mypy --strict, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/bench ## print speeds beside the rivals', in the same run
	$(BIN)/python -m benchmarks $(ARGS)

edition: .venv/dev ## fit the evidence and write the methodology edition
	$(BIN)/python -m evidence.edition $(ARGS)

docs: .venv/dev ## compute the tables of the methodology pages and build the documents into site/
	$(BIN)/python -m evidence.validation
	$(BIN)/python -m evidence.edition.model_page
	$(BIN)/python -m evidence.grid.regions_table
	$(BIN)/python -m evidence.backtest
	$(BIN)/mkdocs build --strict

clean: ## remove what the other targets made
	rm -rf .venv build site out *.egg-info wattspan/*/*.so wattspan/*/*.c wattspan/otlp/*/*.so wattspan/otlp/*/*.c

SOURCES := pyproject.toml setup.py requirements.txt \
	$(wildcard wattspan/*/*.pyx wattspan/otlp/*/*.pyx wattspan/otlp/*/*.pxd) \
	wattspan/web/pack.py $(wildcard wattspan/web/assets/*.json wattspan/web/assets/src/*)

.venv/ready: $(SOURCES)
	@test -d .venv || $(PYTHON) -m venv .venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wattspan needs Python 3.11 or newer")'
	@echo "setting up .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/bench: .venv/dev requirements-bench.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

.venv/dev: .venv/ready requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

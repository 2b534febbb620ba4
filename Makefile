# The repository's own environment is .venv. uv comes from PyPI; everything else is installed from
# locked requirements with hashes. Flower itself never goes in here: `flowerbed` keeps it in a cache.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
# Tests mostly wait, so they run side by side; tests/cluster/wanted.py says who runs what.
WORKERS ?= 2

.PHONY: help demo test test-releases lint types layers format check bench cluster cluster-down lock sync clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: sync ## Run a real Flower federation on this machine (FLOWER=1.22 for another release)
	$(BIN)/flowerbed demo $(if $(FLOWER),--flower $(FLOWER))

test: sync ## Install what the tests need and run them all
	$(BIN)/pytest --numprocesses $(WORKERS) $(ARGS)

test-releases: sync ## Run the demo app on every Flower release and rewrite docs/flower-releases.md (FLOWER=1.42 for one)
	@rm -f $(VENV)/proofs.jsonl
	FLOWERBED_PROOFS=$(CURDIR)/$(VENV)/proofs.jsonl FLOWERBED_PROVE=$(FLOWER) \
	  $(BIN)/pytest -m matrix $(if $(FLOWER),-k "$(FLOWER) or page") $(ARGS)

lint: sync ## Lint and check the formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: sync ## Check the types, strictly
	$(BIN)/mypy

layers: sync ## Check that the rooms only know the rooms below them
	$(BIN)/lint-imports

check: lint types layers test ## Everything that CI checks

format: sync ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: sync ## Compare with the same programs started by hand, in one run
	$(BIN)/python -m bench

cluster: sync ## Start a Kubernetes in the background, from tests/cluster (NODES=2 for two nodes)
	cd tests && $(CURDIR)/$(BIN)/python -m cluster up --nodes $(or $(NODES),1)

cluster-down: sync ## End it
	cd tests && $(CURDIR)/$(BIN)/python -m cluster down

lock: sync ## Lock the requirements anew, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  pyproject.toml --output-file requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  pyproject.toml requirements/build.in --group dev --output-file requirements/dev.txt

sync: $(STAMP) ## Make .venv from the locked requirements

$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Flowerbed needs Python 3.11 or newer; set PYTHON=python3.11 (found " + sys.version.split()[0] + ")")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

clean: ## Remove what was built here (caches outside the repository stay; see `flowerbed env prune`)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

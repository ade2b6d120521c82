# `make` lists the targets. Nothing here needs root, Docker, or servers installed.

VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
BOOTSTRAP = $(PYTHON) scripts/bootstrap.py $(VENV)
ARGS ?=
NAMESPACE ?= trading

# Where it is set, each process compiles what it imports: the gateway takes twice as long to start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install up check test long bench proto crds install-yaml clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

install: ## Make the environment for development
	@$(BOOTSTRAP) dev

up: ## Install and start a desk on real quotes (ARGS="--speed 10 --for 20s")
	@$(BOOTSTRAP) local
	@exec $(BIN)/stratops up $(ARGS)

check: install ## The fast gate: style, types, layers, unit tests; about a minute
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto -m "not servers and not long and not cluster"

test: check ## The gate, then real servers, then a real Kubernetes
	$(BIN)/pytest -q -n 3 --dist worksteal -m "servers and not long and not cluster"
	$(BIN)/pytest -q -m "cluster and not scale"

long: install ## Laws at length, faults twenty times, a million events of the desk and its slow model (ARGS="--seed 7 --events 100000")
	$(BIN)/pytest -q -n 2 --dist worksteal -m long
	$(BIN)/pytest -q -n 2 --hypothesis-profile long -m "hypothesis and not servers and not long and not cluster"
	@PYTHONPATH=tests/support:tests/gateway_model $(BIN)/python tests/gateway_model/long_run.py $(ARGS)

bench: install ## Measure speed and memory; prints a table, writes benchmarks/results
	$(BIN)/python -m benchmarks $(ARGS)

proto: ## Generate the gRPC modules from proto/
	sh scripts/generate_proto.sh

crds: install ## Generate crds/ from the models
	$(BIN)/python scripts/generate_crds.py

install-yaml: ## Write dist/install.yaml: a desk to try, for kubectl apply (NAMESPACE=trading)
	@mkdir -p dist
	@sh scripts/install_yaml.sh $(NAMESPACE) > dist/install.yaml
	@echo "kubectl apply --server-side -f dist/install.yaml"

images: install ## Build every component's image as the test cluster runs it (Linux, root)
	@$(BIN)/python -m dev_cluster.component_images $(ARGS)

clean: ## Remove the environment and what tools cached
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

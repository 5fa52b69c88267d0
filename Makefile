# Latency Lab. `make search` and `make test` do everything on a fresh Debian or Ubuntu.

PYTHON ?= python3
STUDY ?= first
BIN := .venv/bin
RUNNER := build/runner/latlab-runner
MACHINE ?= aarch64
PROTOS := $(wildcard protos/latlab/v1/*.proto)
INSTALLED := .venv/.installed
DEVELOPED := .venv/.developed
GENERATOR := build/protoc-venv
GENERATES := $(GENERATOR)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup runner agent-bundle protos lab-up lab-status lab-down virtual-phone search test test-fast check wheels bench clean

help:  ## This list
	@sed -n 's/^\([a-z%-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(DEVELOPED)  ## Make .venv and install everything, for developers

runner: $(RUNNER)  ## Build the C++ runner

agent-bundle: $(INSTALLED)  ## The agent for phones and boards: build/bundle/$(MACHINE), or MACHINE=x86_64
	$(BIN)/python -m device_agent.bundle $(MACHINE)

search: lab-up  ## Search: calibrate, search, measure, and write runs/$(STUDY)/report.html
	$(BIN)/latlab search --study $(STUDY)

lab-up: $(RUNNER)  ## Bring the lab up in the background and list its devices
	$(BIN)/latlab lab up

lab-status: $(INSTALLED)  ## The lab's devices and targets
	$(BIN)/latlab lab status

lab-down: $(INSTALLED)  ## Stop the lab and what it started
	$(BIN)/latlab lab down

virtual-phone: $(DEVELOPED)  ## A phone without a phone, plugged into this machine's adb (as root)
	$(BIN)/python -m tests.virtual_phone

# The tests start hundreds of Python processes, which compile their imports only once.
test test-fast: export PYTHONDONTWRITEBYTECODE =

test: $(RUNNER) $(DEVELOPED)  ## The tests
	$(BIN)/pytest

test-fast: $(DEVELOPED)  ## The tests that need no runner, agent or training: a minute
	$(BIN)/pytest -m fast

check: $(DEVELOPED) $(GENERATES)  ## ruff, mypy (latlab for Python 3.10 too), buf lint and breaking, and that the generated protobuf code is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy latlab host device_agent latency_models search tests
	$(BIN)/mypy --python-version 3.10 latlab
	$(BIN)/buf lint protos
	$(BIN)/buf breaking protos --against protos/baseline-0.2.0.binpb
	@build=$$(mktemp -d) && trap 'rm -r "$$build"' EXIT && $(call generate,$$build) \
	  && for file in $$(cd $$build && find latlab -type f); do \
	    cmp -s $$build/$$file $$file || { echo "$$file is not current: run make protos"; exit 1; }; \
	  done && echo "generated protobuf code is current"

protos: $(GENERATES)  ## Generate the protobuf code
	$(call generate,.)

bench: $(RUNNER) $(DEVELOPED)  ## Every benchmark; bench-NAME for one group
	@$(BIN)/python -m tests.bench

bench-%: $(RUNNER) $(DEVELOPED)
	@$(BIN)/python -m tests.bench $*

wheels: $(INSTALLED)  ## The wheels of all distributions: build/wheels
	rm -rf build/wheels
	$(BIN)/python -m device_agent.bundle.wheels build/wheels

clean: lab-down  ## Stop the lab; remove what was built (measurements stay)
	rm -rf build .venv

# It compiles on all cores, which takes half as long as pip. Errors are ignored, because packages hold
# files for other versions of Python.
define compile
@$(BIN)/python -m compileall -qq -j 0 .venv/lib latlab host search device_agent latency_models || true
endef

define generate
$(GENERATOR)/bin/python -m grpc_tools.protoc -Iprotos \
  --plugin=protoc-gen-mypy=$(GENERATOR)/bin/protoc-gen-mypy \
  --plugin=protoc-gen-mypy_grpc=$(GENERATOR)/bin/protoc-gen-mypy_grpc \
  --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) \
  $(PROTOS)
endef

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "Python 3.10 or newer is needed: apt install python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "Python's venv module is missing: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile --editable '.[build]'
	$(compile)
	@touch $@

$(DEVELOPED): $(INSTALLED)
	$(BIN)/pip install --quiet --no-compile --editable '.[dev]'
	$(compile)
	@touch $@

$(GENERATES): protos/requirements.txt
	$(PYTHON) -m venv --clear $(GENERATOR)
	$(GENERATOR)/bin/pip install --quiet --requirement protos/requirements.txt
	@touch $@

$(RUNNER): $(INSTALLED) $(wildcard device_agent/runner/*)
	@command -v $${CXX:-c++} >/dev/null \
	  || { echo "a C++ compiler is missing: apt install g++"; exit 1; }
	$(BIN)/cmake -S device_agent/runner -B build/runner --log-level=WARNING \
	  -DCMAKE_PREFIX_PATH="$$($(BIN)/python -c 'import importlib.util as u; print(u.find_spec("executorch").submodule_search_locations[0])')"
	$(BIN)/cmake --build build/runner --parallel
	@touch $@

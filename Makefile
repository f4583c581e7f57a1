# Every command a developer or CI needs. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The first of the current and the distribution's Python that is new enough.
PYTHON ?= $(firstword $(foreach p,python3 /usr/bin/python3,$(shell \
  $(p) -c 'import sys, venv, ensurepip; print(sys.executable if sys.version_info >= (3, 11) else "")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install -qq --no-input --disable-pip-version-check

##@ Daily work

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-zA-Z0-9_-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(VENV)/.project ## Make .venv with the locked dependencies (only when a lock changed)

# flock: two people who type `make` in one checkout must not install over each other.
$(VENV)/.locked: requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 with venv: apt install python3 python3-venv" >&2; exit 1; }
	@echo "==> virtual environment: $(VENV) from $(PYTHON)"
	@mkdir -p $(VENV)
	@flock $(VENV) bash -euc '\
	  [ $@ -nt $< ] && exit; \
	  [ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); \
	  $(BIN)/python $(PIP_INSTALL) --only-binary :all: --require-hashes -r $<; \
	  touch $@'

$(VENV)/.project: pyproject.toml $(VENV)/.locked
	@flock $(VENV) $(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

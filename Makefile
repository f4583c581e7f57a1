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
JOBS ?= $(shell nproc)
PHASE := .ci/phase run
# Developers work in containers too: the state of labs and tests may go with them.
export HOLDFAST_STATE_MAY_VANISH := yes
# Recipes below call plain `make`: a line that says $(MAKE) is run even by `make -n`, and these lines do more than that.
export PATH := $(abspath $(BIN)):$(PATH)

##@ Daily work

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-zA-Z0-9_-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(VENV)/.project ## Make .venv with the locked dependencies (only when a lock changed)

CHECKS := check-ruff check-imports check-mypy check-yamllint check-ansible-lint check-playbooks check-pytest check-packaging check-store check-chat check-docs
.PHONY: check $(CHECKS)
check: venv ## All that needs no lab: linters, types, playbook syntax, unit to content tests
	@.ci/phase start
	@rc=0; PHASE_QUIET=1 make -k -j$(JOBS) $(CHECKS) || rc=1; .ci/phase table || rc=1; exit $$rc

check-ruff: ## Python style and errors, and whether the code is formatted
	@$(PHASE) ruff bash -c 'ruff check && ruff format --check'

check-imports: ## Which part may import which: the layers of docs/architecture.md
	@$(PHASE) imports lint-imports --no-cache --no-logo

check-mypy: ## Types, strict
	@$(PHASE) mypy mypy $(shell git ls-files --cached --others --exclude-standard '*.py')

check-yamllint: ## YAML style
	@$(PHASE) yamllint yamllint --strict .

# One inventory for all playbooks: it need not have every group that they name.
ANY_SITE := ANSIBLE_HOST_PATTERN_MISMATCH=ignore
# It starts ansible-playbook without an inventory, which ansible.cfg refuses; no host is contacted. Never "localhost,":
# in this variable the part after the comma is this directory, and Ansible would run every program in it with --list.
check-ansible-lint: ## Roles and playbooks, profile production, offline
	@$(PHASE) ansible-lint env ANSIBLE_INVENTORY=inventories/example $(ANY_SITE) ansible-lint --offline -q --nocolor --format=pep8

# A deprecation is hidden from operators (ansible.cfg) and an error here.
PLAYBOOKS = $(wildcard playbooks/*.yml playbooks/lab/*.yml)
check-playbooks: ## Syntax of every playbook, with no deprecation
	@$(PHASE) playbooks bash -euo pipefail -c '\
	  $(ANY_SITE) ANSIBLE_DEPRECATION_WARNINGS=True ansible-playbook -i inventories/example --syntax-check $(PLAYBOOKS) 2>&1 \
	    | awk "{ print } /DEPRECAT/ { bad = 1 } END { exit bad }"'

# The contract suite starts real plays, which mostly wait, so several tests run at once; the longest begin first.
SUITES := tests/contract tests/properties tests/unit tests/content
check-pytest: ## The tests that need no lab
	@$(PHASE) pytest pytest -n $(JOBS) --dist worksteal $(SUITES)

# Each is built, installed into an empty place and used there; one process, so that each is built once.
check-packaging: ## What is shipped: the collection
	@$(PHASE) packaging pytest -q tests/packaging

# Servers of their own, on Unix sockets, the nodes of the cluster in networks of their own; one that cannot be started fails the phase.
check-store: ## The state on MariaDB, Galera and PostgreSQL, each through its driver (SQLite: check-pytest); placement's copy and replicas on MariaDB
	@$(PHASE) store bash -euc 'tests/unit/store/servers-unpacked; \
	  HOLDFAST_TEST_DATABASES="mariadb galera postgresql psycopg2" exec pytest -q tests/unit/store tests/mariadb \
	    --deselect "tests/unit/store/test_contention.py::test_leases_and_journals_hold_while_servers_fail[galera]"'

# Two minutes, of which most are Galera's own waiting for nodes that are gone.
.PHONY: check-contention
check-contention: venv ## Controllers fight for leases while nodes of Galera are killed, stopped and cut off, and a PostgreSQL is ended; not in CI
	@$(PHASE) contention bash -euc 'tests/unit/store/servers-unpacked; HOLDFAST_TEST_DATABASES="galera postgresql" exec pytest -q tests/unit/store/test_contention.py'

# One server for each file of tests.
check-chat: venv $(VENV)-synapse/.locked ## Chat against real servers on loopback: Matrix, IRC, and one that speaks Slack
	@tests/chat/servers/ngircd-unpacked
	@$(PHASE) chat pytest -n 2 --dist loadfile tests/chat

.PHONY: check-salt
check-salt: venv $(VENV)-salt/.locked ## How a real salt that runs Puppet's agents is seen among processes; not in CI
	@SALT_PROGRAMS=$(VENV)-salt/bin pytest -n 0 tests/salt

check-docs: venv $(VENV)-docs/.locked ## The site of the documents: links, anchors, and that every page is in its navigation
	@$(PHASE) docs make docs

# A fault at a time, in the order of what is most critical; one process, which gives way to all others.
.PHONY: mutants
mutants: venv ## Which small faults no test sees; PATHS=src/holdfast/store or ROLE=rabbitmq for one part, else hours
	@nice -n 19 python -m $(if $(ROLE),tests.mutants.roles $(ROLE) $(if $(EVERY),--every $(EVERY)) $(if $(ONLY),--only $(ONLY)),tests.mutants $(PATHS))

.PHONY: format
format: venv ## Let ruff format the code and fix what it can
	@ruff format
	@ruff check --fix

##@ On real hosts (containers on this machine)

# Labs of their own, away from the one that people use: RELEASE for all of nova, RELEASE-rabbitmq for brokers alone.
LABS ?= bookworm bookworm-rabbitmq trixie
TEST_LAB = LAB_NAME=holdfast-test-$* LAB_SUBNET=$(TEST_SUBNET_$*) \
  LAB_RELEASE=$(firstword $(subst -, ,$*)) LAB_PROFILE=$(or $(word 2,$(subst -, ,$*)),full)
TEST_SUBNET_bookworm := 10.97.101.0/24
TEST_SUBNET_trixie := 10.97.102.0/24
TEST_SUBNET_bookworm-rabbitmq := 10.97.103.0/24
TEST_SUBNET_trixie-rabbitmq := 10.97.104.0/24

.PHONY: prerequisites
prerequisites: ## Install what the lab needs from Debian and is missing (root or sudo)
	@tests/lab/prerequisites

IMAGES := $(patsubst %,image-%,$(sort $(foreach lab,$(LABS),$(firstword $(subst -, ,$(lab))))))
MOLECULE := $(LABS:%=molecule-%)
# Scenarios mostly wait, so two labs are at work at once; their output is shown where they fail.
RUN_MOLECULE := PHASE_QUIET=1 make -k -j2 $(MOLECULE)
.PHONY: test
test: ## Everything CI runs: prerequisites, check, images, molecule on each lab
	@.ci/phase start
	@if $(PHASE) prerequisites tests/lab/prerequisites && $(PHASE) venv make venv; then rc=0; \
	  PHASE_QUIET=1 make -k -j$(JOBS) $(IMAGES) $(CHECKS) || rc=1; \
	  $(RUN_MOLECULE) || rc=1; \
	else rc=1; fi; \
	.ci/phase table || rc=1; exit $$rc

.PHONY: molecule
molecule: prerequisites venv ## The scenarios alone; LABS=trixie for one lab
	@.ci/phase start
	@rc=0; make -k $(IMAGES) || rc=1; $(RUN_MOLECULE) || rc=1; .ci/phase table || rc=1; exit $$rc

# An image takes minutes of download and unpacking, so `test` builds them beside the linters.
.PHONY: $(IMAGES)
$(IMAGES): image-%:
	@$(PHASE) "lab image $*" make lab-image LAB_RELEASE=$*

# tests/molecule/run lists the scenarios of a lab in their order. Each is a phase of its own.
.PHONY: $(MOLECULE)
$(MOLECULE): molecule-%: $(VENV)-synapse/.locked
	@scenarios=$$($(TEST_LAB) tests/molecule/run --list); \
	test -n "$$scenarios" || { echo "No scenario runs on $*." >&2; exit 1; }; \
	if $(PHASE) "$* lab up" make lab-up $(TEST_LAB); then rc=0; \
	  for scenario in $$scenarios; do \
	    $(PHASE) "$* $$scenario" env $(TEST_LAB) tests/molecule/run --no-lab-up $$scenario || rc=1; \
	  done; \
	else rc=1; fi; \
	$(PHASE) "$* lab down" make lab-down $(TEST_LAB) || rc=1; exit $$rc

.PHONY: demo
demo: prerequisites venv ## A whole rolling restart of RabbitMQ and nova, with a report
	@tests/lab/demo

.PHONY: galera
galera: prerequisites venv ## A rolling restart of a Galera cluster under writes, judged by an instrument (minutes; not in CI); FAULTS=all with faults in its middle (an hour)
	@tests/lab/galera

.PHONY: placement-extraction
placement-extraction: prerequisites venv ## Placement moved out of nova's database under an observer, with an orphan planted (minutes; not in CI); FAULTS=back, killed or all first
	@tests/lab/placement-extraction

.PHONY: two-writers
two-writers: prerequisites venv ## Boots through nova over Galera, behind one writer and then behind three: who gets a deadlock (half an hour; not in CI)
	@. $(VENV)/bin/activate; python -m tests.lab.two_writers

.PHONY: bad-input
bad-input: prerequisites venv ## What is wrong before a run, planted on the lab with Galera: refused, named, nothing touched (ten minutes; not in CI)
	@. $(VENV)/bin/activate; python -m tests.lab.bad_input

.PHONY: chat-demo
chat-demo: prerequisites venv $(VENV)-synapse/.locked ## Runs from chat: the lab, a Matrix server and the bot; says what to type
	@make lab-up
	@tests/lab/chat serve

# Icinga and Prometheus come from where this machine's apt gets its packages, so the lab has this machine's release.
MONITORING = LAB_NAME=$(or $(LAB_NAME),holdfast-monitoring) LAB_PROFILE=rabbitmq LAB_SUBNET=$(or $(LAB_SUBNET),10.97.105.0/24) \
  LAB_RELEASE=$(shell . /etc/os-release && echo $$VERSION_CODENAME)
.PHONY: monitoring
monitoring: prerequisites venv ## Three brokers beside a real Icinga 2, Alertmanager and promtool, in 10 minutes
	@make lab-up $(MONITORING)
	@rc=0; env $(MONITORING) python -m tests.lab.monitoring || rc=1; make lab-down $(MONITORING) || rc=1; exit $$rc

.PHONY: bench
bench: prerequisites venv $(VENV)-bench/.locked ## Overhead beside plain Ansible, cumin and pyinfra, as ratios
	@tests/lab/bench

.PHONY: oncall
oncall: lab-up ## Plants faults on the lab and compares the first line of `holdfast diagnose`: an hour (FAULTS=masked for one)
	@. $(VENV)/bin/activate; python -m tests.lab.oncall $(FAULTS)

.PHONY: recovery
recovery: lab-up ## Wedges the lab's brokers under restarts and recovers by what Holdfast prints: half an hour (WEDGE=frozen: another wedge)
	@. $(VENV)/bin/activate; python -m tests.lab.recovery

.PHONY: bench-fleet
bench-fleet: prerequisites venv ## Whole runs over the fleet lab's computes beside what their hosts need: an hour
	@tests/lab/bench-fleet

.PHONY: replay
replay: prerequisites venv ## The outage of 2015, replayed on the fleet lab: a change on all computes at once, and by Holdfast; an hour or two
	@tests/lab/replay/run

-include tests/lab/lab.mk

##@ To ship

DIST ?= dist
# Of what git knows: a checkout has sites, runbooks and roles of its user's own beside ours, and their vaults.
TRACKED = tree=$$(mktemp -d); trap 'rm -rf "$$tree"' EXIT; git ls-files -z | xargs -0 cp --parents --no-dereference --target-directory "$$tree"
.PHONY: collection
collection: ## The tree as a collection of Ansible, dist/holdfast-holdfast-VERSION.tar.gz
	@$(TRACKED); ansible-galaxy collection build "$$tree" --force --output-path $(abspath $(DIST)) | tail -n 1

.PHONY: wheel
wheel: ## The Python package with playbooks, roles, plugins and runbooks, dist/holdfast-VERSION-py3-none-any.whl
	@$(TRACKED); ln -s $(CURDIR)/.git "$$tree/.git"; cd "$$tree" && GIT_OPTIONAL_LOCKS=0 hatchling build -t wheel -d $(abspath $(DIST))

.PHONY: man
man: ## The manual page, from the same source as --help: dist/holdfast.1
	@mkdir -p $(DIST) && python -m deploy.man_page > $(DIST)/holdfast.1

DEB_RELEASES ?= bookworm trixie
.PHONY: deb
deb: wheel man ## Debian packages with a virtual environment in /opt/holdfast, dist/holdfast_VERSION~RELEASE_ARCH.deb; DEB_RELEASES=trixie for one
	@for release in $(DEB_RELEASES); do deploy/debian/build $$release $(DIST); done

.PHONY: deb-test
deb-test: deb ## Install the packages on clean hosts of the lab's images, roll a unit there, purge them
	@for release in $(DEB_RELEASES); do deploy/debian/try $$release $(DIST); done

.PHONY: install-test
install-test: wheel collection ## Install wheel and collection on clean hosts of both releases, roll a unit with each
	@for release in $(DEB_RELEASES); do deploy/try-python $$release $(DIST); done

.PHONY: newest-test
newest-test: venv ## The tests of the plugins, and whole plays, with the newest ansible-core and Debian 13's Python (not in CI)
	@deploy/try-newest $(TESTS)

DOCS = $(DIST)/docs
.PHONY: docs
docs: venv $(VENV)-docs/.locked ## A site of the documents with a reference from the source, dist/docs; a dead link is an error
	@python -m deploy.docs_source $(DOCS)-source
	@rm -rf $(DOCS)
	@$(VENV)-docs/bin/sphinx-build -q -W --keep-going -c deploy/sphinx -d $(DOCS)-doctrees $(DOCS)-source $(DOCS)
	@! grep -rE '(src=|url\(|@import )"?(https?:)?//|<link [^>]*href="(https?:)?//' $(DOCS) --include=*.html --include=*.css || { echo "A page fetches something from elsewhere" >&2; exit 1; }
	@echo $(DOCS)/index.html

.PHONY: sbom
sbom: ## The bill of materials of what is installed from, in CycloneDX: dist/holdfast.cdx.json
	@mkdir -p $(DIST) && python -m deploy.sbom > $(DIST)/holdfast.cdx.json

.PHONY: tested-with
tested-with: ## Write docs/tested-with.md from the lab's images and the locks
	@deploy/tested-with > docs/tested-with.md.new && mv docs/tested-with.md.new docs/tested-with.md

.PHONY: version
version: ## Begin a release: VERSION=1.2.3 in every file that says it, and today's heading in CHANGELOG.md
	@[[ "$(VERSION)" =~ ^[0-9]+(\.[0-9]+){2}$$ ]] || { echo "make version VERSION=1.2.3" >&2; exit 2; }
	@sed -i -E 's/^((__version__|VERSION|version)( =|:) "?|holdfast==)[0-9]+(\.[0-9]+){2}/\1$(VERSION)/; s/(holdfast-holdfast-)[0-9.]+[0-9]/\1$(VERSION)/' \
	  src/holdfast/__init__.py plugins/action/__init__.py pyproject.toml galaxy.yml meta/ee-requirements.txt execution-environment.yml
	@sed -i 's/^## \[Unreleased\]$$/&\n\n## [$(VERSION)] - '"$$(date -u +%F)"'/' CHANGELOG.md

##@ Housekeeping

# `make lock UPGRADE=--upgrade` takes the newest versions that pyproject.toml allows.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --custom-compile-command 'make lock' $(UPGRADE)
EXTRAS = --extra chat --extra mariadb --extra postgresql
.PHONY: lock
lock: venv ## Write requirements/*.txt from pyproject.toml
	@$(LOCK) --group build -o requirements/build.txt
	@$(LOCK) pyproject.toml $(EXTRAS) --group build --group dev --group lab -o requirements/dev.txt
	@$(LOCK) pyproject.toml $(EXTRAS) --constraint requirements/dev.txt -o requirements/run.txt
	@$(LOCK) --group build --group bench -o requirements/bench.txt
	@$(LOCK) --group build --group synapse -o requirements/synapse.txt
	@$(LOCK) --group build --group salt -o requirements/salt.txt
	@$(LOCK) --group build --group docs -o requirements/docs.txt

.PHONY: clean
clean: ## Remove what make and the tools wrote, but no lab and no run's state
	@rm -rf $(VENV) $(VENV)-bench $(VENV)-docs $(VENV)-salt $(VENV)-synapse .mypy_cache .pytest_cache .ruff_cache .hypothesis .ansible .phases .ngircd .databases dist

# flock: two people who type `make` in one checkout must not install over each other.
# $(1): the virtual environment, $(2): the lock it is installed from
define install
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 with venv: apt install python3 python3-venv" >&2; exit 1; }
	@echo "==> $(1) from $(2)"
	@mkdir -p $(1)
	@flock $(1) bash -euc '\
	  [ -x $(1)/bin/python ] || $(PYTHON) -m venv $(1); \
	  $(1)/bin/python $(PIP_INSTALL) --require-hashes -r requirements/build.txt; \
	  $(1)/bin/python $(PIP_INSTALL) --require-hashes --no-build-isolation -r $(2); \
	  touch $@'
endef

$(VENV)/.locked: requirements/dev.txt requirements/build.txt
	$(call install,$(VENV),$<)

$(VENV)-bench/.locked: requirements/bench.txt requirements/build.txt
	$(call install,$(VENV)-bench,$<)

$(VENV)-docs/.locked: requirements/docs.txt requirements/build.txt
	$(call install,$(VENV)-docs,$<)

$(VENV)-salt/.locked: requirements/salt.txt requirements/build.txt
	$(call install,$(VENV)-salt,$<)

$(VENV)-synapse/.locked: requirements/synapse.txt requirements/build.txt
	$(call install,$(VENV)-synapse,$<)

$(VENV)/.project: pyproject.toml $(VENV)/.locked
	@flock $(VENV) $(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

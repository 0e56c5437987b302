# Everything runs in .venv, which holds the versions and hashes of requirements/*.lock.
# A recipe stops at its first failing line.

# Tests expect English texts, whatever the language of the machine.
export LC_ALL := C.UTF-8

VENV  := .venv
# Where `check` and `format` find their tools. Another environment: make check BIN=/path/to/bin
BIN   ?= $(VENV)/bin
# Number of random histories that `simulate-faults` plays.
SEEDS ?= 1000
# For `bench`: rows to plan; sizes of the ledgers in which the same rows run again, as in KNOWN="1000000 5000000"
# (default: a quarter of ROWS, half, all); rows to send; seconds to watch the quota; measurements of each figure.
# PEERS=1 also installs and measures the programs that others use.
ROWS    ?= 100000
KNOWN   ?=
SENT    ?= 3000
SECONDS ?= 10
RUNS    ?= 3
PEERS   ?=

# The first Python that is new enough; python3 may be an older one.
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13 /usr/bin/python3,\
	$(if $(shell $(name) -c 'import sys; print("yes" * (sys.version_info >= (3, 11)))' 2>/dev/null),$(name))))

# The versions for `pythons`; where pyenv has them they need not be on the path. SESSION=fast runs the fast tests only.
PYTHONS ?= 3.11 3.12 3.13
SESSION ?= tests
empty :=
PYENV_BINS := $(subst $(empty) $(empty),:,$(wildcard $(HOME)/.pyenv/versions/3.1[123].*/bin))

PIP_INSTALL := $(VENV)/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input install
# Builds with the tools of the lock file.
INSTALL_PROJECT := $(PIP_INSTALL) --no-deps --no-build-isolation --editable .

# The time of all files in wheel and sdist where git knows no commit, as in an unpacked sdist: 2020-02-02.
NO_COMMIT := 1580601600

# Draws the diagrams of the documents.
MERMAID     := 11.17.2
PIP_TOOLS   := 7.6.2
PIP_COMPILE := $(VENV)/lock/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-header --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(UPGRADE)

# The tests of the rules, on one kind of ledger and without expensive property tests. They must reach each branch of the
# rules by themselves.
RULE_TESTS := tests/map tests/limits tests/write/test_judge_*.py tests/write/test_catalogue_codes.py \
	tests/ledger/test_admission.py tests/ledger_runs/test_ledger_staging.py \
	--ignore=tests/map/by_columns --ignore-glob='*_laws.py' -k 'not postgresql'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Steps that may run at once are made by a `make` of their own.
ifneq ($(AT_ONCE),yes)
.NOTPARALLEL:
endif
.PHONY: help demo demo-page test check types coverage pythons format bench simulate-faults dist lock clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/runtime ## send the sample exports to a simulated platform, and show the outcomes
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" sample_data/demo.sh

demo-page: $(VENV)/runtime ## run the demo, and write its output into docs/demo.md
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" sample_data/demo.sh 2>&1 \
		| $(VENV)/bin/python sample_data/demo_page.py docs/demo.md

.PHONY: docs diagrams
docs: $(VENV)/dev ## build the documentation site into build/docs/site; a warning is an error
	$(VENV)/bin/python -m docs.site build/docs

diagrams: $(VENV)/dev $(VENV)/browser $(VENV)/mermaid ## draw the diagrams of the documents into docs/diagrams/; needs npm
	$(VENV)/bin/python -m docs.site.diagrams $(VENV)/mermaid/package/dist/mermaid.min.js

# What the tests need beside Python packages.
TOOLS = $(VENV)/browser $(VENV)/shells $(VENV)/orchestrators/ready $(VENV)/systemd $(VENV)/servers

test: $(VENV)/made ## set up .venv where the lock files ask for it, then check
	@$(MAKE) --silent -j3 AT_ONCE=yes $(VENV)/dev $(TOOLS)
	@$(MAKE) --no-print-directory check BIN=$(VENV)/bin

check: ## format, lint, types, import rules, tests, coverage of the rules; in the environment as it is
	@test -x $(BIN)/ruff || { echo "check: $(BIN) has no ruff; 'make test' sets up $(VENV)" >&2; exit 1; }
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory -j2 AT_ONCE=yes types coverage BIN=$(BIN)
	$(BIN)/python -m pytest -n 3 --dist worksteal

types:
	$(BIN)/mypy

coverage: ## branches of the rules (map, judge, limits, admission, decide): 100 %, from their own tests alone
	$(BIN)/coverage run -m pytest -n 0 -q --hypothesis-seed=0 $(RULE_TESTS)
	$(BIN)/coverage report

pythons: $(VENV)/dev $(TOOLS) ## the tests on each Python that the machine has; PYTHONS="3.12 3.13" ARGS="tests/map" for some
	PATH="$$PATH:$(PYENV_BINS)" $(VENV)/bin/nox --session $(SESSION) --pythons $(PYTHONS) $(if $(ARGS),-- $(ARGS))

format: ## format the code, and fix what the linter can fix
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/dev $(VENV)/servers ## measure speed and memory into docs/performance.md; long nights: ROWS=5000000 KNOWN="1000000 5000000"
	$(VENV)/bin/python -m benchmarks --rows $(ROWS) $(if $(KNOWN),--known $(KNOWN)) --sent $(SENT) --seconds $(SECONDS) \
		--runs $(RUNS) $(if $(PEERS),--peers $(VENV)/peers) --page docs/performance.md

simulate-faults: $(VENV)/dev ## play SEEDS=1000 histories with random faults and crashes; check the guarantees
	$(VENV)/bin/python -m tests.simulation --seeds $(SEEDS)

dist: $(VENV)/runtime ## build wheel and sdist into dist/; one commit gives the same bytes everywhere
	@rm -rf dist
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo $(NO_COMMIT)) \
		$(VENV)/bin/python -m hatchling build -d dist

lock: $(VENV)/made ## make requirements/*.lock from pyproject.toml; UPGRADE=--upgrade takes newer versions
	@$(VENV)/bin/python -m venv --clear $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip --quiet --quiet --disable-pip-version-check install pip-tools==$(PIP_TOOLS)
	@echo "lock: requirements/dev.lock"
	@$(PIP_COMPILE) --extra dev -o requirements/dev.lock pyproject.toml
	@echo "lock: requirements/runtime.lock and requirements/build.lock, held to the same versions"
	@$(PIP_COMPILE) -c requirements/dev.lock --extra postgres -o requirements/runtime.lock pyproject.toml
	@$(PIP_COMPILE) -c requirements/dev.lock --only-build-deps --build-deps-for editable \
		-o requirements/build.lock pyproject.toml
	@echo "lock: requirements/orchestrators.lock, which shares the versions of runtime.lock"
	@$(PIP_COMPILE) -o requirements/orchestrators.lock requirements/orchestrators.in

clean: ## remove .venv and all files made by building, checking and the demo
	@rm -rf $(VENV) build dist *.egg-info .demo sample_data/reports sample_data/state .coverage \
		.nox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each file below marks a finished step of the set-up.

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "set-up: no Python 3.11 or newer found; name one: make PYTHON=..." >&2; exit 1; }
	@echo "set-up: $(VENV)"
	@$(PYTHON) -c 'from ensurepip import bootstrap' 2>/dev/null || { \
		echo "set-up: $(PYTHON) lacks venv; installing Debian's python3-venv (root only)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends python3-venv >/dev/null; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/runtime: $(VENV)/made requirements/runtime.lock requirements/build.lock pyproject.toml
	@echo "set-up: requirements/runtime.lock, and the project"
	@$(PIP_INSTALL) --require-hashes -r requirements/runtime.lock -r requirements/build.lock
	@$(INSTALL_PROJECT)
	@touch $@

# The lock file is complete. Compiling all of it takes longer than compiling what is imported.
$(VENV)/dev: $(VENV)/made requirements/dev.lock pyproject.toml
	@echo "set-up: requirements/dev.lock, and the project (the first time this takes a minute or two)"
	@$(PIP_INSTALL) --no-compile --no-deps --require-hashes -r requirements/dev.lock
	@$(INSTALL_PROJECT)
	@touch $@ $(VENV)/runtime

$(VENV)/mermaid: $(VENV)/made
	@mkdir -p $@
	@npm pack --silent --pack-destination $@ mermaid@$(MERMAID) >/dev/null
	@tar -xzf $@/mermaid-$(MERMAID).tgz -C $@ package/dist/mermaid.min.js

# Debian's packages are installed one after another: apt lets nobody else in.

# The tests of report.html drive a browser.
$(VENV)/browser: $(VENV)/made
	@command -v chromium >/dev/null || { \
		echo "set-up: no chromium found; installing Debian's (root only, about 110 MB)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends chromium >/dev/null; }
	@touch $@

# Airflow, Dagster, hadolint and the schemas of Kubernetes for their tests: apart, because they are 140 packages.
# Compiling them all takes longer than compiling on import.
$(VENV)/orchestrators/ready: $(VENV)/made requirements/orchestrators.lock
	@echo "set-up: requirements/orchestrators.lock (half a minute)"
	@$(VENV)/bin/python -m venv --clear $(VENV)/orchestrators
	@$(VENV)/orchestrators/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input install \
		--no-compile --no-deps --require-hashes -r requirements/orchestrators.lock
	@touch $@

# The tests of the systemd units ask systemd-analyze; systemd need not run.
$(VENV)/systemd: $(VENV)/made | $(VENV)/browser
	@command -v systemd-analyze >/dev/null || { \
		echo "set-up: no systemd-analyze found; installing Debian's systemd (root only, about 10 MB)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends systemd >/dev/null; }
	@touch $@

# The tests of completion drive these shells.
$(VENV)/shells: $(VENV)/made | $(VENV)/systemd
	@command -v zsh >/dev/null && command -v fish >/dev/null || { \
		echo "set-up: no zsh or no fish found; installing Debian's (root only, about 8 MB)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends zsh fish >/dev/null; }
	@touch $@

# The tests of ledgers on a server start PostgreSQL and PgBouncer, and hosts of their own (ip) with other clocks.
$(VENV)/servers: $(VENV)/made | $(VENV)/shells
	@{ ls /usr/lib/postgresql/*/bin/postgres && ls /usr/sbin/pgbouncer && command -v faketime && command -v ip; } \
		>/dev/null 2>&1 || { \
		echo "set-up: no PostgreSQL, PgBouncer, faketime or ip found; installing Debian's (root only, about 60 MB)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends \
			postgresql pgbouncer faketime iproute2 >/dev/null; }
	@touch $@

# One loop, one gate. Needs Python 3.11 or newer and make; everything else is installed below .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules
# Where it is set, each worker compiles all tests anew, and each of some hundred processes the whole service.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
SERVICE := $(VENV)/.service-installed
DEV := $(VENV)/.dev-installed
BENCH := $(VENV)/.bench-installed
FUZZ := $(VENV)/fuzz/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq

# Tests share a PostgreSQL per worker, and most machines have at least two cores. A worker also waits, for its database
# and for commands, so that one more than there are cores keeps these busy; whole services need no more.
test coverage: WORKERS ?= 3
test-long test-container torture: WORKERS ?= 2
PYTEST_OPTIONS = -n $(WORKERS) --dist loadfile
# As they are listed: by their numbers of tests, as they would go otherwise, the longest single ones came last.
QUICK := --no-loadscope-reorder -m "not long and not container"
COMPILE := $(BIN)/uv pip compile --quiet --no-strip-extras --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_OPTIONS)

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Every day

.PHONY: setup
setup: $(SERVICE) ## make the environment, with .venv/bin/ledger in it
	@echo "Ready: $(BIN)/ledger"

.PHONY: run
run: $(SERVICE) ## serve on http://127.0.0.1:8002, with a PostgreSQL of its own (data in .ledger)
	@exec $(BIN)/ledger serve

.PHONY: demo
demo: $(SERVICE) ## play the whole story on a throw-away instance
	@exec $(BIN)/ledger demo

.PHONY: test
test: $(DEV) ## run the tests (choose with ARGS="tests/domain -k votes")
	$(BIN)/pytest $(PYTEST_OPTIONS) $(QUICK) $(ARGS)

.PHONY: fmt
fmt: $(DEV) ## format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

##@ Before push

# Makes older than 4 mix what is printed side by side.
SYNCED := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# What looks at the files alone goes two at a time, and the tests are compiled meanwhile. Measuring their coverage makes
# the tests take half as long again, so that CI alone does it every time.
.PHONY: check
check: ## what must hold before a push: format, lint, types, layers, scanners, tests (TESTS=coverage: as in CI, measured)
	@$(MAKE) --jobs=2 $(SYNCED) bytecode format lint types layers repository snapshots scan
	@$(MAKE) $(or $(TESTS),test)

.PHONY: format
format: $(DEV)
	$(BIN)/ruff format --check .

.PHONY: lint
lint: $(DEV)
	$(BIN)/ruff check .

.PHONY: types
types: $(DEV)
	$(BIN)/mypy

.PHONY: layers
layers: $(DEV)
	$(BIN)/lint-imports --no-logo

.PHONY: repository
repository: $(DEV)
	$(BIN)/python -m tools.check_repository

.PHONY: snapshots
snapshots: $(DEV)
	$(BIN)/python -m tools.snapshots --check
	$(BIN)/python -m tools.event_versions --check

# What bandit finds is excused beside its line or on the one list of everything that a check lets pass.
.PHONY: scan
scan: $(DEV)
	$(BIN)/python -m tools.exclusions

# Once, and without being traced: otherwise each worker would do all of it.
.PHONY: bytecode
bytecode: $(DEV)
	@found=$$($(BIN)/pytest --collect-only -n 0 -qqq) || { echo "$$found"; exit 1; }

# Not pytest-cov: this way the services that tests start are measured too, each into a file of its own, which
# some write as another user: hence the folder that everybody may write to.
.PHONY: coverage
coverage: $(DEV) ## run the tests, and see that they reach 95 % of the code, with branches, and all of domain and upcasters
	@rm -f .coverage
	@set -eu; data=$$(mktemp -d); trap 'rm -rf "$$data"' EXIT; chmod 1777 "$$data"; \
	echo "$(BIN)/coverage run -m pytest"; \
	COVERAGE_FILE="$$data/.coverage" $(BIN)/coverage run -m pytest $(PYTEST_OPTIONS) $(QUICK); \
	$(BIN)/coverage combine --quiet --data-file=.coverage "$$data"
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='src/ledger/domain/*,src/ledger/upcasters/*'

.PHONY: test-long
test-long: export LEDGER_TEST_FUZZ = required
test-long: $(DEV) $(FUZZ) ## what takes longer: whole services, crashes, torture, attacks, all examples
	LEDGER_TEST_EXAMPLES=all $(BIN)/pytest $(PYTEST_OPTIONS) -m "long or thorough" $(ARGS)

.PHONY: test-container
test-container: $(DEV) ## the tests on a PostgreSQL in a container (needs a container engine)
	LEDGER_TEST_CONTAINER=1 $(BIN)/pytest $(PYTEST_OPTIONS) -m "not long" $(ARGS)

.PHONY: fuzz
fuzz: export LEDGER_TEST_FUZZ = required
fuzz: export LEDGER_TEST_FUZZ_EXAMPLES = $(or $(EXAMPLES),50)
fuzz: export LEDGER_TEST_FUZZ_SEED = $(SEED)
fuzz: $(DEV) $(FUZZ) ## send made-up requests to a live service, a quarter of an hour (EXAMPLES=200 for longer, SEED=2 for others)
	$(BIN)/pytest -n 0 --timeout 0 -m long tests/fuzz $(ARGS)

.PHONY: mutate
mutate: $(DEV) ## change the upcasters in every small way, and see a test fail (FLOOR=domain: the domain, an hour)
	LEDGER_TEST_EXAMPLES=all $(BIN)/python -m tools.mutate $(or $(FLOOR),upcasters)

.PHONY: audit
audit: $(DEV) ## look for known weaknesses in the pinned packages
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/service.txt
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/dev.txt
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/fuzz.txt

##@ Measure

.PHONY: bench
bench: $(BENCH) ## measure the store beside its peers, a quarter of an hour or more (look quickly with ARGS=--quick)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: soak
soak: $(DEV) ## mixed traffic at 70 % of the peak: nothing may fail, grow or be lost (ten minutes; MINUTES=60)
	$(BIN)/python -m benchmarks.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

.PHONY: torture
torture: $(DEV) ## the gates of the event store in their longest form: a million appends, a hundred kills
	LEDGER_TORTURE=longest $(BIN)/pytest $(PYTEST_OPTIONS) --timeout 0 -m long tests/gates $(ARGS)

.PHONY: reliability
reliability: $(DEV) ## break what production breaks, and write what was seen into docs/reliability.md
	LEDGER_RELIABILITY=write $(BIN)/pytest --timeout 0 -p no:cacheprovider -m long tests/faults $(ARGS)

##@ Write

.PHONY: adr
adr: $(SERVICE) ## begin a decision record: make adr TITLE="what was decided"
	@TITLE='$(subst ','\'',$(TITLE))' $(BIN)/python -m tools.new_adr

.PHONY: openapi
openapi: $(DEV) ## rewrite docs/openapi.json from the routes, unless that breaks a client
	$(BIN)/python -m tools.snapshots openapi

.PHONY: events
events: $(DEV) ## rewrite docs/events.md from the events
	$(BIN)/python -m tools.snapshots events

.PHONY: workflow
workflow: $(DEV) ## redraw the state diagram in docs/workflow.md from the table of legal moves
	$(BIN)/python -m tools.snapshots workflow

.PHONY: event-version
event-version: $(DEV) ## begin a version of an event, or record a new one: make event-version NAME=vote-cast
	@$(BIN)/python -m tools.event_versions $(NAME)

.PHONY: lock
lock: $(DEV) ## choose and pin the packages anew (LOCK_OPTIONS=--upgrade for newer ones)
	$(COMPILE) pyproject.toml --output-file requirements/service.txt
	$(COMPILE) --group build --output-file requirements/build.txt
	$(COMPILE) --group bench --constraints requirements/service.txt --output-file requirements/bench.txt
	$(COMPILE) --group fuzz --output-file requirements/fuzz.txt
	$(COMPILE) --group dev --constraints requirements/service.txt --output-file requirements/dev.txt

.PHONY: clean
clean: ## remove what was built; data in .ledger stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist .coverage .coverage.*
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A python may be found by name and still not run (shims of version managers), so each is asked.
$(SERVICE): requirements/service.txt requirements/build.txt pyproject.toml
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python ''; do \
			test -z "$$python" && break; \
			$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
		done; \
		if test -z "$$python"; then \
			echo "Python 3.11 or newer was not found. Install it, or name it: make setup PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
		if ! $$python -c 'import venv, ensurepip' 2>/dev/null; then \
			echo "$$python cannot make environments: its venv module is missing." >&2; \
			echo "Install it (Debian, Ubuntu: the package python3-venv), or name another: make setup PYTHON=…" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$python"; \
		$$python -m venv --clear $(VENV); \
	fi
	@echo "Installing the service into $(VENV) (a minute or so when it is new)"
	@$(PIP) --require-hashes -r requirements/build.txt -r requirements/service.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# Of what this brings, an eighth is ever imported, and compiled then.
$(DEV): $(SERVICE) requirements/dev.txt
	@echo "Installing what the tests and checks need (a minute or so when it is new)"
	@$(PIP) --no-compile --require-hashes -r requirements/dev.txt
	@touch $@

$(BENCH): $(SERVICE) requirements/bench.txt
	@echo "Installing the peers to measure against"
	@$(PIP) --require-hashes -r requirements/bench.txt
	@touch $@

# Apart from ours: it needs other versions of packages than the service does, and shares nothing with it but HTTP.
$(FUZZ): $(SERVICE) requirements/fuzz.txt
	@echo "Installing what makes requests up, into an environment of its own"
	@$(BIN)/python -m venv --clear $(VENV)/fuzz
	@$(VENV)/fuzz/bin/python -m pip --disable-pip-version-check install -qq --require-hashes -r requirements/fuzz.txt
	@touch $@

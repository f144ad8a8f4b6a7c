# `make demo` and `make test` set up everything they need in .venv; `make help` lists the rest.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help demo demo-events test test-slow bench bench-explain lint lock clean
help:
	@echo "make demo       simulate, train, explain and report in about five minutes on two cores"
	@echo "make demo-events  the same for gravitational-wave events"
	@echo "make test       the test suite (make test-slow adds the slow tests)"
	@echo "make bench      side-by-side measurements; installs PyTorch into $(VENV)"
	@echo "make bench-explain  the same for explanations; installs Captum, lime and saliency too"
	@echo "make lint       ruff, mypy, the import contracts, and deptry for the dependencies"
	@echo "make lock       resolve requirements.lock anew (needs uv)"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lensjax needs Python 3.11 or newer; '$(PYTHON)' is older. Set PYTHON=python3.12 or so."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY)
	$(BIN)/python train.py configs/lens_demo.py --workdir runs/demo
	$(BIN)/python explain.py runs/demo --out runs/demo/report --count 64

demo-events: $(READY)
	$(BIN)/python train.py configs/gravity_spy_demo.py --workdir runs/events
	$(BIN)/python explain.py runs/events --out runs/events/report --count 32

test: $(READY)
	$(BIN)/python -m pytest -q -rs -n 2 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -q -rs -n 2 --dist loadfile -m 'slow or not slow'

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	PYTHONPATH=. $(BIN)/python benchmarks/simulate.py
	PYTHONPATH=. $(BIN)/python benchmarks/train.py

bench-explain: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 captum==0.9.0 lime==0.2.0.1 saliency==0.2.1
	PYTHONPATH=. $(BIN)/python benchmarks/explain.py

lint: $(READY)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports
	$(BIN)/python -m deptry .

lock:
	uv pip compile --universal --generate-hashes --no-header --extra dev --extra gw pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

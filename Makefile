# Every target makes .venv from the pinned lock first, once; a second call installs nothing.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
# The libraries that parity tests compare with: their torchvision would break ours.
PEERS := .venv-peers
PEERS_READY := $(PEERS)/.ready
PACKAGES := workflows cluster slurm tasks models metrics shards schemas

.PHONY: help setup peers demo test check format faults slurm-lab bench lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## make .venv from requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Relume needs Python 3.11 or newer; $(PYTHON) is older. Use: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

peers: $(PEERS_READY)  ## make .venv-peers from requirements-peers.lock, for the parity tests

$(PEERS_READY): requirements-peers.lock
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --requirement requirements-peers.lock
	@touch $(PEERS_READY)

demo: $(READY)  ## the whole paper on drawn portraits, in runs/demo
	@$(BIN)/relume reproduce configs/demo.toml --out runs/demo

# Three processes on two cores, as many tests wait; threads wait asleep, or it would take an hour.
# Compiled first: where PYTHONDONTWRITEBYTECODE is set, each of hundreds of processes would compile anew.
test: $(READY) $(PEERS_READY)  ## all tests, with coverage
	@$(BIN)/python -m compileall -q $(PACKAGES) benchmarks tests
	OMP_WAIT_POLICY=passive $(BIN)/pytest --numprocesses 3 --no-loadscope-reorder \
	  --cov --cov-report=term-missing:skip-covered

check: $(READY)  ## format, lint, types, layers, spelling, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(MAKE) --no-print-directory test

format: $(READY)  ## rewrite the sources in the one style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

faults: $(READY)  ## kill a driver on Ray at two hundred seeded moments; takes half an hour
	RELUME_FAULTS=200 $(BIN)/pytest -s -k killed_at_any_moment tests/workflows/test_generate_on_ray.py

slurm-lab: $(READY)  ## a Slurm of four nodes on this machine, and a shell on its login host; needs root
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/slurm/lab.py

bench: $(READY)  ## the benchmarks of docs/benchmarks.md
	@for name in painter shard_writing random_reads verify names orchestration audit gallery; do \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

# The accelerator libraries that torch itself pins are left to torch: a machine without a GPU must not download them.
lock: $(READY)  ## resolve pyproject.toml anew into requirements.lock
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --no-annotate --no-header --upgrade \
	  --quiet pyproject.toml | grep -vE '^(nvidia-|cuda-|triton)' > requirements.lock.new
	mv requirements.lock.new requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-annotate --no-header --upgrade \
	  --quiet requirements-peers.in | grep -vE '^(nvidia-|cuda-|triton)' > requirements-peers.lock.new
	mv requirements-peers.lock.new requirements-peers.lock

clean:  ## remove .venv, caches and runs/
	rm -rf $(VENV) $(PEERS) runs .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

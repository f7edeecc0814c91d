# What one does in a checkout; every target sets the environment up first, once: that of a user,
# and for tests and lint the developers' tools too.
#   make demo        train configs/quickstart.yaml, probe it, compare it with an untrained encoder,
#                    interpolate, and put all on one page
#   make test        the everyday tests; make test-slow: the others; PYTEST_ARGS adds to either
#   make test-cuda   the tests that need a CUDA card; they skip where there is none
#   make test-minimum  a part of the tests with the oldest dependencies that pyproject.toml allows
#   make lint        ruff, mypy, and import-linter on the arrows between the rooms
#   make docs        the site, into site/; make links: what its pages link to elsewhere is there
#   make headers     train the cheap configs, and hold their headers' figures against what comes
#   make storm       kill, damage and fuzz for at most 20 minutes, and count what follows
#   make schema      write configs/schema.json anew, after a change of pc_crvae/config
#   make clean       remove caches and builds, never runs, data or the environment

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DEV_INSTALLED := $(VENV)/dev-installed
DOCS_INSTALLED := $(VENV)/docs-installed

DEMO := runs/demo

# The environment of test-minimum. torch alone is not the oldest by default, but the version that
# constraints.txt has: older ones are gigabytes where an index serves their CUDA builds. Where they
# are cheap, `make test-minimum MINIMUM_TORCH=2.6.0` takes the oldest.
MINIMUM := .venv-minimum
MINIMUM_TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)
MINIMUM_TESTS ?= tests/config tests/latents tests/likelihoods tests/objectives tests/transforms \
	tests/geometry/kernels/cpu tests/models/test_point_vae.py \
	tests/models/test_saved_models.py tests/embedding tests/data/test_torch_geometric.py \
	tests/evaluation/probe tests/package/test_front_door.py

# Tests run side by side, a file at a time; one thread each is then the fastest, and the threads of
# the few tests that want more must not spin for a core that another test has.
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

.PHONY: setup dev demo test test-slow test-cuda test-minimum lint docs links headers storm schema clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt tools/install_open3d_libraries.sh | $(BIN)/python
	sh tools/install_open3d_libraries.sh
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[all]'
	touch $@

dev: $(DEV_INSTALLED)

$(DEV_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[all,dev]'
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[all,docs]'
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed: name one with 'make setup PYTHON=python3.11'." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "Python's venv module is missing: install it ('apt-get install python3-venv' on" \
			"Debian and Ubuntu) and run make again." >&2; \
		exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

demo: setup
	$(BIN)/python tools/train.py configs/quickstart.yaml --out $(DEMO) --overwrite
	$(BIN)/python tools/probe.py --ckpt $(DEMO)
	$(BIN)/python tools/compare.py $(DEMO) $(DEMO) \
		--rows trained.posterior_mean.z untrained.posterior_mean.z
	$(BIN)/python tools/interpolate.py --ckpt $(DEMO)
	$(BIN)/python tools/report.py --ckpt $(DEMO)

test: dev
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: dev
	$(PYTEST) -m slow $(PYTEST_ARGS)

test-cuda: dev
	$(BIN)/python -m pytest -m cuda $(PYTEST_ARGS)

test-minimum:
	test -x $(MINIMUM)/bin/python || $(PYTHON) -m venv $(MINIMUM)
	$(MINIMUM)/bin/python -m pip install --quiet --constraint constraints.txt uv
	echo "torch==$(MINIMUM_TORCH)" > $(MINIMUM)/torch.txt
	$(MINIMUM)/bin/uv pip compile pyproject.toml --extra images --extra log --quiet --no-deps \
		--resolution lowest-direct --override $(MINIMUM)/torch.txt \
		--output-file $(MINIMUM)/pins.txt > /dev/null
	$(MINIMUM)/bin/python -m pip install --quiet --requirement $(MINIMUM)/pins.txt \
		pytest hypothesis jsonschema
	$(MINIMUM)/bin/python -m pip install --quiet --no-deps --editable .
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \
		$(MINIMUM)/bin/python -m pytest -m "not slow" $(MINIMUM_TESTS) $(PYTEST_ARGS)

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

docs: $(DOCS_INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --site-dir site

links: docs
	$(BIN)/python tests/acceptance/check_links.py site

headers: setup
	$(BIN)/python tests/acceptance/check_headers.py $(HEADERS)

storm: setup
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \
		$(BIN)/python -m benchmarks.storm $(STORM_ARGS)

schema: setup
	$(BIN)/python -c 'import pathlib, pc_crvae.config as config; \
pathlib.Path("configs/schema.json").write_text(config.json_schema())'

clean:
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find pc_crvae benchmarks tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

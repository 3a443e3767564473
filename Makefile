# Everything from Python >= 3.11 and make: each target sets up what it needs.
PYTHON ?= python3
MATERIAL ?= twin
MATERIALS ?=
PROFILE ?= demo
ARMS ?= synthetic:3,real:3,synthetic+background,real+synthetic,otsu
RUN ?= runs/$(MATERIAL)/$(PROFILE)
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.stamp
UV := uv==0.13.9
MIRROR := $(patsubst %/,%,$(dir $(firstword $(wildcard ../shared/data/tio2_sem ../shared/data/tio2_sem.zip))))
ifneq ($(MIRROR),)
export DRGAN_MIRROR ?= $(abspath $(MIRROR))
endif

.PHONY: help setup demo run table recovery test check book lab bench lock notebooks clean

help:
	@echo "make demo                                   set up, run the twin, print the metrics (minutes)"
	@echo "make run MATERIAL=tio2_sem PROFILE=laptop   run a material; ARGS='-P gan.epochs=3' changes settings"
	@echo "make table MATERIAL=tio2_sem PROFILE=laptop compare models trained on real and on synthetic images (hours)"
	@echo "make recovery [MATERIALS='twin tio2_sem']   train on the materials' own twins, compare with the truth"
	@echo "make test                                   set up and run the tests"
	@echo "make check                                  lint, format, notebook pairs: before every commit"
	@echo "make book [RUN=runs/twin/demo]              build the book from an executed run"
	@echo "make lab                                    JupyterLab on the notebooks"
	@echo "make bench                                  measure speed, write benchmarks/results.json"
	@echo "make notebooks                              make notebooks/*.ipynb from notebooks/*.py"
	@echo "make lock                                   resolve requirements.lock again"
	@echo "make clean                                  remove the book's build and all caches; runs/ stays"

setup: $(SETUP)

$(SETUP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("expected Python 3.11 or newer, got %d.%d; name another with make PYTHON=..." % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: $(SETUP)
	$(BIN)/drgan run twin --profile demo $(ARGS)

run: $(SETUP)
	$(BIN)/drgan run $(MATERIAL) --profile $(PROFILE) $(ARGS)

# The run of chapter 05 with all arms, one model at a time; interrupted, it goes on where it stopped.
table: $(SETUP)
	$(BIN)/drgan run $(MATERIAL) --profile $(PROFILE) --arms $(ARMS) $(ARGS)

# Without MATERIALS, all of them; the table is runs/twins/recovery.md.
recovery: $(SETUP)
	$(BIN)/drgan recovery $(MATERIALS) --profile $(PROFILE) $(ARGS)

# Two workers; tests that share a run stay in one of them.
test: $(SETUP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q tests/test_project.py

# The run of the embedded default is made if it is absent; any other has to be there.
runs/twin/demo/results.json: | $(SETUP)
	$(BIN)/drgan run twin --profile demo

book: $(SETUP) $(RUN)/results.json
	$(BIN)/drgan pages $(RUN) --folder book/executed
	$(BIN)/jb build . --toc book/_toc.yml -n -W --keep-going
	@echo "the book: _build/html/index.html"

# Kernels start in the repository's root, so that "runs" means the same folder as on the command line.
lab: $(SETUP) notebooks
	$(BIN)/jupyter lab --ServerApp.root_dir=notebooks --MappingKernelManager.root_dir=$(CURDIR) $(ARGS)

bench: $(SETUP)
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(SETUP)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra dev \
		pyproject.toml -o requirements.lock

# The .py file is the source. Outputs go, the ids of unchanged cells stay.
notebooks: $(SETUP)
	$(if $(wildcard notebooks/*.ipynb),$(BIN)/jupyter nbconvert --log-level WARN --clear-output --inplace notebooks/*.ipynb)
	$(BIN)/jupytext --quiet --to ipynb --update notebooks/*.py

clean:
	rm -rf _build book/executed .pytest_cache .ruff_cache .hypothesis drgan.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

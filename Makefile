# What a person runs. `make help` lists it; every recipe prints the command it runs.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
ARGS ?=
# The control and two rates, unless the arguments name a sweep or one rate.
SWEEP := $(if $(findstring sweep=,$(ARGS))$(findstring intervention.rate=,$(ARGS)),,sweep=rates)

# Debian's python3 comes without ensurepip: then pip's own wheel from the package index installs pip.
define FETCH_PIP
import json, sys, urllib.parse, urllib.request as web
index = "https://pypi.org/pypi/pip/json"
files = json.load(web.urlopen(index))["urls"]
wheel = next(file for file in files if file["filename"].endswith(".whl"))
path = sys.argv[1] + "/" + wheel["filename"]
web.urlretrieve(urllib.parse.urljoin(index, wheel["url"]), path)
sys.path.insert(0, path)
from pip._internal.cli.main import main
sys.exit(main(["install", "--quiet", "pip"]))
endef
export FETCH_PIP

.DEFAULT_GOAL := help
.PHONY: help setup intervene sweep plan fetch inspect audit convert rotary published report status prune test test-all test-browser test-slurm bench roles docs check clean

help:  ## this list
	@echo 'intervene: change what a language model reads at the end of its pretraining.'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo 'ARGS="key=value ..." is passed on, e.g. make intervene ARGS="intervention=swap"'

setup: $(VENV)/.ready  ## virtual environment with pinned dependencies

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'error: $(PYTHON): Python 3.11 or newer is needed; name one with make PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
		$(PYTHON) -m venv --without-pip $(VENV) && $(RUN) -c "$$FETCH_PIP" $(VENV); }
	@echo 'installing the pinned packages into $(VENV): some minutes on the first run'
	$(RUN) -m pip install -qq --constraint constraints.txt torch
	$(RUN) -m pip install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $@

intervene: setup  ## the main job: rewrite, train, evaluate, compare (embedded default: CPU, minutes)
	$(RUN) -m pipelines.intervene $(SWEEP) $(ARGS)

sweep: setup  ## sizes by rates, here or on SLURM: ARGS="sweep=pythia_paper launcher=slurm"
	$(RUN) -m pipelines.intervene $(if $(findstring sweep=,$(ARGS)),,sweep=sizes_by_rates) $(ARGS)

plan: setup  ## what a sweep costs, before it is started: ARGS="sweep=pythia_paper hardware=h100"
	@$(RUN) -m pipelines.plan $(ARGS)

fetch: setup  ## rows, weights and benchmarks from the Hub, for machines without a network
	$(RUN) -m pipelines.fetch $(ARGS)

inspect: setup  ## rows as they stand or before and after; search; pronouns by step
	@$(RUN) -m pipelines.inspect $(ARGS)

audit: setup  ## what became of the pronouns: counts, and a sheet to judge
	$(RUN) -m pipelines.audit $(ARGS)

convert: setup  ## a GPT-NeoX checkpoint, its optimizer state too: ARGS="checkpoint=... output=..."
	$(RUN) -m pipelines.convert $(ARGS)

rotary: setup  ## the loss of a checkpoint under each precision of its rotary phases (model.rotary)
	$(RUN) -m pipelines.rotary $(ARGS)

published: setup  ## what the published study's own numbers show: ARGS="evals=PYTHIA/evals"
	@$(RUN) -m pipelines.published $(ARGS)

report: setup  ## page, figures and tables from whatever is in the store: ARGS="name=A,B"
	$(RUN) -m pipelines.compare $(ARGS)

status: setup  ## how far every arm is; ARGS=--watch follows it, exit code 3 if it is not complete
	@$(RUN) -m pipelines.status $(ARGS)

prune: setup  ## what of the store nothing needs; ARGS=--remove removes it, when you say yes
	@$(RUN) -m pipelines.clean $(ARGS)

test: setup  ## the tests, without the slow ones
	OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow and not gpu and not slurm and not browser' $(ARGS)

test-slurm: setup  ## the tests on a SLURM of three nodes: Linux, as root; installs Debian's slurm
	@command -v slurmctld >/dev/null || [ "$$(id -u)" = 0 ] || \
		{ echo 'error: no slurmctld: as root, apt-get install slurm-wlm munge iproute2 procps' >&2; exit 1; }
	command -v slurmctld >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends slurm-wlm munge iproute2 procps; }
	$(RUN) -m pytest -q -m slurm tests/slurm $(ARGS)

test-browser: setup  ## the report in a real browser: Debian, as root; installs its chromium
	@command -v chromedriver >/dev/null || [ "$$(id -u)" = 0 ] || \
		{ echo 'error: no chromedriver: as root, apt-get install chromium chromium-driver' >&2; exit 1; }
	command -v chromedriver >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends chromium chromium-driver; }
	$(RUN) -m pytest -q -m 'browser and not slow' tests/browser $(ARGS)

test-all: setup  ## every test that this machine can run
	$(RUN) -m pytest -q $(ARGS)

bench: setup  ## tokens per second and peak memory of each stage, as ratios in one run
	$(RUN) -m bench $(ARGS)

roles: setup  ## rebuild the model of her and his from the texts in ARGS="--texts FOLDER" (roles/README.md)
	$(RUN) -m roles.train $(ARGS)

docs: setup  ## the documentation site, in site/; any warning and any broken link is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict $(ARGS)

check: setup  ## lint, format and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

clean:  ## caches; the store and the virtual environment stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find intervene pipelines tests bench -name __pycache__ -type d -exec rm -rf {} +

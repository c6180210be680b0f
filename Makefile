# `make demo` trains for a few minutes, `make serve` shows its fish on a web page. `make help` lists all
# targets. Each sets up what it needs in .venv first.
.PHONY: help demo serve test lint test-slow test-devices test-faults test-browser test-wheel \
  test-peers test-torch test-examples test-tutorials docs bench growth report clean

VENV := .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

help:  # this list
	@grep -hE '^[a-z-]+:.*# ' Makefile | sed -E 's/:[^#]*# /: /' | column -t -s : -l 2

demo: $(VENV)/installed  # train on drawn fish for a few minutes
	$(VENV)/bin/python main.py --config=configs/best.py:demo

# Of the demo's run, or others: make serve WORKDIR=runs/ralsgan,runs/began
WORKDIR := runs/best-demo
serve: $(VENV)/installed-serve  # show the demo's fish on a web page
	$(VENV)/bin/python main.py --mode=serve --workdir=$(WORKDIR)

test: lint  # what to run before each commit
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

test-slow: $(VENV)/installed-test  # what `make test` leaves out, as it takes long
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal -m slow

lint: $(VENV)/installed-test  # style, docstrings and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/basedpyright

test-devices: $(VENV)/installed-test  # compare numbers of devices, kill processes
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal tests/devices

test-browser: $(VENV)/installed-browser  # open the web page in Chromium
	$(VENV)/bin/python -m pytest tests/browser

test-wheel: $(VENV)/installed-test  # install the wheel and use it in an empty folder
	$(VENV)/bin/python -m pytest tests/wheel

test-peers: $(VENV)/installed-peers  # compare with Keras
	$(VENV)/bin/python -m pytest tests/peers

test-torch: $(VENV)/installed-torch  # compare with PyTorch
	$(VENV)/bin/python -m pytest -rP tests/peers_torch

test-examples: $(VENV)/installed-examples  # run docs/examples/ with the packages of others
	$(VENV)/bin/python -m pytest tests/examples tests/trackers

test-tutorials: $(VENV)/installed-tutorials  # run docs/tutorials/ as notebooks, on tiny settings
	$(VENV)/bin/python -m pytest -rP tests/tutorials

# With 50 kills and all sizes of small disks; `make test-faults KILLS=12` takes some minutes. In a
# namespace of its own, where there are such, anybody may mount a small disk, and none is left behind.
KILLS := 50
test-faults: $(VENV)/installed-test  # kill runs, fill their disks
	KILLS=$(KILLS) $(shell unshare -Urm true 2>/dev/null && echo unshare -Urm) \
	  $(VENV)/bin/python -m pytest -n 2 --dist loadfile tests/faults

# Writes what is made from the code, then builds; a broken link or an unknown name of the API fails.
docs: $(VENV)/installed-docs  # build the documentation site into site/
	$(VENV)/bin/python docs/tools/fields.py
	$(VENV)/bin/python docs/tools/architecture.py
	PYTHONPATH=docs/tools $(VENV)/bin/zensical build --strict --clean
	$(VENV)/bin/python docs/tools/check_site.py site

bench: $(VENV)/installed-peers $(VENV)/installed-torch  # time fish_jax beside Keras and PyTorch
	$(VENV)/bin/python -m benchmarks

growth: $(VENV)/installed  # time it from small batches, images and networks to large ones
	$(VENV)/bin/python -m benchmarks.growth

report: $(VENV)/installed  # draw the page of the report's experiments that were trained
	$(VENV)/bin/python -m benchmarks.reproduction page

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fish_jax needs Python 3.11 or newer; none was found. Install one, then run: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "$(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# An extra of pyproject.toml: serve, test, browser, peers, torch, examples, tutorials or docs.
$(VENV)/installed-%: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

clean:  # remove .venv
	rm -rf $(VENV)

# `make demo` trains for a few minutes, `make page` shows its fish in a browser; `make test` runs the
# tests, and `make test-slow` those it leaves out, as they take long; `make devices` compares numbers
# of devices and kills processes; `make faults` kills runs and fills their disks; `make page-test`
# opens the page in Chromium; `make peers` and `make peers-torch` compare with Keras and PyTorch;
# `make bench` times fish_jax beside both, `make growth` alone, from small batches, images and
# networks to large ones; `make report` draws the page of the report's experiments that were trained
# (docs/reproduction.md). All set up .venv first.
.PHONY: demo page test test-slow devices faults page-test peers peers-torch bench growth report clean

VENV := .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

demo: $(VENV)/installed
	$(VENV)/bin/python main.py --config=configs/best.py:demo

# Of the demo's run, or others: make page WORKDIR=runs/ralsgan,runs/began
WORKDIR := runs/best-demo
page: $(VENV)/installed-page
	$(VENV)/bin/python main.py --mode=serve --workdir=$(WORKDIR)

test: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

test-slow: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal -m slow

devices: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal tests/devices

page-test: $(VENV)/installed-browser
	$(VENV)/bin/python -m pytest tests/browser

peers: $(VENV)/installed-peers
	$(VENV)/bin/python -m pytest tests/peers

peers-torch: $(VENV)/installed-torch
	$(VENV)/bin/python -m pytest -rP tests/peers_torch

# With 50 kills and all sizes of small disks; `make faults KILLS=12` takes some minutes. In a namespace of
# its own, where there are such, anybody may mount a small disk, and none is left behind.
KILLS := 50
faults: $(VENV)/installed-test
	KILLS=$(KILLS) $(shell unshare -Urm true 2>/dev/null && echo unshare -Urm) \
	  $(VENV)/bin/python -m pytest -n 2 --dist loadfile tests/faults

bench: $(VENV)/installed-peers $(VENV)/installed-torch
	$(VENV)/bin/python -m benchmarks

growth: $(VENV)/installed
	$(VENV)/bin/python -m benchmarks.growth

report: $(VENV)/installed
	$(VENV)/bin/python -m benchmarks.reproduction page

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fish_jax needs Python 3.11 or newer; none was found. Install one, then run: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "$(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# An extra of pyproject.toml: page, test, browser, peers or torch.
$(VENV)/installed-%: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

clean:
	rm -rf $(VENV)

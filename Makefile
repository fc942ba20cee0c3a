# `make demo` and `make test` do everything on a fresh machine with Python 3.11 to 3.13.

PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3 python; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow lint types lock clean

demo: $(INSTALLED)
	@mkdir -p out
	$(BIN)/motion-transfer transfer --source demos/person.jpg --driving demos/dance.mp4 --output out/demo.mp4 --overwrite
	@echo "the demo is at $(CURDIR)/out/demo.mp4"

test: $(INSTALLED)
	$(BIN)/python -m pytest

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

$(INSTALLED): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 is needed; install one, or name it: make PYTHON=/path/to/python"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "error: $(PYTHON) cannot make environments; on Debian or Ubuntu: apt-get install python3-venv"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

# Pins for all supported Pythons and systems; CUDA libraries are left out, torch pins its own.
lock: $(INSTALLED)
	$(BIN)/python -m pip install --quiet "uv>=0.9"
	@echo "# Pinned for Python 3.11 to 3.13; made from pyproject.toml by 'make lock'." > requirements.new
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --universal --python-version 3.11 \
		--no-annotate --no-header --no-emit-index-url | grep -vE '^(nvidia-|cuda-|triton)' >> requirements.new
	mv requirements.new requirements.txt

clean:
	rm -rf out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

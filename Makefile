# Two commands for a newcomer: `make book` builds the book, `make test` runs every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY := $(BIN)/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
CHAPTERS := $(wildcard chapters/*.ipynb)

# On Linux the plain torch wheel is the large one for CUDA; without an NVIDIA GPU, PyTorch's own index has a small one.
CPU_INDEX := https://download.pytorch.org/whl/cpu
NVIDIA = $(filter GPU,$(shell nvidia-smi -L 2> /dev/null))
CPU_BUILD = $(if $(NVIDIA),,$(filter Linux,$(shell uname -s)))

# Threads that wait for each other sleep: cnnlib/threads.py says why. Settings of your own win.
ifeq ($(OMP_WAIT_POLICY)$(GOMP_SPINCOUNT)$(KMP_BLOCKTIME)$(KMP_LIBRARY),)
test lab execute: export OMP_WAIT_POLICY := PASSIVE
endif

.PHONY: book test lab execute exercises pages lint bench serve clean

book: $(VENV)/book.stamp
	rm -rf _build
	$(BIN)/jupyter-book build -W -n --keep-going --quiet .
	@echo "The book is built. Open $(CURDIR)/_build/html/index.html"

test: $(VENV)/all.stamp book lint
	$(PY) -m pytest --numprocesses 2 --dist loadfile

lab: $(VENV)/all.stamp
	$(BIN)/jupyter lab --notebook-dir=. --LabApp.app_settings_dir=lab --LabApp.default_url=/lab/tree/start.md

execute: $(VENV)/all.stamp
	$(PY) -m cnnlib execute $(or $(NB),$(CHAPTERS))

exercises: $(VENV)/all.stamp
	$(PY) -m cnnlib exercises

pages: $(VENV)/book.stamp
	$(PY) _ext/bibliography.py
	$(PY) _ext/overview.py

lint: $(VENV)/all.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/all.stamp
	for b in benchmarks/*.py; do $(PY) $$b || exit 1; done

serve: book
	$(PY) -m http.server --bind 127.0.0.1 --directory _build/html 8000

clean:
	rm -rf _build $(VENV)

$(VENV)/bin-ready:
	$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f'This course needs Python 3.11 to 3.13; this is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 $(MAKECMDGOALS)')"
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/book.stamp: requirements-book.txt $(VENV)/bin-ready
	$(PIP) -r requirements-book.txt
	touch $@

$(VENV)/all.stamp: requirements.txt requirements-book.txt pyproject.toml $(VENV)/book.stamp
	$(if $(CPU_BUILD),$(PIP) --no-deps --retries 0 --timeout 5 --index-url $(CPU_INDEX) \
	  $$(grep '^torch' requirements.txt) 2> /dev/null || echo "No CPU build to be had: the plain torch comes instead.")
	$(PIP) -r requirements.txt
	$(PIP) --no-deps --editable .
	touch $@

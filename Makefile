# Two commands for a newcomer: `make book` builds the book, `make test` runs every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY := $(BIN)/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
CHAPTERS := $(wildcard chapters/[0-9]*.ipynb)

.PHONY: book test lab execute exercises lint bench serve clean

book: $(VENV)/book.stamp
	rm -rf _build
	$(BIN)/jupyter-book build -W -n --keep-going --quiet .
	@echo "The book is built. Open $(CURDIR)/_build/html/index.html"

test: $(VENV)/all.stamp book lint
	$(PY) -m pytest

lab: $(VENV)/all.stamp
	$(BIN)/jupyter lab --notebook-dir=.

execute: $(VENV)/all.stamp
	$(PY) -m cnnlib execute $(or $(NB),$(CHAPTERS))

exercises: $(VENV)/all.stamp
	$(PY) -m cnnlib exercises

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
	$(PIP) -r requirements.txt
	$(PIP) --no-deps --editable .
	touch $@

# make app       the app on bundled real runs, at http://localhost:8501
# make test      everything: lint, unit tests, pages, a real browser where there is one
# make quick     lint, types, and the core's tests but the slow ones
# make types     the type check of the core
# make coverage  the tests, and which lines and branches of the core they reach
# make install   the environment of the app alone, in .venv
# make team      that, and what a server for many may need: log-in, PostgreSQL, a cluster
# make docs      the documentation as a site, in build/site/index.html
# make train     the training runs of data/ made again, in fresh/; installs torch
# make bench     speed and accuracy, as tables
# make lock      deploy/requirements.lock anew, after a change of requirements.txt or requirements-team.txt
# make pin       the images that Dockerfile and compose.yaml name, by digest; asks their registries
# make audit     known vulnerabilities of what the image installs; asks PyPI
# make licences  the licences of what the image installs, as a table
# make clean     forget the environment

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PORT ?= 8501
# Tests start Python a hundred times: what it compiles is kept, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
# What the site's theme says of its successor at every build.
export NO_MKDOCS_2_WARNING := 1
JOBS ?= 2
# One process a core. Neighbouring tests share their fixtures, so each takes a stretch, and who is done early helps out.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal

.PHONY: app lint types test quick core coverage train install team docs bench lock pin audit licences clean

app: .venv/installed
	$(BIN)/python -m streamlit run app.py --server.port $(PORT)

install: .venv/installed

team: .venv/team

lint: .venv/tested
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: .venv/tested
	$(BIN)/python -m mypy

test: lint types
	$(PYTEST)

quick: lint
	$(MAKE) --jobs 2 types core

core: .venv/tested
	$(PYTEST) -m "not slow" tests/core tests/test_architecture.py

coverage: .venv/tested
	$(PYTEST) --cov --cov-report term --cov-report html

train: .venv/trained
	$(BIN)/python -m data.train --sweep data/sweep.toml --out fresh/runs --jobs $(JOBS)

docs: .venv/documented
	$(BIN)/python -m mkdocs build --strict

bench: .venv/tested
	$(BIN)/python -m benchmarks

LOCK := deploy/requirements.lock

lock: .venv/supplied
	$(BIN)/uv pip compile requirements.txt requirements-team.txt --generate-hashes --python-version 3.11 \
	  --python-platform linux --no-emit-index-url --no-annotate --custom-compile-command "make lock" --output-file $(LOCK) --quiet

pin:
	$(PYTHON) deploy/pin_images.py

audit: .venv/supplied
	$(BIN)/pip-audit --requirement $(LOCK) --require-hashes --disable-pip

licences: .venv/supplied
	$(PYTHON) -m venv .venv/image && .venv/image/bin/python -m pip install --quiet --require-hashes -r $(LOCK)
	$(BIN)/pip-licenses --python .venv/image/bin/python --format markdown

.venv/supplied: .venv/installed deploy/tools.txt
	$(PIP) -r deploy/tools.txt
	@touch $@

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements.txt
	@touch $@

.venv/team: .venv/installed requirements-team.txt
	$(PIP) -r requirements-team.txt
	@touch $@

.venv/trained: .venv/installed requirements-train.txt
	$(PIP) -r requirements-train.txt
	@touch $@

.venv/documented: .venv/installed docs/requirements.txt
	$(PIP) -r docs/requirements.txt
	@touch $@

.venv/tested: .venv/team .venv/trained .venv/documented tests/requirements.txt
	$(PIP) -r tests/requirements.txt
	$(BIN)/python tests/browser/install_browser.py
	$(BIN)/python tests/support/install_postgres.py
	@touch $@

clean:
	rm -rf .venv

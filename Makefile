# make app      the app on bundled real runs, at http://localhost:8501
# make test     everything: lint, unit tests, pages, a real browser where there is one
# make install  the environment alone, in .venv
# make bench    speed and accuracy, as tables
# make clean    forget the environment

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PORT ?= 8501

.PHONY: app test install bench clean

app: .venv/installed
	$(BIN)/python -m streamlit run app.py --server.port $(PORT)

install: .venv/installed

test: .venv/tested
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m pytest

bench: .venv/tested
	$(BIN)/python -m benchmarks

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/tested: .venv/installed tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(BIN)/python tests/browser/install_browser.py
	@touch $@

clean:
	rm -rf .venv

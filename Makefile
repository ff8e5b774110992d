# Key-IP Sentinel: `make help` lists the commands. Each target is one line of what to run; anything longer lives in
# scripts/ or bench/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

.PHONY: build
build: console ## Build the release binary with the console in it, target/release/sentinel
	cargo build --release --locked --bin sentinel

.PHONY: console
console: ## Build the console, if anything of it changed
	@scripts/console

.PHONY: run
run: build ## Build and serve on port 7000, in front of UPSTREAM_URL or of a demo upstream (ARGS="…" adds options)
	@if [ -n "$${UPSTREAM_URL:-$${DOWNSTREAM_URL:-}}" ]; then \
		exec target/release/sentinel serve $(ARGS); \
	else \
		echo "UPSTREAM_URL is not set: serving the built-in demo upstream"; \
		exec target/release/sentinel serve --demo-upstream $(ARGS); \
	fi

.PHONY: demo
demo: build ## Show on the terminal what Sentinel does: bind, allow, refuse, unbind
	@exec target/release/sentinel demo

.PHONY: test
test: ## Run everything that must be green: lints, all tests, licences, the real SDKs
	@scripts/test

.PHONY: check
check: ## The fast part of the tests: formatting, lints, the tidy test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --locked -p sentinel-testkit --test tidy

.PHONY: bench
bench: build ## Measure against nginx on this machine (ARGS="--help" shows the options)
	@bench/run $(ARGS)

.PHONY: deploy-secrets
deploy-secrets: ## Fill what deploy/compose.yaml needs: .env, secrets, a certificate (HOST=name)
	@scripts/deploy-secrets $(HOST)

.PHONY: test-deploy
test-deploy: ## Bring the deployment up in real containers and check it (podman, as root; minutes)
	@deploy/test/run

.PHONY: test-forward-auth
test-forward-auth: build ## Let a real Nginx, Caddy, Traefik, Envoy ask Sentinel, as docs/forward-auth.md has it
	@deploy/test/forward-auth

.PHONY: deb
deb: ## Build the Debian package, into target/release-artifacts
	@scripts/deb

.PHONY: test-deb
test-deb: ## Install, upgrade and purge the Debian package in a container (podman, as root)
	@deploy/test/deb

.PHONY: sbom
sbom: ## Write what the binary is made of (CycloneDX), into target/release-artifacts
	@scripts/sbom

.PHONY: release
release: ## Build, describe and sum up a version, into target/release-artifacts (see scripts/release)
	@scripts/release

.PHONY: tools
tools: ## Install cargo-deny and cargo-machete into target/tools, if missing
	@scripts/tools

.PHONY: deny
deny: tools ## Check licences, banned crates and sources of every dependency
	cargo-deny --workspace --all-features --locked check --hide-inclusion-graph bans licenses sources

.PHONY: audit
audit: tools ## Check known vulnerabilities (fetches the RustSec database from github.com: needs that network)
	@echo "fetching the advisory database from github.com; without that network this fails and says nothing about us"
	cargo-deny --workspace --all-features --locked check --hide-inclusion-graph advisories

.PHONY: machete
machete: tools ## Check for dependencies that nothing uses
	cargo-machete

.PHONY: fmt
fmt: ## Format all Rust code
	cargo fmt --all

.PHONY: clean
clean: ## Remove what was built (the tools too)
	cargo clean

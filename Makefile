# Two commands for a fresh Debian: `make demo` and `make test`. Both install what is missing.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

GAUNTLET := target/debug/gauntlet
SERVICE := target/release/causal-service
DEFECTS := target/release/causal-service-defects

.PHONY: help
help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: packages build ## Runs the release gate on local processes and prints the verdict and the report's path
	@$(GAUNTLET) gate --target local

.PHONY: test
test: packages nextest service defects ## Formatting, lints, all tests, documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --workspace --features causal-service/defects --all-targets -- -D warnings
	cargo nextest run --workspace --no-fail-fast
	cargo nextest run --workspace --features causal-service/defects --no-fail-fast -E 'package(causal-service) & test(/defects::/)'
	cargo test --workspace --doc --quiet
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

.PHONY: test-kube
test-kube: packages nextest ## The tests that need a cluster: makes one with kind, runs them, removes it
	@scripts/test-kube

.PHONY: build
build: service ## The harness (development profile) and the service
	cargo build -p gauntlet

.PHONY: service
service: toolchain ## The service (release: a debug build cannot carry the load; static: images share the build)
	@scripts/static causal-service

.PHONY: defects
defects: toolchain ## The service with its seeded defects, for the tests of the harness; never in an image
	@scripts/static causal-service-defects --features defects

.PHONY: packages
packages: ## Installs the OS packages that the system needs, without leaving a daemon running
	@scripts/packages

.PHONY: toolchain
toolchain:
	@scripts/toolchain

.PHONY: nextest
nextest: toolchain
	@scripts/nextest

.PHONY: gates
gates: build ## Twenty gates in a row on this build; one line each is appended to docs/gates.tsv
	scripts/gates 20

.PHONY: canary-series
canary-series: build service defects ## Canaries of every handicap on this machine (hours); rows that docs/canary-series.tsv has are not run again
	scripts/canary-series 20 none
	scripts/canary-series 10 errors-1 wrong-answers latency tail errors-doubled lost-writes leak slow-start
	scripts/canary-series 1

.PHONY: gate-defects
gate-defects: build defects ## The gate against each seeded defect of the service; it must fail by the right objective
	scripts/gate-defects

.PHONY: sigkill
sigkill: build ## Kills the harness twenty-eight times, spread over the phases; fails when anything is left
	GAUNTLET_SIGKILLS=28 cargo nextest run -p gauntlet --test it --no-capture sigkill

.PHONY: load-truth
load-truth: toolchain ## Compares the generator's percentiles with the analytic ones while a server stalls
	cargo run --release -p gauntlet-load --example load_truth

.PHONY: fuzz
fuzz: packages service ## Fuzzes the service from its OpenAPI document with schemathesis
	SERVICE=$(SERVICE) service/tests/fuzz.sh

.PHONY: evaluate-canary
evaluate-canary: toolchain ## Grades the canary's judge on simulated streams; prints the tables of docs/canary.md
	cargo run --release -p gauntlet-core --example evaluate_canary docs

# What to run: `make run` for a demo, `make test` for every check, `make bench` for the numbers.

.DEFAULT_GOAL := help
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# A test that hangs fails.
LIMIT := timeout --kill-after=10 1200
NAMESPACE := tests/control_plane_binary/in-namespace.sh

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

.PHONY: run
run: ## A demo: a small cluster, sample backends, Throughway and its companion in one process, until Ctrl-C
	$(CARGO) run --locked --example demo

.PHONY: test
test: check unit fuzz-minute embedded browser control-plane ## Every check and test. As root on Debian it installs missing packages with apt-get

.PHONY: check
check: ## Format, lints, documentation, dependencies
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items --quiet
	tests/ci/dependencies.sh

.PHONY: unit
unit: ## Tests of single files and stages, of the module map and of the documents
	$(CARGO) test --locked --no-run --lib --bins --test architecture
	$(LIMIT) $(CARGO) test --locked --lib --bins --test architecture
	$(LIMIT) $(CARGO) test --locked --doc

# How long, in minutes.
MINUTES ?= 1

.PHONY: docs
docs: ## Generate docs/flags.md from the flags
	WRITE_DOCS=1 $(CARGO) test --locked --lib the_page_of_flags

.PHONY: fuzz
fuzz: ## Search for inputs that break a property, for MINUTES=1 (tests/fuzz/README.md)
	tests/ci/needs.sh g++:g++
	tests/fuzz/run.sh $(MINUTES)

.PHONY: fuzz-minute
fuzz-minute: ## The same for about a minute, with 20 000 inputs of each property that are the same each time
	tests/ci/needs.sh g++:g++
	FUZZ_COUNT=20000 tests/fuzz/run.sh 60

.PHONY: embedded
embedded: ## Tests against the embedded cluster, and h2spec, which tests HTTP/2
	tests/h2spec/build.sh
	$(CARGO) test --locked --no-run --test embedded --test h2spec
	$(LIMIT) $(CARGO) test --locked --test embedded --test h2spec

.PHONY: browser
browser: ## Tests with a real Chromium in front of the embedded cluster
	tests/ci/needs.sh chromium:chromium
	$(CARGO) test --locked --no-run --test page-helper --test browser --test start-page --example demo
	$(LIMIT) $(CARGO) test --locked --test page-helper --test browser --test start-page --example demo

.PHONY: control-plane
control-plane: needs ## Tests on a real kube-apiserver, etcd, controllers and kubelet, with real dashboards in a browser
	tests/control_plane_binary/build.sh
	tests/apps/install.sh
	$(CARGO) test --locked --test control-plane --no-run
	$(LIMIT) $(NAMESPACE) $(CARGO) test --locked --offline --test control-plane

.PHONY: needs
needs:
	@tests/ci/needs.sh ip:iproute2 unshare:util-linux script:bsdutils

.PHONY: bench
bench: ## Measure beside nginx, haproxy, Envoy, the built-in proxy and kubectl proxy; at most ten minutes
	tests/bench/run.sh

.PHONY: certs
certs: ## Certificates for development, into certs/
	$(CARGO) run --locked --quiet --example certs

.PHONY: image
image: ## Build a container image with podman or docker
	$(or $(shell command -v podman),docker) build -t localhost/throughway:0.1.0 -f Containerfile .

# The two commands that matter: `make devnet` and `make test`. Both build with the one profile, so that RocksDB and
# the other dependencies are compiled once.

CARGO_FLAGS := --release --workspace --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)

SEEDS ?= 0..20000

.PHONY: devnet test test-clients test-upgrade simulate simulate-planted-bugs fuzz fuzz-rpc fuzz-executor model-check thread-sanitizer conformance build lint fmt setup \
	docker docker-up docker-engine

devnet: build
	$(TARGET)/release/heddle devnet $(ARGS)

test: build
	cargo test $(CARGO_FLAGS)

# Ethereum's own client tools, from npm and PyPI, against nodes of this build: a part of `make test`, with all they print.
test-clients: build
	cargo test $(CARGO_FLAGS) --test clients -- --nocapture

# A network of an earlier revision's build, PREVIOUS, upgraded node by node under load to this one. That revision has a target
# directory of its own, with the other one's dependencies linked into it: cargo takes crates at the same place of two
# workspaces for one crate, and would mix the two revisions in one directory.
test-upgrade: PREVIOUS_DIR = $(abspath $(TARGET))/previous
test-upgrade: build
	@test -n "$(PREVIOUS)" || { echo "usage: make test-upgrade PREVIOUS=<git revision>" >&2; exit 2; }
	set -e; revision=$$(git rev-parse --verify "$(PREVIOUS)^{commit}"); git worktree prune; \
		test -e $(PREVIOUS_DIR)/source || git worktree add --detach $(PREVIOUS_DIR)/source $$revision; \
		git -C $(PREVIOUS_DIR)/source checkout --quiet --detach $$revision
	mkdir -p $(PREVIOUS_DIR)/target/release
	cd $(TARGET)/release && find .fingerprint build deps -mindepth 1 -maxdepth 1 ! -name '*heddle*' \
		-exec cp -al --no-clobber --parents -t $(PREVIOUS_DIR)/target/release {} +
	cd $(PREVIOUS_DIR)/source && CARGO_TARGET_DIR=$(PREVIOUS_DIR)/target cargo build $(CARGO_FLAGS) --bin heddle
	HEDDLE_PREVIOUS_BIN=$(PREVIOUS_DIR)/target/release/heddle cargo test $(CARGO_FLAGS) --test upgrade -- --nocapture

# Whole nodes in virtual time under seeded faults; NODES, BYZANTINE, PROFILE (calm, lan, wan, chaos) and PLAN (fixed, grow,
# rotate, jail, slash) fix what the seed would draw.
simulate: build
	$(TARGET)/release/heddle-simulation --seeds $(SEEDS) $(if $(NODES),--nodes $(NODES)) \
		$(if $(BYZANTINE),--byzantine $(BYZANTINE)) $(if $(PROFILE),--profile $(PROFILE)) $(if $(PLAN),--plan $(PLAN)) $(ARGS)

# The simulator is tested too: each bug on a list is planted, and must be found within a thousand seeds.
simulate-planted-bugs: setup
	cargo test --release --locked -p heddle-simulation -p heddle --features heddle-simulation/planted-bugs \
		--test planted_bugs -- --nocapture

# Every decoder of bytes from peers under a fuzzer, HEDDLE_FUZZ_SECONDS each, from the valid messages in tests/fuzz/seeds
# on; FUZZ_TARGETS="request response" takes only some. What is found stays in $(TARGET)/fuzz/corpus, what fails in
# tests/fuzz/artifacts. A message takes memory in proportion: no 64 KiB may make a decoder ask for 8 MiB at once.
fuzz: export HEDDLE_FUZZ_SECONDS ?= 60
fuzz: export CARGO_TARGET_DIR := $(TARGET)/fuzz
fuzz: setup
	rustup toolchain list | grep -q ^nightly || rustup toolchain install nightly --profile minimal
	cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
	cargo +nightly fuzz build --fuzz-dir tests/fuzz
	set -e; for target in $(or $(FUZZ_TARGETS),$$(cargo fuzz list --fuzz-dir tests/fuzz)); do \
		mkdir -p $(TARGET)/fuzz/corpus/$$target; \
		cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target $(TARGET)/fuzz/corpus/$$target tests/fuzz/seeds/$$target \
			-- -max_total_time=$$HEDDLE_FUZZ_SECONDS -max_len=65536 -malloc_limit_mb=8 -rss_limit_mb=1024; \
	done

# Calls of every method of JSON-RPC, cut, turned and spliced, HEDDLE_FUZZ_SECONDS long: each is answered, and none makes the node
# fail. HEDDLE_FUZZ_SEED=.. begins with others.
fuzz-rpc: export HEDDLE_FUZZ_SECONDS ?= 60
fuzz-rpc: setup
	cargo test $(CARGO_FLAGS) --test it -- --nocapture any_message_is_answered

# Random blocks in every mode of the executor until two modes differ; HEDDLE_FUZZ_SEED=.. begins with a known one.
fuzz-executor: export HEDDLE_FUZZ_SECONDS := endless
fuzz-executor: setup
	cargo test $(CARGO_FLAGS) --test modes -- --nocapture every_mode_gives_the_same_bytes

# The parallel executor's own code under the schedules of a model checker.
model-check: setup
	cargo test --release --locked -p heddle-evm -p heddle --features heddle-evm/shuttle --lib parallel::model

# Random blocks in every mode with every access to memory watched. The standard library has to be watched as well, or
# its locks would count for nothing: so it is compiled, too, by a nightly toolchain with rust-src.
thread-sanitizer: export RUSTFLAGS := -Zsanitizer=thread
thread-sanitizer: export CARGO_TARGET_DIR := $(TARGET)/thread-sanitizer
thread-sanitizer: export HEDDLE_FUZZ_SECONDS ?= 60
thread-sanitizer: setup
	cargo +nightly test --release --locked -Zbuild-std --target $$(rustc -vV | sed -n 's/^host: //p') \
		-p heddle-evm --test modes -- --nocapture

# Ethereum's own test suites: all of the archive among the fixtures, or any directories of ethereum/tests or of
# execution-spec-tests with DIRS="a b"; MODE is an execution mode, ARGS further options.
conformance: build
	$(TARGET)/release/heddle-conformance $(DIRS) --mode $(or $(MODE),sequential) $(ARGS)

# The image, as heddle:<version> and heddle:latest, compiled in it. ARGS are more arguments of `docker build`, such as
# --build-arg BUILD_IMAGE=..; SOURCE is where the sources are published.
docker: export DOCKER_BUILDKIT := 1
docker: VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
docker: docker-engine
	docker build --file docker/Dockerfile --tag heddle:$(VERSION) --tag heddle:latest \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null || echo unknown) \
		--build-arg CREATED=$(shell date -u +%Y-%m-%dT%H:%M:%SZ) $(if $(SOURCE),--build-arg SOURCE=$(SOURCE)) $(ARGS) .

# Four validators, a node for JSON-RPC at http://127.0.0.1:8545, and what watches them. Keys and genesis are made once, in
# docker/network, by root in a container, who gives the keys to the image's user.
docker-up: docker
	mkdir -p docker/network
	docker run --rm --user 0:0 --volume "$(CURDIR)/config:/config:ro" --volume "$(CURDIR)/docker/network:/network" \
		heddle:latest genesis create --network /config/networks/compose.toml --target compose --out /network
	$$(docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose) \
		--file docker/compose.yaml --project-directory docker/network up --detach

docker-engine:
	@docker info >/dev/null 2>&1 || { echo "No Docker engine answers: install and start one, or name one with DOCKER_HOST." >&2; exit 1; }

build: setup
	cargo build $(CARGO_FLAGS)

lint: setup
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings

fmt:
	cargo fmt --all

setup:
	@.ci/setup

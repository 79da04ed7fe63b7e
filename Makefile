# The two commands that matter: `make devnet` and `make test`. Both build with the one profile, so that RocksDB and
# the other dependencies are compiled once.

CARGO_FLAGS := --release --workspace --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: devnet test fuzz-executor conformance build lint fmt setup

devnet: build
	$(TARGET)/release/heddle devnet $(ARGS)

test: build
	cargo test $(CARGO_FLAGS)

# Random blocks in every mode of the executor until two modes differ; HEDDLE_FUZZ_SEED=.. begins with a known one.
fuzz-executor: export HEDDLE_FUZZ_SECONDS := endless
fuzz-executor: setup
	cargo test $(CARGO_FLAGS) --test modes -- --nocapture every_mode_gives_the_same_bytes

# Ethereum's own test suites: all of the archive among the fixtures, or any directories of ethereum/tests or of
# execution-spec-tests with DIRS="a b"; MODE is an execution mode, ARGS further options.
conformance: build
	$(TARGET)/release/heddle-conformance $(DIRS) --mode $(or $(MODE),sequential) $(ARGS)

build: setup
	cargo build $(CARGO_FLAGS)

lint: setup
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings

fmt:
	cargo fmt --all

setup:
	@.ci/setup

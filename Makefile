# The everyday commands. `make run` builds and serves the demo, `make test` tests everything against real servers.

.PHONY: run build test fmt lint

run:
	@tests/need build
	cargo run --release -- serve

build:
	@tests/need build
	cargo build --release

test:
	@tests/run

fmt:
	cargo fmt

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

# Shortcuts only: every recipe is one call of cargo or of xtask, so nobody needs just.

default: check test

check: format-check lint tidy

format:
    cargo fmt --all

format-check:
    cargo fmt --all --check

lint:
    cargo clippy --workspace --all-targets -- -D warnings

tidy:
    cargo xtask tidy

deny:
    cargo deny check licenses bans sources

test:
    cargo test --workspace

bench *ARGUMENTS:
    cargo run --release -p agentkernel-benches -- {{ARGUMENTS}}

man:
    cargo xtask man

completions:
    cargo xtask completions

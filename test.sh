#!/usr/bin/env bash
# Installs what the tests need (an EPICS IOC, EPICS command line tools, Python clients) and runs all tests.
# Works on a fresh Debian 12 with Rust and a C compiler; what is there already is not installed again.
set -euo pipefail
cd "$(dirname "$0")"

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo 'installing python3-venv'
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends python3 python3-venv
fi
tests/setup/epics.sh
tests/setup/tango.sh
cargo build --release --workspace --locked --features fodo/tango
cargo test --release --workspace --locked --features fodo/tango "$@"

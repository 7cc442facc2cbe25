#!/usr/bin/env bash
# Installs what the tests need (EPICS and TANGO servers, command line tools, Python clients, pyAML, Neovim) and runs all tests.
# Works on a fresh Debian 12 with Rust and a C compiler; what is there already is not installed again.
# Without root, what Debian packages are needed for is left out and says so.
set -euo pipefail
cd "$(dirname "$0")"

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo 'installing python3-venv'
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends python3 python3-venv
fi
tests/setup/epics.sh
tests/setup/archiver.sh || echo 'SKIPPED: the clients of archives could not be installed' >&2
tests/setup/postgres.sh || echo 'SKIPPED: PostgreSQL could not be installed' >&2
tests/setup/editor.sh || echo 'SKIPPED: Neovim could not be installed' >&2
tests/setup/pyaml.sh || echo 'SKIPPED: pyAML could not be installed' >&2
features=()
if tests/setup/tango.sh; then
    features+=(--features fodo/tango)
else
    echo 'SKIPPED: TANGO could not be installed; the program is built and tested without it' >&2
fi
if libca=$(tests/setup/libca.sh --env); then
    eval "$libca"
    features+=(--features fodo/libca)
else
    echo 'SKIPPED: libca could not be installed; the program is built and tested without it' >&2
fi
cargo build --release --workspace --locked "${features[@]}"
cargo test --release --workspace --locked "${features[@]}" "$@"

#!/usr/bin/env bash
# Makes what the backend on libca is linked with: libca and libCom of the PyPI package epicscorelibs, laid out as those of
# EPICS base, in .venv/epics-base. An installation of EPICS base serves as well: set EPICS_BASE to it instead.
#   tests/setup/libca.sh          makes it
#   tests/setup/libca.sh --env    makes it, and prints a line for `eval`
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/.venv
base=$venv/epics-base
host=linux-$(uname -m)

"$root/tests/setup/epics.sh" >/dev/null
lib=$("$venv/bin/python" -c 'import epicscorelibs, pathlib; print(pathlib.Path(epicscorelibs.__file__).parent / "lib")')
[ -e "$lib/libca.so" ] && [ -e "$lib/libCom.so" ] || { echo "libca.sh: no libca.so in $lib" >&2; exit 1; }
mkdir -p "$base/lib"
ln -sfn "$lib" "$base/lib/$host"
if [ "${1:-}" = --env ]; then
    echo "export EPICS_BASE=$base"
else
    cat <<TEXT
libca is in $base/lib/$host
  build the program with it:   EPICS_BASE=$base cargo build --release --features libca
TEXT
fi

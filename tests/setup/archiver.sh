#!/usr/bin/env bash
# Installs the two independent clients that the archive's fixture server is compared with into .venv; does nothing when
# they are there. The fixture itself (tests/setup/archiver.py) needs nothing but Python.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/.venv
packages=(aapy==0.12 epicsarchiver-retrieval-client==1.0.1 aiohttp numpy)

present() {
    # two processes: both define the appliance's messages
    PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python "$venv/bin/python" -c 'import aa.pb, aa.js' >/dev/null 2>&1 &&
        "$venv/bin/python" -c 'import epicsarchiver' >/dev/null 2>&1
}

present && exit 0
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
present || { echo "archiver.sh: the packages are installed in $venv, but do not work" >&2; exit 1; }

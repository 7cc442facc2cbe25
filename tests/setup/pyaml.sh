#!/usr/bin/env bash
# Installs pyAML from PyPI with everything that its own configurations need into .venv-pyaml: it wants another NumPy than
# the tests' Python. Does nothing when all is there.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/.venv-pyaml
packages=(accelerator-middle-layer==0.3.2 pyaml-cs-oa==0.3.1 tango-pyaml==0.4.1 pyaml-test-lattice==0.3.0
    'ophyd-async[ca,pva,tango]==0.21.3' aioca==2.1 p4p==4.3.0 pytango==10.3.1 pytango-db==0.9.0 accelerator-toolbox==0.9.0)

present() {
    "$venv/bin/python" - <<'PYTHON' >/dev/null 2>&1
from importlib.metadata import version
import aioca, p4p, pyaml, pyaml_cs_oa, pyaml_test_lattice, tango.pyaml, databaseds
assert version("accelerator-middle-layer") == "0.3.2" and version("pyaml-cs-oa") == "0.3.1"
assert version("tango-pyaml") == "0.4.1" and version("pyaml-test-lattice") == "0.3.0"
PYTHON
}

present && exit 0
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
present || { echo "pyaml.sh: the packages are installed in $venv, but do not work" >&2; exit 1; }

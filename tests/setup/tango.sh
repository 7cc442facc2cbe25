#!/usr/bin/env bash
# Installs what the TANGO backend is built with and tested against: libtango and its test server from Debian, PyTango
# and its database server from PyPI into .venv, and the classic database with MariaDB. Does nothing when all is there.
#   tests/setup/tango.sh          installs
#   tests/setup/tango.sh --env    prints a line for `eval`
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$root/.venv
debian=(libtango-dev libtango-tools tango-test tango-db mariadb-server pkg-config g++)
python=(pytango==10.3.1 pytango-db)

has_debian() {
    local package
    for package in "${debian[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || return 1
    done
}

has_python() {
    [ -x "$venv/bin/PyDatabaseds" ] && "$venv/bin/python" -c 'import tango' >/dev/null 2>&1
}

install_debian() {
    local sudo
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    printf '%s\n' 'tango-common tango-common/tango-host string 127.0.0.1:10000' \
        'tango-db tango-db/dbconfig-install boolean false' | $sudo debconf-set-selections
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${debian[@]}" >/dev/null
    has_debian || { echo 'tango.sh: the Debian packages could not be installed' >&2; exit 1; }
}

install_python() {
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${python[@]}"
    has_python || { echo "tango.sh: PyTango is installed in $venv, but does not work" >&2; exit 1; }
}

has_debian || install_debian
has_python || install_python
if [ "${1:-}" = --env ]; then
    echo "export PATH=$venv/bin:\$PATH"
else
    cat <<TEXT
TANGO is installed: libtango $(pkg-config --modversion tango), PyTango in $venv
  build the program with it:   cargo build --release --features tango
  a device server for trying:  $venv/bin/python tests/setup/tango_device.py PORT
TEXT
fi

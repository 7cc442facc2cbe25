#!/usr/bin/env bash
# A PostgreSQL of its own for a test, on loopback, with the tables of tests/setup/hdbpp.sql. Installs it if need be.
#
#   tests/setup/postgres.sh                     installs
#   tests/setup/postgres.sh run FOLDER PORT     makes a database in FOLDER, prints `ready`, and is the server until it
#                                               is ended; the address is postgres://fodo@127.0.0.1:PORT/postgres
set -euo pipefail
setup=$(cd "$(dirname "$0")" && pwd)

bin() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1; }

if [ -z "$(bin)" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo 'SKIPPED postgres.sh: PostgreSQL is not installed, and that needs root: apt-get install postgresql' >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
fi
[ "${1:-}" = run ] || exit 0

bin=$(bin) data=$2/data port=$3
mkdir -p "$data"
as=()
if [ "$(id -u)" = 0 ]; then
    # the server refuses to run as root
    chown postgres "$data"
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
cd /
"${as[@]}" "$bin/initdb" -D "$data" -U fodo -A trust --no-sync -E UTF8 --locale=C >/dev/null
options=(-D "$data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off)
(
    for _ in $(seq 200); do
        "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" && break
        sleep 0.1
    done
    "$bin/psql" -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U fodo -d postgres -f "$setup/hdbpp.sql" >/dev/null && echo ready
) &
exec "${as[@]}" "$bin/postgres" "${options[@]}" >/dev/null 2>&1

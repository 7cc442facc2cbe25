#!/usr/bin/env bash
# Serves a twin over TANGO with a database, and lets pyAML at it: `pyaml_tango.sh FODO FOLDER FACILITY LOOK [OPTION …]`.
#
# pyAML's own configuration names the database 127.0.0.1:10000. So that nothing else is met there, all of it runs on a network
# of its own. Prints one JSON object, what `pyaml_client.py` told of each of the two configurations; LOOK is `look` or empty.
# Ends with 77 if this system gives nobody a network of his own.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$root/.venv-pyaml/bin
host=127.0.0.1:10000

if [ "${FODO_OWN_NETWORK:-}" = "" ]; then
    unshare -rn true 2>/dev/null || exit 77
    FODO_OWN_NETWORK=yes exec unshare -rn "$0" "$@"
fi
fodo=$1 folder=$2 facility=$3 look=$4
shift 4
ip link set lo up
export TANGO_HOST=$host PYTANGO_DATABASE_NAME=$folder/tango.db
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT

within() { # SECONDS WHAT COMMAND…
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" 2>/dev/null; do
        [ $SECONDS -lt $end ] || { echo "pyaml_tango.sh: $what" >&2; cat "$folder"/*.log >&2; exit 1; }
        sleep 0.05
    done
}

answers() { "$bin/python" -c 'import tango; tango.Database().get_info()' >/dev/null 2>&1; }
served() { grep -q 'Ctrl-C ends it' "$folder/fodo.log"; }
exported() { "$bin/python" -c "import tango; print(len(tango.Database().get_device_exported('*').value_string))"; }

cd "$folder"
"$bin/PyDatabaseds" 2 --port 10000 -ORBendPoint giop:tcp:$host >"$folder/database.log" 2>&1 &
within 30 'the database does not answer' answers
"$fodo" serve twin --facility "$facility" --protocol tango --tango-host $host "$@" >"$folder/fodo.log" 2>&1 &
server=$!
within 60 'the twin is not served' served
known=$(exported)
one=$("$bin/python" "$root/tests/setup/pyaml_client.py" tango $look)
other=$("$bin/python" "$root/tests/setup/pyaml_client.py" tango-oa $look)
kill -INT $server
wait $server || true
echo "{\"tango\": $one, \"tango-oa\": $other, \"exported\": $known, \"left\": $(exported)}"

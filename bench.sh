#!/usr/bin/env bash
# Compares our physics with pyAT, xtrack and PyNAFF on the EBS ring: one table, and target/bench.json; then our Channel
# Access with pyepics and aioca and our PV Access with p4p on a real softIocPVA (unless --only names a work of the physics);
# the served twin with pyAT as atip uses it, and a virtual day of things that go wrong.
# Then what serving 10 000 channels costs (with TANGO if it is there).
# Between them the program itself: whole commands, the interpreter's share, completion. What is not reached is said at the end.
# Installs the peers from PyPI into .venv (or $VENV) if they are not there. --quick leaves the minutes-long works out.
set -euo pipefail
cd "$(dirname "$0")"

venv=${VENV:-.venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
# xsuite brings the compiled kernels of xtrack, which would else be compiled for minutes
"$venv/bin/python" -c 'import at, xsuite, xtrack, xpart, PyNAFF' 2>/dev/null ||
    "$venv/bin/pip" install --quiet accelerator-toolbox==0.9.0 xtrack xsuite PyNAFF
cargo build --release --locked --package fodo-lattice --package fodo-dynamics --examples
target/release/examples/convert facilities/ebs_ring/lattice.toml at_json >target/ebs_ring.at.json
"$venv/bin/python" benches/physics.py "$PWD/target/ebs_ring.at.json" "$@"
case " $* " in *" --only "*) exit ;; esac
cargo build --release --locked
missed=()
benches/figures.py
for bench in interpreter completion; do
    "benches/$bench.py" || missed+=("$bench")
done
tests/setup/epics.sh >/dev/null
cargo build --release --locked --package fodo-epics --example channel_access --package fodo-pva --example pva
.venv/bin/python benches/channel_access.py
.venv/bin/python benches/pva.py
quick=
case " $* " in *" --quick "*) quick=1 ;; esac
.venv/bin/python benches/twin.py ${quick:+--rounds 1} || missed+=(twin)
[ -n "$quick" ] || .venv/bin/python benches/day.py || missed+=(day)
protocols=(--only ca --only pva)
if pkg-config --exists tango 2>/dev/null && tests/setup/tango.sh >/dev/null; then
    cargo build --release --workspace --locked --features fodo/tango --bin fodo --examples
    .venv/bin/python benches/tango_reads.py
    protocols+=(--only tango)
else
    echo 'SKIPPED: no libtango; run tests/setup/tango.sh' >&2
fi
.venv/bin/python benches/served.py "${protocols[@]}" || missed+=(served)
if [ ${#missed[@]} -gt 0 ]; then
    echo "NOT REACHED: ${missed[*]}" >&2
    exit 1
fi

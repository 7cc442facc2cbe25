#!/usr/bin/env python3
"""A virtual day of a machine on which things go wrong, in one `fodo run` on the twin of demo_ring.

    benches/day.py [--hours 24] [--seed 3] [--program target/release/fodo]

Everything that moves by itself moves (ground, vibration, drifts, ripple, slow supplies, a beam that decays and is topped up), and
every kind of anomaly comes at random, about once an hour each, for minutes. A script reads and corrects the orbit every
minute, without the monitors that are silent; what else fails in a pass is counted, and the next minute it is tried again.
It has to hold that

- memory does not grow after the first hour (by a tenth, or 4 MiB),
- time stamps are those of the minutes and of what was waited, to the nanosecond, and never go back,
- every event that the twin tells of (`twin.happened()`) is in the record of the run with its time, device and cause, no other is,
  each kind came, and what began ended after the time that twin.toml says, unless it went on at the end,
- the same seed gives the same events and the same readings, to the last bit, in a second run; another seed gives others.

`target/day.json` has the figures. Ends with an error if something does not hold.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
from datetime import datetime, timezone

import h5py
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECOND = 10**9
PERIOD = 60  # s
WAITED = 7  # s, in each pass

FACILITY = 'name = "day_ring"\nbase = "demo_ring"\n'

MOVES = """
seed = 1

[supplies.QF]
drift = "1e-5 1/m^2"
ripple = "1e-6 1/m^2"
ripple_frequency = "50 Hz"

[supplies.correctors]
family = "HCOR"
slew = "0.1 mrad/s"
drift = "0.1 urad"

[ground.site]
elements = ["Q*", "BPM_*"]
diffusion_x = "1e-17 m/s"
diffusion_y = "1e-17 m/s"

[vibration.pump]
elements = ["Q*", "BPM_*"]
amplitude = "50 nm"
frequency = "7 Hz"
velocity = "400 m/s"

[beam]
current = "200 mA"
top_up_below = "198 mA"
momentum_acceptance = "2 %"
coupling = "1 %"
aperture_y = "10 mm"

[beam.gas]
pressure = "1e-9 mbar"
H2 = 0.8
CO = 0.2
"""

# kind: what it happens to, how bad it is, how often [1/h], how long [s]; all kinds there are
ANOMALIES = {
    "supply_off": ('family = "HCOR"', None, 1, 240),
    "supply_stuck": ('family = "VCOR"', None, 1, 240),
    "supply_drift": ('family = "QF"', '"0.01 1/m^2"', 1, 600),
    "readback_wrong": ('family = "VCOR"', '"1 %"', 1, 180),
    "monitor_dead": ('family = "BPM"', None, 3, 300),
    "monitor_noisy": ('family = "BPM"', '"20 um"', 2, 300),
    "monitor_jump": ('family = "BPM"', '"0.2 mm"', 1, 180),
    "monitors_swapped": ('family = "BPM"', None, 1, 180),
    "rf_trip": ("", None, 0.5, 90),
    "rf_phase_jump": ("", '"10 deg"', 0.5, 180),
    "rf_unlocked": ("", '"2 kHz"', 0.5, 180),
    "vacuum_leak": ("", "50", 0.5, 1200),
    "lifetime_drop": ("", '"1e-4 1/s"', 0.5, 1200),
    "beam_loss": ("", None, 0.5, 90),
    "obstacle": ('elements = "BPM_*"', '"0.2 mm"', 0.5, 180),
    "displaced": ('elements = "Q*"', '"20 um"', 1, 600),
}

SCRIPT = """
let first = BEAM[0].get_reading("current").time;
let response = model.orbit_response([HCOR, VCOR], BPM);
let pass = 0;
let corrected = 0;
let without = 0;
let failed = #{};

fn silent() {
    let readings = BPM.get_reading("x");
    let all = [];
    for n in 0..readings.len {
        let value = readings[n].value;
        if value == () || !value.is_finite() { all.push(BPM.names[n]); }
    }
    all
}

// what fails, without its numbers and names
fn sort_of(error) {
    let text = if type_of(error) == "map" { error.message } else { `${error}` };
    if text.contains("did not arrive") { return "a setpoint did not arrive"; }
    if text.contains("could not be read") { return error.details[0].split("invalid: ")[-1]; }
    text
}

let begun = every(PERIOD * s, || {
    let before = BEAM[0].get_reading("current").time;
    wait(WAITED * s);
    let after = BEAM[0].get_reading("current").time;
    try {
        let bad = silent();
        if bad.len == 0 {
            step_setpoints(response.solve(get_orbit(), #{ cutoff: 0.01, gain: 0.5 }));
        } else if bad.len < 8 {
            let some = BPM.without(bad.reduce(|all, name| all + "," + name, ""));
            step_setpoints(model.orbit_response([HCOR, VCOR], some).solve(get_orbit(some), #{ cutoff: 0.01, gain: 0.5 }));
            without += 1;
        } else {
            get_orbit();
        }
        corrected += 1;
    } catch (error) {
        let what = sort_of(error);
        failed[what] = (failed.get(what) ?? 0) + 1;
    }
    pass += 1;
    if pass % PASSES_AN_HOUR == 0 { print(`hour ${pass / PASSES_AN_HOUR}`); }
}, #{ times: PASSES });
#{ passes: begun, corrected: corrected, without: without, failed: failed, happened: twin.happened() }
"""


def facility(folder):
    """Writes the ring beside a copy of the one that it is made of."""
    shutil.copytree(ROOT / "facilities/demo_ring", folder / "demo_ring")
    ring = folder / "day_ring"
    ring.mkdir()
    (ring / "facility.toml").write_text(FACILITY)
    tables = [MOVES]
    for kind, (where, size, rate, lasts) in ANOMALIES.items():
        size = f"size = {size}\n" if size else ""
        tables.append(f'[anomalies.day_{kind}]\nkind = "{kind}"\n{where}\n{size}rate = "{rate} 1/h"\nlasts = "{lasts} s"\n')
    (ring / "twin.toml").write_text("\n".join(tables))
    return ring


def memory(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


class Run:
    """One run of some hours: what it answered, its record, and its memory over virtual time."""

    def __init__(self, arguments, folder, hours, seed):
        self.hours, self.samples, self.hour = hours, [], 0
        script = folder / "day.rhai"
        passes = str(int(3600 // PERIOD))
        script.write_text(SCRIPT.replace("PASSES_AN_HOUR", passes).replace("PASSES", str(hours * int(passes)))
                          .replace("PERIOD", f"{PERIOD}.0").replace("WAITED", f"{WAITED}.0"))
        command = [arguments.program, "run", str(script), "--facility", str(folder / "day_ring"), "--json", "--seed", str(seed),
                   "--data", str(folder / "data"), "--max-time", "8 h"]
        environment = {key: value for key, value in os.environ.items() if key != "FODO_FACILITY"}
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = []
        threads = [threading.Thread(target=self._follow, args=(process.stderr, process.pid, said, start)),
                   threading.Thread(target=self._sample, args=(process,))]
        for thread in threads:
            thread.start()
        out = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        for thread in threads:
            thread.join()
        self.wall, self.cpu, self.peak = time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        answer = json.loads(out or "{}")
        if not answer.get("ok"):
            raise SystemExit(f"the run failed: {answer.get('error')}\n{''.join(said[-20:])}")
        self.result, self.told = answer["result"], answer["run"]["anomalies"]
        self.record = answer["run"]["record"]
        with h5py.File(self.record) as file:
            entry = file["entry"]
            kinds, texts = entry["events/kind"].asstr()[()], entry["events/json"].asstr()[()]
            events = [json.loads(text) for kind, text in zip(kinds, texts) if kind in ("anomaly", "transaction")]
            self.recorded = [event for event in events if "begins" in event]
            self.start = next(event["time"] for event in events if event.get("what") == "begin")
            self.readings = {name: (one["time"][()][:, 0] - self.start, one["value"][()])
                             for name, one in entry["readings"].items()}
            self.commands = entry["commands/time"][()] - self.start, entry["commands/new"][()]

    def _follow(self, lines, pid, said, start):
        for line in lines:
            said.append(line)
            found = re.fullmatch(r"hour ([0-9]+)\n", line)
            if found:
                self.hour = int(found[1])
                self.samples.append((self.hour, memory(pid)))
                print(f"  hour {self.hour:2} after {time.monotonic() - start:5.1f} s: {self.samples[-1][1] / 2**20:.1f} MiB", flush=True)

    def _sample(self, process):
        while self.hour < self.hours and pathlib.Path(f"/proc/{process.pid}/stat").exists():
            size = memory(process.pid)
            if not size:
                return  # it has ended
            self.samples.append((self.hour, size))
            time.sleep(0.1)


def grown(run):
    """Memory at the end of the first hour, the most after it, and whether that is too much."""
    first = max(size for hour, size in run.samples if hour <= 1)
    most = max([size for hour, size in run.samples if hour > 1] or [first])
    return first, most, most > first + max(first // 10, 4 << 20)


def clock(run):
    """What is wrong with the time stamps."""
    stamps = run.readings["beam:current"][0].tolist()
    wrong = []
    if len(stamps) != 2 * run.hours * 3600 // PERIOD + 1:
        return [f"{len(stamps)} time stamps of the current"]
    before, after = stamps[1::2], stamps[2::2]
    late = max(abs(stamp - before[0] - n * PERIOD * SECOND) for n, stamp in enumerate(before))
    waits = max(abs(b - a - WAITED * SECOND) for a, b in zip(before, after))
    if late:
        wrong.append(f"a minute was {late} ns off")
    if waits:
        wrong.append(f"a wait was {waits} ns off")
    for name, (times, _) in run.readings.items():
        if (numpy.diff(times) < 0).any():
            wrong.append(f"the time stamps of {name} go back")
    return wrong


def nanoseconds(utc):
    """Of a time as scripts have it."""
    whole, _, part = utc.partition(".")
    seconds = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    return int(seconds) * SECOND + int(part.ljust(9, "0") or 0)


def happened(run):
    """Events as the script was told of them, since the start."""
    return [(nanoseconds(one["time"]) - run.start, one["name"], one["kind"], one["device"], one["begins"], one["cause"])
            for one in run.result["happened"]]


def in_record(run, events):
    return [(one["time"] - run.start, one["name"], one["kind"], one.get("device"), one["begins"], one["cause"])
            for one in events]


def events_of(run):
    """What is wrong with the events."""
    told, wrong = happened(run), []
    if told != in_record(run, run.recorded):
        only = set(told) ^ set(in_record(run, run.recorded))
        wrong.append(f"twin.happened() and the record do not agree: {sorted(only)[:3]}")
    if in_record(run, run.told) != in_record(run, run.recorded):
        wrong.append("the answer of the run and its record do not agree")
    never = set(ANOMALIES) - {kind for _, _, kind, _, begins, _ in told if begins}
    if run.hours >= 24 and never:
        wrong.append(f"never happened: {', '.join(sorted(never))}")
    if [one[0] for one in told] != sorted(one[0] for one in told):
        wrong.append("events are not in order")
    on = {}
    for when, name, kind, device, begins, _ in told:
        if begins:
            on[name, device] = when
            continue
        lasted = when - on.pop((name, device), float("inf"))
        if lasted != ANOMALIES[kind][3] * SECOND:
            wrong.append(f"{name} lasted {lasted / SECOND} s")
    end = run.readings["beam:current"][0][-1]
    wrong += [f"{name} did not end" for (name, _), when in on.items() if when + ANOMALIES[name[4:]][3] * SECOND <= end]
    return wrong


def different(one, other):
    """Where two runs of one seed are not the same."""
    wrong = []
    if happened(one) != happened(other):
        wrong.append("the same seed gave other events")
    for name, (times, values) in one.readings.items():
        theirs = other.readings[name]
        if not numpy.array_equal(times, theirs[0]) or not numpy.array_equal(values, theirs[1], equal_nan=True):
            wrong.append(f"the same seed gave other readings of {name}")
    if not all(numpy.array_equal(a, b) for a, b in zip(one.commands, other.commands)):
        wrong.append("the same seed gave other corrections")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--program", default=str(ROOT / "target/release/fodo"))
    arguments = parser.parse_args()
    arguments.program = str(pathlib.Path(arguments.program).resolve())
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        facility(folder)
        run = Run(arguments, folder, arguments.hours, arguments.seed)
        again = Run(arguments, folder, arguments.hours, arguments.seed)
        other = Run(arguments, folder, min(arguments.hours, 4), arguments.seed + 1)
        size = pathlib.Path(run.record).stat().st_size
    result, told = run.result, happened(run)
    wrong = [*clock(run), *events_of(run), *different(run, again)]
    if happened(other) == told[:len(happened(other))]:
        wrong.append("another seed gave the same events")
    memories = [grown(one) for one in (run, again)]
    wrong += ["memory grows" for *_, bad in memories if bad]
    counts = collections.Counter(kind for _, _, kind, _, begins, _ in told if begins)
    print(f"{arguments.hours} h in {run.wall:.1f} and {again.wall:.1f} s ({run.cpu:.1f} and {again.cpu:.1f} s of CPU); "
          f"{result['passes']} passes, {result['corrected']} corrected, {result['without']} of them without silent monitors")
    for what, count in sorted(result["failed"].items(), key=lambda item: -item[1]):
        print(f"  {count:4} passes failed: {what}")
    print(f"{len(told)} events told, {len(run.recorded)} in the record; begun: " + ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items())))
    for first, most, _ in memories:
        print(f"memory {first / 2**20:.1f} MiB after the first hour, {most / 2**20:.1f} MiB at most after it")
    print(f"memory with the writing of the record of {size / 2**20:.1f} MiB {run.peak / 2**20:.1f} MiB; load {os.getloadavg()[0]:.1f} at the end")
    figures = {"wall": [run.wall, again.wall], "cpu": [run.cpu, again.cpu], "result": {**result, "happened": len(told)},
               "counts": counts, "memory": run.samples, "peak": run.peak, "wrong": wrong}
    out = ROOT / "target/day.json"
    out.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"figures in {out.relative_to(ROOT)}")
    if wrong:
        raise SystemExit("DOES NOT HOLD: " + "; ".join(wrong))
    print("all holds: memory, clock, events, the same again")


if __name__ == "__main__":
    main()

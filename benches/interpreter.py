#!/usr/bin/env python3
"""The interpreter's share of the processor time of a full orbit response measurement on the twin; less than 2 % are wanted.

    benches/interpreter.py [--program target/release/fodo] [--facility ebs_ring] [--top 10]

- builtin: `measure_response([HCOR, VCOR], BPM)`.
- written out: `benches/response.rhai`, the same measurement as a loop of a script, with every step and every reading.

`perf record` of the whole command, from its start to its record. A sample belongs to the crate of its innermost frame that
is in `rhai` or a crate of ours, so that memory that the interpreter asks for is its own. `self`: only what stands in functions
of `rhai` and `fodo_language` themselves. `glue` is `fodo_builtins`, and what Rhai wraps around each builtin, into which
builtins are often inlined (`wrappers`): arguments checked and values converted.
Ends with 1 if a share is 2 % or more; without perf nothing is measured, which is said.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
WANTED = 2.0
CRATE = re.compile(r"\b(rhai|fodo(?:_[a-z0-9]+)?)::")
INTERPRETER = ("rhai", "fodo_language")
GLUE = ("fodo_builtins", "wrappers")


def crate_of(symbol):
    found = CRATE.search(symbol)
    if "RhaiNativeFunc" in symbol:
        return "wrappers"
    return found.group(1) if found else None


def record(command, environment, data):
    """The samples of a command: frames of each, the innermost first."""
    perf = ["perf", "record", "--quiet", "--event", "cpu-clock", "--freq", "1999", "--call-graph", "dwarf,16384", "--output", data]
    done = subprocess.run(perf + ["--"] + command, cwd=ROOT, env=environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    answer = json.loads(done.stdout) if done.stdout.startswith("{") else None
    if done.returncode or not answer or not answer["ok"]:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    script = ["perf", "script", "--input", data, "--no-inline", "--fields", "comm,ip,sym"]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    samples = []
    for part in text.split("\n\n"):
        frames = [line.split(None, 1) for line in part.splitlines() if line.startswith(" ") or line.startswith("\t")]
        frames = [frame[1].strip() if len(frame) > 1 else "[unknown]" for frame in frames]
        if frames:
            samples.append(frames)
    return samples


def shares(samples, top):
    """Percent of all samples, and the functions of the interpreter that take most."""
    count = collections.Counter()
    functions = collections.Counter()
    for frames in samples:
        own = crate_of(frames[0])
        owner = own or next(filter(None, map(crate_of, frames)), "elsewhere")
        count[owner] += 1
        if owner in INTERPRETER:
            count["self"] += own is not None
            functions[next(frame for frame in frames if crate_of(frame))] += 1
    percent = lambda number: round(100.0 * number / max(len(samples), 1), 2)
    return {
        "samples": len(samples),
        "interpreter": percent(sum(count[name] for name in INTERPRETER)), "self": percent(count["self"]),
        "glue": percent(sum(count[name] for name in GLUE)),
        "crates": {name: percent(number) for name, number in count.most_common() if name != "self"},
        "top": [[percent(number), name] for name, number in functions.most_common(top)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/fodo"))
    parser.add_argument("--facility", default="ebs_ring")
    parser.add_argument("--top", type=int, default=10)
    arguments = parser.parse_args()
    if not shutil.which("perf"):
        print("SKIPPED: there is no `perf`: the interpreter's share is not measured", file=sys.stderr)
        return
    common = ["--facility", arguments.facility, "--json"]
    works = {
        "builtin": [arguments.program, "eval", "measure_response([HCOR, VCOR], BPM); 0"] + common,
        "written out": [arguments.program, "run", "benches/response.rhai"] + common,
    }
    figures = {"facility": arguments.facility, "wanted": WANTED}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "FODO_DATA": folder}
        environment.pop("FODO_FACILITY", None)
        for name, command in works.items():
            load = os.getloadavg()[0]
            figures[name] = {**shares(record(command, environment, f"{folder}/perf.data"), arguments.top), "load": round(load, 1)}
    print(json.dumps(figures, indent=2))
    for name in works:
        if figures[name]["samples"] < 500 or figures[name]["crates"].get("elsewhere", 0.0) > 20.0:
            sys.exit(f"{name}: perf saw too little to judge: {figures[name]['samples']} samples")
        if figures[name]["interpreter"] >= WANTED:
            sys.exit(f"{name}: the interpreter takes {figures[name]['interpreter']} %, {WANTED} % are wanted at most")


if __name__ == "__main__":
    main()

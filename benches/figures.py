#!/usr/bin/env python3
"""Times of whole commands, with their spread, as one JSON object. Measurements, not tests: nothing here fails.

    benches/figures.py [--program target/release/fodo] [--runs 5] [--facility ebs_ring]

- check: `fodo check` of everything shipped.
- prompt: from the start of `fodo` in a terminal until its prompt is shown.
- response: `measure_response([HCOR, VCOR], BPM)` on the twin, on one core.
- orbit_twin, orbit_over_ca: `fodo run correct_orbit` on the twin, and over Channel Access on the served twin; of the
  whole command, and of the run alone as its record has it.

Seconds. `cpu` is the processor time of each run, which a busy machine lengthens least; `load` is the machine's load before
each group, for judging the figures. Less than 0.5 s are wanted for `check`, 0.3 s for `prompt`.
"""

import argparse
import json
import os
import pathlib
import pty
import resource
import select
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def spread(seconds):
    return {
        "median": round(statistics.median(seconds), 4), "least": round(min(seconds), 4),
        "most": round(max(seconds), 4), "runs": len(seconds),
    }


def processor():
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def to_prompt(command, environment):
    """Seconds until the prompt `…> ` is on the terminal."""
    start = time.monotonic()
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        os.execvpe(command[0], command, {**environment, "TERM": "xterm", "COLUMNS": "100"})
    shown = b""
    while b"TWIN> " not in shown:
        if not select.select([terminal], [], [], 30)[0]:
            raise TimeoutError(shown)
        shown += os.read(terminal, 65536)
    seconds = time.monotonic() - start
    os.write(terminal, b"\x04")
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass
    os.waitpid(process, 0)
    return seconds


def timed(command, environment):
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    answer = json.loads(done.stdout)
    if not answer["ok"]:
        raise SystemExit(f"{' '.join(command)}: {answer['error']}")
    return seconds, answer


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def over_ca(fodo, facility, environment):
    """One correction of a freshly served twin."""
    port = free_port()
    environment = {
        **environment, "EPICS_CA_ADDR_LIST": "127.0.0.1", "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port), "EPICS_CA_MAX_ARRAY_BYTES": "10000000",
    }
    serve = [fodo, "serve", "twin", "--protocol", "ca", "--port", str(port), "--facility", facility]
    server = subprocess.Popen(serve, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        command = [fodo, "run", "correct_orbit", "--on", "live", "--write", "--facility", facility, "--json"]
        return timed(command, environment)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/fodo"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--facility", default="ebs_ring")
    arguments = parser.parse_args()
    fodo, facility, runs = arguments.program, arguments.facility, range(arguments.runs)
    figures = {"program": fodo, "facility": facility, "cores": os.cpu_count()}

    def group(name, measure):
        load = os.getloadavg()[0]
        figures[name] = {**measure(), "load": round(load, 1)}

    def with_processor(measure):
        seconds, used = [], []
        for _ in runs:
            before = processor()
            seconds.append(measure())
            used.append(processor() - before)
        return {**spread(seconds), "cpu": round(statistics.median(used), 4)}

    def orbits(measure):
        done = [measure() for _ in runs]
        run = [answer["run"]["seconds"] for _, answer in done]
        return {"command": spread([seconds for seconds, _ in done]), "run": spread(run)}

    with tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, "FODO_DATA": data}
        environment.pop("FODO_FACILITY", None)
        prompt = [fodo, "--facility", facility]
        response = ["taskset", "--cpu-list", "0", fodo, "eval", "measure_response([HCOR, VCOR], BPM); 0", "--json",
                    "--facility", facility]
        correct = [fodo, "run", "correct_orbit", "--facility", facility, "--json"]
        check = [fodo, "check", "procedures", "stdlib", "scripts", "--facility", facility, "--json"]
        group("check", lambda: with_processor(lambda: timed(check, environment)[0]))
        group("prompt", lambda: with_processor(lambda: to_prompt(prompt, environment)))
        group("response", lambda: with_processor(lambda: timed(response, environment)[0]))
        group("orbit_twin", lambda: orbits(lambda: timed(correct, environment)))
        group("orbit_over_ca", lambda: orbits(lambda: over_ca(fodo, facility, environment)))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

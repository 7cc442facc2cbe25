#!/usr/bin/env python3
"""An hour of monitors and corrections: memory over time, lost updates, failures.

    benches/endurance.py [--minutes 60] [--channels 1000]

A softIoc counts on `--channels` channels at 10 Hz, and one process follows them all: an update that does not count on by one
is lost. A served twin of demo_ring is disturbed and corrected over Channel Access, again and again, by one prompt that
lives as long. The memory of all processes is read every five seconds; it may grow by a tenth, or 4 MiB, from the end of the
first sixth on. `target/endurance.json` has the figures. Ends with an error if an update is lost, a correction fails or
memory grows.
"""

import argparse
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/setup"))
import ioc as ioc_script  # noqa: E402
from bench_ioc import Ioc, free_port  # noqa: E402

# one run each: a kick to all correctors, then a correction whose result tells that it worked
DISTURB = "HCOR.step(5.0 * urad); VCOR.step(-3.0 * urad); 1"
CORRECT = 'let r = correct_orbit(#{}); "corrected " + r.after.rms_x.to("nm") + " " + r.after.rms_y.to("nm")'


def memory(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def lines_of(stream):
    """What a process prints, line by line, without blocking whoever takes it."""
    found = queue.Queue()

    def take():
        for line in stream:
            found.put(line)
        found.put(None)

    threading.Thread(target=take, daemon=True).start()
    return found


class Corrections:
    """A served twin, and a prompt that corrects it."""

    def __init__(self, folder):
        port = free_port()
        self.environment = {**os.environ, **ioc_script.addresses(port), "FODO_DATA": str(folder / "data")}
        self.environment.pop("FODO_FACILITY", None)
        fodo = str(ROOT / "target/release/fodo")
        self.server = subprocess.Popen(
            [fodo, "serve", "twin", "--protocol", "ca", "--port", str(port), "--facility", "demo_ring"],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True)
        self.server.stdout.readline()
        lines_of(self.server.stdout)
        self.prompt = subprocess.Popen(
            [fodo, "--facility", "demo_ring", "--on", "live", "--write"], cwd=ROOT, env=self.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.told = lines_of(self.prompt.stdout)
        self.done, self.failures, self.worst = 0, [], 0.0

    def again(self):
        """One disturbance and one correction."""
        self.prompt.stdin.write(DISTURB + "\n" + CORRECT + "\n")
        text, end = "", time.monotonic() + 60
        while time.monotonic() < end:
            try:
                line = self.told.get(timeout=1)
            except queue.Empty:
                continue
            text += line or ""
            found = re.search(r"corrected ([0-9][0-9.e+-]*) ([0-9][0-9.e+-]*)", line or "")
            if found:
                self.done += 1
                self.worst = max(self.worst, *map(float, found.groups()))
                return
            if line is None or line.startswith("error"):
                break
        self.failures.append(text[-2000:])
        if self.prompt.poll() is not None:
            raise SystemExit(f"the prompt ended:\n{text}")

    def stop(self):
        self.prompt.stdin.close()
        self.server.send_signal(signal.SIGINT)
        for process in (self.prompt, self.server):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def growth(samples):
    """Memory at the end of the first sixth, and the most after it."""
    start = max(len(samples) // 6, 1)
    first, rest = max(samples[:start]), samples[start:] or samples
    return first, max(rest), max(rest) > first + max(first // 10, 4 << 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--channels", type=int, default=1000)
    arguments = parser.parse_args()
    names = [f"M:{n}" for n in range(arguments.channels)]
    records = "".join(f'record(calc,"{n}"){{field(CALC,"A+1")field(INPA,"{n}")field(SCAN,".1 second")}}\n' for n in names)
    with tempfile.TemporaryDirectory() as folder, Ioc(pathlib.Path(folder) / "ioc", records) as ioc:
        monitor = subprocess.Popen(
            [ROOT / "target/release/examples/channel_access", *names], env=ioc.environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        corrections = Corrections(pathlib.Path(folder))
        try:
            span = 60 * arguments.minutes
            monitor.stdin.write(f"monitor {span}\n")
            monitor.stdin.flush()
            watched = {"monitor": monitor, "prompt": corrections.prompt, "server": corrections.server}
            samples = {name: [] for name in watched}
            begin = shown = looked = time.monotonic()
            while time.monotonic() < begin + span:
                corrections.again()
                if time.monotonic() >= looked + 5:
                    looked = time.monotonic()
                    for name, process in watched.items():
                        samples[name].append(memory(process.pid))
                if time.monotonic() >= shown + 60 and samples["monitor"]:
                    shown = time.monotonic()
                    sizes = ", ".join(f"{name} {one[-1] / 2**20:.1f} MiB" for name, one in samples.items())
                    print(f"{(shown - begin) / 60:5.1f} min: {corrections.done} corrections, "
                          f"{len(corrections.failures)} failed; {sizes}", flush=True)
            told = json.loads(monitor.stdout.readline())
        finally:
            monitor.stdin.close()
            corrections.stop()
            monitor.kill()
    grown = {name: growth(one) for name, one in samples.items()}
    print(f"{told['count']} updates in {told['wall']:.0f} s ({told['count'] / told['wall']:.0f}/s), {told['check']:.0f} lost, "
          f"{1e6 * told['cpu'] / max(told['count'], 1):.1f} us of CPU for each")
    print(f"{corrections.done} disturbances corrected, to {corrections.worst:.0f} nm at worst; {len(corrections.failures)} failed")
    for name, (first, most, bad) in grown.items():
        print(f"memory of {name}: {first / 2**20:.1f} MiB after the first sixth, {most / 2**20:.1f} MiB at most after it{', GROWS' if bad else ''}")
    out = ROOT / "target/endurance.json"
    out.write_text(json.dumps({"monitor": told, "corrections": corrections.done, "failures": corrections.failures,
                               "worst_nm": corrections.worst, "memory": samples}, indent=2) + "\n")
    print(f"figures in {out.relative_to(ROOT)}")
    if told["check"] or told["faults"] or corrections.failures or any(bad for _, _, bad in grown.values()):
        raise SystemExit("updates were lost, corrections failed or memory grew")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The served twin of the EBS ring beside pyAT as atip uses it: one corrector changed, everything that follows from it.

    benches/twin.py [--protocol ca --protocol pva] [--rounds 5] [--changes 60] [--program target/release/fodo]

Ours: `fodo serve twin`, and a client in Python that follows 320 monitors in both planes, tunes and emittances (644 channels;
besides chromaticities and `calculated`). A change counts from its put until the last of the 644 has come with it. Works:

- `alone`: nobody follows; put with completion, then a get of tunes and emittances.
- `shown`: each change when the one before was shown wholly.
- `stream`: another client puts and gets as fast as it is answered; only changes that were shown wholly count, and the time until
  the last of them was.
  The client's own processor time bounds both: it is printed beside ours.
- `calculated`: single changes, until the slow figures (chromaticities) are there as well.

Theirs: what atip does on a change of the same lattice, without serving it (benches/peers/twin_pyat.py). The ratio of a round is
their time for a change over ours; the twin does not run while pyAT is timed. Whatever the twin shows as valid after a change is
compared with what it shows at rest, and at the beginning the orbit, tunes and emittances of a twin without errors
with pyAT's: a difference, or a stale value, makes the run fail. `target/twin.json` has all figures.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import beside

sys.path.insert(0, str(beside.ROOT / "tests/setup"))
import ioc  # noqa: E402
import pva_server  # noqa: E402
from bench_ioc import free_port  # noqa: E402

WANTED = 60
CORRECTOR = "C05-SH1A"
SETPOINT = f"SR:{CORRECTOR}:H:set"
AMPERE = 0.25e-3  # kick of one [rad]
STATES = [0.0, 0.04, -0.08, 0.08, -0.04]  # A: up to 20 urad, a fifth of a millimetre of orbit
FIGURES = ["SR:TUNE:x", "SR:TUNE:y", "SR:BEAM:emittance:x", "SR:BEAM:emittance:y"]
SLOW = ["SR:BEAM:chromaticity:x", "SR:BEAM:chromaticity:y", "SR:BEAM:calculated"]
# how far the two may be apart: orbit [m], tunes [1], emittance [1]
APART = {"orbit": 1e-9, "tunes": 1e-6, "emittance": 1e-5}


class Served:
    """A served twin, and how long it took until the first reading."""

    def __init__(self, protocol, arguments, *more):
        port = free_port()
        self.environment = pva_server.environment(port) if protocol == "pva" else {**os.environ, **ioc.addresses(port)}
        self.environment.pop("FODO_FACILITY", None)
        command = [arguments.program, "serve", "twin", "--protocol", protocol, "--port", str(port),
                   "--facility", arguments.facility, *more]
        start = time.perf_counter()
        self.process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        if "channels" not in self.process.stdout.readline():
            raise SystemExit("the twin does not serve")
        self.started = time.perf_counter() - start

    def cpu(self):
        """Processor time until now [s]."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Asked(beside.Client):
    """A process whose failures end the bench."""

    def ask(self, work):
        answer = super().ask(work)
        if "error" in answer:
            raise SystemExit(f"{self.who}, {work.split()[0]}: {answer['error']}")
        return answer


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        elements = json.loads(pathlib.Path(arguments.lattice).read_text())["elements"]
        monitors = [one["FamName"] for one in elements if "BPM" in one["FamName"]]
        self.orbit = [f"SR:{name}:{plane}" for name in monitors for plane in "xy"]
        self.fast = [*self.orbit, *FIGURES]

    def client(self, protocol, served):
        names = [SETPOINT, *self.fast, *SLOW]
        command = [*beside.peer("twin_client.py"), protocol, str(len(self.fast))]
        return Asked("the client", command, names, served.environment)

    def pyat(self):
        return Asked("pyAT", beside.peer("twin_pyat.py"), [self.arguments.lattice], {**os.environ})

    def compared(self, pyat):
        """The largest differences of a twin without errors from pyAT, both with one kick."""
        with Served("ca", self.arguments, "--perfect") as served:
            command = [sys.executable, "-W", "ignore", "-c", READ, str(STATES[2]), SETPOINT]
            told = subprocess.run([*command, *self.fast], env=served.environment, check=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)  # libca tells of addresses that are there twice
        ours = json.loads(told.stdout)
        angle = STATES[2] * AMPERE
        orbit, full = pyat.ask(f"orbit {CORRECTOR} {angle}"), pyat.ask(f"update {CORRECTOR} {angle}")
        theirs = [position for pair in zip(orbit["x"], orbit["y"]) for position in pair]
        count = len(self.orbit)
        apart = {
            "orbit": max(abs(1e-3 * a - b) for a, b in zip(ours[:count], theirs)),
            "tunes": max(abs(a - b) for a, b in zip(ours[count:count + 2], orbit["tunes"])),
            "emittance": abs(1e-12 * ours[count + 2] / full["emittances"][0] - 1),
        }
        size = statistics.pstdev(theirs[::2])
        print(f"without errors, one kick of {1e6 * angle:.0f} urad ({1e6 * size:.0f} um rms), from pyAT: " + ", ".join(
            f"{what} {far:.1e} (limit {APART[what]:.0e})" for what, far in apart.items()), flush=True)
        if not all(far <= APART[what] for what, far in apart.items()):
            raise SystemExit("the twin and pyAT do not find the same beam")
        return apart

    def round(self, protocol, pyat):
        """All works once, ours and then pyAT's."""
        states, changes = " ".join(map(str, STATES)), self.arguments.changes
        one = {}
        with Served(protocol, self.arguments) as served:
            one["started"] = served.started
            with self.client(protocol, served) as writer, self.client(protocol, served) as client:
                def timed(work, ask):
                    cpu = served.cpu()
                    one[work] = ask()
                    one[work]["server_cpu"] = served.cpu() - cpu
                writer.ask(f"answered 5 {states}")
                timed("alone", lambda: writer.ask(f"answered {changes} {states}"))
                one["rest"] = client.ask(f"rest {states}")
                timed("shown", lambda: client.ask(f"changes {changes}"))
                client.ask("begin")
                timed("stream", lambda: writer.ask(f"answered {changes} {states}"))
                written = " ".join(f"{stamp}={value}" for stamp, value in one["stream"]["written"])
                one["stream"].update({f"{key}_stream": value for key, value in client.ask(f"end {written}").items()})
                timed("calculated", lambda: client.ask(f"slow {max(changes // 5, 1)}"))
        angles = [AMPERE * STATES[n % len(STATES)] for n in range(self.arguments.updates)]
        one["pyat"] = [pyat.ask(f"update {CORRECTOR} {angle}") for angle in angles]
        return one


# reads once, without following: the orbit and figures with one setpoint
READ = """
import asyncio, json, sys
import aioca
value, setpoint, *names = sys.argv[1:]
async def main():
    await aioca.caput(setpoint, float(value), wait=True, timeout=20)
    print(json.dumps([float(one) for one in await aioca.caget(names, timeout=20)]))
asyncio.run(main())
"""


def ratio(rounds, seconds):
    """Spread of the ratios of rounds: pyAT's median time over ours."""
    theirs = lambda one: statistics.median(update["wall"] for update in one["pyat"])  # noqa: E731
    return beside.spread([theirs(one) / seconds(one) for one in rounds])


def each(one, work):
    """Seconds for a change of a work; of the stream only those count that were shown wholly."""
    of = one[work]
    if work != "stream":
        return of["wall"] / of["count"]
    # the clock is the same for all processes
    return (of["last_stream"] - of["begin"]) / of["whole_stream"] if of["whole_stream"] else float("inf")


def told(protocol, rounds):
    """Prints the figures of a protocol and returns them; a work with a ratio has one that is wanted."""
    found = {"rounds": rounds, "ratio": {}}
    for work in ("shown", "stream", "alone"):
        found["ratio"][work] = ratio(rounds, lambda one: each(one, work))
        figures, times = found["ratio"][work], [time for one in rounds for time in one[work]["times"]]
        server = statistics.median(one[work]["server_cpu"] / len(one[work]["times"]) for one in rounds)
        mark = "" if work == "alone" else f" ({WANTED} wanted{'' if figures['median'] >= WANTED else ', MISSED'})"
        key = {"shown": "cpu", "stream": "cpu_stream"}.get(work)
        own = [1e3 * one[work][key] / one[work]["count"] for one in rounds if key]
        own = f", {statistics.median(own):.1f} of the client's" if own else ""
        changes = 1 / statistics.median(each(one, work) for one in rounds)
        print(f"{protocol:4} {work:10} {figures['median']:6.1f} [{figures['least']:.1f} to {figures['most']:.1f}]{mark}  "
              f"{changes:.1f} changes a second; {1e3 * statistics.median(times):.1f} ms a change, at worst "
              f"{1e3 * max(times):.1f}; {1e3 * server:.1f} ms of the server's CPU{own}", flush=True)
    whole = sum(one["stream"]["whole_stream"] for one in rounds), sum(one["stream"]["changes_stream"] for one in rounds)
    slow = [second for one in rounds for second in one["calculated"]["calculated"]]
    fast = [second for one in rounds for second in one["calculated"]["times"]]
    checks = [one[work][key] for one in rounds for work, key in (
        ("shown", "checked"), ("stream", "checked_stream"), ("calculated", "checked"))]
    found["wrong"] = sum(one[work][key] for one in rounds for work, key in (
        ("alone", "wrong"), ("shown", "wrong"), ("stream", "wrong"), ("stream", "wrong_stream"), ("calculated", "wrong")))
    first = rounds[0]["rest"]["distinct"]
    if set(first["figures"]) != {*FIGURES, *SLOW[:2]}:
        raise SystemExit(f"a stale value could not be told: only {', '.join(first['figures'])} differ from state to state")
    print(f"{protocol:4} {whole[0]} of {whole[1]} changes of the stream were shown wholly; single changes shown after "
          f"{1e3 * statistics.median(fast):.1f} ms (at worst {1e3 * max(fast):.1f}), calculated after "
          f"{1e3 * statistics.median(slow):.0f} ms (at worst {1e3 * max(slow):.0f})")
    print(f"{protocol:4} {sum(checks)} valid values compared, {found['wrong']} stale or wrong ({first['channels']} of the channels tell "
          f"all {len(STATES)} states apart, all figures do); serves "
          f"{statistics.median(one['started'] for one in rounds):.2f} s after its start", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", action="append", choices=["ca", "pva"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--updates", type=int, default=3, help="of pyAT in a round")
    parser.add_argument("--program", default=str(beside.ROOT / "target/release/fodo"))
    parser.add_argument("--facility", default=str(beside.ROOT / "facilities/ebs_ring"))
    parser.add_argument("--lattice", default=str(beside.ROOT / "target/ebs_ring.at.json"))
    arguments = parser.parse_args()
    if not pathlib.Path(arguments.lattice).exists():
        parser.error(f"{arguments.lattice} is missing: ./bench.sh writes it, or `target/release/examples/convert "
                     "facilities/ebs_ring/lattice.toml at_json`")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; ratio: pyAT's time for a change over ours, [least to most]")
    bench, results = Bench(arguments), {"load": os.getloadavg()}
    with bench.pyat() as pyat:
        results["apart"] = bench.compared(pyat)
        for protocol in arguments.protocol or ["ca", "pva"]:
            results[protocol] = told(protocol, [bench.round(protocol, pyat) for _ in range(arguments.rounds)])
    updates = [update for protocol in results.values() if "rounds" in protocol
               for one in protocol["rounds"] for update in one["pyat"]]
    parts = {part: statistics.median(update["parts"][part] for update in updates) for part in updates[0]["parts"]}
    print(f"pyAT {statistics.median(update['wall'] for update in updates):.2f} s a change ("
          + ", ".join(f"{part} {second:.2f}" for part, second in parts.items())
          + f"), {statistics.median(update['cpu'] for update in updates):.2f} s of CPU; load {os.getloadavg()[0]:.1f} at the end")
    beside.kept(results, "twin.json")
    if any(results[protocol]["wrong"] for protocol in ("ca", "pva") if protocol in results):
        raise SystemExit("values that were not those of the setpoint were shown as valid")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Our Channel Access beside pyepics and aioca on one real softIoc: ratios of time on the wall, with their spread.

    benches/channel_access.py [--rounds 7] [--channels 1000] [--seconds 5] [--only WORK ...]

Works: `connect` of all channels by a new process, `read` of all asked of the server, `write` of half of them with
completion, `monitor` of as many counters at 10 Hz. Rounds go A B C A B C; the ratio of a round is the time of the faster
peer over ours, of monitors the processor time for an event. What was read and written is compared; a peer that disagrees
or an update that we lost makes the run fail. `target/channel_access.json` has all figures.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/setup"))
from bench_ioc import Ioc  # noqa: E402

PEERS = {"pyepics": "ca_pyepics.py", "aioca": "ca_aioca.py"}
TARGETS = {"read": 3, "write": 3}
REPEATED = 10  # reads and writes in a round, the median counts


def command(who, names):
    if who == "ours":
        return [str(ROOT / "target/release/examples/channel_access"), *names]
    return [sys.executable, "-W", "ignore", str(ROOT / "benches/peers" / PEERS[who]), *names]


class Client:
    """A process that waits for works."""

    def __init__(self, who, names, environment):
        self.who = who
        self.process = subprocess.Popen(
            command(who, names), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=None if who == "ours" else subprocess.DEVNULL)  # libca tells of a repeater that is not there

    def ask(self, work):
        self.process.stdin.write(work + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.who} ended at `{work}`")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def middle(answers):
    """The answer with the median time on the wall."""
    return sorted(answers, key=lambda answer: answer["wall"])[len(answers) // 2]


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": len(values)}


def show(work, figures):
    ratio, wanted = figures["ratio"], TARGETS.get(work)
    mark = "" if wanted is None else f" ({wanted} wanted{'' if ratio['median'] >= wanted else ', MISSED'})"
    times = "  ".join(f"{who} {1e3 * one['wall']['median']:.2f} ms ({1e3 * one['cpu']['median']:.2f} ms of CPU)"
                      for who, one in figures["times"].items())
    print(f"{work:8} {ratio['median']:6.1f} [{ratio['least']:.1f} to {ratio['most']:.1f}]{mark}  {times}", flush=True)


def figures(rounds, key="wall"):
    """Ratios of the faster peer over ours, and everybody's times."""
    peers = [who for who in rounds[0] if who in PEERS]
    ratios = [min(one[who][key] for who in peers) / one["ours"][key] for one in rounds]
    times = {who: {k: spread([one[who][k] for one in rounds]) for k in ("wall", "cpu")} for who in rounds[0]}
    return {"ratio": spread(ratios), "times": times}


def quick(work, everybody, rounds):
    """Rounds of reads or writes; every client has to see the same."""
    all_rounds = []
    for turn in range(rounds):
        one = {}
        for who, client in everybody.items():
            words = [f"{work} {turn * 100 + n}" for n in range(REPEATED)]
            one[who] = middle([client.ask(word if work == "write" else work) for word in words])
        checks = {who: answer["check"] for who, answer in one.items()} if work == "read" else {}
        if len(set(checks.values())) > 1:
            raise SystemExit(f"what was read differs: {checks}")
        all_rounds.append(one)
    return all_rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", action="append", choices=["connect", "read", "write", "monitor"])
    arguments = parser.parse_args()
    works = arguments.only or ["connect", "read", "write", "monitor"]
    everybody, results = ["ours", *PEERS], {}
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; ratio: the faster peer's time over ours, [least to most]")
    with tempfile.TemporaryDirectory() as folder:
        names = [f"B:{n}" for n in range(arguments.channels)]
        records = "".join(f'record(ao,"{name}"){{field(VAL,"{n}")field(PINI,"YES")}}\n' for n, name in enumerate(names))
        with Ioc(pathlib.Path(folder) / "still", records) as ioc:
            if "connect" in works:
                def cold(who):
                    with Client(who, names, ioc.environment()) as client:
                        return client.ask("connect")
                results["connect"] = figures([{who: cold(who) for who in everybody} for _ in range(arguments.rounds)])
                show("connect", results["connect"])
            clients = {who: Client(who, names, ioc.environment()) for who in everybody}
            for client in clients.values():
                client.ask("connect")
            for work in ("read", "write"):
                if work in works:
                    results[work] = figures(quick(work, clients, arguments.rounds))
                    show(work, results[work])
            more = {}
            for work in ("latest", "session"):
                more[work] = middle([clients["ours"].ask(f"{work} {n}") for n in range(REPEATED)])
            print(f"ours besides: newest known of {len(names)} {1e3 * more['latest']['wall']:.2f} ms; {len(names) // 2} set as "
                  f"a script sets them (checked, sent, read back) {1e3 * more['session']['wall']:.2f} ms")
            results["besides"] = more
            for client in clients.values():
                client.__exit__()
        if "monitor" in works:
            counters = [f"M:{n}" for n in range(arguments.channels)]
            records = "".join(
                f'record(calc,"{n}"){{field(CALC,"A+1")field(INPA,"{n}")field(SCAN,".1 second")}}\n' for n in counters)
            with Ioc(pathlib.Path(folder) / "counting", records) as ioc:
                def follow(who):
                    with Client(who, counters, ioc.environment()) as client:
                        answer = client.ask(f"monitor {arguments.seconds}")
                        return {**answer, "event": answer["cpu"] / max(answer["count"], 1)}
                rounds = [{who: follow(who) for who in everybody} for _ in range(max(arguments.rounds // 2, 1))]
                ours = [one["ours"] for one in rounds]
                results["monitor"] = {**figures(rounds, "event"), "rounds": rounds}
                ratio = results["monitor"]["ratio"]
                print(f"monitor  {ratio['median']:6.1f} [{ratio['least']:.1f} to {ratio['most']:.1f}] CPU for an event:  " + "  ".join(
                    f"{who} {1e6 * statistics.median(one[who]['event'] for one in rounds):.1f} us at "
                    f"{statistics.median(one[who]['count'] / one[who]['wall'] for one in rounds):.0f}/s, "
                    f"{sum(one[who]['check'] for one in rounds):.0f} lost" for who in everybody))
                print(f"  ours: memory {ours[-1]['memory'] / 2**20:.0f} MiB, grown by {max(one['grown'] for one in ours) / 1024:.0f} KiB at most")
    out = ROOT / "target/channel_access.json"
    out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"figures in {out.relative_to(ROOT)}")
    if any(one["check"] for one in (ours if "monitor" in works else [])):
        raise SystemExit("we lost updates")


if __name__ == "__main__":
    main()

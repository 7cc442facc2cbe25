"""Our client beside others: processes that take turns at the same works, ratios of time with their spread.

A process gets the names of channels as arguments; for each line on its standard input, a work, it prints a line of JSON:
seconds on the wall and of the processor, and `check`, which everybody who did the same work has to agree on.
"""

import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
REPEATED = 10  # reads and writes in a round, the median counts


def ours(example):
    """The command of an example of ours."""
    return [str(ROOT / "target/release/examples" / example)]


def peer(script):
    """The command of a peer in Python."""
    return [sys.executable, "-W", "ignore", str(ROOT / "benches/peers" / script)]


class Client:
    """A process that waits for works."""

    def __init__(self, who, command, names, environment):
        self.who = who
        self.process = subprocess.Popen(
            [*command, *names], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
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


def show(work, figures, wanted=None):
    ratio = figures["ratio"]
    mark = "" if wanted is None else f" ({wanted} wanted{'' if ratio['median'] >= wanted else ', MISSED'})"
    times = "  ".join(f"{who} {1e3 * one['wall']['median']:.2f} ms ({1e3 * one['cpu']['median']:.2f} ms of CPU)"
                      for who, one in figures["times"].items())
    print(f"{work:8} {ratio['median']:6.1f} [{ratio['least']:.1f} to {ratio['most']:.1f}]{mark}  {times}", flush=True)


def figures(rounds, key="wall"):
    """Ratios of the faster peer over ours, and everybody's times."""
    peers = [who for who in rounds[0] if who != "ours"]
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


def followed(rounds):
    """Rounds of monitors: processor time for an event; what everybody lost, and how our memory grew."""
    for one in rounds:
        for answer in one.values():
            answer["event"] = answer["cpu"] / max(answer["count"], 1)
    found = {**figures(rounds, "event"), "rounds": rounds}
    ratio, ours = found["ratio"], [one["ours"] for one in rounds]
    print(f"monitor  {ratio['median']:6.1f} [{ratio['least']:.1f} to {ratio['most']:.1f}] CPU for an event:  " + "  ".join(
        f"{who} {1e6 * statistics.median(one[who]['event'] for one in rounds):.1f} us at "
        f"{statistics.median(one[who]['count'] / one[who]['wall'] for one in rounds):.0f}/s, "
        f"{sum(one[who]['check'] for one in rounds):.0f} lost" for who in rounds[0]))
    print(f"  ours: memory {ours[-1]['memory'] / 2**20:.0f} MiB, grown by {max(one['grown'] for one in ours) / 1024:.0f} KiB at most")
    return found


def works(clients, serve, arguments, wanted, first="connect"):
    """All works: `serve(name, records)` is a server for a `with` block, `clients` the commands, ours first;
    `first` is what a new process does to be there."""
    asked = arguments.only or ["connect", "read", "write", "monitor"]
    names, results = [f"B:{n}" for n in range(arguments.channels)], {}

    def client(who, names, server):
        return Client(who, clients[who], names, server.environment())

    records = "".join(f'record(ao,"{name}"){{field(VAL,"{n}")field(PINI,"YES")}}\n' for n, name in enumerate(names))
    with serve("still", records) as server:
        if "connect" in asked:
            def cold(who):
                with client(who, names, server) as one:
                    return one.ask(first)
            results["connect"] = figures([{who: cold(who) for who in clients} for _ in range(arguments.rounds)])
            show("connect", results["connect"])
        everybody = {who: client(who, names, server) for who in clients}
        for one in everybody.values():
            one.ask(first)
        for work in ("read", "write"):
            if work in asked:
                results[work] = figures(quick(work, everybody, arguments.rounds))
                show(work, results[work], wanted.get(work))
        more = {}
        for work in ("latest", "session"):
            more[work] = middle([everybody["ours"].ask(f"{work} {n}") for n in range(REPEATED)])
        print(f"ours besides: newest known of {len(names)} {1e3 * more['latest']['wall']:.2f} ms; {len(names) // 2} set as "
              f"a script sets them (checked, sent, read back) {1e3 * more['session']['wall']:.2f} ms")
        results["besides"] = more
        for one in everybody.values():
            one.__exit__()
    if "monitor" in asked:
        counters = [f"M:{n}" for n in range(arguments.channels)]
        records = "".join(
            f'record(calc,"{n}"){{field(CALC,"A+1")field(INPA,"{n}")field(SCAN,".1 second")}}\n' for n in counters)
        with serve("counting", records) as server:
            def follow(who):
                with client(who, counters, server) as one:
                    return one.ask(f"monitor {arguments.seconds}")
            rounds = [{who: follow(who) for who in clients} for _ in range(max(arguments.rounds // 2, 1))]
            results["monitor"] = followed(rounds)
    return results


def kept(results, name):
    """Keeps all figures in `target`; ends with an error if we lost updates."""
    out = ROOT / "target" / name
    out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"figures in {out.relative_to(ROOT)}")
    if any(one["ours"]["check"] for one in results.get("monitor", {}).get("rounds", [])):
        raise SystemExit("we lost updates")


def options(parser, seconds):
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--only", action="append", choices=["connect", "read", "write", "monitor"])

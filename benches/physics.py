#!/usr/bin/env python3
"""Our physics beside that of pyAT, xtrack and PyNAFF on the EBS ring: ratios of CPU time, with their spread.

    ./bench.sh [--quick] [--only NAME ...] [--rounds 5]

Every code works on the same ring (`facilities/ebs_ring`: 32 cells of pyAT's `hmba.mat`, written as AT JSON), on one thread.
Rounds go A B A B; a ratio is one round's. A peer that disagrees with our numbers makes the run fail: the time of a wrong
answer is worth nothing. `target/bench.json` has all figures.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = {"pyat": "pyat.py", "xtrack": "xtrack_peer.py", "pynaff": "naff.py"}

# work: peers with the disagreement allowed (largest, over the size of the largest number), scale of the peer's time, long
WORKS = {
    "track": ({"pyat": 1e-12, "xtrack": 2e-3}, 1, False),
    "track_radiation": ({"pyat": 1e-12, "xtrack": 2e-3}, 1, False),
    "closed_orbit": ({"pyat": 1e-9}, 1, False),
    "optics": ({"pyat": 1e-7, "xtrack": 1e-3}, 1, False),
    "orbit_response": ({"pyat": 1e-3, "xtrack": 1e-2}, 1, False),
    "equilibrium": ({"pyat": 1e-5, "xtrack": 1e-2}, 1, False),
    "equilibrium_changed": ({"pyat": 1e-5}, 1, False),
    "loco_jacobian": ({"pyat": 2e-2, "xtrack": 2e-2}, 512 / 2, True),  # 2 of 512 quadrupoles, scaled
    "dynamic_aperture": ({"pyat": 2e-2}, 1, True),
    "momentum_aperture": ({"pyat": 5e-2}, 1, True),
    "naff": ({"pyat": 1e-6, "pynaff": 1e-6}, 1, True),
}

# ratios to reach; where two, with AVX-512 and with AVX2
TARGETS = {
    ("track", "pyat"): (20, 12), ("track", "xtrack"): (12, 8),
    ("track_radiation", "pyat"): (10, 7), ("track_radiation", "xtrack"): (4, 3),
    ("optics", "pyat"): (40,), ("optics", "xtrack"): (60,),
    ("equilibrium", "pyat"): (30,), ("equilibrium", "xtrack"): (20,), ("equilibrium_changed", "pyat"): (100,),
    ("orbit_response", "pyat"): (100,), ("orbit_response", "xtrack"): (40,),
    ("loco_jacobian", "pyat"): (200,), ("loco_jacobian", "xtrack"): (75,),
    ("dynamic_aperture", "pyat"): (7,), ("momentum_aperture", "pyat"): (10,),
    ("naff", "pyat"): (4,), ("naff", "pynaff"): (15,),
}


def target(work, peer, instructions):
    """The ratio to reach on this processor; None if there is none."""
    known = TARGETS.get((work, peer), (None,))
    return known[0] if instructions == "AVX-512" else known[-1]


class Peer:
    """A peer that has loaded its ring and waits for works."""

    def __init__(self, name, lattice):
        script = ROOT / "benches/peers" / PEERS[name]
        environment = {**os.environ, **{key: "1" for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", script, lattice], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment,
        )

    def ask(self, work):
        try:
            self.process.stdin.write(work + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"error": "the peer has ended"}
        return json.loads(self.process.stdout.readline() or '{"error": "the peer has ended"}')


def ask_ours(lattice, work):
    program = ROOT / "target/release/examples/bench"
    alone = {**os.environ, "RAYON_NUM_THREADS": "1"}
    done = subprocess.run([program, lattice, work], capture_output=True, text=True, env=alone)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip()}


def disagreement(ours, theirs):
    if len(ours) != len(theirs):
        return float("inf")
    size = max(map(abs, ours)) or 1.0
    worst = max(abs(a - b) for a, b in zip(ours, theirs)) / size
    return worst if worst == worst else float("inf")


def compare(work, peer, lattice, rounds):
    """Rounds A B A B of one work; the figures, or why there are none."""
    limits, scale, long = WORKS[work]
    ratios, ours, theirs, worst = [], [], [], 0.0
    for _ in range(2 if long else rounds):
        a, b = ask_ours(lattice, work), peer[1].ask(work)
        for who, answer in (("ours", a), (peer[0], b)):
            if "cpu_seconds" not in answer:
                return {"problem": f"{who}: {answer.get('error', 'not built')}", "failed": "error" in answer}
        worst = max(worst, disagreement(a["check"], b["check"]))
        ours.append(a["cpu_seconds"])
        theirs.append(b["cpu_seconds"] * scale)
        ratios.append(theirs[-1] / ours[-1])
    return {
        "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios), "rounds": len(ratios),
        "ours_seconds": statistics.median(ours), "theirs_seconds": statistics.median(theirs), "scaled_by": scale,
        "count": a["count"], "check_ours": a["check"], "check_theirs": b["check"],
        "disagreement": worst, "allowed": limits[peer[0]], "failed": worst > limits[peer[0]],
    }


def show(work, name, figures):
    if "problem" in figures:
        return print(f"{work:20} {name:7} {figures['problem']}", flush=True)
    each = f"{1e9 * figures['ours_seconds'] / figures['count']:.1f} ns" if figures["count"] > 1 else f"{1e3 * figures['ours_seconds']:.2f} ms"
    mark = "  WRONG" if figures["failed"] else ""
    wanted = figures["target"]
    short = "-" if wanted is None else f"{wanted}" if figures["ratio"] >= wanted else f"{wanted} !"
    print(
        f"{work:20} {name:7} {short:>7} {figures['ratio']:8.1f} {figures['least']:8.1f} {figures['most']:8.1f} {figures['rounds']:3}"
        f" {each:>11} {figures['theirs_seconds']:10.3f} s {figures['disagreement']:9.1e} of {figures['allowed']:.0e}{mark}",
        flush=True,
    )


def limit(lattice, tracked, peak):
    """How near tracking is to what the core can do: each product, sum or pair of them is one operation."""
    operations = ask_ours(lattice, "operations")
    for work, seconds in tracked.items():
        counts = operations[work]
        least = (counts["fused"] + counts["products"] + counts["sums"]) / peak["fused_per_second"]
        least += counts["slow"] / peak["divisions_per_second"]
        print(f"{work}: {1e9 * least:.1f} ns per particle and element at the arithmetic limit ({peak['instructions']}), "
              f"{100 * least / seconds:.0f} % of it reached (60 wanted)")
    return {"peak": peak, "operations": operations}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lattice", help="AT JSON of the ring")
    parser.add_argument("--quick", action="store_true", help="leave the works of minutes out")
    parser.add_argument("--only", action="append", choices=WORKS, help="only this work; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    chosen = [work for work in arguments.only or WORKS if not (arguments.quick and WORKS[work][2])]
    results, tracked, peers = [], {}, {}
    peak = ask_ours(arguments.lattice, "peak")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {peak['instructions']}; ratio: CPU time of the peer over ours")
    print(f"{'work':20} {'peer':7} {'to reach':>7} {'ratio':>7} {'least':>8} {'most':>8} {'n':>3} {'ours':>11} {'theirs':>12} {'disagreement':>9}")
    for work in chosen:
        for name in WORKS[work][0]:
            # without ours there is nothing to compare, and no reason to wait for a peer
            if ask_ours(arguments.lattice, work).get("not_built"):
                figures = {"problem": "ours: not built", "failed": False}
            else:
                peers.setdefault(name, Peer(name, arguments.lattice))
                figures = compare(work, (name, peers[name]), arguments.lattice, arguments.rounds)
            figures["target"] = target(work, name, peak["instructions"])
            show(work, name, figures)
            results.append({"work": work, "peer": name, **figures})
            if work in ("track", "track_radiation") and "ratio" in figures:
                tracked[work] = figures["ours_seconds"] / figures["count"]
    for peer in peers.values():
        peer.process.stdin.close()
        peer.process.wait()
    limits = limit(arguments.lattice, tracked, peak) if tracked else {}
    threads = ask_ours(arguments.lattice, "threads")
    one, two = threads["wall_seconds"]
    print(f"tracking on 2 threads: {one / two:.2f} times as fast as on 1 (time on the wall; 1.8 wanted)")
    out = ROOT / "target/bench.json"
    out.write_text(json.dumps({"results": results, "limit": limits, "threads": threads}, indent=2) + "\n")
    print(f"figures in {out.relative_to(ROOT)}")
    if any(result["failed"] for result in results):
        raise SystemExit("some answers disagree or failed: their times are void")


if __name__ == "__main__":
    main()

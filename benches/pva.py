#!/usr/bin/env python3
"""Our PV Access beside p4p on one real softIocPVA: ratios of time on the wall, with their spread.

    benches/pva.py [--rounds 7] [--channels 1000] [--seconds 10] [--only WORK ...] [--server base|pvxs]

Works: `connect` of all channels by a new process until their values are known, `read` of all asked of the server, `write`
of half of them with completion, `monitor` of as many counters at 10 Hz. Rounds go A B A B; the ratio of a round is the time
of p4p over ours, of monitors the processor time for an event. What was read and written is compared; a peer that
disagrees or an update that we lost makes the run fail. `target/pva.json` has all figures.
"""

import argparse
import os
import pathlib
import sys
import tempfile

import beside

sys.path.insert(0, str(beside.ROOT / "tests/setup"))
from bench_ioc import PvaIoc  # noqa: E402

CLIENTS = {"ours": beside.ours("pva"), "p4p": beside.peer("pva_p4p.py")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside.options(parser, seconds=10)
    parser.add_argument("--server", choices=["base", "pvxs"], default="base")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; ratio: the time of p4p over ours, [least to most]")
    with tempfile.TemporaryDirectory() as folder:
        serve = lambda name, records: PvaIoc(arguments.server, pathlib.Path(folder) / name, records)  # noqa: E731
        beside.kept(beside.works(CLIENTS, serve, arguments, {"read": 3, "write": 1}, "values"), "pva.json")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Our Channel Access beside pyepics and aioca on one real softIoc: ratios of time on the wall, with their spread.

    benches/channel_access.py [--rounds 7] [--channels 1000] [--seconds 5] [--only WORK ...]

Works: `connect` of all channels by a new process, `read` of all asked of the server, `write` of half of them with
completion, `monitor` of as many counters at 10 Hz. Rounds go A B C A B C; the ratio of a round is the time of the faster
peer over ours, of monitors the processor time for an event. What was read and written is compared; a peer that disagrees
or an update that we lost makes the run fail. `target/channel_access.json` has all figures.
"""

import argparse
import os
import pathlib
import sys
import tempfile

import beside

sys.path.insert(0, str(beside.ROOT / "tests/setup"))
from bench_ioc import Ioc  # noqa: E402

CLIENTS = {
    "ours": beside.ours("channel_access"),
    "pyepics": beside.peer("ca_pyepics.py"),
    "aioca": beside.peer("ca_aioca.py"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside.options(parser, seconds=5)
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; ratio: the faster peer's time over ours, [least to most]")
    with tempfile.TemporaryDirectory() as folder:
        serve = lambda name, records: Ioc(pathlib.Path(folder) / name, records)  # noqa: E731
        beside.kept(beside.works(CLIENTS, serve, arguments, {"read": 3, "write": 3}), "channel_access.json")


if __name__ == "__main__":
    main()

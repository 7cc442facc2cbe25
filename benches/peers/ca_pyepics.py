"""The works of benches/channel_access.py with pyepics, each in the form its documentation gives for many channels."""

import json
import sys
import time

import epics
from shots import Shots

names = sys.argv[1:]
shots = Shots(len(names))
kept = []


def connect():
    channels = [epics.ca.create_channel(name, connect=False) for name in names]
    while not all(epics.ca.isConnected(channel) for channel in channels):
        epics.ca.poll(1e-4, 0.01)
    return 0


def read():
    return sum(epics.caget_many(names, timeout=10, connection_timeout=10))


def write(value):
    some = names[:len(names) // 2]
    done = epics.caput_many(some, [value] * len(some), wait="all", put_timeout=10)
    if not all(one == 1 for one in done):
        raise SystemExit(f"not all written: {done}")
    return value


def monitor(seconds):
    last, counts = {}, {"count": 0, "lost": 0}

    def seen(pvname, value, **_):
        previous = last.get(pvname)
        last[pvname] = value
        if previous is not None:
            counts["count"] += 1
            counts["lost"] += value - previous - 1

    followed = [epics.PV(name, auto_monitor=True, callback=seen) for name in names]
    while len(last) < len(names):
        epics.ca.poll(1e-3, 0.05)
    counts.update(count=0, lost=0)
    start = time.perf_counter(), time.process_time()
    while time.perf_counter() < start[0] + seconds:
        epics.ca.poll(1e-3, 0.05)
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    del followed
    return {"wall": wall, "cpu": cpu, "check": counts["lost"], "count": counts["count"]}


def opened():
    """Follows all, for `count`."""
    seen = lambda pvname, timestamp, **_: shots.seen(pvname, timestamp)  # noqa: E731
    kept.extend(epics.PV(name, auto_monitor=True, callback=seen) for name in names)
    end = time.perf_counter() + 30
    while shots.missing() and time.perf_counter() < end:
        epics.ca.poll(1e-3, 0.05)
    return shots.missing()


def count(seconds):
    shots.begin()
    start = time.perf_counter(), time.process_time()
    while time.perf_counter() < start[0] + seconds:
        epics.ca.poll(1e-3, 0.05)
    return {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1], **shots.figures()}


def main():
    begin = time.perf_counter(), time.process_time()
    epics.ca.initialize_libca()
    for line in sys.stdin:
        word, *argument = line.split()
        start = begin if word == "connect" else (time.perf_counter(), time.process_time())
        if word in ("monitor", "count"):
            answer = {"monitor": monitor, "count": count}[word](float(argument[0]))
        else:
            check = {"connect": connect, "read": read, "open": opened, "write": lambda: write(float(argument[0]))}[word]()
            answer = {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1], "check": check}
        print(json.dumps(answer), flush=True)


main()

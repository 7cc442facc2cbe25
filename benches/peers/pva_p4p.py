"""The works of benches/pva.py with p4p, each in the form its documentation gives for many channels."""

import json
import sys
import threading
import time

from p4p.client.thread import Context
from shots import Shots

names = sys.argv[1:]
shots = Shots(len(names))
context = Context("pva")
kept = []  # what is followed until the end: to close a thousand was seen to hang


def read():
    return sum(float(value) for value in context.get(names, timeout=20))


def write(value):
    some = names[:len(names) // 2]
    # without the read before each put that p4p does else, as it is the faster form
    context.put(some, [value] * len(some), timeout=20, wait=True, get=False)
    return value


def monitor(seconds):
    last, counts, lock = {}, {"count": 0, "lost": 0}, threading.Lock()

    def follow(name):
        def seen(value):
            with lock:
                previous, now = last.get(name), float(value)
                last[name] = now
                if previous is not None:
                    counts["count"] += 1
                    counts["lost"] += now - previous - 1
        return context.monitor(name, seen)

    followed = [follow(name) for name in names]
    # not for ever: seen that some never came
    end = time.perf_counter() + 20
    while len(last) < len(names) and time.perf_counter() < end:
        time.sleep(0.05)
    with lock:
        counts.update(count=0, lost=0)
    start = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    with lock:
        wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        answer = {"wall": wall, "cpu": cpu, "check": counts["lost"], "count": counts["count"]}
    kept.extend(followed)
    return answer


def opened():
    """Follows all, for `count`."""
    follow = lambda name: context.monitor(name, lambda value: shots.seen(name, value.timestamp))  # noqa: E731
    kept.extend(follow(name) for name in names)
    end = time.perf_counter() + 30
    while shots.missing() and time.perf_counter() < end:
        time.sleep(0.05)
    return shots.missing()


def count(seconds):
    shots.begin()
    start = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    return {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1], **shots.figures()}


def main():
    begin = time.perf_counter(), time.process_time()
    for line in sys.stdin:
        word, *argument = line.split()
        start = begin if word == "values" else (time.perf_counter(), time.process_time())
        if word in ("monitor", "count"):
            answer = {"monitor": monitor, "count": count}[word](float(argument[0]))
        else:
            check = {"values": read, "read": read, "open": opened, "write": lambda: write(float(argument[0]))}[word]()
            answer = {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1], "check": check}
        print(json.dumps(answer), flush=True)


main()

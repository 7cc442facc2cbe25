"""The works of benches/channel_access.py with aioca, each in the form its documentation gives for many channels."""

import asyncio
import json
import sys
import time

import aioca
from shots import Shots

names = sys.argv[1:]
shots = Shots(len(names))
followed = []


async def connect():
    await aioca.connect(names, timeout=10)
    return 0


async def read():
    return sum(await aioca.caget(names, timeout=10))


async def write(value):
    some = names[:len(names) // 2]
    await aioca.caput(some, [value] * len(some), wait=True, timeout=10)
    return value


async def monitor(seconds):
    last, counts = {}, {"count": 0, "lost": 0}

    def seen(value, index):
        previous = last.get(index)
        last[index] = value
        if previous is not None:
            counts["count"] += 1
            counts["lost"] += value - previous - 1

    followed = aioca.camonitor(names, seen, all_updates=True)
    while len(last) < len(names):
        await asyncio.sleep(0.01)
    counts.update(count=0, lost=0)
    start = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    for one in followed:
        one.close()
    return {"wall": wall, "cpu": cpu, "check": counts["lost"], "count": counts["count"]}


async def opened():
    """Follows all, for `count`."""
    seen = lambda value, index: shots.seen(index, value.timestamp)  # noqa: E731
    followed.extend(aioca.camonitor(names, seen, all_updates=True, format=aioca.FORMAT_TIME))
    end = time.perf_counter() + 30
    while shots.missing() and time.perf_counter() < end:
        await asyncio.sleep(0.01)
    return shots.missing()


async def count(seconds):
    shots.begin()
    start = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    return {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1], **shots.figures()}


async def main():
    begin = time.perf_counter(), time.process_time()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, *argument = line.split()
        start = begin if word == "connect" else (time.perf_counter(), time.process_time())
        if word in ("monitor", "count"):
            answer = await {"monitor": monitor, "count": count}[word](float(argument[0]))
        else:
            work = {"connect": connect, "read": read, "open": opened}.get(word) or (lambda: write(float(argument[0])))
            check = float(await work())
            answer = {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1], "check": check}
        print(json.dumps(answer), flush=True)


asyncio.run(main())

#!/usr/bin/env python3
"""A client that changes one setpoint of a served twin and follows what becomes of it, for benches/twin.py.

    twin_client.py ca|pva FAST SETPOINT CHANNEL ...

The first FAST channels are those that every change has to show at once; behind them come two chromaticities and
`calculated`. Channel Access goes by aioca, PV Access by p4p. For each line on standard input, a work, one line of JSON:

    answered N VALUE ...   nobody follows: N times a put with completion, then a get of the last four of the fast ones
    rest VALUE ...         follows all from now on; what each channel shows with each of these setpoints, at rest
    changes N              N changes, each when all fast channels have shown the one before
    slow N                 N changes, each at rest: how long until it is shown, and until `calculated` is 1 again
    begin                  somebody else writes from now on
    end STAMP=VALUE ...    what was written; how many of these changes every fast channel has shown

Whatever is shown as valid and is later than a setpoint has to be what was seen at rest with that setpoint: the number of
values checked, and those that were another, are in each answer. Times in seconds.
"""

import asyncio
import bisect
import json
import math
import statistics
import sys
import threading
import time

INVALID = 3
WAIT = 20
RESTING = 12  # shots that are seen at rest
SPREAD = 3.0  # times the range of those is what a value may be off: ten sigma of a monitor's noise, or
ROUNDING = 1e-6  # this part of it


class ChannelAccess:
    """aioca on an event loop in a thread of its own."""

    def __init__(self):
        import aioca
        self.aioca, self.loop, self.followed = aioca, asyncio.new_event_loop(), []
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT)

    @staticmethod
    def _reading(value):
        seconds, nanoseconds = value.raw_stamp
        return seconds * 10**9 + nanoseconds, float(value), value.severity

    def put(self, name, value):
        self._do(self.aioca.caput(name, value, wait=True, timeout=WAIT))

    def get(self, names):
        return [self._reading(one) for one in
                self._do(self.aioca.caget(names, format=self.aioca.FORMAT_TIME, timeout=WAIT))]

    def follow(self, names, seen):
        async def begin():
            told = lambda value, place: seen(place, *self._reading(value))  # noqa: E731
            return self.aioca.camonitor(names, told, all_updates=True, format=self.aioca.FORMAT_TIME)
        self.followed = self._do(begin())


class PvAccess:
    """p4p with its threads."""

    def __init__(self):
        from p4p.client.thread import Context
        self.context, self.followed = Context("pva"), []

    @staticmethod
    def _reading(value):
        seconds, nanoseconds = value.raw_stamp
        return seconds * 10**9 + nanoseconds, float(value), value.severity

    def put(self, name, value):
        self.context.put(name, value, timeout=WAIT, wait=True, get=False)

    def get(self, names):
        return [self._reading(one) for one in self.context.get(names, timeout=WAIT)]

    def follow(self, names, seen):
        def follow(place, name):
            return self.context.monitor(name, lambda value: seen(place, *self._reading(value)))
        self.followed = [follow(place, name) for place, name in enumerate(names)]


class Shown:
    """What was shown of the setpoint (place 0), of the fast channels and of the slow ones."""

    def __init__(self, fast, count):
        self.fast, self.lock, self.events = fast, threading.Lock(), []
        self.last = [(0, math.nan, INVALID)] * count
        self.target, self.since, self.missing = None, None, set()
        self.done, self.finished = threading.Event(), 0.0

    def seen(self, place, stamp, value, severity):
        with self.lock:
            self.last[place] = (stamp, value, severity)
            self.events.append((place, stamp, value, severity, time.perf_counter()))
            if place == 0 and self.target is not None and value == self.target:
                self.since, self.target = stamp, None
                late = (one for one in range(1, self.fast + 1) if self.last[one][0] <= stamp)
                self.missing = set(late)
            elif self.since is not None and stamp > self.since:
                self.missing.discard(place)
            if self.since is not None and not self.missing and not self.done.is_set():
                self.finished = time.perf_counter()
                self.done.set()

    def expect(self, value):
        """To be called before the setpoint is written."""
        with self.lock:
            self.target, self.since = value, None
            self.done.clear()

    def wait(self):
        """When the last of the fast channels showed what was written."""
        if not self.done.wait(WAIT):
            raise TimeoutError(f"{len(self.missing)} channels did not show a change within {WAIT} s")
        return self.finished

    def slow(self):
        """Whether the slow figures are there, and the stamp of that."""
        with self.lock:
            stamp, calculated, severity = self.last[-1]
            return calculated == 1 and severity < INVALID and self.since is not None and stamp > self.since, stamp

    def take(self):
        with self.lock:
            events, self.events = self.events, []
            return events


class Client:
    def __init__(self, access, fast, names):
        self.access, self.fast, self.names = access, fast, names
        self.shown, self.values, self.states = Shown(fast, len(names)), [], []
        self.turn, self.cpu = 0, 0.0

    def next(self):
        self.turn += 1
        return self.values[self.turn % len(self.values)]

    def change(self):
        """Writes the next value; seconds until everything fast shows it."""
        value = self.next()
        self.shown.expect(value)
        start = time.perf_counter()
        self.access.put(self.names[0], value)
        return self.shown.wait() - start

    def answered(self, count, *values):
        values, some = [float(value) for value in values], [self.names[0], *self.names[self.fast - 3:self.fast + 1]]
        wrong, written = 0, []
        before = self.access.get([self.names[0]])[0]
        times, begin = [], time.perf_counter()
        for n in range(int(count)):
            start = time.perf_counter()
            self.access.put(self.names[0], values[n % len(values)])
            setpoint, *now = self.access.get(some)
            times.append(time.perf_counter() - start)
            written.append(setpoint[:2])
            wrong += any(stamp <= before[0] or severity >= INVALID for stamp, _, severity in now)
            before = max(now)
        return {"wall": time.perf_counter() - begin, "begin": begin, "times": times, "count": len(times), "wrong": wrong,
                "written": written}

    def rest(self, *values):
        self.values = [float(value) for value in values]
        self.access.follow(self.names, self.shown.seen)
        end = time.perf_counter() + WAIT
        while any(stamp == 0 for stamp, _, _ in self.shown.last):
            if time.perf_counter() > end:
                raise TimeoutError("not all channels can be followed")
            time.sleep(0.01)
        start = time.perf_counter()
        # the first twice: what comes back has to be what was there
        self.states = [None] * len(self.values)
        for _ in range(len(self.values) + 1):
            self.change()
            state = self.turn % len(self.values)
            self.states[state] = (self.states[state] or []) + self.at_rest()
        self.states = [limits(shots, self.fast - 4) for shots in self.states]
        self.shown.take()
        return {"wall": time.perf_counter() - start, "distinct": self.distinct()}

    def at_rest(self):
        """Some shots of all channels when everything is calculated."""
        end = time.perf_counter() + WAIT
        while not self.shown.slow()[0]:
            if time.perf_counter() > end:
                raise TimeoutError(f"the slow figures did not come within {WAIT} s")
            time.sleep(0.005)
        shots, stamp = [], 0
        while len(shots) < RESTING:
            with self.shown.lock:
                last = list(self.shown.last)
            # one shot has one time
            if last[1][0] > stamp and len({one[0] for one in last[1:]}) == 1:
                shots.append([value for _, value, _ in last])
                stamp = last[1][0]
            time.sleep(0.002)
        return shots

    def distinct(self):
        """How many channels, and which figures, tell each state from all others."""
        def tells(place):
            ranges = sorted((mean - room, mean + room) for mean, room in (state[place] for state in self.states))
            return all(high < low for (_, high), (low, _) in zip(ranges, ranges[1:]))
        told = [place for place in range(1, len(self.names)) if tells(place)]
        figures = range(self.fast - 3, len(self.names) - 1)
        return {"channels": len(told), "figures": [self.names[place] for place in figures if place in told]}

    def verified(self, events):
        """How many valid values are later than a setpoint, and those that are not what was seen with it."""
        written = sorted((stamp, self.values.index(value)) for place, stamp, value, *_ in events if place == 0)
        stamps, checked, wrong = [stamp for stamp, _ in written], 0, []
        for place, stamp, value, severity, _ in events:
            at = bisect.bisect_left(stamps, stamp) - 1  # the last setpoint before
            if place == 0 or at < 0 or severity >= INVALID or self.names[place] == self.names[-1]:
                continue
            mean, room = self.states[written[at][1]][place]
            checked += 1
            if not abs(value - mean) <= room:
                wrong.append([self.names[place], value, mean, room, stamp - stamps[at]])
        return {"checked": checked, "wrong": len(wrong), "first_wrong": wrong[:3]}

    def changes(self, count):
        self.shown.take()
        begin, cpu = time.perf_counter(), time.process_time()
        times = [self.change() for _ in range(int(count))]
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
        return {"wall": wall, "cpu": cpu, "count": len(times), "times": times, **self.verified(self.shown.take())}

    def slow(self, count):
        self.shown.take()
        begin, times, calculated, stamps = time.perf_counter(), [], [], []
        for _ in range(int(count)):
            start = time.perf_counter()
            times.append(self.change())
            while not self.shown.slow()[0]:
                if time.perf_counter() > start + WAIT:
                    raise TimeoutError(f"the slow figures did not come within {WAIT} s")
                time.sleep(0.001)
            calculated.append(time.perf_counter() - start)
            stamps.append(1e-9 * (self.shown.slow()[1] - self.shown.since))
            time.sleep(0.25)
        return {"wall": time.perf_counter() - begin, "times": times, "calculated": calculated, "stamps": stamps,
                **self.verified(self.shown.take())}

    def begin(self):
        self.shown.take()
        self.cpu = time.process_time()
        return {}

    def end(self, *written):
        """What was written: STAMP=VALUE each. Who follows may miss the one or other, where servers drop what is late."""
        written = [word.split("=") for word in written]
        time.sleep(0.3)  # what is on its way
        events, cpu = self.shown.take(), time.process_time() - self.cpu
        followed = sum(place == 0 for place, *_ in events)
        events = [event for event in events if event[0] != 0]
        events += [(0, int(stamp), float(value), 0, 0.0) for stamp, value in written]
        stamps = sorted(int(stamp) for stamp, _ in written)
        seen = [{} for _ in stamps]
        for place, stamp, _, severity, when in events:
            at = bisect.bisect_left(stamps, stamp) - 1
            if at >= 0 and 1 <= place <= self.fast and severity < INVALID:
                seen[at].setdefault(place, when)
        whole = [max(one.values()) for one in seen if len(one) == self.fast]
        return {"changes": len(stamps), "followed": followed, "cpu": cpu, "whole": len(whole), "last": max(whole, default=math.inf), **self.verified(events)}


def limits(shots, monitors):
    """What each channel shows at rest, and how far off it may be; all monitors have at least the noise of the middle one."""
    columns = list(zip(*shots))
    ranges = [max(column) - min(column) for column in columns]
    noise = statistics.median(ranges[1:monitors + 1])
    ranges[1:monitors + 1] = [max(one, noise) for one in ranges[1:monitors + 1]]
    return [(sum(column) / len(column), max(SPREAD * one, ROUNDING * max(map(abs, column))))
            for column, one in zip(columns, ranges)]


def main():
    protocol, fast, *names = sys.argv[1:]
    client = Client({"ca": ChannelAccess, "pva": PvAccess}[protocol](), int(fast), names)
    for line in sys.stdin:
        word, *arguments = line.split()
        try:
            answer = getattr(client, word)(*arguments)
        except Exception as problem:  # told to whoever asked, who decides
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

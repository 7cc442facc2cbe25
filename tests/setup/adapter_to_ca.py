#!/usr/bin/env python3
"""An adapter to Channel Access, for the tests: pyepics over the C library of EPICS base, which shares nothing with Fodo's client.

The server is the one of EPICS_CA_ADDR_LIST and EPICS_CA_SERVER_PORT.
"""

import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/adapters"))
from fodo_adapter import Fault, Source, as_float, reading, serve  # noqa: E402

import epics  # noqa: E402

WAIT = 2.0
STATES = {1: "warning", 2: "alarm", 3: "invalid"}


def of(value, timestamp, severity, **more):
    """A reading; EPICS has no reason for an alarm but its name."""
    told = {STATES[severity]: f"severity {severity}, status {more.get('status')}"} if severity in STATES else {}
    return reading(value, round(timestamp * 1e9), **told)


class ChannelAccess(Source):
    name = "Channel Access by pyepics"

    def __init__(self):
        self.channels, self.lock = {}, threading.Lock()
        epics.ca.initialize_libca()
        self.context, self.here = epics.ca.current_context(), threading.local()

    def read_many(self, names, until):
        wanted = self.channels_of(names)
        gets = [one and (epics.ca.get_with_metadata(one, ftype=self.time_type(one), wait=False), one)[1] for one in wanted]
        epics.ca.flush_io()
        answers = []
        for one in gets:
            if one is None:
                answers.append(Fault("absent", "no answer from any server"))
                continue
            got = epics.ca.get_complete_with_metadata(one, ftype=self.time_type(one), timeout=WAIT, as_numpy=False)
            answers.append(Fault("timeout", "the server did not answer") if got is None else of(**got))
        return answers

    def time_type(self, channel):
        return epics.ca.promote_type(channel, use_time=True)

    def channels_of(self, names):
        """Channels that are connected; none where nobody has the name."""
        if not hasattr(self.here, "attached"):
            # the library is told of each thread that uses it
            if epics.ca.current_context() is None:
                epics.ca.attach_context(self.context)
            self.here.attached = True
        with self.lock:
            for name in names:
                if name not in self.channels:
                    self.channels[name] = epics.ca.create_channel(name, connect=False, auto_cb=False)
            wanted = [self.channels[name] for name in names]
        end = time.monotonic() + WAIT
        while not all(epics.ca.isConnected(one) for one in wanted) and time.monotonic() < end:
            epics.ca.poll(0.001, 0.05)
        return [one if epics.ca.isConnected(one) else None for one in wanted]

    def channel(self, name):
        found, = self.channels_of([name])
        if found is None:
            raise Fault("absent", "no answer from any server")
        return found

    def write(self, name, form, what):
        channel, done = self.channel(name), threading.Event()
        if not epics.ca.write_access(channel):
            raise Fault("refused", "no right to write")
        if form != "number":
            raise Fault("type", f"a {form} was sent, a number is needed")
        epics.ca.put(channel, as_float(what), wait=False, callback=lambda **_: done.set())
        epics.ca.flush_io()
        end = time.monotonic() + WAIT
        while not done.wait(0.001):
            epics.ca.poll(0.001, 0.01)
            if time.monotonic() > end:
                raise Fault("timeout", "the server did not say that it is done")

    def follow(self, name, period, tell):
        channel = self.channel(name)
        event = epics.ca.create_subscription(
            channel, use_time=True, mask=5, callback=lambda value=None, timestamp=0.0, severity=0, status=0, **_: tell(
                of(value.tolist() if hasattr(value, "tolist") else value, timestamp, severity, status=status)))
        epics.ca.flush_io()
        return lambda: epics.ca.clear_subscription(event[2])

    def meta(self, name):
        channel = self.channel(name)
        count = epics.ca.element_count(channel)
        limits = epics.ca.get_ctrlvars(channel)
        low, high = limits.get("lower_ctrl_limit", 0.0), limits.get("upper_ctrl_limit", 0.0)
        return {"form": "number" if count == 1 else "vector", "length": count, "unit": limits.get("units", ""),
                "limits": [low, high] if low < high else None, "writable": bool(epics.ca.write_access(channel))}


serve(ChannelAccess())

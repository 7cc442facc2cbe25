#!/usr/bin/env python3
"""A small control system behind the adapter protocol, for the tests: every form, ticking, slow, refusing, invalid.

It can also do wrong. Options spoil it from the start; a text written to SIM:DO spoils it in the middle:

    die STATUS TEXT     writes TEXT to standard error and ends with STATUS
    garbage             two lines that are not of the protocol, one of them long
    storm COUNT         COUNT readings of SIM:STORM, each one more than the one before
    vanish NAME         the channel is gone; `appear NAME` brings it back
"""

import argparse
import json
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/adapters"))
from fodo_adapter import Fault, Source, Server, as_float, choice, image, reading, table  # noqa: E402

STATES = ["OFF", "STANDBY", "ON"]
MANY = 200


class Channel:
    def __init__(self, form, held, unit="", limits=None, writable=True, takes=0.0, choices=(), length=1):
        self.form, self.held, self.unit, self.limits, self.writable = form, held, unit, limits, writable
        self.takes, self.choices, self.length = takes, list(choices), length
        self.time, self.invalid, self.shot, self.gone = time.time_ns(), None, None, False
        self.followers = {}
        self.lock = threading.RLock()

    def reading(self):
        held = choice(self.held, STATES[self.held]) if self.form == "choice" else self.held
        return reading(held, self.time, invalid=self.invalid, shot=self.shot)

    def set(self, held, shot=None):
        with self.lock:
            self.held, self.shot, self.time = held, shot, max(time.time_ns(), self.time + 1)
            self.tell(self.reading())

    def tell(self, what):
        with self.lock:
            for tell in list(self.followers.values()):
                tell(what)


def machine():
    number = lambda **more: Channel("number", 1.5, unit="A", limits=[-10.0, 10.0], **more)
    channels = {
        "SIM:NUMBER": number(),
        "SIM:READONLY": number(writable=False),
        "SIM:LIMITED": number(),
        "SIM:SLOW": number(takes=1.0),
        "SIM:VECTOR": Channel("vector", [0.0] * 8, unit="mm", length=8),
        "SIM:ODD": Channel("vector", [float("nan"), float("inf"), -float("inf"), 0.1], length=4, writable=False),
        "SIM:TEXT": Channel("text", "hello"),
        "SIM:DO": Channel("text", ""),
        "SIM:TEXTS": Channel("texts", ["QF", "QD"], length=2, writable=False),
        "SIM:STATE": Channel("choice", 1, choices=STATES),
        "SIM:IMAGE": Channel("image", image([[1, 2, 3], [4, 5, 6]]), length=6, writable=False),
        "SIM:TABLE": Channel("table", table([("name", ["Q1", "Q2"]), ("x", [0.1, 0.2])]), length=2, writable=False),
        "SIM:TICK": Channel("number", 0.0, writable=False),
        "SIM:STORM": Channel("number", 0.0, writable=False),
        "SIM:INVALID": Channel("number", 0.0, writable=False),
    }
    channels["SIM:INVALID"].invalid = "the probe is out"
    return channels | {f"SIM:K{n}": number() for n in range(MANY)}


class Simulator(Source):
    name = "simulator"
    threads = 64
    test = {
        "number": "SIM:NUMBER", "range": [-7.0, 7.0], "unit": "A", "many": [f"SIM:K{n}" for n in range(MANY)],
        "read_only": "SIM:READONLY", "refused": {"name": "SIM:LIMITED", "value": 11.0},
        "slow": {"name": "SIM:SLOW", "seconds": 1.0}, "vector": "SIM:VECTOR", "text": "SIM:TEXT", "texts": "SIM:TEXTS",
        "choice": {"name": "SIM:STATE", "labels": STATES}, "image": "SIM:IMAGE", "table": "SIM:TABLE",
        "ticking": "SIM:TICK", "invalid": "SIM:INVALID", "absent": "NO:",
    }

    def __init__(self, wrong):
        self.channels, self.wrong, self.server = machine(), wrong, None
        self.noting = threading.Lock()
        threading.Thread(target=self.tick, daemon=True).start()

    def tick(self):
        shot = 0
        while True:
            time.sleep(0.05)
            shot += 1
            self.channels["SIM:TICK"].set(float(shot), shot)

    def channel(self, name):
        found = self.channels.get(name)
        if found is None or found.gone:
            raise Fault("absent", "no such channel")
        return found

    def read(self, name):
        return self.channel(name).reading()

    def write(self, name, form, what):
        channel = self.channel(name)
        before = channel.held
        try:
            self.take(channel, name, form, what)
        finally:
            self.note(name, before, channel.held)

    def note(self, *words):
        if self.wrong.writes:
            with self.noting, open(self.wrong.writes, "a") as file:
                file.write(json.dumps(words) + "\n")

    def take(self, channel, name, form, what):
        if not channel.writable:
            raise Fault("refused", "this channel is read-only", 113)
        if channel.form == "number" or form == "number":
            if form != "number":
                raise Fault("type", f"a {form} was sent, a number is needed")
            held = as_float(what)
        elif form != channel.form and (form, channel.form) != ("text", "choice"):
            raise Fault("type", f"a {form} was sent, a {channel.form} is needed")
        else:
            held = what
        if channel.form == "choice":
            known = STATES.index(held) if held in STATES else held
            if known not in range(len(STATES)):
                raise Fault("refused", f"{held!r} is not one of {', '.join(STATES)}")
            held = int(known)
        if channel.form == "vector":
            held = [as_float(entry) for entry in held]
        if channel.limits and not channel.limits[0] <= held <= channel.limits[1]:
            if self.wrong.refuse == "late":
                channel.set(held)
            raise Fault("refused", f"{held:g} A is beyond the limits {channel.limits[0]:g} to {channel.limits[1]:g} A")
        if self.wrong.done == "early" and channel.takes:
            return threading.Timer(channel.takes, channel.set, [held]).start()
        time.sleep(channel.takes)
        channel.set(held)
        if name == "SIM:DO":
            self.spoil(*held.split(" ", 1))

    def spoil(self, what, rest=""):
        if what == "die":
            status, text = rest.split(" ", 1)
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
            os._exit(int(status))
        if what == "garbage":
            with self.server.out.lock:
                self.server.out.file.write(b"Warning: low disk space\n" + b"{" * 100_000 + b"\n")
                self.server.out.file.flush()
        if what == "storm":
            for count in range(int(rest)):
                self.channels["SIM:STORM"].set(float(count + 1))
        if what == "vanish":
            self.channels[rest].gone = True
            self.channels[rest].tell(Fault("absent", "its server is down"))
        if what == "appear":
            self.channels[rest].gone = False
            self.channels[rest].tell(self.channels[rest].reading())

    def meta(self, name):
        one = self.channel(name)
        return {"form": one.form, "unit": one.unit, "limits": one.limits, "length": one.length,
                "choices": one.choices, "writable": one.writable}

    def names(self):
        return list(self.channels)

    def follow(self, name, period, tell):
        channel, key = self.channel(name), object()
        with channel.lock:
            channel.followers[key] = tell
            tell(channel.reading())
        return lambda: channel.followers.pop(key, None)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--version", type=int, default=1, help="the version it claims to speak")
    options.add_argument("--bare", action="store_true", help="it can only read and write")
    options.add_argument("--end", metavar="TEXT", help="it ends at once, with TEXT on standard error")
    options.add_argument("--silent", action="store_true", help="it never says hello")
    options.add_argument("--done", choices=["late", "early"], default="late", help="early: writes are called done at once")
    options.add_argument("--refuse", choices=["first", "late"], default="first", help="late: what is refused is taken all the same")
    options.add_argument("--test", choices=["yes", "no"], default="yes", help="whether it names its test channels")
    options.add_argument("--writes", metavar="FILE", help="notes every write there: [name, before, after], a line of JSON each")
    wrong = options.parse_args()
    if wrong.end:
        sys.exit(wrong.end)
    if wrong.silent:
        sys.stdin.read()
        return
    source = Simulator(wrong)
    if wrong.test == "no":
        source.test = None
    server = Server(source)
    source.server = server
    if wrong.bare:
        server.can = lambda what: what == "write"
    if wrong.version != 1:
        server.hello = lambda ask: server.out.line({"id": ask["id"], "version": wrong.version, "name": "simulator", "capabilities": []})
    try:
        server.run()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""An adapter from Fodo to DOOCS, over pydoocs.

NEVER RUN AGAINST DOOCS BY FODO'S AUTHORS. No DOOCS server could be had, and pydoocs is not a public package. The script is
written from what is publicly documented of pydoocs: read, write, names, connect, getdata, disconnect and
DoocsException. Its protocol side is tested with a stand-in for pydoocs. Before you let it near a machine, run
`fodo adapter check` on addresses of a test server of yours, and read what it says:

    fodo adapter check --write --channels my_test_channels.toml python3 scripts/adapters/doocs.py

What has to be looked at first, because it is an assumption:

- `pydoocs.read(address)` gives a dictionary with `data`, `type`, `timestamp` (seconds since 1970, float), `macropulse`.
- `pydoocs.write(address, value)` returns when the server has taken the value. DOOCS does not say when a device has
  arrived there; --verify reads back after each write and waits until the value stands.
- A DoocsException has the error's number in `args[0]["code"]` and its text in `args[0]["message"]`, or says both as text. Which
  numbers mean "no such address" is not publicly documented: the words of the text decide (ABSENT below).
- `pydoocs.connect([addresses], ...)` and `pydoocs.getdata()` follow macropulses. Not every server can do that, and the calls
  belong to one group of addresses at a time; so they are used only with --push. Otherwise followed channels are read
  every --period seconds.
- Spectra (a list of [x, y] pairs with type SPECTRUM or GSPECTRUM) give their y.
"""

import argparse
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fodo_adapter import Fault, Source, as_float, image, reading, serve  # noqa: E402

import pydoocs  # noqa: E402

# words in the text of a DOOCS error that mean: nobody there; the numbers are not publicly documented
ABSENT = ("illegal address", "unavail", "not found", "no such", "offline", "no connection", "unknown")
TIMEOUT = ("timeout", "timed out", "time out")
ERRORS = tuple(getattr(pydoocs, name) for name in ("DoocsException", "PyDoocsException") if hasattr(pydoocs, name))


def problem(error):
    """A DoocsException as an error of the protocol."""
    told = error.args[0] if error.args else str(error)
    code, text = (told.get("code"), told.get("message")) if isinstance(told, dict) else (None, str(told))
    text = str(text or f"DOOCS error {code}")
    has = lambda words: any(word in text.lower() for word in words)
    return Fault("timeout" if has(TIMEOUT) else "absent" if has(ABSENT) else "failed", text, code)


def as_reading(answer):
    """What pydoocs read, with the time and the macropulse of the server."""
    data, kind = answer["data"], str(answer.get("type", ""))
    if "SPECTRUM" in kind and len(data) and hasattr(data[0], "__len__"):
        data = [pair[1] for pair in data]
    elif "IMAGE" in kind:
        data = image(data)
    elif hasattr(data, "ndim") and data.ndim == 2:
        data = image(data.tolist())
    elif isinstance(data, bool):
        data = int(data)
    elif isinstance(data, (list, tuple)) and data and isinstance(data[0], (list, tuple)):
        raise Fault("unsupported", f"data of type {kind} have no form in the adapter protocol yet")
    stamp = answer.get("timestamp")
    pulse = answer.get("macropulse") or None
    if not stamp:
        return reading(data, invalid="the server gives no time stamp", shot=pulse)
    return reading(data, int(stamp * 1e9), shot=pulse)


class Doocs(Source):
    name = "DOOCS by pydoocs"

    def __init__(self, options):
        self.options = options
        self.test = None
        self.pushed = {}
        self.push_lock = threading.Lock()
        self.pushing = False

    def read(self, name):
        try:
            return as_reading(pydoocs.read(name))
        except ERRORS as error:
            raise problem(error) from error

    def write(self, name, form, what):
        if form == "number":
            value = as_float(what)
            held = self.read(name)["value"]
            if "number" not in held:
                raise Fault("type", f"{name} holds a {next(iter(held))}, not a number")
        elif form == "vector":
            value = [as_float(entry) for entry in what]
        elif form == "text":
            value = what
            held = self.read(name)["value"]
            if "text" not in held:
                raise Fault("type", f"{name} holds a {next(iter(held))}, not a text")
        else:
            raise Fault("type", f"a {form} cannot be written to DOOCS by this adapter")
        try:
            pydoocs.write(name, value)
        except ERRORS as error:
            told = problem(error)
            raise told if told.wire["code"] != "failed" else Fault("refused", str(told), told.wire.get("number")) from error
        if self.options.verify:
            self.arrived(name, value)

    def arrived(self, name, value):
        end = time.monotonic() + self.options.verify
        while True:
            held = self.read(name)["value"]
            found = held.get("number", held.get("text", held.get("vector")))
            if found == value:
                return
            if time.monotonic() > end:
                raise Fault("timeout", f"{name} holds {found!r} {self.options.verify:g} s after {value!r} was written")
            time.sleep(0.05)

    def meta(self, name):
        """DOOCS has units and limits in properties of their own, which differ from server to server: not known here."""
        held = self.read(name)["value"]
        (form, content), = held.items()
        length = len(content["pixels"]) if form == "image" else len(content) if isinstance(content, list) else 1
        return {"form": form, "unit": self.unit(name), "length": length}

    def unit(self, name):
        try:
            return str(pydoocs.read(name + ".EGU")["data"])
        except (*ERRORS, KeyError):
            return ""

    def names(self):
        """What one look at --names gives; a facility has far too many properties to list them all."""
        try:
            # each is a part of an address with a comment behind it
            before = self.options.names.rpartition("/")[0]
            words = [str(found).split()[0] for found in pydoocs.names(self.options.names) if str(found).strip()]
            return [word if "/" in word else f"{before}/{word}" for word in words]
        except ERRORS as error:
            raise problem(error) from error

    def follow(self, name, period, tell):
        first = self.read(name)
        if self.options.push:
            return self.follow_pushed(name, tell)
        stop = threading.Event()

        def look():
            last, lost = first, None
            tell(first)
            while not stop.wait(period or self.options.period):
                try:
                    now, gone = self.read(name), None
                    if now != last or lost:
                        tell(now)
                except Fault as error:
                    now, gone = None, str(error)
                    if gone != lost:
                        tell(error)
                last, lost = now, gone

        threading.Thread(target=look, daemon=True).start()
        return stop.set

    def follow_pushed(self, name, tell):
        with self.push_lock:
            self.pushed[name] = tell
            if self.pushing:
                pydoocs.disconnect()
            pydoocs.connect(list(self.pushed))
            if not self.pushing:
                self.pushing = True
                threading.Thread(target=self.take_pushed, daemon=True).start()

        def stop():
            with self.push_lock:
                self.pushed.pop(name, None)
                pydoocs.disconnect()
                if self.pushed:
                    pydoocs.connect(list(self.pushed))

        return stop

    def take_pushed(self):
        while True:
            with self.push_lock:
                names = list(self.pushed)
                try:
                    answers = pydoocs.getdata() if names else None
                except ERRORS as error:
                    answers = [problem(error)] * len(names)
                tells = dict(self.pushed)
            if not answers:
                time.sleep(0.005)
                continue
            for name, answer in zip(names, answers):
                named = answer.get("name", name) if isinstance(answer, dict) else name
                tell = tells.get(named)
                if tell is None:
                    continue
                try:
                    tell(answer if isinstance(answer, Fault) else as_reading(answer))
                except Fault as error:
                    tell(error)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--period", type=float, default=0.1, help="seconds between two looks at a followed channel")
    options.add_argument("--push", action="store_true", help="follow by pydoocs.connect and getdata")
    options.add_argument("--verify", type=float, default=0.0, metavar="SECONDS", help="read back for so long after a write")
    options.add_argument("--names", default="*/*/*/*", help="what `fodo adapter names` looks through")
    serve(Doocs(options.parse_args()))


if __name__ == "__main__":
    main()

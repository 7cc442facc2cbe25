#!/usr/bin/env python3
"""Completion at the prompt of a facility with 100 000 devices, in milliseconds; less than 20 are wanted.

    benches/completion.py [--program target/release/fodo] [--devices 100000] [--runs 20]

Makes a copy of demo_ring with so many monitors more, in five families (one of them has three fifths), starts `fodo` at a
pseudo terminal, and times from the Tab key until what it shows has come: names of families, of devices, options, words with letters
left out. Ends with 1 if a median is 20 ms or more.
"""

import argparse
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
WANTED = 20.0

# what is typed before Tab, and what has to come; `@` is the number of devices of the large family
WORKS = {
    "family": ("MON", "MON_E"),
    "all devices": ('MON_A["', "@ possibilities"),
    "one in ten devices": ('MON_A["MA_01', "possibilities"),
    "ten devices": ('MON_A["MA_01234', "MA_012349"),
    "one device": ('MON_A["MA_012345', '"]'),
    "devices behind a call": ('print(MON_A["MA_01234', "MA_012349"),
    "option": ("get_orbit(MON_A, #{ sho", "ts: "),
    "letters left out": ("gorb", "get_orbit"),
    "no such word": ("xyzzyx", ""),
    "member of a family": ("MON_A.na", "mes"),
    "any name": ("", "VCOR"),
}


def make_facility(folder, devices):
    """demo_ring with more monitors."""
    shutil.copytree(ROOT / "facilities/demo_ring", folder)
    counts = [devices * 3 // 5] + [devices // 10] * 4
    lattice = (folder / "lattice.toml").read_text()
    names = ["MA", "MB", "MC", "MD", "ME"]
    lattice = lattice.replace("{count:03}", "{count:06}")
    lattice = lattice.replace("[lines]", "".join(f'{name} = {{ type = "monitor" }}\n' for name in names) + "\n[lines]")
    more = ", ".join(f'"{name} * {count}"' for name, count in zip(names, counts))
    lattice = lattice.replace('"cell * 16"]', f'"cell * 16", {more}]')
    (folder / "lattice.toml").write_text(lattice)
    families = (folder / "families.toml").read_text()
    for name in names:
        families += (f'\n[MON_{name[1]}]\nrole = "loss monitor"\nelements = "{name}_*"\n'
                     'rate = { unit = "1/s", read = "{name}:rate" }\n')
    (folder / "families.toml").write_text(families)
    return counts


def plain(raw):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw.decode(errors="replace"))
    return text


class Terminal:
    """`fodo` at a pseudo terminal."""

    def __init__(self, command, environment):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.execvpe(command[0], command, {**environment, "TERM": "xterm"})
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))

    def read(self, within):
        if not select.select([self.terminal], [], [], within)[0]:
            return b""
        return os.read(self.terminal, 1 << 16)

    def until(self, text, within=60.0):
        """Reads until `text` has come."""
        raw, limit = b"", time.monotonic() + within
        while text not in plain(raw):
            if time.monotonic() > limit:
                raise SystemExit(f"`{text}` did not come in {within} s, but\n{plain(raw)}")
            raw += self.read(0.05)
        return raw

    def quiet(self, seconds=0.05):
        raw = b""
        while piece := self.read(seconds):
            raw += piece
        return raw

    def type(self, text):
        os.write(self.terminal, text.encode())

    def completed(self, typed, shown):
        """Seconds from Tab until `shown` has come, and what came."""
        self.type(typed)
        self.quiet()
        start = time.monotonic()
        self.type("\t")
        # nothing to show: the bell
        raw = self.until(shown or "\x07")
        seconds = time.monotonic() - start
        raw += self.quiet()
        if "(y or n)" in plain(raw):
            self.type("n")
            self.quiet()
        elif "--More--" in plain(raw):
            self.type("q")
            self.quiet()
        # from the end of the line to its beginning
        self.type("\x05\x15")
        self.quiet()
        return seconds, plain(raw)

    def end(self):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/fodo"))
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    figures = {"devices": arguments.devices, "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "many"
        counts = make_facility(folder, arguments.devices)
        environment = {**os.environ, "FODO_DATA": scratch}
        environment.pop("FODO_FACILITY", None)
        start = time.monotonic()
        terminal = Terminal([arguments.program, "--facility", str(folder)], environment)
        try:
            terminal.until("TWIN> ")
            figures["prompt ready [s]"] = round(time.monotonic() - start, 2)
            terminal.quiet()
            for name, (typed, shown) in WORKS.items():
                shown = shown.replace("@", str(counts[0]))
                times = [1000.0 * terminal.completed(typed, shown)[0] for _ in range(arguments.runs)]
                figures[name] = {"median": round(statistics.median(times), 1), "most": round(max(times), 1)}
        finally:
            terminal.end()
    print(json.dumps(figures, indent=2))
    slow = [name for name in WORKS if figures[name]["median"] >= WANTED]
    if slow:
        sys.exit(f"slower than {WANTED} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()

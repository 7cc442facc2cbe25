"""Drives a program through a pseudo terminal: steps as JSON on stdin, what it showed as JSON on stdout.

A step is {"send": text, "until": text, "within": seconds}: `send` is typed, then what comes is read until `until`
appears. The answer is a list with what came up to there in each step; the first that runs into its time ends it.
"""

import json
import os
import pty
import re
import select
import struct
import sys
import fcntl
import termios
import time


def plain(raw):
    """Without colours and cursor movements; a line cleared or redrawn begins a new line."""
    text = raw.decode(errors="replace")
    text = re.sub(r"\x1b\[[0-9;?]*[KJ]|\r", "\n", text)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def read(terminal, raw, seconds):
    """What has come within some seconds, behind `raw`; None at the end of the program."""
    ready, _, _ = select.select([terminal], [], [], seconds)
    if not ready:
        return raw
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        piece = b""
    return raw + piece if piece else None


def settled(terminal, raw):
    """Reads on until a prompt stands there or nothing more comes: what is typed sooner may be lost."""
    limit = time.monotonic() + 3.0
    while not plain(raw).endswith("> ") and time.monotonic() < limit:
        more = read(terminal, raw, 0.5)
        if more is None or more == raw:
            break
        raw = more
    return raw


def main():
    steps = json.load(sys.stdin)
    start = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(sys.argv[1], sys.argv[1:])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
    shown, raw, used = [], b"", 0
    for step in steps:
        send = step.get("send", "")
        if send.endswith("\r"):
            raw = settled(terminal, raw)
        os.write(terminal, send.encode())
        until, limit = step.get("until", ""), time.monotonic() + step.get("within", 10.0)
        while until not in plain(raw)[used:] and time.monotonic() < limit:
            more = read(terminal, raw, 0.05)
            if more is None:
                break
            raw = more
        text = plain(raw)
        found = text.find(until, used)
        end = len(text) if found < 0 else found + len(until)
        shown.append({"text": text[used:end], "found": found >= 0, "at": time.monotonic() - start})
        if found < 0:
            break
        used = end
    os.close(terminal)
    try:
        # a program that goes on without its terminal is ended
        os.kill(child, 9)
    except ProcessLookupError:
        pass
    os.waitpid(child, 0)
    json.dump(shown, sys.stdout)


main()

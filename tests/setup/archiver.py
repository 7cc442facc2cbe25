#!/usr/bin/env python3
"""A server that answers as the EPICS Archiver Appliance does for getData.json and getData.raw.

Written from the appliance's documentation, never compared with an appliance. It prints its port, and ends when its
standard input closes.

    archiver.py [FILE]      also serves the channels of FILE: {NAME: {"type", "unit", "samples": [[ns, value, severity]]}}
"""
import json
import struct
import sys
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SECOND = 10**9
TYPES = ["string", "short", "float", "enum", "byte", "int", "double"]


def moment(text):
    """Nanoseconds since 1970 of an ISO text."""
    clock, _, rest = text.rstrip("Z").partition(".")
    fraction, sign, offset = rest.partition("+")
    whole = datetime.fromisoformat(clock + (sign + offset if sign else ""))
    whole = whole if whole.tzinfo else whole.replace(tzinfo=timezone.utc)
    return int(whole.timestamp()) * SECOND + int(fraction.ljust(9, "0") or 0)


def year_of(ns):
    year = datetime.fromtimestamp(ns // SECOND, timezone.utc).year
    return year, int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp()) * SECOND


def fixture():
    """Ten minutes around a new year, with every type; a gap of three minutes and an invalid sample."""
    start = moment("2026-12-31T23:55:00Z")
    # nanoseconds whose bytes have to be escaped
    times = [start + minute * 60 * SECOND + nano for minute, nano in zip((0, 1, 2, 3, 7, 8, 9), (0, 10, 13, 27, 10, 1, 2))]
    severities = [0, 1, 2, 3, 0, 0, 0]

    def channel(kind, unit, values):
        return {"type": kind, "unit": unit, "samples": [list(s) for s in zip(times, values, severities)]}

    return {
        "FIX:CURRENT": channel("double", "mA", [0.1, 200.0, -3.5e-7, 0.0, 1e300, 27.0, 1 / 3]),
        "FIX:WAVE": channel("double[]", "mm", [[k + 0.5, -k / 3.0, 10.0, 27.0] for k in range(7)]),
        "FIX:STATE": channel("enum", "", [0, 1, 2, 10, 13, 27, -1]),
        "FIX:SHORT": channel("short", "", [0, -1, 32767, -32768, 10, 13, 27]),
        "FIX:INT": channel("int", "", [0, -1, 2**31 - 1, -(2**31), 10, 13, 27]),
        "FIX:FLOAT": channel("float", "V", [0.5, -0.25, 1.5e5, 0.0, 1.0, 2.0, 3.0]),
        "FIX:TEXT": channel("string", "", ["on", "off", "Ärger", "a\nb", "", "x\x1by", "on"]),
        "FIX:SHORTS": channel("short[]", "", [[1, -2, 300]] * 7),
        "FIX:FLOATS": channel("float[]", "", [[0.5, -2.0]] * 7),
        "FIX:NEVER": {"type": "double", "unit": "A", "samples": []},
    }


def varint(number):
    number &= 2**64 - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def signed(number):
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def whole(field, number):
    return varint(field << 3) + varint(number)


# how one number is stored: its wire type and its bytes
STORED = {
    "short": (0, signed),
    "enum": (0, signed),
    "float": (5, lambda v: struct.pack("<f", v)),
    "int": (5, lambda v: struct.pack("<i", v)),
    "double": (1, lambda v: struct.pack("<d", v)),
}


def content(kind, value):
    base = kind.removesuffix("[]")
    if base == "string":
        texts = value if kind.endswith("[]") else [value]
        return b"".join(block(3, text.encode()) for text in texts)
    if base == "byte":
        return block(3, bytes(b & 255 for b in (value if kind.endswith("[]") else [value])))
    wire, pack = STORED[base]
    if kind.endswith("[]"):
        return block(3, b"".join(map(pack, value)))
    return varint(3 << 3 | wire) + pack(value)


def escape(line):
    return line.replace(b"\x1b", b"\x1b\x01").replace(b"\n", b"\x1b\x02").replace(b"\r", b"\x1b\x03") + b"\n"


def raw(name, channel, samples):
    kind = channel["type"]
    number = TYPES.index(kind.removesuffix("[]")) + (7 if kind.endswith("[]") else 0)
    out, current = b"", None
    for ns, value, severity in samples:
        year, begin = year_of(ns)
        if year != current:
            header = whole(1, number) + block(2, name.encode()) + whole(3, year) + whole(4, 1)
            header += block(15, block(1, b"EGU") + block(2, channel["unit"].encode()))
            out += (b"\n" if out else b"") + escape(header)
            current = year
        since = ns - begin
        line = whole(1, since // SECOND) + whole(2, since % SECOND) + content(kind, value)
        out += escape(line + (whole(4, severity) + whole(5, 17) if severity else b""))
    return out


def as_json(name, channel, samples):
    data = [
        {"secs": ns // SECOND, "nanos": ns % SECOND, "val": value, "severity": severity, "status": 17 if severity else 0}
        for ns, value, severity in samples
    ]
    return json.dumps([{"meta": {"name": name, "EGU": channel["unit"], "PREC": "3"}, "data": data}]).encode()


def between(samples, start, end):
    before = [s for s in samples if s[0] <= start][-1:]
    return before + [s for s in samples if start < s[0] <= end]


class Handler(BaseHTTPRequestHandler):
    channels = {}

    def do_GET(self):
        address = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        name = query.get("pv", "")
        channel = self.channels.get(name)
        form = {"/retrieval/data/getData.raw": raw, "/retrieval/data/getData.json": as_json}.get(address.path)
        if channel is None or form is None:
            return self.reply(404, b"not here")
        samples = between(channel["samples"], moment(query["from"]), moment(query["to"]))
        if not samples:
            return self.reply(404, b"no data") if form is raw else self.reply(200, b"[]")
        self.reply(200, form(name, channel, samples))

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    Handler.channels = fixture()
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            Handler.channels.update(json.load(file))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()

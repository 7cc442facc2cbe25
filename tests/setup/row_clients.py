#!/usr/bin/env python3
"""aioca, p4p and PyTango write the row of a served machine: `row_clients.py TANGO_PORT CHANNEL`, the channel as `A:B:C`.

Each in turn writes the first row 1.001, 1.002 and 1.003 times, and all three read; then each tries to write a row that is one
number longer, or where the protocol does not let it, shorter. Prints one JSON object: `seen`, the last entry that each
read after each write, `said`, the text of the error that each got, and the `length` that each reads at the end.
"""

import asyncio
import json
import sys
import time

import aioca
import numpy
import tango
from p4p.client.thread import Context


class Ca:
    def __init__(self, channel):
        self.loop, self.channel = asyncio.new_event_loop(), channel

    def get(self):
        return numpy.asarray(self.loop.run_until_complete(aioca.caget(self.channel, timeout=15.0)))

    def put(self, row):
        self.loop.run_until_complete(aioca.caput(self.channel, row, wait=True, timeout=15.0))


class Pva:
    def __init__(self, channel):
        self.context, self.channel = Context("pva"), channel

    def get(self):
        return numpy.asarray(self.context.get(self.channel, timeout=15.0))

    def put(self, row):
        self.context.put(self.channel, row, timeout=15.0)


class Tango:
    def __init__(self, port, channel):
        family, member, self.attribute = channel.split(":")
        self.device = tango.DeviceProxy(f"tango://127.0.0.1:{port}/fodo/{family}/{member}#dbase=no")

    def get(self):
        return numpy.asarray(self.device.read_attribute(self.attribute).value)

    def put(self, row):
        self.device.write_attribute(self.attribute, row)


def comes(client, wanted):
    """The last entry, as soon as it is what is wanted; after two seconds whatever it is."""
    end = time.monotonic() + 2.0
    while client.get()[-1] != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return float(client.get()[-1])


def refused(client, row):
    try:
        client.put(row)
    except Exception as error:  # whatever the client of this protocol raises
        return error.args[0].desc if isinstance(error, tango.DevFailed) else str(error)


def main():
    port, channel = sys.argv[1:]
    clients = {"ca": Ca(channel), "pva": Pva(channel), "tango": Tango(port, channel)}
    first = clients["pva"].get()
    seen = {}
    for count, (name, client) in enumerate(clients.items(), 1):
        row = first * (1.0 + 1e-3 * count)
        client.put(row)
        seen[name] = [comes(other, row[-1]) for other in clients.values()]
    said = {name: refused(client, first[:-1]) for name, client in clients.items()}
    print(json.dumps({"seen": seen, "said": said, "length": [len(client.get()) for client in clients.values()]}))


main()

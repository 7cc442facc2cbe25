#!/usr/bin/env python3
"""aioca, p4p and PyTango at one served machine: `three_clients.py TANGO_PORT CHANNEL VALUE REFUSED`, the channel as `A:B:C`.

Each client in turn writes VALUE, then 2 VALUE, 3 VALUE, and all three read; then each tries to write REFUSED. Prints one JSON
object: `seen`, what each read after each write, `said`, the text of the error that each got, `after`, what each reads at the
end. The CA and PVA servers are those of the environment.
"""

import asyncio
import json
import sys
import time

import aioca
import tango
from p4p.client.thread import Context


class Ca:
    def __init__(self, channel):
        self.loop, self.channel = asyncio.new_event_loop(), channel

    def get(self):
        return float(self.loop.run_until_complete(aioca.caget(self.channel, timeout=15.0)))

    def put(self, value):
        self.loop.run_until_complete(aioca.caput(self.channel, value, wait=True, timeout=15.0))


class Pva:
    def __init__(self, channel):
        self.context, self.channel = Context("pva"), channel

    def get(self):
        return float(self.context.get(self.channel, timeout=15.0))

    def put(self, value):
        self.context.put(self.channel, value, timeout=15.0)


class Tango:
    def __init__(self, port, channel):
        family, member, self.attribute = channel.split(":")
        self.device = tango.DeviceProxy(f"tango://127.0.0.1:{port}/fodo/{family}/{member}#dbase=no")

    def get(self):
        return self.device.read_attribute(self.attribute).value

    def put(self, value):
        self.device.write_attribute(self.attribute, value)


def comes(client, wanted):
    """The value, as soon as it is what is wanted; after two seconds whatever it is."""
    end = time.monotonic() + 2.0
    while client.get() != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return client.get()


def text(error):
    return error.args[0].desc if isinstance(error, tango.DevFailed) else str(error)


def refused(client, value):
    try:
        client.put(value)
    except Exception as error:  # whatever the client of this protocol raises
        return text(error)


def main():
    port, channel, value, beyond = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    clients = {"ca": Ca(channel), "pva": Pva(channel), "tango": Tango(port, channel)}
    seen = {}
    for count, (name, client) in enumerate(clients.items(), 1):
        client.put(count * value)
        seen[name] = [comes(other, count * value) for other in clients.values()]
    said = {name: refused(client, beyond) for name, client in clients.items()}
    print(json.dumps({"seen": seen, "said": said, "after": [client.get() for client in clients.values()]}))
    clients["pva"].context.close()


main()

#!/usr/bin/env python3
"""aioca, p4p and PyTango look at one image of a served machine: `image_clients.py TANGO_PORT IMAGE FIGURE`, channels as `A:B:C:D`.

Prints one JSON object: by client the `shape` of the image (rows, columns; over Channel Access a row), the `sum` and the `place` of
its brightest pixel, how many `updates` with another time stamp came in two seconds, and where the protocol has one the
`description` of the channel FIGURE. The CA and PVA servers are those of the environment.
"""

import asyncio
import json
import sys
import time

import aioca
import numpy
import tango
from p4p.client.thread import Context

SECONDS = 2.0


def told(image, updates, description=None):
    image = numpy.asarray(image, dtype=float)
    place = [int(n) for n in numpy.unravel_index(image.argmax(), image.shape)]
    return {"shape": list(image.shape), "sum": image.sum(), "place": place, "updates": updates, "description": description}


async def over_ca(channel):
    stamps = set()
    follow = aioca.camonitor(channel, lambda value: stamps.add(value.timestamp), format=aioca.FORMAT_TIME)
    await asyncio.sleep(SECONDS)
    follow.close()
    return told(await aioca.caget(channel, timeout=15.0), len(stamps))


def over_pva(channel, figure):
    context, stamps = Context("pva"), set()
    follow = context.monitor(channel, lambda value: stamps.add(value.timestamp))
    time.sleep(SECONDS)
    follow.close()
    described = Context("pva", nt=False).get(figure, timeout=15.0)["display.description"]
    return told(context.get(channel, timeout=15.0), len(stamps), described)


def device(port, channel):
    *family, member, attribute = channel.split(":")
    return tango.DeviceProxy(f"tango://127.0.0.1:{port}/fodo/{'_'.join(family)}/{member}#dbase=no"), attribute


def over_tango(port, channel, figure):
    proxy, attribute = device(port, channel)
    stamps = set()

    def came(event):
        if not event.err:
            stamps.add(event.attr_value.time.totime())

    follow = proxy.subscribe_event(attribute, tango.EventType.CHANGE_EVENT, came)
    time.sleep(SECONDS)
    proxy.unsubscribe_event(follow)
    other, name = device(port, figure)
    return told(proxy.read_attribute(attribute).value, len(stamps), other.get_attribute_config(name).description)


def main():
    port, image, figure = sys.argv[1:]
    print(json.dumps({
        "ca": asyncio.run(over_ca(image)), "pva": over_pva(image, figure), "tango": over_tango(port, image, figure),
    }))


main()

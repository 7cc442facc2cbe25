#!/usr/bin/env python3
"""PyTango and pyepics at one served machine: `tango_and_ca.py TANGO_PORT CHANNEL VALUE REFUSED`, the channel as `A:B:C`.

Prints one JSON object: what each of the two saw after each of them had written VALUE, or twice that, and how each was refused
REFUSED. The CA server is the one of EPICS_CA_ADDR_LIST and EPICS_CA_SERVER_PORT.
"""

import json
import sys
import time

import epics
import tango

port, channel, value, refused = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
family, member, attribute = channel.split(":")
device = tango.DeviceProxy(f"tango://127.0.0.1:{port}/fodo/{family}/{member}#dbase=no")
pv = epics.PV(channel)
if not pv.wait_for_connection(15.0):
    sys.exit(f"{channel} is not there over Channel Access")


def over_ca():
    return pv.get(use_monitor=False)


def over_tango():
    return device.read_attribute(attribute).value


def comes(ask, wanted):
    """The value, as soon as it is what is wanted; after two seconds whatever it is."""
    end = time.monotonic() + 2.0
    while ask() != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return ask()


device.write_attribute(attribute, value)
tango_then_ca = comes(over_ca, value)
pv.put(2.0 * value, wait=True, timeout=5.0)
ca_then_tango = comes(over_tango, 2.0 * value)
said = None
try:
    device.write_attribute(attribute, refused)
except tango.DevFailed as failed:
    said = [[one.reason, one.desc] for one in failed.args]
try:
    pv.put(refused, wait=True, timeout=5.0)
except epics.ca.CASeverityException:
    pass
print(json.dumps({"tango_then_ca": tango_then_ca, "ca_then_tango": ca_then_tango, "said": said,
                  "after": [over_tango(), over_ca()]}))

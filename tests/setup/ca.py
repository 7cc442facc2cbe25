#!/usr/bin/env python3
"""An EPICS client that shares nothing with Fodo: pyepics over the C library of EPICS base.

A question a line on standard input, an answer a line on standard output, both JSON. Numbers travel as texts of 17
digits, so that nothing is lost between this process and the one that asks.

    {"get": ["A", "B"]}                    ["1.5", "0.10000000000000001"]
    {"put": {"A": "1.5", "W": ["1", "nan"]}}   true, when the server says that all are done

The server is the one of EPICS_CA_ADDR_LIST and EPICS_CA_SERVER_PORT. One that is just being restarted is waited for.
"""

import json
import sys
import time

import epics

PATIENCE = 15.0
channels = {}


def channel(name):
    if name not in channels:
        channels[name] = epics.ca.create_channel(name, connect=False, auto_cb=False)
    return channels[name]


def connected(names):
    wanted = [channel(name) for name in names]
    end = time.monotonic() + PATIENCE
    while not all(epics.ca.isConnected(one) for one in wanted):
        if time.monotonic() > end:
            missing = [name for name in names if not epics.ca.isConnected(channel(name))]
            raise TimeoutError(f"not connected within {PATIENCE} s: {missing}")
        epics.ca.poll(0.01, 0.1)
    return wanted


def get(names):
    wanted = connected(names)
    for one in wanted:
        epics.ca.get(one, ftype=epics.dbr.DOUBLE, wait=False)
    epics.ca.flush_io()
    values = [epics.ca.get_complete(one, ftype=epics.dbr.DOUBLE, timeout=5.0, as_numpy=False) for one in wanted]
    if any(value is None for value in values):
        raise TimeoutError("no answer to a read")
    return [repr(value) for value in values]


def put(values):
    wanted = connected(list(values))
    open_puts = set()

    def done(**which):
        open_puts.discard(which["data"])

    for one, (name, value) in zip(wanted, values.items()):
        whole = epics.ca.field_type(one) in (epics.dbr.SHORT, epics.dbr.ENUM, epics.dbr.CHAR, epics.dbr.LONG)
        number = int if whole else float
        value = [float(v) for v in value] if isinstance(value, list) else number(float(value))
        open_puts.add(name)
        epics.ca.put(one, value, wait=False, callback=done, callback_data=name)
    end = time.monotonic() + PATIENCE
    while open_puts:
        if time.monotonic() > end:
            raise TimeoutError(f"not done within {PATIENCE} s: {sorted(open_puts)}")
        epics.ca.poll(0.001, 0.1)
    return True


def main():
    epics.ca.initialize_libca()
    for line in sys.stdin:
        question = json.loads(line)
        for attempt in (1, 2, 3):
            try:
                answer = get(question["get"]) if "get" in question else put(question["put"])
                break
            except (epics.ca.ChannelAccessException, TimeoutError) as error:
                answer = {"error": str(error)}
                time.sleep(0.2)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

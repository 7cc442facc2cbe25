#!/usr/bin/env python3
"""Reads a channel with an independent client, for comparison; the two do not go together in one process.

    archiver_clients.py aapy|epicsarchiver PORT NAME FROM TO
    prints {client: [[ns, value, severity]]}; times are ISO texts in UTC
"""
import json
import os
import sys
from datetime import datetime, timezone


def plain(value):
    value = value.tolist() if hasattr(value, "tolist") else value
    value = list(value) if isinstance(value, (tuple,)) or type(value).__name__.startswith("Repeated") else value
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def by_aapy(port, name, start, end):
    # its generated code is older than the present protobuf library
    os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
    from aa.js import JsonFetcher
    from aa.pb import PbFetcher

    def read(fetcher):
        # it has times as floating seconds: only to about a microsecond
        events = fetcher("127.0.0.1", port).get_values(name, start, end)
        return [[round(e.timestamp * 1e9), plain(e.value), int(e.severity)] for e in events]

    return {"aapy json": read(JsonFetcher), "aapy raw": read(PbFetcher)}


def by_epicsarchiver(port, name, start, end):
    from epicsarchiver.retrieval.client.archiver_retrieval import ArchiverRetrieval

    _, events = ArchiverRetrieval("127.0.0.1", port).get_events(name, start, end)
    return {"epicsarchiver": [[e.timestamp_ns, plain(e.val), e.severity] for e in events]}


def main():
    client, port, name, *moments = sys.argv[1:]
    start, end = (datetime.fromisoformat(text).replace(tzinfo=timezone.utc) for text in moments)
    read = {"aapy": by_aapy, "epicsarchiver": by_epicsarchiver}[client]
    print(json.dumps(read(int(port), name, start, end)))


if __name__ == "__main__":
    main()

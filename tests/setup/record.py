#!/usr/bin/env python3
"""What a run record holds, as one JSON object: its commands and transactions in order, its script's hash, how it ended.

    record.py RECORD.h5

Numbers are texts of 17 digits.
"""

import json
import sys

import h5py


def main():
    with h5py.File(sys.argv[1]) as file:
        entry = file["entry"]
        commands = entry["commands"]
        texts = lambda name: list(commands[name].asstr()[()]) if len(commands[name]) else []
        events = [json.loads(text) for text in entry["events/json"].asstr()[()]] if len(entry["events/json"]) else []
        rows = zip(texts("channel"), commands["old"][()], commands["new"][()], texts("why"))
        print(json.dumps({
            "commands": [[channel, f"{old:.17g}", f"{new:.17g}", why] for channel, old, new, why in rows],
            "transactions": [what["what"] for what in events if what.get("event") == "transaction"],
            "script_sha256": entry["process/script_sha256"].asstr()[()],
            "state": entry["state"].asstr()[()],
            "ok": bool(entry["ok"][()]),
        }))


if __name__ == "__main__":
    main()

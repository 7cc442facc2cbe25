#!/usr/bin/env python3
"""What serving a twin costs: processor time of the server for a monitored update, and the time until the first reading.

    benches/served.py [--channels 10240] [--some 1280] [--few 960] [--seconds 10] [--rounds 3] [--only ca|pva|tango ...]
                      [--program FILE]

Serves ebs_ring with so many more families of monitors that `--channels` scalars get a new value at each shot, 10 times a
second, and follows them: all over Channel Access, `--some` over PV Access (a client does not take more), `--few` with pyepics,
aioca and p4p. The processor time is the server's, from /proc; for an update it is that beyond nobody following. Updates of a
shot have one time stamp, so that one that did not come on every channel is lost. Then `--rounds` times each protocol is
started on ebs_ring, until a client that waits has the first reading. Wanted: less than one core for all followed, less than 1 s.
`target/served.json` has all figures; ends with an error if something is missed or an update was lost.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import beside

sys.path.insert(0, str(beside.ROOT / "tests/setup"))
import pva_server  # noqa: E402
from bench_ioc import free_port  # noqa: E402

RATE = 10  # shots in a second
SPAN = 5.0  # of looking at a server that nobody follows [s]
CORE, START = 1.0, 1.0  # what is wanted: cores, and seconds until the first reading
PER_FAMILY = 640  # channels of the monitors of ebs_ring
CLIENTS = {
    "ca": {"ours": beside.ours("channel_access"), "pyepics": beside.peer("ca_pyepics.py"), "aioca": beside.peer("ca_aioca.py")},
    "pva": {"ours": beside.ours("pva"), "p4p": beside.peer("pva_p4p.py")},
}
# clients that are ready, and read when they are told that the server is
READERS = {
    "ca": """
import epics
epics.ca.initialize_libca()
input()
while epics.caget("SR:C01-BPM_01:x", timeout=1) is None: pass
""",
    "pva": """
from p4p.client.thread import Context
context = Context("pva")
input()
context.get("SR:C01-BPM_01:x", timeout=30)
""",
    "tango": """
import sys, tango
input()
tango.DeviceProxy(f"tango://127.0.0.1:{sys.argv[1]}/fodo/SR/C01-BPM_01#dbase=no").read_attribute("x")
""",
}


def make_facility(folder, channels):
    """ebs_ring with families of monitors that stand where its own do."""
    shutil.copytree(beside.ROOT / "facilities/ebs_ring", folder)
    table = folder / "families.toml"
    monitors = re.search(r"(?ms)^\[BPM\]\n.*?(?=^\[)", table.read_text()).group()
    names = [f"{name}:{plane}" for name in element_names() for plane in "xy"]
    families = max(channels // PER_FAMILY, 1)
    for n in range(1, families):
        more = monitors.replace("[BPM]", f"[BPM_{n}]").replace("SR:{element}", f"SR{n}:{{element}}")
        table.write_text(table.read_text() + "\n" + more)
    return [f"SR{n or ''}:{name}" for n in range(families) for name in names]


def element_names():
    return [f"C{cell:02}-BPM_{n:02}" for cell in range(1, 33) for n in range(1, 11)]


class Server:
    """`fodo serve twin`, until the block is left."""

    def __init__(self, program, facility, protocol, port=None):
        self.port = port or free_port()
        self.environment = environment(self.port)
        self.process = subprocess.Popen(
            [program, "serve", "twin", "--facility", facility, "--protocol", protocol, "--port", str(self.port)],
            env=self.environment, stdout=subprocess.PIPE, text=True)

    def channels(self):
        """Waits until it serves; how many channels."""
        found = re.search(r"TWIN: (\d+) channels", line := self.process.stdout.readline())
        if not found:
            raise SystemExit(f"the server did not start: {line}")
        return int(found.group(1))

    def processor(self):
        """Processor time of the server and of the processes that it started [s]."""
        spent = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rsplit(")", 1)[1].split()
                if self.process.pid in (int(stat.parent.name), int(fields[1])):
                    spent += int(fields[11]) + int(fields[12])
        return spent / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit("the server does not end") from None


def environment(port):
    found = {**pva_server.environment(port), **pva_server.ioc.addresses(port)}
    found.pop("FODO_FACILITY", None)
    return found


def followed(server, who, command, names, folder, seconds, idle):
    """Follows all channels; what it costs the server."""
    listed = folder / "names"
    listed.write_text("\n".join(names) + "\n")
    arguments = [f"@{listed}"] if who == "ours" else names
    with beside.Client(who, command, arguments, server.environment) as client:
        absent = client.ask("open")["check"]
        if absent:
            raise SystemExit(f"{who} has no value of {absent:.0f} channels")
        time.sleep(1)
        before, begin = server.processor(), time.monotonic()
        told = client.ask(f"count {seconds}")
        cores = (server.processor() - before) / (time.monotonic() - begin)
    update = (cores - idle) * told["wall"] / max(told["count"], 1)
    print(f"  {who:8} follows {len(names):5}: {cores:.3f} of a core, {1e6 * update:5.1f} us for an update; {told['count']} updates of "
          f"{told['shots']} shots, {told['check']:.0f} lost; client {1e6 * told['cpu'] / max(told['count'], 1):.1f} us", flush=True)
    return {**told, "channels": len(names), "cores": cores, "update": update}


def served(arguments, protocol, facility, names, folder):
    """What it costs to serve all channels over a protocol."""
    results = {}
    with Server(arguments.program, facility, protocol) as server:
        count = server.channels()
        time.sleep(1)
        before, begin = server.processor(), time.monotonic()
        time.sleep(SPAN)
        results["idle"] = idle = (server.processor() - before) / (time.monotonic() - begin)
        print(f"{protocol}: {count} channels, {len(names)} of them new at each shot; nobody follows: {idle:.3f} of a core", flush=True)
        for who, command in CLIENTS.get(protocol, {}).items():
            most = {"ca": arguments.channels, "pva": arguments.some}[protocol] if who == "ours" else arguments.few
            results[who] = followed(server, who, command, names[:most], folder, arguments.seconds, idle)
    if "ours" in results:
        results["all"] = idle + RATE * len(names) * results["ours"]["update"]
        print(f"{protocol}: {len(names)} followed at {RATE} Hz make {results['all']:.3f} of a core", flush=True)
    return results


def first_reading(arguments, protocol):
    """Seconds from the start of a server of ebs_ring to the first reading, and of the processor of the server until then."""
    port = free_port()
    reader = subprocess.Popen([sys.executable, "-W", "ignore", "-c", READERS[protocol], str(port)], env=environment(port),
                              stdin=subprocess.PIPE, text=True)
    time.sleep(1)
    begin = time.monotonic()
    with Server(arguments.program, "ebs_ring", protocol, port) as server:
        server.channels()
        reader.communicate("go\n", timeout=60)
        if reader.returncode:
            raise SystemExit(f"nothing was read over {protocol}")
        return time.monotonic() - begin, server.processor()


def started(arguments, protocol):
    """The same, several times."""
    wall, cpu = zip(*(first_reading(arguments, protocol) for _ in range(arguments.rounds)))
    found = {"wall": beside.spread(wall), "cpu": beside.spread(cpu)}
    print(f"{protocol}: ebs_ring from its start to the first reading {statistics.median(wall):.2f} s ({min(wall):.2f} to {max(wall):.2f}), "
          f"{statistics.median(cpu):.2f} s of the processor", flush=True)
    return found


def missed(results):
    """What was not reached, in words."""
    for protocol, one in results.items():
        for who in CLIENTS.get(protocol, {}):
            if one[who]["check"]:
                yield f"{protocol}: {who} lost {one[who]['check']:.0f} updates"
        if one["start"]["wall"]["median"] > START:
            yield f"{protocol}: {START} s to the first reading"
        if one.get("all", 0.0) > CORE:
            yield f"{protocol}: {CORE} core for all channels followed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=10240)
    parser.add_argument("--some", type=int, default=1280)
    parser.add_argument("--few", type=int, default=960)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=["ca", "pva", "tango"])
    parser.add_argument("--program", default=str(beside.ROOT / "target/release/fodo"))
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        names = make_facility(folder / "many", arguments.channels)
        for protocol in arguments.only or ["ca", "pva", "tango"]:
            results[protocol] = served(arguments, protocol, str(folder / "many"), names, folder)
            results[protocol]["start"] = started(arguments, protocol)
    out = beside.ROOT / "target/served.json"
    out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"figures in {out.relative_to(beside.ROOT)}")
    if wrong := list(missed(results)):
        raise SystemExit("MISSED: " + "; ".join(wrong))


if __name__ == "__main__":
    main()

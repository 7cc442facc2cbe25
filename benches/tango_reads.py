"""Reads and writes over TANGO beside PyTango, in one run against one PyTango device server and against TangoTest (C++).

`.venv/bin/python benches/tango_reads.py` needs `cargo build --release --workspace --locked --features fodo/tango --examples`.
Prints medians and ranges in microseconds a call, and how many times as fast as PyTango, with its range: the rounds
of the two take turns.
"""

import pathlib
import socket
import statistics
import subprocess
import sys
import time

import tango

ROUNDS = 7
root = pathlib.Path(__file__).resolve().parent.parent
bench = root / "target/release/examples/tango"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def proxy(port, device):
    end = time.monotonic() + 60
    while True:
        try:
            found = tango.DeviceProxy(f"tango://127.0.0.1:{port}/{device}#dbase=no")
            found.ping()
            return found
        except tango.DevFailed:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def timed(call, times):
    call()
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times * 1e6


def beside(name, call, times, port, what, channels):
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(timed(call, times))
        command = [bench, f"127.0.0.1:{port}#dbase=no", what, str(times), *channels]
        ours.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    ratios = sorted(b / a for a, b in zip(ours, theirs))
    print(f"{name}: {statistics.median(ours):.0f} us ({min(ours):.0f}-{max(ours):.0f}), PyTango "
          f"{statistics.median(theirs):.0f} us ({min(theirs):.0f}-{max(theirs):.0f}), "
          f"{statistics.median(ratios):.2f} times ({ratios[0]:.2f}-{ratios[-1]:.2f})", flush=True)


def all_of(server, port, devices, one, some):
    proxies = [proxy(port, device) for device in devices]
    first = devices[0]
    beside(f"{server}: read one attribute", lambda: proxies[0].read_attribute(one), 2000, port, "read", [f"{first}/{one}"])
    beside(f"{server}: read {len(some)} attributes", lambda: proxies[0].read_attributes(some), 1000, port, "read",
           [f"{first}/{name}" for name in some])
    beside(f"{server}: write one attribute", lambda: proxies[0].write_attribute(one, 1.5), 2000, port, "write",
           [f"{first}/{one}"])
    everywhere = [f"{device}/{one}" for device in devices]
    beside(f"{server}: read one attribute of {len(devices)} devices",
           lambda: [one_proxy.read_attribute(one) for one_proxy in proxies], 20, port, "read", everywhere)
    beside(f"{server}: write one attribute of {len(devices)} devices",
           lambda: [one_proxy.write_attribute(one, 1.5) for one_proxy in proxies], 20, port, "write", everywhere)


def serving(command, name, port, *tested):
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        all_of(name, port, *tested)
    finally:
        server.kill()
        server.wait()


port = free_port()
ice = [f"dev/ice/{n}" for n in range(20)]
serving([sys.executable, root / "tests/setup/tango_device.py", str(port), ",".join(ice)], "PyTango server", port, ice,
        "many0", [f"many{n}" for n in range(10)])

listed = subprocess.run(["dpkg", "-L", "tango-test"], capture_output=True, text=True).stdout.split()
program = next((path for path in listed if path.endswith("/TangoTest")), None)
if program is None:
    print("SKIPPED: no TangoTest; run tests/setup/tango.sh", file=sys.stderr)
else:
    port = free_port()
    # with 200 devices TangoTest did not come up within a minute
    test = [f"test/nd/{n}" for n in range(40)]
    ten = ["double_scalar_w", "ampli", "float_scalar", "long_scalar", "short_scalar",
           "double_scalar", "boolean_scalar", "ushort_scalar", "ulong_scalar", "uchar_scalar"]
    serving([program, "nd", "-nodb", "-dlist", ",".join(test), "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}"],
            "TangoTest", port, test, "double_scalar_w", ten)

"""Reads over TANGO beside PyTango, in one run against one PyTango device server: `.venv/bin/python benches/tango_reads.py`.

Needs `cargo build --release -p fodo-tango --features libtango --example bench`. Prints medians and ranges in
microseconds, and how many times as fast as PyTango.
"""

import pathlib
import socket
import statistics
import subprocess
import sys
import time

import tango

root = pathlib.Path(__file__).resolve().parent.parent
with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    port = found.getsockname()[1]
server = subprocess.Popen([sys.executable, root / "tests/setup/tango_device.py", str(port)], stdout=subprocess.DEVNULL)
try:
    proxy = None
    while proxy is None:
        try:
            proxy = tango.DeviceProxy(f"tango://127.0.0.1:{port}/dev/ice/1#dbase=no")
            proxy.ping()
        except tango.DevFailed:
            proxy = None
            time.sleep(0.1)

    def timed(call):
        start = time.perf_counter()
        for _ in range(2000):
            call()
        return (time.perf_counter() - start) / 2000 * 1e6

    ten = [f"many{n}" for n in range(10)]
    theirs = [(timed(lambda: proxy.read_attribute("many0")), timed(lambda: proxy.read_attributes(ten))) for _ in range(5)]
    text = subprocess.run(
        [root / "target/release/examples/bench", f"127.0.0.1:{port}#dbase=no", "dev/ice/1"],
        check=True, capture_output=True, text=True).stdout
    ours = [tuple(map(float, line.split())) for line in text.splitlines()]
    for name, place in (("one attribute", 0), ("ten attributes", 1)):
        a, b = sorted(o[place] for o in ours), sorted(t[place] for t in theirs)
        ratio = statistics.median(b) / statistics.median(a)
        print(f"{name}: {statistics.median(a):.0f} us ({a[0]:.0f}-{a[-1]:.0f}), PyTango {statistics.median(b):.0f} us "
              f"({b[0]:.0f}-{b[-1]:.0f}), {ratio:.1f} times")
finally:
    server.kill()

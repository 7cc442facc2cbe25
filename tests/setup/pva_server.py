#!/usr/bin/env python3
"""A real PV Access server on the loopback interface, until standard input closes.

    pva_server.py base PORT DATABASE … [--macros A=B,…] [--puts FILE]     softIocPVA of EPICS base (QSRV 1)
    pva_server.py pvxs PORT DATABASE … [--macros A=B,…]                   the IOC of PVXS (QSRV 2)
    pva_server.py p4p  PORT                                               a table, an image and a state, by p4p
    pva_server.py orbit PORT                                              a whole orbit as one table, by p4p

The orbit is `beam:orbit`, ten times a second: sixteen monitors, `name`, `x` and `y`, the n-th at 10 n um and -20 n um.

PORT is for TCP, the next one for UDP searches, the two after that for Channel Access. Prints `ready PID` when the server
PID listens. Whoever starts it keeps its standard input open and closes it at the end: also one that is killed. With
`--puts` the IOC itself adds every put to FILE, as tests/setup/ioc.py has it: one line "PUT CHANNEL VALUE" each.
"""

import argparse
import os
import pathlib
import select
import socket
import subprocess
import sys
import tempfile
import time

import ioc

ROOT = pathlib.Path(__file__).resolve().parents[2]


def environment(port):
    here = "127.0.0.1"
    return {
        **os.environ,
        **ioc.addresses(port + 2),
        "EPICS_PVA_ADDR_LIST": here, "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_SERVER_PORT": str(port), "EPICS_PVA_BROADCAST_PORT": str(port + 1),
        "EPICS_PVAS_INTF_ADDR_LIST": here, "EPICS_PVAS_BEACON_ADDR_LIST": here, "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_PVAS_SERVER_PORT": str(port), "EPICS_PVAS_BROADCAST_PORT": str(port + 1),
    }


def p4p_server(port):
    os.environ.update(environment(port))
    import numpy
    from p4p.nt import NTEnum, NTNDArray, NTTable
    from p4p.server import Server
    from p4p.server.thread import SharedPV

    table = NTTable([("name", "s"), ("x", "d"), ("y", "d")])
    rows = [{"name": f"BPM{n}", "x": n * 1e-3, "y": n * -2e-3} for n in range(4)]
    state = SharedPV(nt=NTEnum(), initial={"index": 1, "choices": ["OFF", "STANDBY", "ON"]})

    @state.put
    def put(pv, op):
        pv.post(op.value())
        op.done()

    readings = {
        "P:TABLE": SharedPV(initial=table.wrap(rows)),
        "P:IMAGE": SharedPV(nt=NTNDArray(), initial=numpy.arange(12.0).reshape(3, 4)),
        "P:STATE": state,
    }
    with Server(providers=[readings]):
        print("ready", os.getpid(), flush=True)
        sys.stdin.read()


def orbit_server(port):
    os.environ.update(environment(port))
    from p4p.nt import NTTable
    from p4p.server import Server
    from p4p.server.thread import SharedPV

    table = NTTable([("name", "s"), ("x", "d"), ("y", "d")])

    def shot():
        rows = [{"name": f"BPM_{n:03}", "x": n * 10e-6, "y": n * -20e-6} for n in range(1, 17)]
        value, now = table.wrap(rows), time.time_ns()
        value.timeStamp.secondsPastEpoch, value.timeStamp.nanoseconds = divmod(now, 10**9)
        return value

    orbit = SharedPV(initial=shot())
    with Server(providers=[{"beam:orbit": orbit}]):
        print("ready", os.getpid(), flush=True)
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            orbit.post(shot())


def server_of(arguments, folder):
    """The command of an IOC."""
    access = str(ROOT / "runtime/backends/pva/tests/data/access.acf")
    loads = (["-m", arguments.macros] if arguments.macros else []) + (["-a", access] if arguments.kind == "base" else [])
    databases = list(arguments.databases)
    if arguments.puts:
        log = pathlib.Path(folder) / "put_log.db"
        log.write_text(ioc.put_log(databases, arguments.macros))
        databases.append(str(log))
    loads += [part for database in databases for part in ("-d", database)]
    if arguments.kind == "pvxs":
        return [sys.executable, "-m", "pvxslibs.ioc", *loads]
    base = ioc.image()
    return [str(base / "usr/bin/softIocPVA"), "-D", str(base / "dbd/softIocPVA.dbd"), *loads]


def serve(arguments, folder):
    puts = open(arguments.puts, "ab") if arguments.puts else sys.stderr
    process = subprocess.Popen(
        server_of(arguments, folder), env=environment(arguments.port), stdout=sys.stderr, stderr=puts,
        stdin=subprocess.PIPE, start_new_session=True)  # both have a shell, which ends them with their input
    try:
        end = time.monotonic() + 15
        # EPICS base takes another port where the one of its last life is not free yet; searches tell it
        while not ioc.listening(process.pid) - {arguments.port + 2}:
            if process.poll() is not None or time.monotonic() > end:
                sys.exit("pva_server.py: the IOC does not listen")
            time.sleep(0.02)
        print("ready", process.pid, flush=True)
        sys.stdin.read()
    finally:
        # one that is stopped does not go by itself
        process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["base", "pvxs", "p4p", "orbit"])
    parser.add_argument("port", type=int)
    parser.add_argument("databases", nargs="*")
    parser.add_argument("--macros", default="")
    parser.add_argument("--puts")
    arguments = parser.parse_args()
    if arguments.kind in ("p4p", "orbit"):
        return {"p4p": p4p_server, "orbit": orbit_server}[arguments.kind](arguments.port)
    with tempfile.TemporaryDirectory() as folder:
        serve(arguments, folder)


if __name__ == "__main__":
    main()

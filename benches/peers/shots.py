"""Counts the updates of shots, which have one time stamp each: which of them did not come on every channel."""

import threading


class Shots:
    """How often each time stamp was seen since `begin`."""

    def __init__(self, channels):
        self.channels, self.known, self.stamps, self.lock = channels, set(), None, threading.Lock()

    def seen(self, channel, stamp):
        with self.lock:
            if self.stamps is None:
                self.known.add(channel)
            else:
                stamp = round(stamp, 6)
                self.stamps[stamp] = self.stamps.get(stamp, 0) + 1

    def missing(self):
        """How many channels have not had a value."""
        return self.channels - len(self.known)

    def begin(self):
        with self.lock:
            self.stamps = {}

    def figures(self):
        """What came, and what did not come of the shots between the first and the last."""
        with self.lock:
            stamps = sorted(self.stamps.items())
        lost = sum(self.channels - count for _, count in stamps[1:-1])
        return {"count": sum(count for _, count in stamps), "check": lost, "shots": len(stamps)}

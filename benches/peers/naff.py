#!/usr/bin/env python3
"""Frequencies of 320 signals of 1024 turns by PyNAFF; asked for on standard input.

Check: all frequencies found.
"""

from serve import naff_signals, serve  # first: one thread

import numpy
import PyNAFF


def naff():
    signals = list(naff_signals(numpy, turns=1025))
    return lambda: [PyNAFF.naff(signal, turns=1024, nterms=1)[0][1] for signal in signals]


serve({"naff": naff}, long=("naff",))

#!/usr/bin/env python3
"""Frequencies of 320 signals of 1024 turns by PyNAFF; asked for on standard input.

Signal k is cos(2 pi nu n + 0.1 k) + 0.2 cos(2 pi 0.34 n) with nu = 0.21 + 1e-5 k. Check: mean of the frequencies found.
"""

from serve import serve  # first: one thread

import numpy
import PyNAFF


def naff():
    turn = numpy.arange(1025)
    signals = [
        numpy.cos(2 * numpy.pi * (0.21 + 1e-5 * k) * turn + 0.1 * k) + 0.2 * numpy.cos(2 * numpy.pi * 0.34 * turn)
        for k in range(320)
    ]
    return lambda: [numpy.mean([PyNAFF.naff(signal, turns=1024, nterms=1)[0][1] for signal in signals])]


serve({"naff": naff}, long=("naff",))

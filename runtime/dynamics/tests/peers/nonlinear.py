"""Nonlinear motion by pyAT in a cell without cavities: who is lost where, momentum aperture, detuning, tunes.

Asked: "lattice", "starts" (6 x n) and "turns", "elements" and "momentum_turns", "amplitudes" of the tunes [m] and
"window" (turns).
"""

import json
import sys
import warnings

import at
import numpy

warnings.simplefilter("ignore")
asked = json.load(sys.stdin)
ring = at.load_lattice(asked["lattice"])
ring.disable_6d()


def losses():
    starts = numpy.asfortranarray(numpy.array(asked["starts"]).T)
    _, _, found = ring.track(starts, nturns=asked["turns"], refpts=None, losses=True)
    lost = found["loss_map"]
    each = zip(lost["islost"].tolist(), lost["turn"].tolist(), lost["elem"].tolist())
    return [[turn, element] if is_lost else None for is_lost, turn, element in each]


def momentum():
    found, _, _ = at.get_momentum_acceptance(
        ring, 1e-3, 0.1, nturns=asked["momentum_turns"], refpts=asked["elements"], verbose=False
    )
    return numpy.asarray(found).tolist()


def tunes():
    amplitudes = numpy.array(asked["amplitudes"])
    return [at.tunes_vs_amp(ring, amp=amplitudes, dim=dim, nturns=asked["window"])[:, dim // 2].tolist() for dim in (0, 2)]


detuning = at.detuning(ring, xm=1e-4, ym=1e-4, npoints=5, nturns=1024)[1].tolist()
print(json.dumps({"losses": losses(), "momentum": momentum(), "detuning": detuning, "tunes": tunes()}))

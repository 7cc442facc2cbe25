#!/usr/bin/env python3
"""What atip does after each change of its lattice, with pyAT on the lattice of a file; for benches/twin.py.

    twin_pyat.py LATTICE.json

Calls and arguments are those of `calculate_optics` in atip's `simulator.py` (DiamondLightSource/atip, commit 18acf16d66ab,
Apache License 2.0) with its default `disable_emittance=False`: `radiation_on()` once; then, for each change, `find_orbit6`
without a guess, `linopt6` at all elements with `get_chrom=True` about that orbit, `ohmi_envelope`, both with
`keep_lattice=True`, and `get_radiation_integrals` of those optics. A kick goes into `PolynomB[0]`, as atip's of a corrector
that is a winding of a magnet does. Nothing of what atip and virtac do to serve the result is done here.

`update ELEMENT KICK` [rad]: seconds on the wall and of the processor, those of each call, fractional tunes, emittances [m].
`orbit ELEMENT KICK`: the orbit [m] at all monitors and the tunes with cavities and without radiation, as ebs_ring's
twin has them; not timed.
"""

from serve import ANSWERS  # first: one thread

import json
import sys
import time

import at
import numpy


def kick(ring, element, angle):
    """Sets the horizontal kick of an element; a positive one goes to positive x."""
    found = next(one for one in ring if one.FamName == element)
    found.PolynomB[0] = -angle / found.Length


def update(ring, element, angle):
    everywhere = numpy.ones(len(ring) + 1, dtype=bool)
    marks, cpu = [time.perf_counter()], time.process_time()
    kick(ring, element, angle)
    orbit, _ = ring.find_orbit6()
    marks.append(time.perf_counter())
    _, beam, optics = ring.linopt6(refpts=everywhere, get_chrom=True, orbit=orbit, keep_lattice=True)
    marks.append(time.perf_counter())
    envelope = ring.ohmi_envelope(orbit=orbit, keep_lattice=True)
    marks.append(time.perf_counter())
    ring.get_radiation_integrals(twiss=optics)
    marks.append(time.perf_counter())
    names = ("orbit", "optics", "envelope", "integrals")
    return {
        "wall": marks[-1] - marks[0], "cpu": time.process_time() - cpu,
        "parts": dict(zip(names, numpy.diff(marks).tolist())),
        "tunes": (beam.tune[:2] % 1).tolist(), "emittances": envelope[0]["emitXY"].tolist(),
    }


def orbit(ring, element, angle):
    monitors = [place for place, one in enumerate(ring) if "BPM" in one.FamName]
    kick(ring, element, angle)
    start, found = ring.find_orbit6(refpts=monitors)
    _, beam, _ = ring.linopt6(orbit=start)
    return {"x": found[:, 0].tolist(), "y": found[:, 2].tolist(), "tunes": (beam.tune[:2] % 1).tolist()}


def main():
    ring = at.load_json(sys.argv[1])
    quiet = ring.deepcopy()
    quiet.enable_6d(at.RFCavity)
    ring.radiation_on()
    works = {"update": (update, ring), "orbit": (orbit, quiet)}
    for line in sys.stdin:
        word, element, angle = line.split()
        work, of = works[word]
        print(json.dumps(work(of, element, float(angle))), file=ANSWERS, flush=True)


main()

#!/usr/bin/env python3
"""The works of `benches/physics.py` done by pyAT: `pyat.py LATTICE`, works asked for on standard input."""

from serve import block, naff_signals, serve  # first: one thread

import sys

import at
import numpy

RING = at.load_lattice(sys.argv[1])
RING.disable_6d()
RADIATING = RING.enable_6d(copy=True)


def track(ring):
    start = numpy.array(block(numpy))

    def work():
        particles = numpy.asfortranarray(start.copy())
        ring.track(particles, nturns=1, refpts=None, in_place=True)
        return particles[:, -1]

    return work


def closed_orbit():
    def work():
        start = RADIATING.find_orbit6(at.All)[0]
        return start[0], start[4], start[5]

    return work


def optics():
    def work():
        _, data, at_all = RING.linopt2(at.All)
        return *data.tune[:2], at_all.beta[:, 0].max(), at_all.beta[:, 1].max()

    return work


def response(plane, ring=RING):
    matrix = at.latticetools.OrbitResponseMatrix(ring, plane, at.Monitor, at.Sextupole)
    return matrix.build_analytical()


def orbit_response():
    return lambda: [numpy.sqrt((response(plane) ** 2).mean()) for plane in "hv"]


def equilibrium():
    """6D orbit, tunes, damping and emittances from nothing. Check: emittances 1 and 3, three tunes."""

    def work():
        _, data, _ = RADIATING.ohmi_envelope()
        return data.mode_emittances[0], data.mode_emittances[2], *data.tunes

    return work


def equilibrium_changed():
    index, again = RADIATING.get_uint32_index(at.Quadrupole)[0], equilibrium()
    strength = RADIATING[index].PolynomB[1]

    def work():
        RADIATING[index].PolynomB[1] = strength * (1 + 1e-4)
        try:
            return again()
        finally:
            RADIATING[index].PolynomB[1] = strength

    return work


def loco_jacobian():
    """Two analytic responses per quadrupole, one differenced against the design: 2 of 512 are done, then scaled."""
    indices = RING.get_uint32_index(at.Quadrupole)[:2]

    def work():
        design, rms = [response(plane) for plane in "hv"], []
        for index in indices:
            strength = RING[index].PolynomB[1]
            RING[index].PolynomB[1] = strength + 1e-5
            rms += [numpy.sqrt((((response(plane) - first) / 1e-5) ** 2).mean()) for plane, first in zip("hv", design)]
            RING[index].PolynomB[1] = strength
        return rms[:2]

    return work


def dynamic_aperture():
    points = [[3e-3 * (k % 9) - 12e-3, 0, 5e-4 * (k // 9), 0, 0, 0] for k in range(81)]

    def work():
        particles = numpy.asfortranarray(numpy.array(points).T)
        RING.track(particles, nturns=512, refpts=None, in_place=True)
        return [(~numpy.isnan(particles[0])).sum()]

    return work


def momentum_aperture():
    """At every sixteenth monitor; 2 of 20 are done, then scaled."""
    places = RADIATING.get_uint32_index(at.Monitor)[::16][:2]

    def work():
        found, _, _ = at.get_momentum_acceptance(RADIATING, 0.002, 0.1, nturns=512, refpts=places, verbose=False)
        return numpy.asarray(found).ravel()  # negative and positive side of each

    return work


def naff():
    """The signals of `naff.py` by pyAT's interpolated Fourier transform, which has no window."""
    signals = numpy.array(list(naff_signals(numpy)))

    def work():
        return at.get_tunes_harmonic(signals.copy(), fmax=0.5)

    return work


serve(
    {
        "track": lambda: track(RING),
        "track_radiation": lambda: track(RADIATING),
        "closed_orbit": closed_orbit,
        "optics": optics,
        "orbit_response": orbit_response,
        "equilibrium": equilibrium,
        "equilibrium_changed": equilibrium_changed,
        "loco_jacobian": loco_jacobian,
        "dynamic_aperture": dynamic_aperture,
        "momentum_aperture": momentum_aperture,
        "naff": naff,
    },
    long=("dynamic_aperture", "momentum_aperture", "loco_jacobian"),
)

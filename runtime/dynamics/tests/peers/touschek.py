"""Touschek lifetime by pyAT: lattice file, beam and momentum limits as JSON on standard input, numbers as JSON back.

With "places" instead of a lattice: the rate at places with given optics, through the same functions of pyAT. Answers
twice: as pyAT is, and with the whole Bessel function in the integrand, for which pyAT takes exp(x) / sqrt(2 pi x) where
the argument is beyond 500.
"""

import json
import sys
import types
import warnings

import at
import numpy
from at.acceptance import touschek
from scipy.special import ive

warnings.simplefilter("ignore")
asked = json.load(sys.stdin)
beam = {name: asked[name] for name in ("emitx", "sigs", "sigp")}


def whole_integrand(k, km, b1, b2):
    t, tm = numpy.tan(k) ** 2, numpy.tan(km) ** 2
    if (b1 - b2) * t > 700:
        return 0.0
    ratio = t / tm / (1 + t)
    bracket = (2 * t + 1) ** 2 * (ratio - 1) / t + t - numpy.sqrt(t * tm * (1 + t)) - (2 + 1 / (2 * t)) * numpy.log(ratio)
    return bracket * numpy.exp(-(b1 - b2) * t) * ive(0, b2 * t) * numpy.sqrt(1 + t)


def at_places():
    columns = {name: numpy.array(asked["places"][name]) for name in ("beta", "alpha", "dispersion")}
    functions = types.SimpleNamespace(**columns)
    gamma = asked["gamma"]
    stub = types.SimpleNamespace(
        gamma=gamma, beta=numpy.sqrt(1 - 1 / gamma**2), revolution_frequency=1.0,
        get_optics=lambda refpts: (None, None, functions),
    )
    limits = numpy.array(asked["limits"])
    current = asked["charge"]  # with a revolution frequency of 1
    return touschek._get_vals(stub, numpy.arange(len(limits)), limits, asked["emity"], current, **beam).tolist()


def of_ring():
    ring = at.load_lattice(asked["lattice"])
    ring.disable_6d()
    current = asked["charge"] * ring.revolution_frequency
    limits = numpy.tile(asked["limits"], (len(ring), 1))
    lifetime, _, _ = ring.get_lifetime(asked["emity"], current, momap=limits, refpts=range(len(ring)), **beam)
    rates, _, _ = ring.get_scattering_rate(asked["emity"], current, momap=limits, refpts=range(len(ring)), **beam)
    particles = asked["charge"] / at.constants.qe
    return {"lifetime": lifetime, "rate": (rates / particles).tolist()}


work = at_places if "places" in asked else of_ring
plain = work()
touschek.int_piwinski = whole_integrand
print(json.dumps({"plain": plain, "whole": work()}))

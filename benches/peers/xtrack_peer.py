#!/usr/bin/env python3
"""The works of `benches/physics.py` done by xtrack: `xtrack_peer.py LATTICE`, works asked for on standard input.

The ring is written for xtrack by pyAT's own converter and then given the same integrator: yoshida-4 with three kicks for
each of the slices (the converter's `yoshida4` means sixth order by now). What differs: xtrack's particle is slower than
light, its quadrupole fringes are left at the converter's choice, its response to kicks is the one of thin correctors.
"""

from serve import block, serve  # first: one thread

import json
import math
import pathlib
import sys
import tempfile
import warnings

import at
import at.load.xsuite
import numpy

warnings.simplefilter("ignore")
import xtrack  # noqa: E402


def line():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "ring.json"
        at.load.xsuite.save_xsuite(at.load_lattice(sys.argv[1]), file)
        ring = json.loads(file.read_text())
    for element in ring["elements"].values():
        if element["__class__"] == "Cavity":
            [element.pop(name, None) for name in ("lag", "integrator", "num_multipole_kicks")]
            element["phase"] = math.pi
        elif element.get("integrator") == "yoshida4":
            element["integrator"] = "yoshida-4"
            element["num_multipole_kicks"] = 3 * element.get("num_multipole_kicks", 0)
    made = xtrack.Line.from_dict(ring)
    made.build_tracker()
    return made


def still():
    """Without radiation, cavities off."""
    made = line()
    for name, element in made.element_dict.items():
        if isinstance(element, xtrack.Cavity):
            element.voltage = 0
    return made


def radiating():
    made = line()
    made.configure_radiation(model="mean")
    return made


def track(ring):
    x, px, y, py, delta, path = block(numpy)

    def work():
        particles = ring.build_particles(x=x, px=px, y=y, py=py, delta=delta, zeta=-path)
        ring.track(particles, num_turns=1)
        return [particles.x[-1], particles.px[-1], particles.y[-1], particles.py[-1], particles.delta[-1], -particles.zeta[-1]]

    return work


def optics():
    ring = still()

    def work():
        twiss = ring.twiss4d()
        return twiss.qx % 1, twiss.qy % 1, twiss.betx.max(), twiss.bety.max()

    return work


def orbit_response():
    from xtrack.trajectory_correction import _build_response_matrix

    ring, lattice = still(), at.load_lattice(sys.argv[1])
    names = lambda kind: [element.FamName for element in lattice if isinstance(element, kind)]
    monitors, sextupoles = names(at.Monitor), names(at.Sextupole)

    def work():
        twiss = ring.twiss4d()
        made = [_build_response_matrix(twiss, monitors, sextupoles, plane=plane) for plane in "xy"]
        return [numpy.sqrt((matrix ** 2).mean()) for matrix in made]

    return work


def loco_jacobian():
    """Two responses per quadrupole, one differenced against the design: 2 of 512 are done, then scaled."""
    from xtrack.trajectory_correction import _build_response_matrix

    ring, lattice = still(), at.load_lattice(sys.argv[1])
    names = lambda kind: [element.FamName for element in lattice if isinstance(element, kind)]
    monitors, sextupoles = names(at.Monitor), names(at.Sextupole)
    quadrupoles = [ring[name] for name in names(at.Quadrupole)[:2]]

    def responses():
        twiss = ring.twiss4d()
        return [_build_response_matrix(twiss, monitors, sextupoles, plane=plane) for plane in "xy"]

    def work():
        design, rms = responses(), []
        for quadrupole in quadrupoles:
            strength = quadrupole.k1
            quadrupole.k1 = strength + 1e-5
            rms += [numpy.sqrt((((one - first) / 1e-5) ** 2).mean()) for one, first in zip(responses(), design)]
            quadrupole.k1 = strength
        return rms[:2]

    return work


def equilibrium():
    ring = radiating()

    def work():
        twiss = ring.twiss(eneloss_and_damping=True)
        return twiss.eq_gemitt_x, twiss.eq_gemitt_zeta, twiss.qx % 1, twiss.qy % 1, twiss.qs

    return work


serve({
    "track": lambda: track(still()),
    "track_radiation": lambda: track(radiating()),
    "optics": optics,
    "orbit_response": orbit_response,
    "loco_jacobian": loco_jacobian,
    "equilibrium": equilibrium,
}, long=("loco_jacobian",))

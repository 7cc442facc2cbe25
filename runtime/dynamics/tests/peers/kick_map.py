"""Kick maps of insertion devices by pyAT: makes one from a RADIA file, tracks particles, writes rings for our readers.

Asked: "radia" (file), "folder" (to write into), "particles" (6 x n), "lattice" (a ring in AT JSON that we wrote).
"""

import json
import pathlib
import sys

import at
import numpy

asked = json.load(sys.stdin)


def loaded(path):
    """A ring from JSON, whose axes pyAT 0.9.0 leaves as lists, which its pass method does not take."""
    ring = at.load_lattice(path)
    for element in ring:
        if hasattr(element, "xtable"):
            element.xtable, element.ytable = numpy.array(element.xtable), numpy.array(element.ytable)
    return ring


def tracked(ring):
    particles = numpy.asfortranarray(numpy.array(asked["particles"]).T)
    ring.track(particles, nturns=1, refpts=None, in_place=True)
    return [[None if numpy.isnan(value) else value for value in particle] for particle in particles.T.tolist()]


device = at.InsertionDeviceKickMap("ID", 7, asked["radia"], 3.0)
device.T1, device.T2 = numpy.array([1e-4, 0, -5e-5, 0, 0, 0]), numpy.array([-1e-4, 0, 5e-5, 0, 0, 0])
ring = at.Lattice([at.Drift("D", 0.5), device, at.Drift("E", 0.25)], energy=3e9, periodicity=1)
for ending in ("json", "mat", "m"):
    ring.save(pathlib.Path(asked["folder"]) / f"kick_map_pyat.{ending}")
print(json.dumps({"pyat": tracked(ring), "ours": tracked(loaded(asked["lattice"]))}))

#!/usr/bin/env python3
"""The orbit correction of procedures/orbit/correct_orbit.rhai once more, with pyAT as the machine.

Reads a case (JSON) from standard input and prints residuals (JSON). The case holds what a test exported from Fodo:

  lattice       AT JSON file whose elements are those of the facility, one for one
  physics       cavity, radiation: what the twin has switched on
  monitors, horizontal, vertical
                element indices, in the order of the families
  response      rows x of each monitor, then y; a column for each horizontal, then each vertical corrector [m/rad]
  cutoff, gain, iterations
                as the procedure's parameters
  probe         columns of the response to compare with pyAT's own difference quotients
  seeds         for each: seed, errors = [element, dx, dy, roll] of every displaced element [m, rad]

Nothing of Fodo is used here: tracking, closed orbit and singular values are those of pyAT and numpy.
"""

import json
import sys

import at
import numpy as np


def load(case):
    """The ring, 6D as the twin is."""
    ring = at.load_lattice(case["lattice"])
    physics = case["physics"]
    if physics["cavity"]:
        radiating = {} if physics["radiation"] else {"dipole_pass": None, "quadrupole_pass": None}
        ring.enable_6d(cavity_pass="RFCavityPass", wiggler_pass=None, **radiating)
    return ring


def displace(ring, errors):
    """Offsets and rolls as section 2.6 of the physics conventions has them."""
    for element, dx, dy, roll in errors:
        shift = np.array([-dx, 0.0, -dy, 0.0, 0.0, 0.0])
        ring[element].T1, ring[element].T2 = shift, -shift
        if roll:
            cosine, sine = np.cos(roll), np.sin(roll)
            turn = np.diag([cosine, cosine, cosine, cosine, 1.0, 1.0])
            turn[0, 2] = turn[1, 3] = sine
            turn[2, 0] = turn[3, 1] = -sine
            ring[element].R1, ring[element].R2 = turn, turn.T


class Machine:
    """Correctors in, orbit out."""

    def __init__(self, case, errors):
        self.ring = load(case)
        self.monitors = np.array(case["monitors"])
        self.knobs = [(element, 0) for element in case["horizontal"]] + [(element, 1) for element in case["vertical"]]
        self.kicks = np.zeros(len(self.knobs))
        self.guess = None
        displace(self.ring, errors)
        self.step(self.kicks)

    def step(self, steps):
        self.kicks = self.kicks + steps
        kicks = {}
        for (element, plane), kick in zip(self.knobs, self.kicks):
            kicks.setdefault(element, [0.0, 0.0])[plane] = kick
        for element, kick in kicks.items():
            self.ring[element].KickAngle = kick

    def orbit(self):
        """x of every monitor, then y."""
        find = at.find_orbit6 if self.ring.is_6d else at.find_orbit4
        start, points = find(self.ring, refpts=self.monitors, guess=self.guess)
        if not np.all(np.isfinite(points)):
            raise SystemExit("pyAT finds no closed orbit")
        self.guess = start
        return np.concatenate([points[:, 0], points[:, 2]])


def rms(orbit):
    """Root mean square of x and of y."""
    return [float(np.sqrt(np.mean(part**2))) for part in np.split(orbit, 2)]


def size(orbit):
    """One number for both planes."""
    return float(np.hypot(*rms(orbit)))


def correct(machine, inverse, case):
    """The loop of the procedure."""
    before = orbit = machine.orbit()
    corrections = 0
    for _ in range(case["iterations"]):
        steps = -case["gain"] * (inverse @ orbit)
        machine.step(steps)
        corrections += 1
        following = machine.orbit()
        if size(following) > 1.01 * size(orbit):
            machine.step(-steps)
            corrections += 1
            orbit = machine.orbit()
            break
        done = size(following) > 0.98 * size(orbit)
        orbit = following
        if done:
            break
    return {"before": rms(before), "after": rms(orbit), "corrections": corrections, "kicks": machine.kicks.tolist()}


def invert(response, cutoff):
    """The pseudo-inverse without singular values below this part of the largest."""
    u, s, vt = np.linalg.svd(response, full_matrices=False)
    used = s >= cutoff * s[0]
    return (vt[used].T / s[used]) @ u[:, used].T, int(used.sum())


def probe(case, response):
    """Largest difference of some columns to pyAT's own, relative to the largest entry of the response."""
    machine = Machine(case, [])
    apart = 0.0
    for column in case["probe"]:
        kick = np.zeros(len(machine.knobs))
        # four points, as the reference numbers have it: errors of the fourth order in the kick
        kick[column] = 2e-6
        readings = []
        for factor in (-2.0, -1.0, 1.0, 2.0):
            machine.step(factor * kick)
            readings.append(machine.orbit())
            machine.step(-factor * kick)
        far_down, down, up, far_up = readings
        slope = (8.0 * (up - down) - (far_up - far_down)) / (12.0 * 2e-6)
        apart = max(apart, float(np.abs(slope - response[:, column]).max()))
    return apart / float(np.abs(response).max())


def main():
    case = json.load(sys.stdin)
    response = np.array(case["response"]).reshape(2 * len(case["monitors"]), -1)
    inverse, used = invert(response, case["cutoff"])
    results = []
    for entry in case["seeds"]:
        result = correct(Machine(case, entry["errors"]), inverse, case)
        results.append({"seed": entry["seed"], **result})
    json.dump({"pyat": at.__version__, "used": used, "probe": probe(case, response), "seeds": results}, sys.stdout)


if __name__ == "__main__":
    main()

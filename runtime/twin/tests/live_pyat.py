"""What pyAT finds for a machine that a twin has written down with all its errors. Reads a case, prints JSON.

    live_pyat.py < CASE

A case with `elements` asks for the coordinate changes at the ends of displaced elements (`transform_elem`):
  elements      [name, length, angle, dx, dy, dz, tilt, pitch, yaw, reference] of each
Any other asks for the beam in a machine:
  lattice       an AT JSON file: the elements with T1, T2, R1, R2, PolynomA, PolynomB and KickAngle as they really are
  cavity, radiation
                what is switched on
  monitors      of each: element, offset, gain, coupling, polarity (x and y each), roll
  chromatic     step in delta of the derivatives with respect to it
  step          steps of coordinates, in units of 10 um, 1 urad, 1e-5, 0.1 mm

Nothing of Fodo is used here. Of pyAT it takes the tracking and nothing else: its own optics are differences of two
points, good to some 1e-6 of a chromaticity. Derivatives are those of sixteen points, closed orbits are found by Newton's
method to the last digits.
"""

import contextlib
import json
import os
import sys
import warnings
from math import factorial

os.environ["OPENBLAS_NUM_THREADS"] = "1"

with contextlib.redirect_stdout(sys.stderr):
    import at
    import numpy as np
    from at.constants import clight

warnings.simplefilter("ignore")

# a central difference of sixteenth order: its steps can be wide, so that rounding counts less
PAIRS = 8
POINTS = np.array([point for point in range(-PAIRS, PAIRS + 1) if point])
WEIGHTS = np.array([
    (-1) ** (point + 1) / point * factorial(PAIRS) ** 2 / (factorial(PAIRS - abs(point)) * factorial(PAIRS + abs(point)))
    for point in POINTS.tolist()
])
# steps of x, px, y, py, delta, ct [m, 1]
STEPS = np.array([1e-5, 1e-6, 1e-5, 1e-6, 1e-5, 1e-4])


def track(ring, particles, places=None):
    """Particles (6, n) after one turn, or at these places (6, n, places)."""
    refpts = len(ring) if places is None else places
    found = at.lattice_pass(ring, np.asfortranarray(particles.copy()), nturns=1, refpts=refpts)
    return found[:, :, 0, 0] if places is None else found[:, :, :, 0]


def matrix(ring, start, size):
    """One-turn matrix of the first coordinates about a particle."""
    moves = np.zeros((6, size, len(POINTS)))
    for coordinate in range(size):
        moves[coordinate, coordinate] = STEPS[coordinate] * POINTS
    out = track(ring, start[:, None] + moves.reshape(6, -1)).reshape(6, size, len(POINTS))
    return (out[:size] @ WEIGHTS) / STEPS[:size]


def closed(ring, start, size, theta):
    """The particle whose first coordinates come back with `theta` added: the best of all steps."""
    best, least = start, np.inf
    slope = None
    idle = 0
    for step in range(25):
        residual = (track(ring, start[:, None])[:, 0] - start - theta)[:size]
        if not np.all(np.isfinite(residual)):
            raise SystemExit("pyAT loses the particle on the way to the closed orbit")
        idle = 0 if np.abs(residual).max() < 0.5 * least else idle + 1
        if np.abs(residual).max() < least:
            best, least = start, np.abs(residual).max()
        if idle == 3:
            break
        if slope is None or step < 6:
            slope = matrix(ring, start, size) - np.eye(size)
        start = start.copy()
        start[:size] -= np.linalg.solve(slope, residual)
    if least > 1e-13:
        raise SystemExit(f"pyAT comes back {least:.1e} from where it was")
    return best


def tunes(matrix):
    """Fractional tunes of the modes that are most in x and most in y."""
    values, vectors = np.linalg.eig(matrix)
    if np.abs(np.abs(values) - 1).max() > 1e-2:
        raise SystemExit("pyAT finds no stable motion")
    norms = [np.imag(np.conj(v[0]) * v[1] + np.conj(v[2]) * v[3]) for v in vectors.T]
    shares = np.array([np.abs(vectors[2 * plane]) ** 2 + np.abs(vectors[2 * plane + 1]) ** 2 for plane in (0, 1)])
    shares[:, np.array(norms) <= 0] = 0.0
    if matrix.shape[0] == 6:
        # the slowest mode is the longitudinal one
        longitudinal = np.abs(vectors[4]) ** 2 + np.abs(vectors[5]) ** 2
        shares[:, longitudinal > 0.5] = 0.0
    picked = [int(np.argmax(share)) for share in shares]
    if picked[0] == picked[1]:
        raise SystemExit("pyAT cannot tell the planes apart")
    return [float(np.angle(values[mode]) / (2 * np.pi) % 1.0) for mode in picked]


def reads(monitor, position):
    """gain and polarity of what the rolled and coupled axes see of the position less the offset."""
    _, offset, gain, coupling, polarity, roll = monitor
    x, y = position[0] - offset[0], position[1] - offset[1]
    cosine, sine = np.cos(roll), np.sin(roll)
    u, v = cosine * x + sine * y, cosine * y - sine * x
    return [polarity[0] * gain[0] * (u + coupling[0] * v), polarity[1] * gain[1] * (v + coupling[1] * u)]


def on_energy(ring, case):
    """Readings and tunes of the beam as it is."""
    size, theta, start = 4, np.zeros(6), np.zeros(6)
    if case["cavity"]:
        size = 6
        radiating = {} if case["radiation"] else {"dipole_pass": None, "quadrupole_pass": None}
        ring.enable_6d(cavity_pass="RFCavityPass", wiggler_pass=None, **radiating)
        frequency, length = ring.get_rf_frequency(), ring.get_s_pos(len(ring))[0]
        harmonic = round(frequency * length / ring.beta / clight)
        theta[5] = ring.beta * clight * harmonic / frequency - length
        start = at.find_orbit6(ring)[0]
    else:
        ring = ring.disable_6d(copy=True)
        start = at.find_orbit4(ring)[0]
    start = closed(ring, start, size, theta)
    places = sorted({monitor[0] for monitor in case["monitors"]})
    points = track(ring, start[:, None], places)[:, 0, :]
    at_place = {place: points[:, number] for number, place in enumerate(places)}
    readings = [reads(monitor, at_place[monitor[0]][[0, 2]]) for monitor in case["monitors"]]
    return {"readings": readings, "tunes": tunes(matrix(ring, start, size)), "start": start.tolist()}


def off_energy(ring, step):
    """Chromaticity and dispersion without cavity and radiation, about delta 0."""
    ring = ring.disable_6d(copy=True)
    places = np.arange(len(ring) + 1)
    start, found, orbits = np.zeros(6), [], []
    start = at.find_orbit4(ring)[0]
    for point in POINTS:
        start = start.copy()
        start[4] = point * step
        start[5] = 0.0
        start = closed(ring, start, 4, np.zeros(6))
        found.append(tunes(matrix(ring, start, 4)))
        orbits.append(track(ring, start[:, None], places)[:4, 0, :])
    # tunes that go on from one to the next
    unwrapped = np.unwrap(np.array(found), period=1.0, axis=0)
    return {
        "chromaticity": (WEIGHTS @ unwrapped / step).tolist(),
        "dispersion": (np.tensordot(WEIGHTS, np.array(orbits), 1) / step).T.tolist(),
    }


def ends(name, length, angle, dx, dy, dz, tilt, pitch, yaw, reference):
    """The coordinate changes at both ends of one element."""
    element = at.Dipole(name, length, angle) if angle else at.Quadrupole(name, length, 1.0)
    point = {"centre": at.ReferencePoint.CENTRE, "entrance": at.ReferencePoint.ENTRANCE}[reference]
    at.transform_elem(element, dx, dy, dz, tilt, pitch, yaw, reference=point)
    return {key: getattr(element, key).tolist() for key in ("T1", "T2", "R1", "R2")}


def main():
    case = json.load(sys.stdin)
    if "elements" in case:
        found = [ends(*element) for element in case["elements"]]
    else:
        STEPS[:] *= case["step"]
        ring = at.load_lattice(case["lattice"])
        found = {"pyat": at.__version__, **off_energy(ring, case["chromatic"]), **on_energy(ring, case)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

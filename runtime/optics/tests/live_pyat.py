"""What pyAT finds for a lattice that comes with it: tracking, closed orbits, matrices, optics. Prints JSON.

    live_pyat.py LATTICE        a file of `machine_data` or of `pyaml_test_lattice`, or the path of another

Everything is computed twice: for the lattice as it is, and with one quadrupole rolled, a skew gradient in another, and a
solenoid in the place of a drift.
Optics are computed at all points, so that phases have all their turns, and printed at some of them.
"""

import contextlib
import json
import os
import sys
import warnings

# threads that wait for each other cost more than these small matrices
os.environ["OPENBLAS_NUM_THREADS"] = "1"

with contextlib.redirect_stdout(sys.stderr):
    import at
    import machine_data
    import numpy as np
    import pyaml_test_lattice

warnings.simplefilter("ignore")

ROLL = 0.004
SKEW = 0.003
SOLENOID = 0.02
STEP = 1e-3
STEPS = np.arange(-4, 5) * STEP
# of matrices off momentum: rounding counts less than with the usual 3e-8, and what is smooth in delta does no harm
WIDE = 3e-7
PARTICLES = np.array(
    [
        [1e-5, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1e-4, 1e-5, -5e-5, 2e-5, 1e-4, 0.0],
        [-3e-4, 2e-5, 4e-4, -1e-5, -2e-4, 1e-3],
        [1e-3, -5e-5, 5e-4, 4e-5, 1e-3, -2e-3],
        [0.0, 0.0, 8e-4, 0.0, -1e-3, 0.0],
    ]
).T


def find(name):
    if os.path.isfile(name):
        return name
    folders = [os.path.dirname(machine_data.__file__), os.path.dirname(pyaml_test_lattice.__file__) + "/data/lattice"]
    return next(path for path in (os.path.join(folder, name) for folder in folders) if os.path.isfile(path))


def lists(value):
    return np.asarray(value, dtype=float).tolist()


def couple(ring):
    """Rolls one quadrupole, gives another a skew gradient, and puts a solenoid in a drift; says where, and how much."""
    quadrupoles = [index for index, element in enumerate(ring) if isinstance(element, at.Quadrupole)]
    rolled, skew = quadrupoles[0], quadrupoles[len(quadrupoles) // 2]
    c, s = np.cos(ROLL), np.sin(ROLL)
    turn = np.eye(6)
    turn[:4, :4] = [[c, 0, s, 0], [0, c, 0, s], [-s, 0, c, 0], [0, -s, 0, c]]
    ring[rolled] = ring[rolled].deepcopy()
    ring[rolled].R1, ring[rolled].R2 = turn, turn.T
    ring[skew] = ring[skew].deepcopy()
    ring[skew].PolynomA[1] = SKEW * ring[skew].PolynomB[1]
    solenoid = next(i for i, element in enumerate(ring) if isinstance(element, at.Drift) and element.Length > 0.1)
    length = ring[solenoid].Length
    ring[solenoid] = at.elements.LongElement("solenoid", length, PassMethod="SolenoidLinearPass", K=SOLENOID)
    return {
        "rolled": rolled,
        "roll": ROLL,
        "skew": skew,
        "skew_gradient": float(ring[skew].PolynomA[1]),
        "solenoid": solenoid,
        "solenoid_strength": SOLENOID,
    }


def optics(linopt, ring, points, fields, **options):
    _, ring_data, data = linopt(ring, refpts=range(len(ring) + 1), **options)
    found = {field: lists(data[field][points]) for field in fields}
    if "R" in fields:
        found["R"] = mode_matrices(data, points)
    found["tune"] = lists(ring_data.tune)
    if "get_chrom" in options:
        found["chromaticity"] = lists(ring_data.chromaticity)
    return found


def coupling_matrices(ring, points):
    """The C of Sagan and Rubin, carried from the start as they say: C2 = (M C + gamma m) F12^-1.

    linopt4 leaves out the brackets, so that its own C is only right where nothing is coupled in between.
    """
    start, _, data = at.linopt4(ring, refpts=points)
    found = []
    for transfer, gamma in zip(data.M, data.gamma):
        (m_x, m_xy), (m_yx, m_y) = [np.hsplit(half, 2) for half in np.vsplit(transfer, 2)]
        f = (m_yx @ start.C + start.gamma * m_y) / gamma
        found.append((m_x @ start.C + start.gamma * m_xy) @ np.linalg.inv(f))
    return lists(found)


def mode_matrices(data, points):
    """R with all its signs: linopt6 has those of two columns turned round in 6D, which takes its symmetry."""
    matrices = np.array(data["R"][points])
    if matrices.shape[-1] == 6:
        matrices[..., 4:] *= -1
    return lists(matrices)


def without_cavity(ring, points):
    orbit, orbits = at.find_orbit4(ring, refpts=range(len(ring) + 1))
    twiss = ["beta", "alpha", "mu", "dispersion"]
    return {
        "track": lists(ring.track(PARTICLES.copy())[0][:, :, 0, 0]),
        "orbit": lists(orbits[points]),
        "matrix": lists(at.find_m44(ring, orbit=orbit)[0]),
        "linopt2": optics(at.linopt2, ring, points, twiss, get_chrom=True),
        "linopt4": optics(at.linopt4, ring, points, twiss + ["gamma"], get_chrom=True),
        "C": coupling_matrices(ring, points),
        "linopt6": optics(at.linopt6, ring, points, twiss + ["R"]),
    }


def off_momentum(ring, points):
    """Tunes and path length expanded in delta, chromatic functions, and an orbit of given path length."""
    tunes = np.array([at.linopt6(ring, dp=delta, XYStep=WIDE)[1].tune for delta in STEPS])
    tunes = np.unwrap(tunes, period=1.0, axis=0)
    # through all nine points: derivatives are the coefficients times factorials
    polynomials = [np.polynomial.Polynomial.fit(STEPS, tunes[:, plane], 8).convert().coef for plane in (0, 1)]
    compaction = ring.get_mcf(fit_order=8, n_step=17, DPStep=8 * STEP)
    found = {
        "step": STEP,
        "chromaticity": [[float(c) * f for c, f in zip(p[1:4], (1, 2, 6))] for p in polynomials],
        "momentum_compaction": lists(compaction[:3]),
        "chromatic": optics(
            at.linopt2, ring, points, ["W", "dbeta", "dalpha", "dmu", "ddispersion"], get_w=True, DPStep=1e-4
        ),
        "path_lengthening": 1e-5,
        "synchronous_orbit": lists(at.find_sync_orbit(ring, dct=1e-5)[0]),
    }
    if ring.get_cells(at.checktype(at.RFCavity)).any():
        frequency = ring.cell_revolution_frequency * ring.cell_harmnumber
        found["frequency"] = frequency * (1 + 1e-6)
        found["shifted_orbit"] = lists(at.find_orbit4(ring, df=1e-6 * frequency)[0])
    return found


def with_cavity_and_radiation(ring, points):
    ring = ring.enable_6d(copy=True)
    orbit, orbits = at.find_orbit6(ring, refpts=range(len(ring) + 1))
    _, data, _ = at.linopt6(ring)
    return {
        "track": lists(ring.track(PARTICLES + orbit[:, None])[0][:, :, 0, 0]),
        "orbit": lists(orbits[points]),
        "matrix": lists(at.find_m66(ring, orbit=orbit)[0]),
        "linopt6": optics(at.linopt6, ring, points, ["beta", "alpha", "mu", "dispersion", "R"]),
        "damping_time": lists(data.damping_time),
    }


def main(name):
    path = find(name)
    ring = at.load_lattice(path).disable_6d(copy=True)
    # find_orbit6 takes the speed of a massive particle for what a cavity asks of the path, tracking that of light: the orbit
    # it finds does not come back. With the speed of light for both, they agree
    ring.particle = "relativistic"
    points = np.unique(np.linspace(0, len(ring), min(len(ring) + 1, 60)).astype(int))
    coupled = ring.deepcopy()
    found = {
        "path": path,
        "points": points.tolist(),
        "particles": lists(PARTICLES),
        "coupling": couple(coupled),
        "momentum": off_momentum(ring, points),
    }
    cavities = [element for element in ring if isinstance(element, at.RFCavity)]
    for case, machine in (("ideal", ring), ("coupled", coupled)):
        found[case] = {"4d": without_cavity(machine, points)}
        if cavities:
            found[case]["6d"] = with_cavity_and_radiation(machine, points)
    json.dump(found, sys.stdout)


main(sys.argv[1])

"""What pyAT finds for a beam that passes a line once. Reads a case, prints JSON.

    live_line.py < CASE

  design        an AT JSON file: the line as it is designed, whose cavities say how the reference energy grows
  lattice       another: the elements with T1, T2, R1, R2, PolynomA, PolynomB and KickAngle as they really are
  start         where the beam enters: x, px, y, py, delta, ct
  twiss         beta_x, alpha_x, beta_y, alpha_y at the entrance
  dispersion    x, px, y, py at the entrance
  monitors      of each: element, offset, gain, coupling, polarity (x and y each), roll
  correctors    elements
  beam          emittance_x, emittance_y, energy_spread, bunch_length at the entrance

Nothing of Fodo is used here. pyAT knows one reference energy: the whole line is tracked in units of one in the middle
between those at its two ends, with all fields scaled by the reference momentum at their place over that (all particles
as fast as light), and the results are turned into units of the momentum there. Derivatives are those of sixteen points.
"""

import json
import sys

import numpy as np
from live_pyat import POINTS, STEPS, WEIGHTS, at, reads


def load(path):
    ring = at.load_lattice(path)
    for element in ring:
        if isinstance(element, at.RFCavity):
            element.PassMethod = "RFCavityPass"
    return ring


def energies(design):
    """Reference energy at each element and at the end [eV]."""
    found = [design.energy]
    for element in design:
        energy = found[-1]
        if isinstance(element, at.RFCavity):
            phase = 2 * np.pi * element.Frequency * element.TimeLag / at.constants.clight + getattr(element, "PhaseLag", 0.0)
            energy += element.Voltage * np.sin(phase)
        found.append(energy)
    return np.array(found)


def scale(line, grown):
    """Fields in units of the one momentum; so are slopes at the ends of displaced elements."""
    for element, factor in zip(line, grown):
        if factor == 1.0:
            continue
        for field in ("PolynomA", "PolynomB", "KickAngle"):
            if hasattr(element, field):
                setattr(element, field, np.array(getattr(element, field)) * factor)
        for shift in ("T1", "T2"):
            if hasattr(element, shift):
                moved = np.array(getattr(element, shift))
                moved[[1, 3]] *= factor
                setattr(element, shift, moved)


def track(line, particles):
    """Particles (6, n) at the entrance of each element and at the end: (6, n, places)."""
    found = at.lattice_pass(line, np.asfortranarray(particles.copy()), nturns=1, refpts=np.arange(len(line) + 1))
    if not np.all(np.isfinite(found)):
        raise SystemExit("pyAT loses a particle")
    return found[:, :, :, 0]


def matrices(line, start):
    """Matrices from the start to each place: (places, 6, 6)."""
    moves = np.zeros((6, 6, len(POINTS)))
    for coordinate in range(6):
        moves[coordinate, coordinate] = STEPS[coordinate] * POINTS
    out = track(line, start[:, None] + moves.reshape(6, -1)).reshape(6, 6, len(POINTS), -1)
    slopes = np.einsum("rcpn,p->rcn", out, WEIGHTS) / STEPS[None, :, None]
    return np.moveaxis(slopes, 2, 0)


def local(grown):
    """From units of the one momentum to those of the momentum at each place."""
    scales = np.ones((len(grown), 6))
    scales[:, [1, 3, 4]] /= grown[:, None]
    return scales


def functions(transfer, grown, twiss, dispersion):
    """Beta and alpha of the geometric emittance at each place, and the dispersion in units of the local delta."""
    found = {}
    scales = local(grown)
    transfer = scales[:, :, None] * transfer / scales[0][None, None, :]
    emittance = grown[0] / grown
    for plane, name in enumerate(("x", "y")):
        beta, alpha = twiss[2 * plane], twiss[2 * plane + 1]
        block = transfer[:, 2 * plane : 2 * plane + 2, 2 * plane : 2 * plane + 2]
        sigma = np.array([[beta, -alpha], [-alpha, (1 + alpha**2) / beta]])
        sigma = block @ sigma @ np.swapaxes(block, 1, 2)
        found[f"beta_{name}"] = (sigma[:, 0, 0] / emittance).tolist()
        found[f"alpha_{name}"] = (-sigma[:, 0, 1] / emittance).tolist()
    along = transfer @ np.array([*dispersion, 1.0, 0.0])
    found["dispersion"] = (along[:, :4] / along[:, 4:5]).tolist()
    return found


def sizes(transfer, grown, twiss, dispersion, beam):
    """Rms sizes and tilt of the beam at each place."""
    scales = local(grown)
    transfer = scales[:, :, None] * transfer / scales[0][None, None, :]
    sigma = np.zeros((6, 6))
    for plane in (0, 1):
        beta, alpha, q = twiss[2 * plane], twiss[2 * plane + 1], 2 * plane
        sigma[q : q + 2, q : q + 2] = beam[plane] * np.array([[beta, -alpha], [-alpha, (1 + alpha**2) / beta]])
    along = np.array([*dispersion, 1.0, 0.0])
    sigma += np.outer(along, along) * beam[2] ** 2
    sigma[5, 5] += beam[3] ** 2
    sigma = transfer @ sigma @ np.swapaxes(transfer, 1, 2)
    xx, yy, xy = sigma[:, 0, 0], sigma[:, 2, 2], sigma[:, 0, 2]
    return np.array([np.sqrt(xx), np.sqrt(yy), 0.5 * np.arctan2(2 * xy, xx - yy)]).T.tolist()


def response(line, start, element, plane, grown):
    """Change of x and y at each place with a kick at this element [m/rad]."""
    kick, step = np.array(line[element].KickAngle), 2e-6
    out = []
    for point in POINTS:
        line[element].KickAngle = kick + np.eye(2)[plane] * point * step * grown[element]
        out.append(track(line, start[:, None])[[0, 2], 0, :])
    line[element].KickAngle = kick
    return (np.tensordot(WEIGHTS, np.array(out), 1) / step).T.tolist()


def main():
    case = json.load(sys.stdin)
    energy = energies(load(case["design"]))
    line = load(case["lattice"])
    line.energy = 0.5 * (energy.min() + energy.max())
    grown = energy / line.energy
    scale(line, grown)
    start = np.array(case["start"])
    start[[1, 3]] *= grown[0]
    start[4] = (1 + start[4]) * grown[0] - 1
    points = track(line, start[:, None])[:, 0, :].T * local(grown)
    # delta of the same momentum, against the reference there
    points[:, 4] += 1 / grown - 1
    readings = [reads(monitor, points[monitor[0]][[0, 2]]) for monitor in case["monitors"]]
    transfer = matrices(line, start)
    kicks = [[response(line, start, element, plane, grown) for plane in (0, 1)] for element in case["correctors"]]
    json.dump(
        {
            "pyat": at.__version__,
            "energy": energy.tolist(),
            "points": points.tolist(),
            "readings": readings,
            "response": kicks,
            "sizes": sizes(transfer, grown, case["twiss"], case["dispersion"], case["beam"]),
            **functions(transfer, grown, case["twiss"], case["dispersion"]),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()

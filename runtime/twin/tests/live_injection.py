"""What pyAT finds for a particle that is injected into a ring. Reads a case, prints JSON.

    live_injection.py < CASE

  lattice       an AT JSON file: the elements with T1, T2, R1, R2, PolynomA, PolynomB and KickAngle as they really are
  from          the element at whose entrance it begins
  start         x, px, y, py, delta, ct there
  late          by how much it comes later than the moment of the trigger [s]
  kickers       of each: element, kick (largest, horizontal [rad]), length of half a sine [s], delay after the trigger [s]
  monitors      elements
  turns         how many

Nothing of Fodo is used here.
"""

import json
import sys

import numpy as np
from live_pyat import at, clight


def main():
    case = json.load(sys.stdin)
    ring = at.load_lattice(case["lattice"])
    for element in ring:
        if isinstance(element, at.RFCavity):
            element.PassMethod = "RFCavityPass"
    positions = ring.get_s_pos(range(len(ring)))
    revolution = ring.get_s_pos(len(ring))[0] / clight
    rest = {kicker[0]: np.array(getattr(ring[kicker[0]], "KickAngle", [0.0, 0.0])) for kicker in case["kickers"]}
    particle = np.asfortranarray(np.array(case["start"])[:, None])
    first, seen = case["from"], []
    for turn in range(case["turns"]):
        for element, kick, length, delay in case["kickers"]:
            since = turn * revolution + positions[element] / clight + case["late"] - delay
            part = np.sin(np.pi * since / length) if 0 <= since < length else 0.0
            ring[element].KickAngle = rest[element] + np.array([kick * part, 0.0])
        begin = first if turn == 0 else 0
        there = [monitor for monitor in case["monitors"] if monitor >= begin]
        part = ring[begin:]
        places = np.array([monitor - begin for monitor in there] + [len(ring) - begin], dtype=np.uint32)
        out = at.lattice_pass(part, particle, nturns=1, refpts=places)[:, 0, :, 0]
        seen.append([[None, None]] * (len(case["monitors"]) - len(there)) + out[[0, 2], :-1].T.tolist())
        particle = np.asfortranarray(out[:, -1:].copy())
    json.dump({"pyat": at.__version__, "seen": seen}, sys.stdout)


if __name__ == "__main__":
    main()

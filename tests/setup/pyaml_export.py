#!/usr/bin/env python3
"""An exported configuration in pyAML's `design` mode: `pyaml_export.py FILE MONITORS HORIZONTAL VERTICAL COUNT`.

Prints one JSON object: how many monitors, the tunes, and the orbit response [m/rad] of the first COUNT correctors of each plane.
"""

import json
import logging
import sys

logging.disable(logging.WARNING)

from pyaml.accelerator import Accelerator  # noqa: E402

STEP = 1e-6


def response(design, monitors, array, plane, count):
    columns = []
    for magnet in list(design.magnets.get(array))[:count]:
        sides = []
        start = magnet.strength.get()
        for side in (STEP, -STEP):
            magnet.strength.set(start + side)
            sides.append(design.diagnostic.bpms.get(monitors).positions.get()[:, plane])
        magnet.strength.set(start)
        columns.append(((sides[0] - sides[1]) / (2 * STEP)).tolist())
    return columns


def main():
    file, monitors, horizontal, vertical, count = sys.argv[1:]
    design = Accelerator.load(file).design
    print(json.dumps({
        "monitors": len(list(design.diagnostic.bpms.get(monitors))),
        "tune": list(design.diagnostic.betatron_tune.tune.get()),
        "x": response(design, monitors, horizontal, 0, int(count)),
        "y": response(design, monitors, vertical, 1, int(count)),
    }))


main()

#!/usr/bin/env python3
"""pyAML at a served machine: `pyaml_client.py epics|pva|tango|tango-oa [look]`, with the configurations of pyaml-test-lattice.

Reads the orbit and tunes; then, unless it shall only look, measures the orbit response in `live` and in `design`, writes and
reads back without waiting, and corrects the orbit. Prints one JSON object; lengths are in m, tunes as the configuration has
them, a number that is none is null. Where the machine is served is said by the environment (EPICS) or the configuration (TANGO).
"""

import json
import logging
import pathlib
import sys
import time
import warnings

which = sys.argv[1]
if which == "pva":
    # where aioca is not installed, ophyd-async takes PV Access for names without a scheme
    sys.modules["aioca"] = None
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np  # noqa: E402
import pyaml_test_lattice  # noqa: E402
from pyaml.accelerator import Accelerator  # noqa: E402
from pyaml.common.exception import PyAMLException  # noqa: E402
from pyaml.tuning_tools.orbit import Orbit  # noqa: E402
from pyaml.tuning_tools.orbit_response_matrix import OrbitResponseMatrix  # noqa: E402

CONFIGURATIONS = pathlib.Path(pyaml_test_lattice.__file__).parent / "data" / "configuration" / "pyaml"
FILES = {
    "epics": "epics/pyaml-cs-oa/fodo_1gev_6d_pyaml-epics.yaml",
    "pva": "epics/pyaml-cs-oa/fodo_1gev_6d_pyaml-epics.yaml",
    "tango": "tango/tango-pyaml/fodo_1gev_6d_pyaml.yaml",
    "tango-oa": "tango/pyaml-cs-oa/fodo_1gev_6d_pyaml-oa.yaml",
}
STEP = 1e-5


def protocol():
    from ophyd_async.epics.core import _signal

    return _signal._default_epics_protocol.name


def tools(holder):
    """The response and the correction; the EPICS configuration has none, so that they are made as its users would."""
    if which in ("tango", "tango-oa"):
        return holder.tool.orm, holder.tool.orbit
    holder.diagnostic.bpms.add("BPM", ["BPM_*"])
    holder.magnets.add("HCorr", ["*.hcorrector"])
    holder.magnets.add("VCorr", ["*.vcorrector"])
    response = OrbitResponseMatrix("ORM", "BPM", "HCorr", "VCorr", STEP).attach(holder)
    known = str(CONFIGURATIONS / "orm.json")
    correction = Orbit("OC", "BPM", "HCorr", "VCorr", singular_values=16, response_matrix=known).attach(holder)
    correction.post_init()
    return response, correction


def measured(response, wait):
    """The matrix with pyAML's own defaults, which wait for nothing, and how long it took."""
    start = time.monotonic()
    response.measure(**wait)
    return np.array(response.latest_measurement["matrix"]), time.monotonic() - start


def rms(orbit):
    return np.sqrt(np.mean(orbit**2, axis=0))


def plain(value):
    """For JSON, which has no NaN."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value


def tune(holder):
    """Both tunes; of an invalid TANGO scalar pyaml_cs_oa makes an error."""
    try:
        return holder.diagnostic.betatron_tune.tune.get()
    except PyAMLException as error:
        if "NoneType" not in str(error):
            raise
        return [None, None]


def look(live, design):
    """Orbit and tunes."""
    tunes = {name: tune(holder) for name, holder in (("live", live), ("design", design))}
    orbits = {name: holder.diagnostic.bpms.get("BPM").positions.get() for name, holder in (("live", live), ("design", design))}
    return {"orbit": orbits, "tune": tunes}


def work(live, response, model, correction):
    """Response, steps, correction."""
    monitors = live.diagnostic.bpms.get("BPM")
    # tango.pyaml does not wait for the answer to a write: its next request may be there before it
    pause = 0.02 if which == "tango" else 0.0
    matrix, seconds = measured(response, {"sleep_between_step": pause} if pause else {})
    wanted, _ = measured(model, {})
    apart = matrix - wanted
    told = {
        "response": {
            "shape": list(matrix.shape),
            "seconds": seconds,
            "largest": np.abs(wanted).max(),
            "apart": np.abs(apart).max(),
            "rms": np.sqrt(np.mean(apart**2) / np.mean(wanted**2)),
        }
    }

    # what is read after a write is what it did, without waiting
    knob, last, off = live.magnet.get("COR_001.hcorrector").strength, monitors.positions.get()[:, 0], []
    expected = 2 * STEP * wanted[: len(last), 0]
    for sign in (1, -1) * 5:
        knob.set(knob.get() + sign * 2 * STEP)
        time.sleep(pause)
        now = monitors.positions.get()[:, 0]
        off.append(np.abs(sign * (now - last) - expected).max() / np.abs(expected).max())
        last = now
    told["steps"] = off

    before = rms(monitors.positions.get())
    correction.correct()
    told["rms"] = {"before": before, "after": rms(monitors.positions.get())}
    return told


def main():
    ring = Accelerator.load(str(CONFIGURATIONS / FILES[which]))
    live, design = ring.live, ring.design
    told = {}
    if which in ("epics", "pva"):
        told["protocol"] = protocol()
    (response, correction), (model, _) = tools(live), tools(design)
    told.update(look(live, design))
    if sys.argv[2:] != ["look"]:
        told.update(work(live, response, model, correction))
    print(json.dumps(plain(told)))


main()

"""Reads a record with h5py as a user would; ends with an error if anything is not as it was written."""

import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1]) as file:
    assert file.attrs["NX_class"] == "NXroot", file.attrs["NX_class"]
    entry = file[file.attrs["default"]]
    assert entry.attrs["NX_class"] == "NXentry"
    assert entry["title"].asstr()[()] == "correct_orbit"
    assert entry["ok"][()] == 1 and entry["duration"][()] == 1.5
    assert entry["duration"].attrs["units"] == "s"
    process = entry["process"]
    assert process.attrs["NX_class"] == "NXprocess"
    assert process["script"].asstr()[()] == "//! # Correct the orbit\n// 10 µrad\n"
    assert process["seed"][()] == 7
    assert '"cutoff":0.001' in process["parameters"].asstr()[()]
    assert list(process["libraries/name"].asstr()) == ["tuning"]
    commands = entry["commands"]
    assert list(commands["name"].asstr()[:2]) == ['HCOR["HCOR_001"].kick', 'HCOR["HCOR_002"].kick']
    assert np.array_equal(commands["new"], [0.0, 1e-5, 2e-5])
    assert commands["time"].attrs["units"] == "ns"
    orbit = entry["readings/beam:orbit:x"]
    assert orbit.attrs["NX_class"] == "NXdata" and orbit.attrs["signal"] == "value"
    assert orbit["value"].shape == (3, 193) and orbit["value"].dtype == np.float64
    assert orbit["value"].attrs["units"] == "m" and orbit["value"].attrs["long_name"] == "BPM.x"
    assert orbit["time"].shape == (3, 1) and orbit["time"][0, 0] == 11
    tunes = entry["readings/TUNEZR:rdH_and_1_more"]
    assert list(tunes["channel"].asstr()) == ["TUNEZR:rdH", "TUNEZR:rdV"]
    assert np.array_equal(tunes["validity"], [[0, 0], [0, 0], [2, 0]])
    assert tunes["reasons/text"].asstr()[0] == "no closed orbit"
    assert entry["readings/sr.machine.state/value"].asstr()[0] == "Delivery µ"
    assert np.isnan(entry["setpoints_after/value"][0])
    sequence = np.concatenate([entry[f"{name}/sequence"] for name in ("commands", "events")])
    assert len(set(sequence)) == len(sequence)
print("h5py reads the record")

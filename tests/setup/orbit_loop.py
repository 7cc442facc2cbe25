#!/usr/bin/env python3
"""The orbit correction of procedures/orbit/correct_orbit.rhai once more, with numpy, on a machine that is linear.

Reads `{"response": [[…]], "orbit": […], "cutoff": 1e-3, "iterations": 10}` from standard input; the orbit is x of all
monitors, then y. Prints `{"changes": […], "iterations": n}`.
"""

import json
import sys

import numpy as np


def main():
    question = json.load(sys.stdin)
    response, start = np.array(question["response"]), np.array(question["orbit"])
    half = len(start) // 2
    size = lambda orbit: np.hypot(np.sqrt(np.mean(orbit[:half] ** 2)), np.sqrt(np.mean(orbit[half:] ** 2)))
    left, values, right = np.linalg.svd(response, full_matrices=False)
    keep = values >= question["cutoff"] * values[0]
    inverse = (right[keep].T / values[keep]) @ left[:, keep].T
    changes, orbit, count = np.zeros(response.shape[1]), start, 0
    for count in range(1, question["iterations"] + 1):
        step = inverse @ -orbit
        following = start + response @ (changes + step)
        if size(following) > 1.01 * size(orbit):
            break
        changes = changes + step
        done = size(following) > 0.98 * size(orbit)
        orbit = following
        if done:
            break
    print(json.dumps({"changes": changes.tolist(), "iterations": count}))


if __name__ == "__main__":
    main()

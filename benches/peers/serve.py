"""What the peers share: a work is asked for by name on standard input and answered with one line of JSON.

Import this first: it keeps the numerical libraries on one thread. A work is a pair of functions: `prepare` makes what is
not timed, `work` is repeated until it has taken 0.3 s of CPU time and returns the numbers to be compared.
"""

import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

ANSWERS, sys.stdout = sys.stdout, sys.stderr  # what libraries print, from their import on, is no answer

PARTICLES = 1000


def block(numpy):
    """The block of particles that every code tracks: x, px, y, py, delta, path."""
    part = numpy.arange(1, PARTICLES + 1) / PARTICLES
    return [1e-3 * part, 2e-5 * part, 5e-4 * part, -1e-5 * part, 1e-4 * part, 0.0 * part]


def naff_signals(numpy, turns=1024):
    """320 signals: cos(2 pi nu n + 0.1 k) + 0.2 cos(2 pi 0.34 n) with nu = 0.21 + 1e-5 k for signal k."""
    turn = numpy.arange(turns)
    for k in range(320):
        phase = 2 * numpy.pi * (0.21 + 1e-5 * k) * turn + 0.1 * k
        yield numpy.cos(phase) + 0.2 * numpy.cos(2 * numpy.pi * 0.34 * turn)


def timed(work, long):
    if not long:
        work()
    spent, repeats = 0.0, 0
    while spent < 0.3:
        start = time.process_time()
        check = work()
        spent += time.process_time() - start
        repeats += 1
    return {"cpu_seconds": spent / repeats, "check": [float(value) for value in check]}


def serve(works, long=()):
    ready = {}
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in works:
                answer = {"not_built": True}
            else:
                if name not in ready:
                    ready[name] = works[name]()
                answer = timed(ready[name], name in long)
        except Exception as problem:  # told to whoever asked, who decides
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps({**answer, "work": name}), file=ANSWERS, flush=True)

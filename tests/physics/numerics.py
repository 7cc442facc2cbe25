"""Calculates what tests/physics/numerics.rs has calculated in a script, with numpy and scipy, and compares.

Reads the object of `fodo run --json` from standard input; prints how far each figure is apart, relative to its largest entry.
"""

import json
import sys

try:
    import numpy as np
    import scipy
    from scipy import integrate, interpolate, optimize
except ImportError:
    print("no scipy")
    sys.exit(0)

ours = json.load(sys.stdin)["result"]
data = {name: np.array(values) for name, values in ours["data"].items()}
v, w, x, m, b, sigma = (data[name] for name in ("v", "w", "x", "m", "b", "sigma"))
decay, wave, peak, at = (data[name] for name in ("decay", "wave", "peak", "at"))


def exponential(x, a, c, tau):
    return a * np.exp(-x / tau) + c


def sine(x, amplitude, frequency, offset, phase):
    return offset + amplitude * np.sin(2 * np.pi * frequency * x + phase)


def gauss(x, centre, height, offset, width):
    return offset + height * np.exp(-0.5 * ((x - centre) / width) ** 2)


def fit(function, y, start, sigma=None):
    found, covariance = optimize.curve_fit(
        function, x, y, start, sigma, absolute_sigma=sigma is not None, xtol=1e-14, ftol=1e-14, gtol=1e-14
    )
    return found, np.sqrt(np.diag(covariance))


u, s, vt = np.linalg.svd(m, full_matrices=False)
damped = vt.T @ (s / (s**2 + (0.3 * s[0]) ** 2) * (u.T @ b))
hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(v)) / len(v))
window = np.abs(np.fft.rfft(v * hann)) / hann.sum() * np.r_[1, np.full(len(v) // 2, 2)]
powers, covariance = np.polyfit(x, decay, 3, w=1 / sigma, cov="unscaled")
line, line_covariance = np.polyfit(x, decay, 1, cov=True)
wanted = {
    "std": v.std(ddof=1),
    "median": np.median(v),
    "percentile": np.percentile(v, 83),
    "covariance": np.cov(v, w)[0, 1],
    "correlation": np.corrcoef(v, w)[0, 1],
    "integral": integrate.trapezoid(decay, x),
    "fft_re": np.fft.rfft(v).real,
    "fft_im": np.fft.rfft(v).imag,
    "hann": window,
    "singular": s,
    "solve": np.linalg.lstsq(m, b, rcond=None)[0],
    "tikhonov": damped,
    "nnls": optimize.nnls(m, b)[0],
    "bvls": optimize.lsq_linear(m, b, (-0.2, 0.1), method="bvls", tol=1e-14).x,
    "linear": np.interp(at, x, decay),
    "cubic": interpolate.CubicSpline(x, decay)(at),
    "monotone": interpolate.PchipInterpolator(x, decay)(at),
    "polynomial": powers[::-1],
    "polynomial_sigma": np.sqrt(np.diag(covariance))[::-1],
    "line": line,
    "line_sigma": np.sqrt(np.diag(line_covariance)),
}
wanted["decay"], wanted["decay_sigma"] = fit(exponential, decay, [1, 0, 1], sigma)
wanted["free"], wanted["free_sigma"] = fit(exponential, decay, [1, 0, 1])
wanted["wave"], wanted["wave_sigma"] = fit(sine, wave, [1.4, 0.33, -0.2, 0.8])
wanted["peak"], wanted["peak_sigma"] = fit(gauss, peak, [4, 2, 0, 1])

# fits end where a further step is not worth it, and take derivatives as differences
LIMITS = {"decay": 1e-7, "free": 1e-7, "wave": 1e-7, "peak": 1e-7}
failed = []
for name, theirs in wanted.items():
    theirs, mine = np.atleast_1d(theirs), np.atleast_1d(np.array(ours[name]))
    apart = np.max(np.abs(mine - theirs)) / np.max(np.abs(theirs))
    limit = 1e-5 if name in ("decay_sigma", "free_sigma", "wave_sigma", "peak_sigma") else LIMITS.get(name, 1e-10)
    if not apart <= limit:
        failed.append(f"{name}: {mine} here, {theirs} there, apart {apart:.1e}, limit {limit:.0e}")
    print(f"{name}: {apart:.1e}")
print(f"compared {len(wanted)}, numpy {np.__version__}, scipy {scipy.__version__}")
print("\n".join(failed))
sys.exit(bool(failed))

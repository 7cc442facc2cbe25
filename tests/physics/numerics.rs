//! What scripts calculate, beside numpy and scipy: statistics, transforms, least squares, interpolation, fits.

use fodo_tests::{Scratch, project, python, run, skipped};
use std::io::Write;
use std::process::{Command, Stdio};

/// Data by chance and what becomes of it, as one map of SI numbers.
const SCRIPT: &str = r#"
let r = random(20260);
let v = r.normal(41);
let w = 0.6 * v + r.normal(41);
let x = linspace(0.3, 7.9, 41) + r.uniform(41) * 0.1;
let m = matrix([r.normal(6), r.normal(6), r.normal(6), r.normal(6), r.normal(6), r.normal(6), r.normal(6), r.normal(6)]);
let b = r.normal(8);
let sigma = r.uniform(41) * 0.1 + 0.05;
let decay = exp(-x / 2.5) * 3.0 + 0.4 + v * sigma;
let wave = sin(x * 2.1 + 0.7) * 1.5 - 0.3 + v * 0.05;
let peak = exp(-0.5 * ((x - 4.2) / 0.8) ** 2) * 2 + 0.1 + v * 0.03;
let at = linspace(0.5, 7.7, 57);
let f = fft(v);
let hann = spectrum(v, #{ window: "hann" });
let decay_fit = fit_curve(|x, p| exp(-x / p.tau) * p.a + p.c, x, decay, #{ a: 1.0, tau: 1.0, c: 0.0 }, #{ sigma: sigma });
let free_fit = fit_curve(|x, p| exp(-x / p.tau) * p.a + p.c, x, decay, #{ a: 1.0, tau: 1.0, c: 0.0 });
let wave_fit = fit_sine(x, wave);
let peak_fit = fit_gauss(x, peak);
let cubic = fit_polynomial(x, decay, 3, #{ sigma: sigma });
let line = fit_line(x, decay);
#{
    data: #{ v: v, w: w, x: x, m: m, b: b, sigma: sigma, decay: decay, wave: wave, peak: peak, at: at },
    std: v.std(), median: v.median(), percentile: v.percentile(83.0),
    covariance: covariance(v, w), correlation: correlation(v, w), integral: integral(x, decay),
    fft_re: f.re, fft_im: f.im, hann: hann.amplitude,
    singular: svd(m).s, solve: solve(m, b), tikhonov: solve(m, b, #{ tikhonov: 0.3 }),
    nnls: solve_bounded(m, b, #{ min: 0 }), bvls: solve_bounded(m, b, #{ min: -0.2, max: 0.1 }),
    linear: interpolate(x, decay, at), cubic: interpolate(x, decay, at, #{ method: "cubic" }),
    monotone: interpolate(x, decay, at, #{ method: "monotone" }),
    decay: [decay_fit.a, decay_fit.c, decay_fit.tau], decay_sigma: [decay_fit.sigma.a, decay_fit.sigma.c, decay_fit.sigma.tau],
    free: [free_fit.a, free_fit.c, free_fit.tau], free_sigma: [free_fit.sigma.a, free_fit.sigma.c, free_fit.sigma.tau],
    wave: [wave_fit.amplitude, wave_fit.frequency, wave_fit.offset, wave_fit.phase],
    wave_sigma: [wave_fit.sigma.amplitude, wave_fit.sigma.frequency, wave_fit.sigma.offset, wave_fit.sigma.phase],
    peak: [peak_fit.centre, peak_fit.height, peak_fit.offset, peak_fit.width],
    peak_sigma: [peak_fit.sigma.centre, peak_fit.sigma.height, peak_fit.sigma.offset, peak_fit.sigma.width],
    polynomial: cubic.coefficients, polynomial_sigma: cubic.sigma,
    line: [line.slope, line.offset], line_sigma: [line.sigma.slope, line.sigma.offset],
}
"#;

#[test]
fn numpy_and_scipy_calculate_the_same() {
    let test = "numpy_and_scipy_calculate_the_same";
    let Some(python) = python() else { return skipped(test, ".venv is missing: tests/setup/epics.sh makes it") };
    let scratch = Scratch::new("numerics");
    let script = scratch.path().join("numerics.rhai");
    std::fs::write(&script, SCRIPT).unwrap();
    let output = run(&scratch, &["run", script.to_str().unwrap(), "--facility", "demo_ring", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut child = Command::new(python)
        .arg(project().join("tests/physics/numerics.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&output.stdout).unwrap();
    let compared = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&compared.stdout).into_owned();
    if text.starts_with("no scipy") {
        return skipped(test, "numpy and scipy are not in .venv: tests/setup/epics.sh installs them");
    }
    assert!(compared.status.success(), "{text}\n{}", String::from_utf8_lossy(&compared.stderr));
    assert!(text.contains("compared 29"), "{text}");
    eprint!("{text}");
}

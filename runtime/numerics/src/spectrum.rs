//! Discrete Fourier transforms of real signals of any length.

use crate::{finite, refuse};
use fodo_report::Result;
use realfft::RealFftPlanner;
pub use realfft::num_complex::Complex;
use std::f64::consts::TAU;

/// How a signal is faded in and out before its transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Not at all.
    None,
    /// (1 - cos) / 2.
    Hann,
    /// Three cosines: lines far apart disturb each other less.
    Blackman,
}

impl Window {
    /// Its value at entry `n` of `length` (periodic form).
    fn at(self, n: usize, length: usize) -> f64 {
        let angle = TAU * n as f64 / length as f64;
        match self {
            Window::None => 1.0,
            Window::Hann => 0.5 - 0.5 * angle.cos(),
            Window::Blackman => 0.42 - 0.5 * angle.cos() + 0.08 * (2.0 * angle).cos(),
        }
    }
}

/// The transform with the kernel exp(-2 pi i k n / N) for k from 0 to N / 2.
///
/// # Errors
/// An empty signal, or a number in it that is not finite.
pub fn fft(signal: &[f64]) -> Result<Vec<Complex<f64>>> {
    if signal.is_empty() {
        return refuse("an empty signal has no transform");
    }
    finite(signal, "the signal")?;
    let plan = RealFftPlanner::<f64>::new().plan_fft_forward(signal.len());
    let (mut input, mut output) = (signal.to_vec(), plan.make_output_vec());
    match plan.process(&mut input, &mut output) {
        Ok(()) => Ok(output),
        Err(error) => refuse(format!("the transform failed: {error}")),
    }
}

/// The signal of `length` entries that [`fft`] makes this of.
///
/// # Errors
/// Not `length / 2 + 1` numbers, or one that is not finite. The first, and for an even length the last, count as real.
pub fn inverse_fft(transform: &[Complex<f64>], length: usize) -> Result<Vec<f64>> {
    if length == 0 || transform.len() != length / 2 + 1 {
        let needed = length / 2 + 1;
        return refuse(format!("a signal of {length} entries has a transform of {needed}, found {}", transform.len()));
    }
    if transform.iter().any(|line| !(line.re.is_finite() && line.im.is_finite())) {
        return refuse("the transform holds what is not a finite number");
    }
    let plan = RealFftPlanner::<f64>::new().plan_fft_inverse(length);
    let (mut input, mut output) = (transform.to_vec(), plan.make_output_vec());
    input[0].im = 0.0;
    if length.is_multiple_of(2) {
        input[length / 2].im = 0.0;
    }
    match plan.process(&mut input, &mut output) {
        Ok(()) => Ok(output.into_iter().map(|x| x / length as f64).collect()),
        Err(error) => refuse(format!("the transform failed: {error}")),
    }
}

/// Amplitude and phase of each line: a cosine of amplitude A on a line shows A, the constant part itself.
///
/// # Errors
/// As [`fft`].
pub fn spectrum(signal: &[f64], window: Window) -> Result<Vec<Complex<f64>>> {
    let length = signal.len();
    // one entry cannot be faded in and out
    let window = if length == 1 { Window::None } else { window };
    let weights: Vec<f64> = (0..length).map(|n| window.at(n, length)).collect();
    let faded: Vec<f64> = signal.iter().zip(&weights).map(|(x, w)| x * w).collect();
    let total: f64 = weights.iter().sum();
    let lines = fft(&faded)?;
    let alone = |k: usize| k == 0 || 2 * k == length;
    Ok(lines.into_iter().enumerate().map(|(k, c)| c * if alone(k) { 1.0 } else { 2.0 } / total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_the_sum_it_stands_for() {
        for length in [1_usize, 2, 3, 7, 16, 45, 97] {
            let signal: Vec<f64> = (0..length).map(|n| (1.3 * n as f64).sin() + 0.1 * n as f64).collect();
            let lines = fft(&signal).unwrap();
            assert_eq!(lines.len(), length / 2 + 1);
            for (k, line) in lines.iter().enumerate() {
                let sum: Complex<f64> = (0..length)
                    .map(|n| Complex::from_polar(signal[n], -TAU * ((k * n) % length) as f64 / length as f64))
                    .sum();
                assert!((line - sum).norm() < 1e-11, "{length}, line {k}");
            }
            let back = inverse_fft(&lines, length).unwrap();
            assert!(back.iter().zip(&signal).all(|(a, b)| (a - b).abs() < 1e-12), "{length}");
        }
    }

    #[test]
    fn a_cosine_on_a_line_shows_its_amplitude() {
        let signal: Vec<f64> = (0..64).map(|n| 0.5 + 3.0 * (TAU * 10.0 * f64::from(n) / 64.0 + 0.4).cos()).collect();
        for window in [Window::None, Window::Hann, Window::Blackman] {
            let lines = spectrum(&signal, window).unwrap();
            assert!((lines[10].norm() - 3.0).abs() < 1e-12 && (lines[10].arg() - 0.4).abs() < 1e-12);
            assert!((lines[0].re - 0.5).abs() < 1e-12);
            assert_eq!(spectrum(&[-2.0], window).unwrap(), [Complex::new(-2.0, 0.0)]);
        }
    }
}

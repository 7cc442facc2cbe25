//! The discrete Fourier transform of a power of two, in separate real and imaginary parts.
//!
//! Stockham's self-sorting form with radix 4 (and one step of radix 2 where the power is odd): every inner loop runs
//! over neighbouring numbers, so that the compiler makes vector instructions of it. Source: C. Van Loan,
//! Computational Frameworks for the Fast Fourier Transform (1992), section 1.7.

use std::f64::consts::TAU;

/// A transform of one length, with its factors and its scratch space.
#[derive(Clone, Debug)]
pub(crate) struct Fft {
    length: usize,
    /// cos and -sin of 2 pi k / length.
    factors: Vec<(f64, f64)>,
    scratch: Planes,
}

/// Complex numbers, real and imaginary parts apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planes {
    pub re: Vec<f64>,
    pub im: Vec<f64>,
}

impl Planes {
    pub(crate) fn zeros(length: usize) -> Self {
        Self { re: vec![0.0; length], im: vec![0.0; length] }
    }
}

impl Fft {
    /// A transform of at least `length` points.
    pub(crate) fn at_least(length: usize) -> Self {
        let length = length.max(2).next_power_of_two();
        let angle = |k: usize| TAU * k as f64 / length as f64;
        let factors = (0..length).map(|k| (angle(k).cos(), -angle(k).sin())).collect();
        Self { length, factors, scratch: Planes::zeros(length) }
    }

    /// Number of points.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Transforms in place, with the kernel exp(-2 pi i k n / length).
    pub(crate) fn transform(&mut self, data: &mut Planes) {
        let (mut size, mut stride) = (self.length, 1);
        while size >= 4 {
            self.radix_4(data, size, stride);
            std::mem::swap(data, &mut self.scratch);
            (size, stride) = (size / 4, stride * 4);
        }
        if size == 2 {
            radix_2(data, &mut self.scratch, stride);
            std::mem::swap(data, &mut self.scratch);
        }
    }

    fn radix_4(&mut self, data: &Planes, size: usize, stride: usize) {
        let quarter = size / 4;
        let step = quarter * stride;
        for p in 0..quarter {
            let [w1, w2, w3] = [1, 2, 3].map(|k| self.factors[k * p * stride]);
            let [re, im] = [&data.re, &data.im].map(|part| {
                [0, 1, 2, 3].map(|k| {
                    let first = p * stride + k * step;
                    &part[first..first + stride]
                })
            });
            let out = 4 * p * stride..4 * (p + 1) * stride;
            let out_re = quarters(&mut self.scratch.re[out.clone()]);
            let out_im = quarters(&mut self.scratch.im[out]);
            butterflies(stride, re, im, out_re, out_im, [w1, w2, w3]);
        }
    }
}

fn quarters(part: &mut [f64]) -> [&mut [f64]; 4] {
    let (low, high) = part.split_at_mut(part.len() / 2);
    let ((a, b), (c, d)) = (low.split_at_mut(low.len() / 2), high.split_at_mut(high.len() / 2));
    [a, b, c, d]
}

#[inline(always)]
fn butterflies(
    stride: usize,
    [ar, br, cr, dr]: [&[f64]; 4],
    [ai, bi, ci, di]: [&[f64]; 4],
    [er, fr, gr, hr]: [&mut [f64]; 4],
    [ei, fi, gi, hi]: [&mut [f64]; 4],
    [w1, w2, w3]: [(f64, f64); 3],
) {
    // the lengths are said once, so that no index below needs a check
    let ([ar, br, cr, dr], [ai, bi, ci, di]) =
        ([ar, br, cr, dr].map(|part| &part[..stride]), [ai, bi, ci, di].map(|part| &part[..stride]));
    let ([er, fr, gr, hr], [ei, fi, gi, hi]) =
        ([er, fr, gr, hr].map(|part| &mut part[..stride]), [ei, fi, gi, hi].map(|part| &mut part[..stride]));
    for q in 0..stride {
        let (sum_r, sum_i, gap_r, gap_i) = (ar[q] + cr[q], ai[q] + ci[q], ar[q] - cr[q], ai[q] - ci[q]);
        let (other_r, other_i) = (br[q] + dr[q], bi[q] + di[q]);
        // -i (b - d)
        let (turned_r, turned_i) = (bi[q] - di[q], dr[q] - br[q]);
        (er[q], ei[q]) = (sum_r + other_r, sum_i + other_i);
        (fr[q], fi[q]) = times(gap_r + turned_r, gap_i + turned_i, w1);
        (gr[q], gi[q]) = times(sum_r - other_r, sum_i - other_i, w2);
        (hr[q], hi[q]) = times(gap_r - turned_r, gap_i - turned_i, w3);
    }
}

#[inline(always)]
fn times(re: f64, im: f64, (cosine, sine): (f64, f64)) -> (f64, f64) {
    (re * cosine - im * sine, re * sine + im * cosine)
}

fn radix_2(data: &Planes, out: &mut Planes, stride: usize) {
    for (from, to) in [(&data.re, &mut out.re), (&data.im, &mut out.im)] {
        for q in 0..stride {
            (to[q], to[q + stride]) = (from[q] + from[q + stride], from[q] - from[q + stride]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_sum_it_stands_for() {
        for length in [2_usize, 4, 8, 32, 64, 512] {
            let mut data = Planes::zeros(length);
            for n in 0..length {
                (data.re[n], data.im[n]) = ((1.3 * n as f64).sin() + 0.1, (0.7 * (n * n) as f64).cos());
            }
            let source = data.clone();
            Fft::at_least(length).transform(&mut data);
            for k in 0..length {
                let (mut re, mut im) = (0.0, 0.0);
                for n in 0..length {
                    let (sine, cosine) = (-TAU * ((k * n) % length) as f64 / length as f64).sin_cos();
                    re += source.re[n] * cosine - source.im[n] * sine;
                    im += source.re[n] * sine + source.im[n] * cosine;
                }
                assert!((data.re[k] - re).abs() + (data.im[k] - im).abs() < 1e-11, "{length} points, number {k}");
            }
        }
    }
}

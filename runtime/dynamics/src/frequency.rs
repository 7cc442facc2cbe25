//! Numerical analysis of fundamental frequencies (NAFF).
//!
//! The frequency of the strongest line of a signal z_n is where the windowed integral
//! `phi(nu) = sum w_n z_n exp(-2 pi i nu n)` is largest. A windowed Fourier transform gives the start, Newton's method
//! with the analytic derivatives the maximum. Each line found is projected out together with all earlier ones, and the
//! search goes on in what is left. With a window of order p the frequency of a quasi-periodic signal of N turns is
//! good to about N^-(2p+2).
//!
//! Source: J. Laskar, Physica D 67 (1993) 257; J. Laskar, Frequency map analysis and quasiperiodic decompositions,
//! arXiv:math/0305364 (2003), equations 12 to 29.

use std::f64::consts::{PI, TAU};
use std::fmt;

use nalgebra::{Complex, DMatrix, DVector};

use crate::fft::{Fft, Planes};

/// A signal has to have this many turns.
const FEWEST_TURNS: usize = 16;
/// A frequency is found when it moves by less than this per turn [1].
const REST: f64 = 1e-14;
/// Steps that may be taken for one line.
const STEPS: usize = 60;

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrequencyOptions {
    /// Lines to find at most [1].
    pub lines: usize,
    /// Order p of the window (1 + cos)^p [1]: 0 none, 1 Hann's; higher ones part near lines worse, far ones better.
    pub window_order: u32,
    /// Where to look: least and greatest frequency per turn [1], in [-0.5, 1]; 0.7 and -0.3 are the same line.
    pub range: [f64; 2],
}

impl Default for FrequencyOptions {
    fn default() -> Self {
        Self { lines: 1, window_order: 1, range: [-0.5, 0.5] }
    }
}

/// One line of a spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Oscillations per turn [1], within the range asked for.
    pub frequency: f64,
    /// Amplitude at turn 0, in the unit of the signal. Complex signals: of exp(2 pi i nu n). Real signals: A exp(i phi)
    /// for A cos(2 pi nu n + phi).
    pub amplitude: Complex<f64>,
}

/// Why a signal has no spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoFrequency {
    /// The signal is too short; its number of turns is given.
    TooShort(usize),
    /// The signal holds something that is no finite number, at this turn.
    NotFinite(usize),
    /// The signal is 0 everywhere, or has nothing in the range.
    Nothing,
    /// The range is empty or not within [-0.5, 1].
    Range(f64, f64),
}

impl fmt::Display for NoFrequency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(turns) => write!(out, "no frequency: {turns} turns are too few, {FEWEST_TURNS} are needed"),
            Self::NotFinite(turn) => write!(out, "no frequency: turn {turn} of the signal is no finite number"),
            Self::Nothing => write!(out, "no frequency: the signal has no line in the range"),
            Self::Range(low, high) => write!(out, "no frequency: [{low}, {high}] is no range within [-0.5, 1]"),
        }
    }
}

impl std::error::Error for NoFrequency {}

/// The strongest lines of a complex signal such as x - i px in normalised coordinates (one value per turn), in the
/// order in which they are found, about that of their strength. Fewer than asked for where nothing is left.
///
/// # Errors
/// The signal is too short, not finite, or empty within the range.
pub fn naff(signal: &[Complex<f64>], options: &FrequencyOptions) -> Result<Vec<Line>, NoFrequency> {
    Analyser::new(signal.len(), options)?.lines(signal)
}

/// The strongest lines of a real signal, with frequencies in [0, 0.5] (and within the range).
///
/// # Errors
/// As [`naff`].
pub fn naff_real(signal: &[f64], options: &FrequencyOptions) -> Result<Vec<Line>, NoFrequency> {
    Analyser::new(signal.len(), options)?.real_lines(signal)
}

/// Lines of many signals of one length: window, factors and work space are made once.
#[derive(Clone, Debug)]
pub struct Analyser {
    options: FrequencyOptions,
    turns: usize,
    window: Vec<f64>,
    fft: Fft,
    spectrum: Planes,
    /// The windowed signal.
    windowed: Planes,
    /// What is left of the signal.
    rest: Planes,
}

impl Analyser {
    /// Makes the analysis of signals of `turns` turns ready.
    ///
    /// # Errors
    /// Too few turns, or an impossible range.
    pub fn new(turns: usize, options: &FrequencyOptions) -> Result<Self, NoFrequency> {
        if turns < FEWEST_TURNS {
            return Err(NoFrequency::TooShort(turns));
        }
        let [low, high] = options.range;
        if !(low < high && low >= -0.5 && high <= 1.0) {
            return Err(NoFrequency::Range(low, high));
        }
        let fft = Fft::at_least(turns);
        let spectrum = Planes::zeros(fft.len());
        let [windowed, rest] = [0, 1].map(|_| Planes::zeros(turns));
        Ok(Self {
            options: *options,
            turns,
            window: window(turns, options.window_order),
            fft,
            spectrum,
            windowed,
            rest,
        })
    }

    /// As [`naff`].
    ///
    /// # Errors
    /// As [`naff`]; a signal of another length than the analysis was made for is too short or is cut.
    pub fn lines(&mut self, signal: &[Complex<f64>]) -> Result<Vec<Line>, NoFrequency> {
        self.load(signal.len(), |turn| (signal[turn].re, signal[turn].im))?;
        self.decompose(false)
    }

    /// As [`naff_real`].
    ///
    /// # Errors
    /// As [`Analyser::lines`].
    pub fn real_lines(&mut self, signal: &[f64]) -> Result<Vec<Line>, NoFrequency> {
        self.load(signal.len(), |turn| (signal[turn], 0.0))?;
        self.decompose(true)
    }

    fn load(&mut self, length: usize, value: impl Fn(usize) -> (f64, f64)) -> Result<(), NoFrequency> {
        if length < self.turns {
            return Err(NoFrequency::TooShort(length));
        }
        for turn in 0..self.turns {
            let (re, im) = value(turn);
            if !(re.is_finite() && im.is_finite()) {
                return Err(NoFrequency::NotFinite(turn));
            }
            (self.rest.re[turn], self.rest.im[turn]) = (re, im);
        }
        Ok(())
    }

    fn decompose(&mut self, real: bool) -> Result<Vec<Line>, NoFrequency> {
        let signal = (self.options.lines > 1).then(|| self.rest.clone());
        let (mut basis, mut amplitudes) = (Basis::new(self.turns), DVector::zeros(0));
        while basis.lines.len() < self.options.lines {
            let Some((frequency, integral)) = self.strongest(real) else { break };
            if basis.has(frequency) {
                break;
            }
            let Some(signal) = &signal else {
                return Ok(vec![self.only_line(frequency, integral, real)]);
            };
            basis.add_line(frequency, real, &self.window, signal);
            let Some(solved) = basis.amplitudes() else { break };
            amplitudes = solved;
            self.subtract(signal, &basis, &amplitudes);
        }
        let solved = basis.lines.iter().filter(|(index, _)| *index < amplitudes.len());
        let found: Vec<Line> =
            solved.map(|&(index, parts)| self.line(basis.frequencies[index], amplitudes[index] * parts)).collect();
        if found.is_empty() { Err(NoFrequency::Nothing) } else { Ok(found) }
    }

    fn line(&self, frequency: f64, amplitude: Complex<f64>) -> Line {
        let [low, high] = self.options.range;
        let middle = 0.5 * (low + high);
        Line { frequency: frequency - (frequency - middle).round(), amplitude }
    }

    /// The line when only one is asked for: its amplitude is the integral itself.
    fn only_line(&self, frequency: f64, integral: Complex<f64>, real: bool) -> Line {
        let amplitude = integral * Complex::cis(-TAU * frequency * centre(self.turns));
        if !real {
            return self.line(frequency, amplitude);
        }
        // the mirror image leaks into the integral: amplitude = a + conj(a) leak
        let leak =
            window_transform(&self.window, 2.0 * frequency) * Complex::cis(-2.0 * TAU * frequency * centre(self.turns));
        let own = (amplitude - leak * amplitude.conj()) / (1.0 - leak.norm_sqr());
        self.line(frequency, if leak.norm() < 0.5 { own * 2.0 } else { amplitude })
    }

    /// Frequency of the strongest line of what is left, and the windowed mean there (time counted from the middle).
    fn strongest(&mut self, real: bool) -> Option<(f64, Complex<f64>)> {
        let (re, im) = (&mut self.spectrum.re, &mut self.spectrum.im);
        for turn in 0..self.turns {
            self.windowed.re[turn] = self.rest.re[turn] * self.window[turn];
            self.windowed.im[turn] = self.rest.im[turn] * self.window[turn];
        }
        re[..self.turns].copy_from_slice(&self.windowed.re);
        im[..self.turns].copy_from_slice(&self.windowed.im);
        re[self.turns..].fill(0.0);
        im[self.turns..].fill(0.0);
        self.fft.transform(&mut self.spectrum);
        let start = self.peak(real)?;
        self.climb(start)
    }

    /// The strongest place of the transform within the range, refined by its stronger neighbour.
    fn peak(&self, real: bool) -> Option<f64> {
        let length = self.fft.len();
        let power = |k: usize| {
            let k = k % length;
            self.spectrum.re[k] * self.spectrum.re[k] + self.spectrum.im[k] * self.spectrum.im[k]
        };
        let within = |k: usize| {
            let place = k as f64 / length as f64;
            let [low, high] = self.options.range;
            let inside = |place: f64| place >= low && place <= high;
            (inside(place) || inside(place - 1.0)) && !(real && place > 0.5)
        };
        let mut best = (0, 0.0);
        for k in 0..length {
            let here = power(k);
            if here > best.1 && within(k) {
                best = (k, here);
            }
        }
        let (k, here) = best;
        if here == 0.0 {
            return None;
        }
        let (before, after) = (power(k + length - 1), power(k + 1));
        let (side, neighbour) = if after > before { (1.0, after) } else { (-1.0, before) };
        let ratio = (neighbour / here).sqrt();
        let order = f64::from(self.options.window_order);
        // exact for one line and a transform without padding; else a half step at most
        let shift = if length == self.turns {
            ((order + 1.0) * ratio - order) / (1.0 + ratio)
        } else {
            0.5 * (after - before).abs() / (2.0 * here - before - after).max(f64::MIN_POSITIVE)
        };
        Some((k as f64 + side * shift.clamp(-1.0, 1.0)) / length as f64)
    }

    /// Newton's method for the maximum of |phi|², held within one bin.
    fn climb(&self, start: f64) -> Option<(f64, Complex<f64>)> {
        let bin = 1.0 / self.turns as f64;
        let mut frequency = start;
        let mut last = f64::INFINITY;
        for _ in 0..STEPS {
            let [phi, first, second] = integrals(&self.windowed, frequency);
            let slope = (first * phi.conj()).re;
            let curvature = first.norm_sqr() + (second * phi.conj()).re;
            if phi.norm_sqr() == 0.0 || !slope.is_finite() {
                return None;
            }
            let newton = -slope / curvature;
            let step = if curvature < 0.0 { newton.clamp(-0.5 * bin, 0.5 * bin) } else { 0.25 * bin * slope.signum() };
            // what is left to gain is below the square of the step: the integral here is that of the maximum
            if step.abs() < REST || (step.abs() >= last && last < 1e-11) {
                return Some((frequency + step, phi / self.turns as f64));
            }
            last = step.abs();
            frequency += step;
        }
        None
    }

    fn subtract(&mut self, signal: &Planes, basis: &Basis, amplitudes: &DVector<Complex<f64>>) {
        self.rest.re.copy_from_slice(&signal.re);
        self.rest.im.copy_from_slice(&signal.im);
        for (&frequency, amplitude) in basis.frequencies.iter().zip(amplitudes.iter()) {
            for_each_phasor(frequency, self.turns, 0.0, |turn, phasor| {
                let part = phasor * amplitude;
                self.rest.re[turn] -= part.re;
                self.rest.im[turn] -= part.im;
            });
        }
    }
}

/// Exponentials that stand for lines, and how they overlap under the window.
struct Basis {
    turns: usize,
    frequencies: Vec<f64>,
    /// First exponential of each line and how many there are: a line of a real signal has a mirror image.
    lines: Vec<(usize, f64)>,
    overlaps: Vec<Vec<Complex<f64>>>,
    projections: Vec<Complex<f64>>,
}

impl Basis {
    fn new(turns: usize) -> Self {
        Self { turns, frequencies: vec![], lines: vec![], overlaps: vec![], projections: vec![] }
    }

    /// Whether a line cannot be told from one found before.
    fn has(&self, frequency: f64) -> bool {
        let apart = |other: f64| {
            let gap = frequency - other;
            (gap - gap.round()).abs()
        };
        self.frequencies.iter().any(|&other| apart(other) < 0.1 / self.turns as f64)
    }

    fn add_line(&mut self, frequency: f64, real: bool, window: &[f64], signal: &Planes) {
        let first = self.frequencies.len();
        self.add(frequency, window, signal);
        let mirrored = real && !self.has(-frequency);
        if mirrored {
            self.add(-frequency, window, signal);
        }
        self.lines.push((first, if mirrored { 2.0 } else { 1.0 }));
    }

    fn add(&mut self, frequency: f64, window: &[f64], signal: &Planes) {
        let mean = 1.0 / self.turns as f64;
        let mut row: Vec<_> = self
            .frequencies
            .iter()
            .map(|other| {
                let gap = other - frequency;
                window_transform(window, -gap) * Complex::cis(TAU * gap * centre(self.turns))
            })
            .collect();
        row.push(Complex::new(1.0, 0.0));
        let mut projection = Complex::new(0.0, 0.0);
        for_each_phasor(-frequency, self.turns, 0.0, |turn, phasor| {
            projection += phasor * Complex::new(signal.re[turn], signal.im[turn]) * (window[turn] * mean);
        });
        self.frequencies.push(frequency);
        self.overlaps.push(row);
        self.projections.push(projection);
    }

    /// Amplitudes that leave nothing of the signal in the space of the lines: Gram's matrix, solved.
    fn amplitudes(&self) -> Option<DVector<Complex<f64>>> {
        let count = self.frequencies.len();
        let gram = DMatrix::from_fn(count, count, |row, column| {
            if column <= row { self.overlaps[row][column] } else { self.overlaps[column][row].conj() }
        });
        gram.lu().solve(&DVector::from_vec(self.projections.clone()))
    }
}

/// (1 + cos)^p over the turns, with mean 1, not quite 0 at both ends.
fn window(turns: usize, order: u32) -> Vec<f64> {
    let shape = |turn: usize| (1.0 - (TAU * (turn as f64 + 0.5) / turns as f64).cos()).powi(order as i32);
    let values: Vec<f64> = (0..turns).map(shape).collect();
    let mean = values.iter().sum::<f64>() / turns as f64;
    values.into_iter().map(|value| value / mean).collect()
}

fn centre(turns: usize) -> f64 {
    0.5 * (turns as f64 - 1.0)
}

/// Mean of the window times exp(-2 pi i nu (n - centre)); real, as the window is even about the centre.
fn window_transform(window: &[f64], frequency: f64) -> f64 {
    let mut sum = 0.0;
    for_each_phasor(-frequency, window.len(), centre(window.len()), |turn, phasor| sum += window[turn] * phasor.re);
    sum / window.len() as f64
}

/// exp(2 pi i nu (n - from)) for all turns n, by recurrence, made good every 64 turns.
fn for_each_phasor(frequency: f64, turns: usize, from: f64, mut each: impl FnMut(usize, Complex<f64>)) {
    let step = Complex::cis(TAU * frequency);
    let mut phasor = Complex::new(1.0, 0.0);
    for turn in 0..turns {
        if turn % 64 == 0 {
            phasor = Complex::cis(TAU * frequency * (turn as f64 - from));
        }
        each(turn, phasor);
        phasor *= step;
    }
}

/// Turns worked on side by side.
const WIDTH: usize = 4;

/// The sum of z_n exp(-2 pi i nu t_n), t counted from the middle of the signal, and its first two derivatives with
/// respect to nu.
fn integrals(signal: &Planes, frequency: f64) -> [Complex<f64>; 3] {
    let turns = signal.re.len();
    let from = centre(turns);
    let whole = turns - turns % WIDTH;
    let first: [Complex<f64>; WIDTH] =
        std::array::from_fn(|lane| Complex::cis(-TAU * frequency * (lane as f64 - from)));
    let (mut re, mut im) = (first.map(|phasor| phasor.re), first.map(|phasor| phasor.im));
    let step = Complex::cis(-TAU * frequency * WIDTH as f64);
    let mut time: [f64; WIDTH] = std::array::from_fn(|lane| lane as f64 - from);
    let mut sums = [[0.0; WIDTH]; 6];
    let blocks = signal.re[..whole].chunks_exact(WIDTH).zip(signal.im[..whole].chunks_exact(WIDTH));
    for (zr, zi) in blocks {
        for lane in 0..WIDTH {
            let (vr, vi) = (zr[lane] * re[lane] - zi[lane] * im[lane], zr[lane] * im[lane] + zi[lane] * re[lane]);
            let (tr, ti) = (time[lane] * vr, time[lane] * vi);
            sums[0][lane] += vr;
            sums[1][lane] += vi;
            sums[2][lane] += tr;
            sums[3][lane] += ti;
            sums[4][lane] += time[lane] * tr;
            sums[5][lane] += time[lane] * ti;
            let next = re[lane] * step.re - im[lane] * step.im;
            im[lane] = re[lane] * step.im + im[lane] * step.re;
            re[lane] = next;
            time[lane] += WIDTH as f64;
        }
    }
    let mut total = sums.map(|lanes| lanes.iter().sum::<f64>());
    for turn in whole..turns {
        let time = turn as f64 - from;
        let value = Complex::cis(-TAU * frequency * time) * Complex::new(signal.re[turn], signal.im[turn]);
        let parts =
            [value.re, value.im, time * value.re, time * value.im, time * time * value.re, time * time * value.im];
        total.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
    }
    // d/dnu brings down -2 pi i t
    [
        Complex::new(total[0], total[1]),
        Complex::new(total[3], -total[2]) * TAU,
        Complex::new(total[4], total[5]) * (-4.0 * PI * PI),
    ]
}

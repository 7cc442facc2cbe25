//! Wake functions: tables, and resonators.

use std::f64::consts::TAU;

use nalgebra::Complex;

use super::NoWake;

/// One wake function of the delay behind the source.
#[derive(Clone, Debug, PartialEq)]
pub enum WakeFunction {
    /// Straight lines between the points of a table; nothing outside of it.
    Table {
        /// Delays [s], rising. Where the first one is 0, nothing is felt ahead of the source, and a charge feels half
        /// of what is there: what it leaves behind is made by itself.
        delay: Vec<f64>,
        /// Values there [V/C], transverse [V/(C m)].
        value: Vec<f64>,
    },
    /// The voltage of a resonator, `Re(amplitude exp(rate t))`, for ever.
    Ringing {
        /// At delay 0 [V/C], transverse [V/(C m)].
        amplitude: Complex<f64>,
        /// Minus the damping rate, plus i times the angular frequency [1/s].
        rate: Complex<f64>,
    },
}

/// A mode of a cavity, or the broad band of a whole vacuum chamber.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resonator {
    /// Resonance frequency [Hz].
    pub frequency: f64,
    /// Quality factor [1], above 1/2.
    pub quality: f64,
    /// Shunt impedance: the impedance at resonance (not twice that) [ohm], transverse [ohm/m].
    pub shunt: f64,
}

impl WakeFunction {
    /// A table of delays [s] and values [V/C] or [V/(C m)].
    ///
    /// # Errors
    /// Columns of different length, less than two points, delays that do not rise, or a value that is not finite.
    pub fn table(delay: Vec<f64>, value: Vec<f64>) -> Result<Self, NoWake> {
        if delay.len() != value.len() || delay.len() < 2 {
            return Err(NoWake::Table("a table needs one value for each of at least two delays"));
        }
        if !delay.windows(2).all(|pair| pair[1] > pair[0]) {
            return Err(NoWake::Table("the delays of a table have to rise"));
        }
        if let Some(&wrong) = delay.iter().chain(&value).find(|number| !number.is_finite()) {
            return Err(NoWake::BadNumber("an entry of a table", wrong));
        }
        Ok(Self::Table { delay, value })
    }

    /// Value at a delay [s].
    #[must_use]
    pub fn at(&self, delay: f64) -> f64 {
        match self {
            Self::Table { delay: delays, value } => at_delay(delays, value, delay),
            Self::Ringing { .. } if delay < 0.0 => 0.0,
            Self::Ringing { amplitude, rate } => {
                let share = if delay == 0.0 { 0.5 } else { 1.0 };
                share * (amplitude * (rate * delay).exp()).re
            }
        }
    }

    /// Delay after which nothing is left [s]; infinite for what rings.
    pub(super) fn reach(&self) -> f64 {
        match self {
            Self::Table { delay, .. } => delay.last().copied().unwrap_or(0.0),
            Self::Ringing { .. } => f64::INFINITY,
        }
    }
}

fn at_delay(delays: &[f64], values: &[f64], delay: f64) -> f64 {
    let after = delays.partition_point(|known| *known <= delay);
    if after == 0 {
        return 0.0;
    }
    if after == delays.len() {
        let at_end = delay == delays[after - 1];
        return if at_end { values[after - 1] } else { 0.0 };
    }
    if delay == 0.0 && after == 1 {
        return 0.5 * values[0];
    }
    let part = (delay - delays[after - 1]) / (delays[after] - delays[after - 1]);
    values[after - 1] + part * (values[after] - values[after - 1])
}

impl Resonator {
    /// The longitudinal wake `2 a R exp(-a t) (cos w t - a/w sin w t)`, with `a = w_r / 2 Q` and `w² = w_r² - a²`.
    ///
    /// # Errors
    /// A number makes no sense.
    pub fn longitudinal(&self) -> Result<WakeFunction, NoWake> {
        let rate = self.rate()?;
        let (damping, turning) = (-rate.re, rate.im);
        // cos - (a/w) sin is the real part of (1 + i a/w) exp(i w t)
        let amplitude = Complex::new(1.0, damping / turning) * (2.0 * damping * self.shunt);
        Ok(WakeFunction::Ringing { amplitude, rate })
    }

    /// The transverse wake `w_r² R / (Q w) exp(-a t) sin w t`.
    ///
    /// # Errors
    /// A number makes no sense.
    pub fn transverse(&self) -> Result<WakeFunction, NoWake> {
        let rate = self.rate()?;
        let resonance = TAU * self.frequency;
        let amplitude = Complex::new(0.0, -resonance * resonance * self.shunt / (self.quality * rate.im));
        Ok(WakeFunction::Ringing { amplitude, rate })
    }

    fn rate(&self) -> Result<Complex<f64>, NoWake> {
        let Self { frequency, quality, shunt } = *self;
        if !(frequency > 0.0 && frequency.is_finite()) {
            return Err(NoWake::BadNumber("the frequency of a resonator", frequency));
        }
        if !(quality > 0.5 && quality.is_finite()) {
            return Err(NoWake::BadNumber("the quality factor of a resonator", quality));
        }
        if !shunt.is_finite() {
            return Err(NoWake::BadNumber("the shunt impedance of a resonator", shunt));
        }
        let resonance = TAU * frequency;
        let damping = resonance / (2.0 * quality);
        Ok(Complex::new(-damping, (resonance * resonance - damping * damping).sqrt()))
    }
}

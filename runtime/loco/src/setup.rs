//! What is fitted, and to what.

use fodo_optics::{Plane, Point, Ring};
use nalgebra::DMatrix;

use crate::fit::NoFit;

/// A monitor of the response.
#[derive(Clone, Debug)]
pub struct Monitor {
    /// What it is called in reports.
    pub name: String,
    /// The element at whose entrance it looks.
    pub element: usize,
}

/// A kick that a column gives.
#[derive(Clone, Copy, Debug)]
pub struct Kick {
    /// Element that kicks.
    pub element: usize,
    /// In which plane.
    pub plane: Plane,
    /// By how much [rad] for one unit of what is stepped.
    pub weight: f64,
}

/// A column of the response: a corrector, or several on one supply.
#[derive(Clone, Debug)]
pub struct Column {
    /// What it is called in reports.
    pub name: String,
    /// What one unit of it kicks.
    pub kicks: Vec<Kick>,
}

/// What may be turned of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Upright gradient: k1 [1/m²] of a thick magnet, k1 times length [1/m] of a thin one.
    Gradient(usize),
    /// Skew gradient, likewise.
    SkewGradient(usize),
    /// Roll of the gradient about the beam [rad], in the sense of [`Ring::set_misalignment`].
    Tilt(usize),
}

impl Turn {
    /// Index of the element.
    #[must_use]
    pub fn element(self) -> usize {
        match self {
            Self::Gradient(element) | Self::SkewGradient(element) | Self::Tilt(element) => element,
        }
    }
}

/// Strengths that change together: one parameter.
#[derive(Clone, Debug)]
pub struct Group {
    /// What it is called in reports.
    pub name: String,
    /// What one unit of the parameter changes, each so much.
    pub members: Vec<(Turn, f64)>,
    /// Spread that is expected of the parameter; counts with [`Method::Constrained`](crate::Method::Constrained).
    pub width: Option<f64>,
}

/// What is fitted of monitors and correctors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Gains of monitors, in both planes.
    pub monitor_gain: bool,
    /// What the other plane adds in a monitor.
    pub monitor_coupling: bool,
    /// Gains of correctors.
    pub corrector_gain: bool,
    /// What correctors kick in the other plane.
    pub corrector_coupling: bool,
    /// Changes of delta that go with correctors.
    pub energy_shift: bool,
    /// Factor on the step of the RF frequency, or of delta, of the dispersion column.
    pub dispersion_step: bool,
}

impl Blocks {
    /// Gains of monitors and correctors.
    pub const GAINS: Self = Self { monitor_gain: true, corrector_gain: true, ..Self::NONE };
    /// Gains and couplings of monitors and correctors.
    pub const COUPLED: Self = Self { monitor_coupling: true, corrector_coupling: true, ..Self::GAINS };
    /// Nothing but the lattice.
    pub const NONE: Self = Self {
        monitor_gain: false,
        monitor_coupling: false,
        corrector_gain: false,
        corrector_coupling: false,
        energy_shift: false,
        dispersion_step: false,
    };
}

/// What is fitted.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The model to start from: with cavities at fixed path length, without at fixed momentum.
    pub ring: Ring,
    /// Of a line what enters it; a ring has none.
    pub line: Option<Point<f64>>,
    /// Rows of the response.
    pub monitors: Vec<Monitor>,
    /// Columns of the response.
    pub columns: Vec<Column>,
    /// What is fitted of the lattice.
    pub groups: Vec<Group>,
    /// What is fitted of monitors and correctors.
    pub blocks: Blocks,
}

/// What the orbit did with the energy: a column beside those of the correctors.
#[derive(Clone, Debug)]
pub struct Dispersion {
    /// Change of the orbit: x of each monitor, then y [m]; NaN where it is not known.
    pub orbit: Vec<f64>,
    /// Its errors [m].
    pub sigma: Vec<f64>,
    /// The step that made it: of the RF frequency [Hz] where the model has its cavities on, else of delta [1].
    pub step: f64,
    /// How much it counts in the fit, beside a reading of the response, in each plane [1].
    pub weight: [f64; 2],
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Change of the orbit per unit of each column [m per unit]: rows x of each monitor, then y; NaN where it is not known.
    pub response: DMatrix<f64>,
    /// Its errors; where one is not a positive number, the entry does not count.
    pub sigma: DMatrix<f64>,
    /// The dispersion, if it was measured.
    pub dispersion: Option<Dispersion>,
}

/// A reading that did not count in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// Plane in which it was read.
    pub plane: Plane,
    /// Monitor.
    pub monitor: usize,
    /// Column; `None` for the dispersion.
    pub column: Option<usize>,
    /// Its distance from the fit when it was rejected, over its error [1].
    pub residual: f64,
}

/// Readings by rows, x of each monitor, then y: each row its columns, then the dispersion.
#[derive(Clone)]
pub(crate) struct Data {
    pub stride: usize,
    pub measured: Vec<f64>,
    /// One over the error; 0 for what does not count.
    pub weight: Vec<f64>,
    /// Factors on the weights in the fit, of rows in x and in y: of the last column only.
    pub emphasis: [f64; 2],
    pub step: f64,
}

impl Data {
    pub fn new(setup: &Setup, measured: &Measured) -> Result<Self, NoFit> {
        let (rows, columns) = (2 * setup.monitors.len(), setup.columns.len());
        let shape = |what: &str, found: (usize, usize)| match found == (rows, columns) {
            true => Ok(()),
            false => Err(NoFit::Data(format!(
                "the {what} has {} rows and {} columns; {rows} (x, then y, of {} monitors) and {columns} are wanted",
                found.0,
                found.1,
                rows / 2
            ))),
        };
        shape("response", measured.response.shape())?;
        shape("matrix of its errors", measured.sigma.shape())?;
        let stride = columns + usize::from(measured.dispersion.is_some());
        let mut data = Self {
            stride,
            measured: vec![0.0; rows * stride],
            weight: vec![0.0; rows * stride],
            emphasis: [1.0; 2],
            step: 0.0,
        };
        for row in 0..rows {
            for column in 0..columns {
                data.set(row, column, measured.response[(row, column)], measured.sigma[(row, column)]);
            }
        }
        if let Some(dispersion) = &measured.dispersion {
            data.add_dispersion(dispersion, rows)?;
        }
        match data.count() {
            0 => Err(NoFit::Data("no reading has a value and an error that is a positive number".into())),
            _ => Ok(data),
        }
    }

    fn set(&mut self, row: usize, column: usize, value: f64, sigma: f64) {
        if value.is_finite() && sigma.is_finite() && sigma > 0.0 {
            let at = row * self.stride + column;
            (self.measured[at], self.weight[at]) = (value, 1.0 / sigma);
        }
    }

    fn add_dispersion(&mut self, dispersion: &Dispersion, rows: usize) -> Result<(), NoFit> {
        let Dispersion { orbit, sigma, step, weight } = dispersion;
        if [orbit.len(), sigma.len()] != [rows; 2] {
            let found = format!("{} and {}", orbit.len(), sigma.len());
            return Err(NoFit::Data(format!("the dispersion has {found} entries and errors; {rows} are wanted")));
        }
        if !(step.is_finite() && *step != 0.0 && weight.iter().all(|weight| weight.is_finite() && *weight >= 0.0)) {
            return Err(NoFit::Data(
                "the step of a dispersion is a number other than 0, its weights are not negative".into(),
            ));
        }
        for row in 0..rows {
            self.set(row, self.stride - 1, orbit[row], sigma[row]);
        }
        (self.emphasis, self.step) = (*weight, *step);
        Ok(())
    }

    pub fn rows(&self) -> usize {
        self.measured.len() / self.stride.max(1)
    }

    /// Monitors of which any reading counts.
    pub fn monitors(&self) -> Vec<usize> {
        let count = self.rows() / 2;
        let counts = |row: usize| self.weight[row * self.stride..(row + 1) * self.stride].iter().any(|w| *w > 0.0);
        (0..count).filter(|&monitor| counts(monitor) || counts(monitor + count)).collect()
    }

    /// The readings that are chosen, alone.
    pub fn only(&self, chosen: impl Fn(usize) -> bool) -> Self {
        let mut data = self.clone();
        data.weight.iter_mut().enumerate().filter(|(at, _)| !chosen(*at)).for_each(|(_, weight)| *weight = 0.0);
        data
    }

    pub fn has_dispersion(&self) -> bool {
        self.step != 0.0
    }

    /// How many readings count.
    pub fn count(&self) -> usize {
        self.weight.iter().filter(|weight| **weight > 0.0).count()
    }

    /// Whether an entry belongs to the dispersion.
    pub fn is_dispersion(&self, at: usize) -> bool {
        self.has_dispersion() && at % self.stride == self.stride - 1
    }

    /// What the residual of an entry is multiplied with in the fit.
    pub fn weight_at(&self, at: usize) -> f64 {
        let lower = 2 * at >= self.measured.len();
        self.weight[at] * if self.is_dispersion(at) { self.emphasis[usize::from(lower)] } else { 1.0 }
    }
}

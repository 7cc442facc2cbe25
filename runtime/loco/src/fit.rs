//! A fit and what it found.

use std::collections::BTreeMap;
use std::fmt;

use fodo_optics::{NoClosedOrbit, NoDerivative, Plane, Ring};
use nalgebra::DMatrix;

use crate::degenerate::{Degeneracy, named};
use crate::search::{Equations, Options, Search};
use crate::setup::{Data, Measured, Outlier, Setup};
use crate::values::{Block, Values};

/// What a fit found.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The parameters.
    pub values: Values,
    /// Their errors; NaN for what was not fitted, and for what no reading depends on.
    pub errors: Values,
    /// Covariance of the groups, in their units.
    pub covariance: DMatrix<f64>,
    /// chi² before the fit, of the readings that count after it.
    pub chi2_before: f64,
    /// chi² after the fit.
    pub chi2: f64,
    /// How many readings count.
    pub readings: usize,
    /// How many combinations of parameters were determined.
    pub determined: usize,
    /// What is not told by the readings.
    pub degenerate: Vec<Degeneracy>,
    /// Readings that did not count in the end.
    pub outliers: Vec<Outlier>,
    /// The fitted model.
    pub ring: Ring,
    /// What it expects of the readings, instruments included, as [`Measured::response`].
    pub response: DMatrix<f64>,
    /// The same of the dispersion: x of each monitor, then y [m]; empty if it was not measured.
    pub dispersion: Vec<f64>,
    /// Steps that were made.
    pub iterations: usize,
    /// Whether another step would have gained nothing.
    pub converged: bool,
}

/// Why there is no fit.
#[derive(Clone, Debug, PartialEq)]
pub enum NoFit {
    /// The model has no response, or none that could be varied as asked.
    Model(NoDerivative),
    /// The readings do not fit together.
    Data(String),
    /// The eigenvectors of the normal equations were not found.
    Eigenvectors,
}

impl fmt::Display for NoFit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(reason) => reason.fmt(out),
            Self::Data(reason) => out.write_str(reason),
            Self::Eigenvectors => out.write_str("the eigenvectors of the normal equations were not found"),
        }
    }
}

impl std::error::Error for NoFit {}

impl From<NoDerivative> for NoFit {
    fn from(reason: NoDerivative) -> Self {
        Self::Model(reason)
    }
}

impl From<NoClosedOrbit> for NoFit {
    fn from(reason: NoClosedOrbit) -> Self {
        Self::Model(reason.into())
    }
}

/// How often a fit is made again with what is found to be no outlier.
const ROUNDS: usize = 8;

impl Setup {
    /// Fits to what was measured.
    ///
    /// # Errors
    /// The measurement has another shape, or the model no response.
    pub fn fit(&self, measured: &Measured, options: Options) -> Result<Fit, NoFit> {
        self.fit_from(measured, options, Values::perfect(self))
    }

    /// The same from other values of the parameters; those that are not fitted keep them.
    ///
    /// # Errors
    /// As [`Setup::fit`].
    pub fn fit_from(&self, measured: &Measured, options: Options, start: Values) -> Result<Fit, NoFit> {
        let data = Data::new(self, measured)?;
        let mut search = Search::new(self, data.clone(), options, start.clone());
        let mut equations = search.converge()?;
        let mut outliers = BTreeMap::new();
        search.refill();
        for _ in 0..ROUNDS {
            let found = search.find_outliers(&data)?;
            let gone = data.only(|at| found.contains_key(&at) && !outliers.contains_key(&at));
            let back = data.only(|at| outliers.contains_key(&at) && !found.contains_key(&at));
            outliers = found;
            if gone.count() + back.count() == 0 {
                break;
            }
            equations = match search.is_spoilt(&gone)? {
                true => search.restart(&start, data.only(|at| !outliers.contains_key(&at)))?,
                false => search.exchange(&equations, &gone, &back)?,
            };
            if search.is_exhausted() {
                break;
            }
        }
        let outliers = outliers.into_iter().map(|(at, residual)| search.outlier(at, residual)).collect();
        self.report(&search, &equations, &start, outliers)
    }

    /// What readings are expected with these values: the response, and the dispersion if `measured` has one.
    ///
    /// # Errors
    /// As [`Setup::fit`].
    pub fn expected(&self, measured: &Measured, values: &Values) -> Result<(DMatrix<f64>, Vec<f64>), NoFit> {
        let data = Data::new(self, measured)?;
        Ok(self.split(&data, &self.predicted(&data, values)?))
    }

    /// chi² of these values, of which so many are counted as determined.
    ///
    /// # Errors
    /// As [`Setup::fit`].
    pub fn chi2(&self, measured: &Measured, values: &Values, determined: usize) -> Result<f64, NoFit> {
        let data = Data::new(self, measured)?;
        Ok(chi2(&data, &self.predicted(&data, values)?, determined))
    }

    fn split(&self, data: &Data, predicted: &[f64]) -> (DMatrix<f64>, Vec<f64>) {
        let columns = self.columns.len();
        let response = DMatrix::from_fn(data.rows(), columns, |row, column| predicted[row * data.stride + column]);
        let last = |row: usize| predicted[row * data.stride + columns];
        let dispersion = if data.has_dispersion() { (0..data.rows()).map(last).collect() } else { vec![] };
        (response, dispersion)
    }

    fn report(
        &self,
        search: &Search,
        equations: &Equations,
        start: &Values,
        outliers: Vec<Outlier>,
    ) -> Result<Fit, NoFit> {
        let scaled = &equations.scaled;
        let solved = scaled.solved(None, &equations.known, search.options.cut)?;
        let null = solved.null();
        let determined = scaled.active.len() - null.len();
        let predicted = self.predicted(&search.data, &search.values)?;
        let chi2_after = chi2(&search.data, &predicted, determined);
        let covariance = solved.covariance(scaled.active.len()) * f64::max(1.0, chi2_after);
        let mut errors = vec![f64::NAN; search.layout.count()];
        for (entry, &place) in scaled.active.iter().enumerate() {
            errors[place] = covariance[(entry, entry)].max(0.0).sqrt() * scaled.scale[entry];
        }
        let first = search.layout.range(Block::Groups).start;
        let of_group = |group: usize| scaled.active.binary_search(&(first + group)).ok();
        let groups = DMatrix::from_fn(self.groups.len(), self.groups.len(), |row, column| {
            let (Some(row), Some(column)) = (of_group(row), of_group(column)) else { return f64::NAN };
            covariance[(row, column)] * scaled.scale[row] * scaled.scale[column]
        });
        let (response, dispersion) = self.split(&search.data, &predicted);
        Ok(Fit {
            errors: Values::errors(self, &search.layout, &errors),
            values: search.values.clone(),
            covariance: groups,
            chi2_before: chi2(&search.data, &self.predicted(&search.data, start)?, 0),
            chi2: chi2_after,
            readings: search.data.count(),
            determined,
            degenerate: named(self, &search.layout, scaled, &null, &equations.suspects),
            outliers,
            ring: self.ring_with(&search.values)?,
            response,
            dispersion,
            iterations: search.iterations,
            converged: search.converged,
        })
    }
}

/// Residuals of the readings that count, over their errors, with their places.
fn residuals(data: &Data, predicted: &[f64]) -> Vec<(usize, f64)> {
    let used = (0..predicted.len()).filter(|&at| data.weight[at] > 0.0);
    used.map(|at| (at, data.weight[at] * (data.measured[at] - predicted[at]))).collect()
}

fn chi2(data: &Data, predicted: &[f64], determined: usize) -> f64 {
    let residuals = residuals(data, predicted);
    let sum: f64 = residuals.iter().map(|(_, residual)| residual * residual).sum();
    sum / (residuals.len() as f64 - determined as f64).max(1.0)
}

impl Search<'_> {
    /// Places and residuals of what is too far from the fit, the response and the dispersion each by its own spread. What was an
    /// outlier before is looked at again, since it may have been far from a fit that others had spoilt.
    fn find_outliers(&self, all: &Data) -> Result<BTreeMap<usize, f64>, NoFit> {
        let Some(limit) = self.options.outliers else { return Ok(BTreeMap::new()) };
        let predicted = self.setup.predicted(&self.data, &self.values)?;
        let (dispersion, response): (Vec<_>, Vec<_>) =
            residuals(all, &predicted).into_iter().partition(|(at, _)| all.is_dispersion(*at));
        let mut found = BTreeMap::new();
        for readings in [response, dispersion] {
            let mut kept: Vec<_> = readings.iter().copied().filter(|(at, _)| self.data.weight[*at] > 0.0).collect();
            // twice, since a large one widens the spread
            for _ in 0..2 {
                let (mean, spread) = spread(&kept);
                kept.retain(|(_, residual)| (residual - mean).abs() <= limit * spread);
            }
            let (mean, spread) = spread(&kept);
            let is_far = |residual: f64| (residual - mean).abs() > limit * spread;
            found.extend(readings.into_iter().filter(|(_, residual)| is_far(*residual)));
        }
        Ok(found)
    }

    fn outlier(&self, at: usize, residual: f64) -> Outlier {
        let (row, column, monitors) = (at / self.data.stride, at % self.data.stride, self.setup.monitors.len());
        let (plane, monitor) = if row < monitors { (Plane::X, row) } else { (Plane::Y, row - monitors) };
        Outlier { plane, monitor, column: (column < self.setup.columns.len()).then_some(column), residual }
    }
}

fn spread(residuals: &[(usize, f64)]) -> (f64, f64) {
    let count = residuals.len().max(1) as f64;
    let mean = residuals.iter().map(|(_, residual)| residual).sum::<f64>() / count;
    let square = residuals.iter().map(|(_, residual)| (residual - mean).powi(2)).sum::<f64>() / count;
    (mean, square.sqrt())
}

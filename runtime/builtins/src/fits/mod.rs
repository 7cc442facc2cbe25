//! Curves through points: fits with errors, interpolation.

mod curve;
mod interpolate;
mod linear;
mod sine;

use crate::quantity::{self, from_dynamic, two_units, unit_power};
use crate::vector::Vector;
use fodo_language::{Options, Outcome, article, script_error, type_word};
use fodo_units::{Quantity, Unit};
use nalgebra::DMatrix;
use rhai::{Dynamic, Engine, Map};

/// Registers fits and interpolation.
pub fn register(engine: &mut Engine) {
    linear::register(engine);
    sine::register(engine);
    curve::register(engine);
    interpolate::register(engine);
}

/// Points to be fitted.
struct Points<'a> {
    x: &'a Vector,
    y: &'a Vector,
    sigma: Option<Vec<f64>>,
}

impl<'a> Points<'a> {
    fn new(x: &'a Vector, y: &'a Vector, sigma: Option<Dynamic>) -> Outcome<Points<'a>> {
        let (many, found) = (y.si().len(), x.si().len());
        if many != found {
            return Err(script_error(format!("vectors of {found} and {many} entries do not go together")));
        }
        Ok(Points { x, y, sigma: sigma.map(|sigma| errors(&sigma, y)).transpose()? })
    }
}

/// The error of each y: one for all, or a vector.
fn errors(sigma: &Dynamic, y: &Vector) -> Outcome<Vec<f64>> {
    let agree = |unit: &Unit| match unit.dimension() == y.unit().dimension() {
        true => Ok(()),
        false => Err(two_units("compared", y.unit(), unit)),
    };
    if let Some(v) = sigma.read_lock::<Vector>() {
        agree(v.unit())?;
        if v.si().len() != y.si().len() {
            return Err(script_error(format!("{} errors were given for {} points", v.si().len(), y.si().len())));
        }
        return Ok(v.si().to_vec());
    }
    let one = from_dynamic(sigma).ok_or_else(|| {
        let found = article(&type_word(sigma.type_name()));
        script_error(format!("`sigma` is one error or a vector of them, found {found}"))
    })?;
    agree(&one.unit)?;
    Ok(vec![one.si; y.si().len()])
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    let fits = ["fit_line", "fit_parabola", "fit_polynomial", "fit_basis", "fit_curve", "fit_gauss"];
    fits.into_iter().map(sigma_option).chain([sine::options(), interpolate::options()]).collect()
}

fn sigma_option(owner: &str) -> Options {
    Options::new(owner)
        .any("sigma")
        .help("errors of y, one for all or a vector; without it they are judged by the residuals")
}

/// What a fit has found.
struct Found<'a> {
    /// Name, value (SI) and unit of each parameter.
    parameters: Vec<(&'a str, f64, Unit)>,
    /// Standard error of each.
    sigma: Vec<f64>,
    curve: Vec<f64>,
    chi2: f64,
    freedom: usize,
}

/// The words that every fit adds to its parameters.
const WORDS: [&str; 5] = ["sigma", "rms", "chi2", "freedom", "curve"];

impl Found<'_> {
    /// The result as scripts see it.
    fn map(&self, points: &Points) -> Map {
        let (mut map, mut sigma) = (Map::new(), Map::new());
        for ((name, value, unit), error) in self.parameters.iter().zip(&self.sigma) {
            map.insert((*name).into(), quantity::of(*value, unit.clone()));
            sigma.insert((*name).into(), quantity::of(*error, unit.clone()));
        }
        map.insert("sigma".into(), sigma.into());
        self.quality(points, &mut map);
        map
    }

    /// How well the curve goes through the points.
    fn quality(&self, points: &Points, map: &mut Map) {
        let y = points.y;
        let squares: f64 = y.si().iter().zip(&self.curve).map(|(y, c)| (y - c).powi(2)).sum();
        map.insert("rms".into(), quantity::of((squares / self.curve.len() as f64).sqrt(), y.unit().clone()));
        map.insert("curve".into(), Dynamic::from(Vector::from_si(self.curve.clone(), y.unit().clone())));
        map.insert("freedom".into(), (self.freedom as i64).into());
        if points.sigma.is_some() {
            map.insert("chi2".into(), self.chi2.into());
        }
    }
}

fn deviations(covariance: &DMatrix<f64>) -> Vec<f64> {
    covariance.diagonal().iter().map(|variance| variance.sqrt()).collect()
}

/// Halfway between the smallest and the largest.
fn middle(x: &[f64]) -> f64 {
    let (low, high) = x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
    let middle = low + 0.5 * (high - low);
    if middle.is_finite() { middle } else { 0.0 }
}

/// The unit of y over a power of x.
fn per(y: &Unit, x: &Unit, power: usize) -> Outcome<Unit> {
    if power == 0 || x.dimension().is_none() {
        return Ok(y.clone());
    }
    let x = unit_power(x, power as f64)?;
    Ok(Quantity::from_si(1.0, y.clone()).over(&Quantity::from_si(1.0, x)).unit)
}

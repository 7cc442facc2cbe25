//! Fits that are linear in their parameters: lines, parabolas, polynomials, any basis.

use super::{Found, Points, deviations, middle, per, sigma_option};
use crate::families::document;
use crate::matrix::Matrix;
use crate::quantity;
use crate::vector::Vector;
use fodo_language::{OrFail, Outcome, article, fail, script_error, type_word};
use fodo_numerics::{Linear, fit_linear};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use nalgebra::{DMatrix, DVector};
use rhai::{Array, Dynamic, Engine, FuncRegistration, INT, Map};

const HIGHEST: INT = 12;

/// A polynomial in `x - middle`, so that points far from zero lose no digits.
struct Powers {
    fit: Linear,
    middle: f64,
}

impl Powers {
    /// The same polynomial in x.
    fn about_zero(self) -> Linear {
        let count = self.fit.coefficients.len();
        // (x - m)^j = sum over k of binomial(j, k) x^k (-m)^(j - k)
        let mut turn = DMatrix::zeros(count, count);
        for j in 0..count {
            let mut binomial = 1.0;
            for k in (0..=j).rev() {
                turn[(k, j)] = binomial * (-self.middle).powi((j - k) as i32);
                binomial *= k as f64 / (j - k + 1) as f64;
            }
        }
        let coefficients = &turn * DVector::from_column_slice(&self.fit.coefficients);
        let covariance = &turn * &self.fit.covariance * turn.transpose();
        Linear { coefficients: coefficients.as_slice().to_vec(), covariance, ..self.fit }
    }
}

fn powers(points: &Points, degree: usize) -> Outcome<Powers> {
    let x = points.x.si();
    if x.len() <= degree {
        return Err(script_error(format!(
            "a polynomial of degree {degree} needs at least {} points, found {}",
            degree + 1,
            x.len()
        )));
    }
    let middle = middle(x);
    let design = DMatrix::from_fn(x.len(), degree + 1, |i, k| (x[i] - middle).powi(k as i32));
    Ok(Powers { fit: fit_linear(&design, points.y.si(), points.sigma.as_deref()).or_fail()?, middle })
}

fn read<'a>(owner: &str, x: &'a Vector, y: &'a Vector, options: &Map) -> Outcome<Points<'a>> {
    Points::new(x, y, sigma_option(owner).read(options)?.maybe_dynamic("sigma"))
}

fn line(x: &Vector, y: &Vector, options: &Map) -> Outcome<Map> {
    let points = read("fit_line", x, y, options)?;
    let fit = powers(&points, 1)?.about_zero();
    let found = Found {
        parameters: vec![
            ("offset", fit.coefficients[0], y.unit().clone()),
            ("slope", fit.coefficients[1], per(y.unit(), x.unit(), 1)?),
        ],
        sigma: deviations(&fit.covariance),
        curve: fit.curve,
        chi2: fit.chi2,
        freedom: fit.freedom,
    };
    Ok(found.map(&points))
}

fn parabola(x: &Vector, y: &Vector, options: &Map) -> Outcome<Map> {
    let points = read("fit_parabola", x, y, options)?;
    let Powers { fit, middle } = powers(&points, 2)?;
    let [c, b, a] = [0, 1, 2].map(|k| fit.coefficients[k]);
    let wide = x.si().iter().fold(0.0, |wide: f64, x| wide.max((x - middle).abs()));
    let high = y.largest();
    if a.abs() * wide * wide <= 1e-12 * high {
        let report = Diagnostic::new(Kind::Script, "the points have no turning point: they lie on a straight line");
        return Err(fail(Box::new(report.hint("scan a wider range"))));
    }
    // the turning point from the middle, and how it moves with c, b, a
    let place = -b / (2.0 * a);
    let by_place = [0.0, -1.0 / (2.0 * a), b / (2.0 * a * a)];
    let by_value = [1.0, -b / (2.0 * a), b * b / (4.0 * a * a)];
    let spread = |by: [f64; 3]| {
        let sum: f64 = (0..9).map(|k| by[k / 3] * by[k % 3] * fit.covariance[(k / 3, k % 3)]).sum();
        sum.max(0.0).sqrt()
    };
    let unknown = fit.covariance[(0, 0)].is_nan();
    let sigma = [spread(by_place), spread(by_value), fit.covariance[(2, 2)].sqrt()];
    let found = Found {
        parameters: vec![
            ("x", middle + place, x.unit().clone()),
            ("y", c + b * place / 2.0, y.unit().clone()),
            ("curvature", a, per(y.unit(), x.unit(), 2)?),
        ],
        sigma: sigma.map(|s| if unknown { f64::NAN } else { s }).to_vec(),
        curve: fit.curve,
        chi2: fit.chi2,
        freedom: fit.freedom,
    };
    Ok(found.map(&points))
}

/// Coefficients and errors as arrays, since each has its own unit.
fn listed(points: &Points, fit: &Linear, units: &[Unit]) -> Map {
    let array = |values: &[f64]| -> Array {
        values.iter().zip(units).map(|(value, unit)| quantity::of(*value, unit.clone())).collect()
    };
    let (coefficients, sigma) = (array(&fit.coefficients), array(&deviations(&fit.covariance)));
    let found = Found {
        parameters: Vec::new(),
        sigma: Vec::new(),
        curve: fit.curve.clone(),
        chi2: fit.chi2,
        freedom: fit.freedom,
    };
    let mut map = Map::from_iter([("coefficients".into(), coefficients.into()), ("sigma".into(), sigma.into())]);
    found.quality(points, &mut map);
    map
}

fn polynomial(x: &Vector, y: &Vector, degree: INT, options: &Map) -> Outcome<Map> {
    if !(0..=HIGHEST).contains(&degree) {
        return Err(script_error(format!("{degree} cannot be the degree of a polynomial: it is 0 to {HIGHEST}")));
    }
    let points = read("fit_polynomial", x, y, options)?;
    let fit = powers(&points, degree as usize)?.about_zero();
    let units = (0..=degree as usize).map(|k| per(y.unit(), x.unit(), k)).collect::<Outcome<Vec<_>>>()?;
    Ok(listed(&points, &fit, &units))
}

/// The columns of a basis, each with its unit.
fn columns(basis: &Dynamic, rows: usize) -> Outcome<Vec<Vector>> {
    if let Some(m) = basis.read_lock::<Matrix>() {
        let columns = m.si().column_iter().map(|c| Vector::from_si(c.iter().copied().collect(), m.unit().clone()));
        return Ok(columns.collect());
    }
    let wrong = |found: &Dynamic| {
        let found = article(&type_word(found.type_name()));
        script_error(format!("a basis is a matrix, or an array of vectors and numbers, found {found}"))
    };
    let array = basis.read_lock::<Array>().ok_or_else(|| wrong(basis))?;
    let one = |item: &Dynamic| match item.read_lock::<Vector>() {
        Some(v) => Ok(v.clone()),
        None => {
            let number = quantity::from_dynamic(item).ok_or_else(|| wrong(item))?;
            Ok(Vector::from_si(vec![number.si; rows], number.unit))
        }
    };
    array.iter().map(one).collect()
}

fn basis(basis: &Dynamic, y: &Vector, options: &Map) -> Outcome<Map> {
    let columns = columns(basis, y.si().len())?;
    if let Some((at, column)) = columns.iter().enumerate().find(|(_, column)| column.si().len() != y.si().len()) {
        let (found, many) = (column.si().len(), y.si().len());
        return Err(script_error(format!("column {at} of the basis has {found} entries, y has {many}")));
    }
    let points = read("fit_basis", y, y, options)?;
    let design = DMatrix::from_fn(y.si().len(), columns.len(), |i, k| columns[k].si()[i]);
    let fit = fit_linear(&design, y.si(), points.sigma.as_deref()).or_fail()?;
    let over = |column: &Vector| {
        Quantity::from_si(1.0, y.unit().clone()).over(&Quantity::from_si(1.0, column.unit().clone())).unit
    };
    let units: Vec<Unit> = columns.iter().map(over).collect();
    Ok(listed(&points, &fit, &units))
}

pub(super) fn register(engine: &mut Engine) {
    document!(
        engine,
        "fit_line",
        ["x: vector", "y: vector", "map"],
        "/// Fits a straight line `y = offset + slope * x`, with errors.\n///\n\
         /// # Parameters\n/// - `x`, `y`: vectors of one length, at least 2 entries; any units.\n\
         /// - `sigma`: errors of y, one for all or a vector, in its dimension. Default: judged by the residuals.\n///\n\
         /// # Returns\n/// `#{ offset, slope, sigma: #{ offset, slope }, rms, curve, freedom }`: offset in the unit of y, slope in y per x, their standard errors \
         (not a number where no point is left over), rms of the residuals, the line at every x, points less parameters [1]; with `sigma` `chi2` [1] too.\n///\n\
         /// # Errors\n/// - `needs at least`: there are too few points.\n/// - `apart`: all x are the same.\n///\n\
         /// # Example\n/// ```rhai\n/// let f = fit_line(vector([0, 1, 2, 3], \"A\"), vector([1, 3.1, 4.9, 7], \"mm\"));\n/// assert_near(f.slope, 1.98 * mm / A, 1e-9 * mm / A);\n/// assert(f.sigma.slope < 0.1 * mm / A);\n/// ```",
        |x: Vector, y: Vector| line(&x, &y, &Map::new())
    );
    document!(
        engine,
        "fit_line",
        ["x: vector", "y: vector", "options: map", "map"],
        "/// Fits a straight line with options; see `fit_line(x, y)`.",
        |x: Vector, y: Vector, options: Map| line(&x, &y, &options)
    );
    document!(
        engine,
        "fit_parabola",
        ["x: vector", "y: vector", "map"],
        "/// Fits a parabola and finds its turning point, with errors.\n///\n\
         /// # Parameters\n/// - `x`, `y`: vectors of one length, at least 3 entries; any units.\n\
         /// - `sigma`: errors of y, one for all or a vector, in its dimension. Default: judged by the residuals.\n///\n\
         /// # Returns\n/// `#{ x, y, curvature, sigma: #{ x, y, curvature }, rms, curve, freedom }`: the turning point, the factor of x² in y per x squared \
         (positive at a minimum), standard errors, the rest as in `fit_line`.\n///\n\
         /// # Errors\n/// - `needs at least`: there are too few points.\n/// - `no turning point`: the points lie on a straight line.\n///\n\
         /// # Example\n/// ```rhai\n/// let x = vector([-1, 0, 1, 2], \"mm\");\n/// let f = fit_parabola(x, (x.to(\"mm\") - 0.5) ** 2);\n/// assert_near(f.x, 0.5 * mm, 1 * nm);\n/// ```",
        |x: Vector, y: Vector| parabola(&x, &y, &Map::new())
    );
    document!(
        engine,
        "fit_parabola",
        ["x: vector", "y: vector", "options: map", "map"],
        "/// Fits a parabola with options; see `fit_parabola(x, y)`.",
        |x: Vector, y: Vector, options: Map| parabola(&x, &y, &options)
    );
    document!(
        engine,
        "fit_polynomial",
        ["x: vector", "y: vector", "degree: integer", "map"],
        "/// Fits a polynomial of a degree, with errors.\n///\n\
         /// # Parameters\n/// - `x`, `y`: vectors of one length, more entries than `degree`; any units.\n/// - `degree`: highest power of x [1], 0 to 12.\n\
         /// - `sigma`: errors of y, one for all or a vector, in its dimension. Default: judged by the residuals.\n///\n\
         /// # Returns\n/// `#{ coefficients, sigma, rms, curve, freedom }`: arrays of the factor of each power of x from 0 on and of its standard error, in y per power of x; \
         the rest as in `fit_line`.\n///\n\
         /// # Errors\n/// - `needs at least`: there are too few points.\n/// - `cannot be the degree`: it is outside 0 to 12.\n///\n\
         /// # Example\n/// ```rhai\n/// let f = fit_polynomial(vector([0, 1, 2], \"A\"), vector([1, 2, 5], \"mm\"), 2);\n/// assert_near(f.coefficients[2], 1 * mm / A ** 2, 1e-9 * mm / A ** 2);\n/// ```",
        |x: Vector, y: Vector, degree: INT| polynomial(&x, &y, degree, &Map::new())
    );
    document!(
        engine,
        "fit_polynomial",
        ["x: vector", "y: vector", "degree: integer", "options: map", "map"],
        "/// Fits a polynomial with options; see `fit_polynomial(x, y, degree)`.",
        |x: Vector, y: Vector, degree: INT, options: Map| polynomial(&x, &y, degree, &options)
    );
    document!(
        engine,
        "fit_basis",
        ["basis: array or matrix", "y: vector", "map"],
        "/// Fits a sum of given curves, each with a factor: `y = c0 * basis[0] + c1 * basis[1] + …`, with errors.\n///\n\
         /// # Parameters\n/// - `basis`: an array of vectors and numbers (a number is a constant), each with its own unit, or a matrix, one curve a column.\n/// - `y`: the values to fit.\n\
         /// - `sigma`: errors of y, one for all or a vector, in its dimension. Default: judged by the residuals.\n///\n\
         /// # Returns\n/// `#{ coefficients, sigma, rms, curve, freedom }`: arrays of the factors and of their standard errors, each in y per its curve; the rest as in `fit_line`.\n///\n\
         /// # Errors\n/// - `apart`: one curve is a combination of the others.\n/// - `need at least`: there are fewer points than curves.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = linspace(0 * s, 3 * s, 7);\n/// let y = 2 * mm + t * (1 * mm / s) + sin(t * (1 * rad / s)) * (5 * mm);\n/// let f = fit_basis([1, t, sin(t * (1 * rad / s))], y);\n/// assert_near(f.coefficients[2], 5 * mm, 1 * nm);\n/// ```",
        |columns: Dynamic, y: Vector| basis(&columns, &y, &Map::new())
    );
    document!(
        engine,
        "fit_basis",
        ["basis: array or matrix", "y: vector", "options: map", "map"],
        "/// Fits a sum of given curves with options; see `fit_basis(basis, y)`.",
        |columns: Dynamic, y: Vector, options: Map| basis(&columns, &y, &options)
    );
}

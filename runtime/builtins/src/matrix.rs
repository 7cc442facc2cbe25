//! Matrices: numbers in rows and columns with one unit.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use crate::families::document;
use crate::quantity::{self, two_units};
use crate::vector::{Vector, chosen, entry, fits, from_array, place, places};
use fodo_language::{Options, OrFail, Outcome, article, script_error, type_word};
use fodo_numerics::{Decomposition, decompose};
use fodo_units::{Quantity, Unit};
use nalgebra::DMatrix;
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// Numbers in rows and columns with one unit. A copy is cheap.
#[derive(Clone, Debug)]
pub struct Matrix {
    values: Arc<DMatrix<f64>>,
    unit: Unit,
}

impl Matrix {
    /// A matrix of SI numbers, shown in `unit`.
    pub fn from_si(values: DMatrix<f64>, unit: Unit) -> Matrix {
        Matrix { values: Arc::new(values), unit }
    }

    /// The numbers in SI.
    pub fn si(&self) -> &DMatrix<f64> {
        &self.values
    }

    /// The unit it is shown in.
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    fn size(&self) -> String {
        format!("{}×{}", self.values.nrows(), self.values.ncols())
    }

    fn row(&self, i: usize) -> Vector {
        Vector::from_si(self.values.row(i).iter().copied().collect(), self.unit.clone())
    }

    fn column(&self, j: usize) -> Vector {
        Vector::from_si(self.values.column(j).iter().copied().collect(), self.unit.clone())
    }

    fn row_place(&self, i: i64) -> Outcome<usize> {
        place(i, self.values.nrows(), "column of the matrix")
    }

    fn column_place(&self, j: i64) -> Outcome<usize> {
        place(j, self.values.ncols(), "row of the matrix")
    }
}

impl std::fmt::Display for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rows, columns) = self.values.shape();
        let largest = self.values.iter().filter(|v| v.is_finite()).fold(0.0, |a: f64, v| a.max(v.abs()));
        let unit = self.unit.for_value(largest);
        let symbol = if unit.symbol() == "1" { String::new() } else { format!(" in {unit}") };
        write!(f, "matrix {}{symbol}", self.size())?;
        let shown = |n: usize| -> Vec<Option<usize>> {
            match n {
                0..=7 => (0..n).map(Some).collect(),
                _ => (0..4).map(Some).chain([None]).chain((n - 2..n).map(Some)).collect(),
            }
        };
        for i in shown(rows) {
            f.write_str("\n ")?;
            for j in shown(columns) {
                let text = match (i, j) {
                    (Some(i), Some(j)) => Quantity::plain(self.values[(i, j)] / unit.scale()).to_string(),
                    _ => "…".to_string(),
                };
                write!(f, " {text:>10}")?;
            }
        }
        Ok(())
    }
}

/// The unit of a product or quotient.
fn unit_of(a: &Unit, b: &Unit, divide: bool) -> Unit {
    let (a, b) = (Quantity::from_si(1.0, a.clone()), Quantity::from_si(1.0, b.clone()));
    if divide { a.over(&b).unit } else { a.times(&b).unit }
}

fn product(a: &Matrix, b: &Matrix) -> Outcome<Matrix> {
    if a.values.ncols() != b.values.nrows() {
        return Err(script_error(format!("a matrix of {} cannot be multiplied with one of {}", a.size(), b.size())));
    }
    fits(a.values.nrows().saturating_mul(b.values.ncols()))?;
    Ok(Matrix::from_si(&*a.values * &*b.values, unit_of(&a.unit, &b.unit, false)))
}

fn times_vector(a: &Matrix, v: &Vector) -> Outcome<Vector> {
    if a.values.ncols() != v.si().len() {
        return Err(script_error(format!(
            "a matrix of {} cannot be multiplied with a vector of {}",
            a.size(),
            v.si().len()
        )));
    }
    let column = nalgebra::DVectorView::from_slice(v.si(), v.si().len());
    Ok(Vector::from_si((&*a.values * column).as_slice().to_vec(), unit_of(&a.unit, v.unit(), false)))
}

fn scaled(a: &Matrix, q: &Quantity) -> Matrix {
    Matrix::from_si(&*a.values * q.si, unit_of(&a.unit, &q.unit, false))
}

fn joined(a: &Matrix, b: &Matrix, act: &str, sign: f64) -> Outcome<Matrix> {
    if a.unit.dimension() != b.unit.dimension() {
        return Err(two_units(act, &a.unit, &b.unit));
    }
    if a.values.shape() != b.values.shape() {
        return Err(script_error(format!("matrices of {} and {} cannot be {act}", a.size(), b.size())));
    }
    Ok(Matrix::from_si(&*a.values + &*b.values * sign, a.unit.clone()))
}

fn operators(engine: &mut Engine) {
    engine.register_fn("*", |a: Matrix, b: Matrix| product(&a, &b));
    engine.register_fn("*", |a: Matrix, v: Vector| times_vector(&a, &v));
    engine.register_fn("*", |a: Matrix, q: Quantity| scaled(&a, &q));
    engine.register_fn("*", |q: Quantity, a: Matrix| scaled(&a, &q));
    engine.register_fn("*", |a: Matrix, x: f64| scaled(&a, &Quantity::plain(x)));
    engine.register_fn("*", |x: f64, a: Matrix| scaled(&a, &Quantity::plain(x)));
    engine.register_fn("*", |a: Matrix, n: i64| scaled(&a, &Quantity::plain(n as f64)));
    engine.register_fn("*", |n: i64, a: Matrix| scaled(&a, &Quantity::plain(n as f64)));
    let divided = |a: &Matrix, q: &Quantity| Matrix::from_si(&*a.values / q.si, unit_of(&a.unit, &q.unit, true));
    engine.register_fn("/", move |a: Matrix, q: Quantity| divided(&a, &q));
    engine.register_fn("/", move |a: Matrix, x: f64| divided(&a, &Quantity::plain(x)));
    engine.register_fn("/", move |a: Matrix, n: i64| divided(&a, &Quantity::plain(n as f64)));
    engine.register_fn("+", |a: Matrix, b: Matrix| joined(&a, &b, "added", 1.0));
    engine.register_fn("-", |a: Matrix, b: Matrix| joined(&a, &b, "subtracted", -1.0));
    engine.register_fn("-", |a: Matrix| scaled(&a, &Quantity::plain(-1.0)));
    engine.register_fn("==", |a: Matrix, b: Matrix| a.unit.dimension() == b.unit.dimension() && a.values == b.values);
    engine.register_fn("!=", |a: Matrix, b: Matrix| a.unit.dimension() != b.unit.dimension() || a.values != b.values);
    engine.register_fn("to_string", |a: &mut Matrix| a.to_string());
    engine.register_fn("to_debug", |a: &mut Matrix| a.to_string());
    engine.register_fn("+", |a: &str, b: Matrix| format!("{a}{b}"));
}

/// Rows and columns that `m[[i, j]]` chooses.
fn pair(m: &Matrix, index: &Array) -> Outcome<(Vec<usize>, Vec<usize>)> {
    let [i, j] = index.as_slice() else {
        return Err(script_error(format!("a matrix is indexed by `m[[row, column]]`, found {} indices", index.len())));
    };
    let rows = chosen(i, m.values.nrows(), "column of the matrix")?;
    Ok((rows, chosen(j, m.values.ncols(), "row of the matrix")?))
}

/// One entry, a row, a column or a part, as the two indices say.
fn part(m: &Matrix, index: &Array) -> Outcome<Dynamic> {
    let (rows, columns) = pair(m, index)?;
    let values = DMatrix::from_fn(rows.len(), columns.len(), |i, j| m.values[(rows[i], columns[j])]);
    let unit = m.unit.clone();
    Ok(match (index[0].is_int(), index[1].is_int()) {
        (true, true) => quantity::of(values[(0, 0)], unit),
        (false, false) => Dynamic::from(Matrix::from_si(values, unit)),
        _ => Dynamic::from(Vector::from_si(values.as_slice().to_vec(), unit)),
    })
}

fn put(m: &mut Matrix, index: &Array, value: &Dynamic) -> Outcome<()> {
    let (rows, columns) = pair(m, index)?;
    let count = rows.len() * columns.len();
    let new: Vec<f64> = if let Some(v) = value.read_lock::<Vector>() {
        matching(m, v.unit())?;
        v.si().to_vec()
    } else if let Some(other) = value.read_lock::<Matrix>() {
        matching(m, &other.unit)?;
        other.values.as_slice().to_vec()
    } else {
        vec![entry(value, &m.unit)?; count]
    };
    if new.len() != count {
        return Err(script_error(format!("{count} entries of the matrix cannot take {}", new.len())));
    }
    let values = Arc::make_mut(&mut m.values);
    for (k, x) in new.into_iter().enumerate() {
        values[(rows[k % rows.len()], columns[k / rows.len()])] = x;
    }
    Ok(())
}

fn matching(m: &Matrix, unit: &Unit) -> Outcome<()> {
    if m.unit.dimension() == unit.dimension() { Ok(()) } else { Err(two_units("put together", &m.unit, unit)) }
}

fn access(engine: &mut Engine) {
    engine.register_indexer_get(|m: &mut Matrix, index: Array| part(m, &index));
    engine.register_indexer_set(|m: &mut Matrix, index: Array, x: Dynamic| put(m, &index, &x));
    engine.register_indexer_get(|m: &mut Matrix, i: i64| -> Outcome<Vector> { Ok(m.row(m.row_place(i)?)) });
    // `m[i][j] = x` takes the row, changes it and puts it back here
    engine.register_indexer_set(|m: &mut Matrix, i: i64, row: Dynamic| -> Outcome<()> {
        let all = Dynamic::from(0..i64::MAX);
        put(m, &vec![Dynamic::from(i), all], &row)
    });
    engine.register_indexer_get(|m: &mut Matrix, r: Range<i64>| -> Matrix {
        rows_of(m, places(r.start, r.end, m.values.nrows()))
    });
    engine.register_indexer_get(|m: &mut Matrix, r: RangeInclusive<i64>| -> Outcome<Matrix> {
        let rows = chosen(&Dynamic::from(r), m.values.nrows(), "column of the matrix")?;
        Ok(rows_of(m, rows.first().copied().unwrap_or(0)..rows.last().map_or(0, |l| l + 1)))
    });
    engine.register_iterator::<Matrix>();
}

fn rows_of(m: &Matrix, rows: Range<usize>) -> Matrix {
    Matrix::from_si(m.values.rows(rows.start, rows.len()).into_owned(), m.unit.clone())
}

impl IntoIterator for Matrix {
    type Item = Vector;
    type IntoIter = std::vec::IntoIter<Vector>;

    fn into_iter(self) -> Self::IntoIter {
        (0..self.values.nrows()).map(|i| self.row(i)).collect::<Vec<_>>().into_iter()
    }
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    vec![cut_options("pseudo_inverse"), cut_options("solve"), bounds_options()]
}

fn cut_options(owner: &str) -> Options {
    Options::new(owner)
        .number("cutoff", "1")
        .default(1e-12)
        .range(0.0, 1.0)
        .help("singular values below this part of the largest are dropped")
        .integer("count")
        .at_least(1.0)
        .help("at most this many singular values are used")
        .otherwise("all")
        .number("tikhonov", "1")
        .default(0.0)
        .at_least(0.0)
        .help("damping, as a part of the largest singular value")
}

/// The factors that stand for 1/s.
fn inverses(s: &[f64], options: &fodo_language::Values) -> Outcome<Vec<f64>> {
    let largest = s.first().copied().unwrap_or(0.0);
    let (cutoff, damping) = (options.number("cutoff")?, options.number("tikhonov")? * largest);
    let count = options.maybe_integer("count").map_or(s.len(), |n| n as usize);
    let inverse = |(k, &s): (usize, &f64)| match k < count && s > 0.0 && s >= cutoff * largest {
        true => s / (s * s + damping * damping),
        false => 0.0,
    };
    Ok(s.iter().enumerate().map(inverse).collect())
}

fn invert(m: &Matrix, options: &fodo_language::Values) -> Outcome<Matrix> {
    let mut svd = decompose(&m.values).or_fail()?;
    for (mut column, inverse) in svd.v.column_iter_mut().zip(inverses(&svd.s, options)?) {
        column *= inverse;
    }
    let unit = unit_of(&Unit::none(), &m.unit, true);
    Ok(Matrix::from_si(svd.v * svd.u.transpose(), unit))
}

fn least_squares(m: &Matrix, v: &Vector, options: &fodo_language::Values) -> Outcome<Vector> {
    if m.values.nrows() != v.si().len() {
        return Err(no_equations(m, v));
    }
    if v.si().iter().any(|x| !x.is_finite()) {
        return Err(script_error("the vector holds something that is not a number"));
    }
    let svd = decompose(&m.values).or_fail()?;
    let target = nalgebra::DVectorView::from_slice(v.si(), v.si().len());
    let mut parts = svd.u.transpose() * target;
    for (part, inverse) in parts.iter_mut().zip(inverses(&svd.s, options)?) {
        *part *= inverse;
    }
    Ok(Vector::from_si((svd.v * parts).as_slice().to_vec(), unit_of(v.unit(), &m.unit, true)))
}

/// Registers matrices.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Matrix>("matrix");
    operators(engine);
    access(engine);
    engine.register_global_module(exported_module!(functions).into());
    crate::read_only(engine, "a matrix", "si", |m: &Matrix| Matrix { unit: Unit::none(), ..m.clone() });
    with_options(engine);
}

fn with_options(engine: &mut Engine) {
    document!(
        engine,
        "pseudo_inverse",
        ["m: matrix", "options: map", "matrix"],
        "/// Inverts a matrix as far as its singular values allow, or as far as the options say.\n///\n\
         /// # Parameters\n/// - `m`: the matrix.\n\
         /// {options}\n///\n\
         /// # Returns\n/// A matrix in one over the unit of `m`.\n///\n\
         /// # Errors\n/// - `not a number`: an entry is missing.\n///\n\
         /// # Example\n/// ```rhai\n/// let m = matrix([[2, 0], [0, 1e-3]]);\n/// assert(pseudo_inverse(m, #{ count: 1 })[[1, 1]] == 0.0);\n/// ```",
        cut_options("pseudo_inverse"),
        |m: Matrix, options: Map| invert(&m, &cut_options("pseudo_inverse").read(&options)?)
    );
    document!(
        engine,
        "solve",
        ["m: matrix", "v: vector", "options: map", "vector"],
        "/// Solves `m * x = v` in the least-squares sense, with as many singular values as the options say.\n///\n\
         /// # Parameters\n/// - `m`, `v`: the matrix and the right-hand side.\n\
         /// {options}\n///\n\
         /// # Returns\n/// The vector x, in the unit of `v` over that of `m`.\n///\n\
         /// # Errors\n/// As `solve(m, v)`.\n///\n\
         /// # Example\n/// ```rhai\n/// let x = solve(matrix([[2, 0], [0, 4]]), vector([1, 1], \"mm\"), #{ tikhonov: 0.1 });\n\
         /// assert(x[0] < 0.5 * mm);\n/// ```",
        cut_options("solve"),
        |m: Matrix, v: Vector, options: Map| least_squares(&m, &v, &cut_options("solve").read(&options)?)
    );
}

#[export_module]
mod functions {
    use super::*;

    /// Makes a matrix from an array of rows.
    ///
    /// # Parameters
    /// - `rows`: vectors, or arrays of numbers [1] or quantities, all of one length and dimension.
    ///
    /// # Returns
    /// A matrix in the unit of the first row.
    ///
    /// # Errors
    /// - `rows differ`: the rows have different lengths.
    ///
    /// # Example
    /// ```rhai
    /// let m = matrix([[1, 2], [3, 4]]);
    /// assert(m[[1, 0]] == 3);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn matrix(rows: Array) -> Outcome<Matrix> {
        let one = |row: &Dynamic| match row.read_lock::<Vector>() {
            Some(v) => Ok(v.clone()),
            None => match row.read_lock::<Array>() {
                Some(array) => from_array(&array),
                None => Err(script_error(format!(
                    "a row must be a vector or an array, found {}",
                    article(&type_word(row.type_name()))
                ))),
            },
        };
        let rows = rows.iter().map(one).collect::<Outcome<Vec<Vector>>>()?;
        let (unit, columns) = rows.first().map_or((Unit::none(), 0), |r| (r.unit().clone(), r.si().len()));
        for (i, row) in rows.iter().enumerate() {
            if row.si().len() != columns {
                return Err(script_error(format!(
                    "rows differ: row {i} has {} entries, the first {columns}",
                    row.si().len()
                )));
            }
            if row.unit().dimension() != unit.dimension() {
                return Err(two_units("put together", &unit, row.unit()));
            }
        }
        Ok(Matrix::from_si(DMatrix::from_fn(rows.len(), columns, |i, j| rows[i].si()[j]), unit))
    }

    /// Makes a matrix from an array of rows of numbers counted in a unit; see `matrix(rows)`.
    #[rhai_fn(name = "matrix", return_raw)]
    pub fn matrix_in(rows: Array, unit: &str) -> Outcome<Matrix> {
        let unit = Unit::parse(unit).or_fail()?;
        let plain = matrix(rows)?;
        if !plain.unit.dimension().is_none() {
            Quantity::from_si(0.0, plain.unit.clone()).check(&unit).or_fail()?;
            return Ok(Matrix { values: plain.values, unit });
        }
        Ok(Matrix::from_si(&*plain.values * unit.scale(), unit))
    }

    /// Makes the matrix that leaves every vector as it is.
    ///
    /// # Parameters
    /// - `size`: rows and columns [1], 1 to 10000.
    ///
    /// # Returns
    /// A matrix [1].
    ///
    /// # Errors
    /// - `cannot be the size`: it is not positive, or too large.
    ///
    /// # Example
    /// ```rhai
    /// assert(identity(2)[[0, 0]] == 1);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn identity(size: i64) -> Outcome<Matrix> {
        if !(1..=10_000).contains(&size) {
            return Err(script_error(format!("{size} cannot be the size of a matrix")));
        }
        Ok(Matrix::from_si(DMatrix::identity(size as usize, size as usize), Unit::none()))
    }

    /// Counts the rows of a matrix [1]; also a property, `m.rows`.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let m = matrix([[1, 2, 3], [4, 5, 6]]);
    /// assert(m.rows() == 2);
    /// ```
    #[rhai_fn(name = "rows", get = "rows", pure)]
    pub fn rows(m: &mut Matrix) -> i64 {
        m.values.nrows() as i64
    }

    /// Counts the columns of a matrix [1]; also a property, `m.columns`.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let m = matrix([[1, 2, 3], [4, 5, 6]]);
    /// assert(m.columns() == 3);
    /// ```
    #[rhai_fn(name = "columns", get = "columns", pure)]
    pub fn columns(m: &mut Matrix) -> i64 {
        m.values.ncols() as i64
    }

    /// Its unit as text.
    #[rhai_fn(get = "unit", pure)]
    pub fn unit(m: &mut Matrix) -> String {
        m.unit.symbol().to_string()
    }

    /// Its numbers in SI units, as a matrix without unit [1].
    #[rhai_fn(get = "si", pure)]
    pub fn si(m: &mut Matrix) -> Matrix {
        Matrix { values: m.values.clone(), unit: Unit::none() }
    }

    /// Takes one row as a vector.
    ///
    /// # Parameters
    /// - `index`: the row [1]; negative counts from the end.
    ///
    /// # Returns
    /// A vector in the unit of the matrix.
    ///
    /// # Errors
    /// - `is outside`: there is no such row.
    ///
    /// # Example
    /// ```rhai
    /// assert(matrix([[1, 2], [3, 4]]).row(1)[0] == 3);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn row(m: &mut Matrix, index: i64) -> Outcome<Vector> {
        Ok(m.row(m.row_place(index)?))
    }

    /// Takes one column as a vector.
    ///
    /// # Parameters
    /// - `index`: the column [1]; negative counts from the end.
    ///
    /// # Returns
    /// A vector in the unit of the matrix.
    ///
    /// # Errors
    /// - `is outside`: there is no such column.
    ///
    /// # Example
    /// ```rhai
    /// assert(matrix([[1, 2], [3, 4]]).column(1)[0] == 2);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn column(m: &mut Matrix, index: i64) -> Outcome<Vector> {
        Ok(m.column(m.column_place(index)?))
    }

    /// Turns rows into columns.
    ///
    /// # Returns
    /// A new matrix, in the same unit.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let m = matrix([[1, 2, 3], [4, 5, 6]]);
    /// assert(m.transpose().rows == 3);
    /// ```
    #[rhai_fn(pure)]
    pub fn transpose(m: &mut Matrix) -> Matrix {
        Matrix::from_si(m.values.transpose(), m.unit.clone())
    }

    /// Puts two matrices side by side.
    ///
    /// # Parameters
    /// - `left`, `right`: matrices of the same number of rows and one dimension.
    ///
    /// # Returns
    /// A matrix in the unit of the left one.
    ///
    /// # Errors
    /// - `cannot stand side by side`: the numbers of rows differ.
    ///
    /// # Example
    /// ```rhai
    /// assert(hstack(identity(2), identity(2)).columns == 4);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn hstack(left: Matrix, right: Matrix) -> Outcome<Matrix> {
        matching(&left, &right.unit)?;
        if left.values.nrows() != right.values.nrows() {
            return Err(script_error(format!(
                "matrices of {} and {} cannot stand side by side",
                left.size(),
                right.size()
            )));
        }
        let (rows, first) = left.values.shape();
        fits(rows.saturating_mul(first + right.values.ncols()))?;
        let all = DMatrix::from_fn(rows, first + right.values.ncols(), |i, j| match j < first {
            true => left.values[(i, j)],
            false => right.values[(i, j - first)],
        });
        Ok(Matrix::from_si(all, left.unit))
    }

    /// Puts two matrices one below the other.
    ///
    /// # Parameters
    /// - `top`, `bottom`: matrices of the same number of columns and one dimension.
    ///
    /// # Returns
    /// A matrix in the unit of the upper one.
    ///
    /// # Errors
    /// - `cannot stand one below the other`: the numbers of columns differ.
    ///
    /// # Example
    /// ```rhai
    /// assert(vstack(identity(2), identity(2)).rows == 4);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn vstack(top: Matrix, bottom: Matrix) -> Outcome<Matrix> {
        matching(&top, &bottom.unit)?;
        if top.values.ncols() != bottom.values.ncols() {
            return Err(script_error(format!(
                "matrices of {} and {} cannot stand one below the other",
                top.size(),
                bottom.size()
            )));
        }
        let (first, columns) = top.values.shape();
        fits(columns.saturating_mul(first + bottom.values.nrows()))?;
        let all = DMatrix::from_fn(first + bottom.values.nrows(), columns, |i, j| match i < first {
            true => top.values[(i, j)],
            false => bottom.values[(i - first, j)],
        });
        Ok(Matrix::from_si(all, top.unit))
    }

    /// Decomposes a matrix into singular values: `m = u * diagonal(s) * v.transpose()`.
    ///
    /// # Parameters
    /// - `m`: the matrix.
    ///
    /// # Returns
    /// `#{ u, s, v }`: matrix [1], vector in the unit of `m` with the largest first, matrix [1].
    ///
    /// # Errors
    /// - `not a number`: an entry is missing.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(svd(matrix([[3, 0], [0, 4]])).s[0], 4.0, 1e-12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn svd(m: Matrix) -> Outcome<Map> {
        let Decomposition { u, s, v } = decompose(&m.values).or_fail()?;
        let mut map = Map::new();
        map.insert("u".into(), Dynamic::from(Matrix::from_si(u, Unit::none())));
        map.insert("s".into(), Dynamic::from(Vector::from_si(s, m.unit)));
        map.insert("v".into(), Dynamic::from(Matrix::from_si(v, Unit::none())));
        Ok(map)
    }

    /// Inverts a matrix as far as its singular values allow.
    ///
    /// # Parameters
    /// - `m`: the matrix.
    ///
    /// # Returns
    /// A matrix in one over the unit of `m`.
    ///
    /// # Errors
    /// - `not a number`: an entry is missing.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(pseudo_inverse(matrix([[2, 0], [0, 4]]))[[1, 1]], 0.25, 1e-12);
    /// ```
    #[rhai_fn(name = "pseudo_inverse", return_raw)]
    pub fn pseudo_inverse(m: Matrix) -> Outcome<Matrix> {
        invert(&m, &cut_options("pseudo_inverse").read(&Map::new())?)
    }

    /// Solves `m * x = v` in the least-squares sense.
    ///
    /// # Parameters
    /// - `m`, `v`: the matrix and the right-hand side.
    ///
    /// # Returns
    /// The vector x, in the unit of `v` over that of `m`.
    ///
    /// # Errors
    /// - `do not make equations`: `m` has not as many rows as `v` entries.
    /// - `not a number`: an entry is missing.
    ///
    /// # Example
    /// ```rhai
    /// let x = solve(matrix([[2, 0], [0, 4]], "m/rad"), vector([1, 1], "mm"));
    /// assert_near(x[1].to("mrad"), 0.25, 1e-12);
    /// ```
    #[rhai_fn(name = "solve", return_raw)]
    pub fn solve(m: Matrix, v: Vector) -> Outcome<Vector> {
        least_squares(&m, &v, &cut_options("solve").read(&Map::new())?)
    }

    /// Solves `m * x = v` in the least-squares sense with every entry of x between two bounds; `min: 0.0` alone is non-negative
    /// least squares (NNLS).
    ///
    /// # Parameters
    /// - `m`, `v`: the matrix and the right-hand side.
    /// - `min`, `max`: bounds, one for all or a vector, in the unit of x. Default: none.
    ///
    /// # Returns
    /// The vector x, in the unit of `v` over that of `m`.
    ///
    /// # Errors
    /// - `do not make equations`: `m` has not as many rows as `v` entries.
    /// - `is above the upper one`: a lower bound is above the upper one.
    /// - `not a number`, `not a finite number`: an entry is missing.
    ///
    /// # Example
    /// ```rhai
    /// let m = matrix([[2, 1], [1, 3]], "m/rad");
    /// let kicks = solve_bounded(m, vector([4, -1], "mm"), #{ min: -1 * mrad, max: 1.5 * mrad });
    /// assert_near(kicks[0], 1.5 * mrad, 1 * nrad);
    /// let weights = solve_bounded(identity(2), vector([1, -1]), #{ min: 0 });
    /// assert(weights[1] == 0);
    /// ```
    #[rhai_fn(name = "solve_bounded", return_raw)]
    pub fn solve_bounded(m: Matrix, v: Vector, options: Map) -> Outcome<Vector> {
        bounded(&m, &v, &options)
    }

    /// Makes a square matrix with a vector on its diagonal.
    ///
    /// # Returns
    /// A matrix in the unit of the vector.
    ///
    /// # Errors
    /// - `too many`: the matrix would be too large.
    ///
    /// # Example
    /// ```rhai
    /// assert(diagonal(vector([1, 2], "mm"))[[1, 1]] == 2 * mm);
    /// ```
    #[rhai_fn(name = "diagonal", return_raw)]
    pub fn diagonal(v: Vector) -> Outcome<Matrix> {
        let count = v.si().len();
        fits(count.saturating_mul(count))?;
        Ok(Matrix::from_si(DMatrix::from_diagonal(&nalgebra::DVector::from_column_slice(v.si())), v.unit().clone()))
    }

    /// Takes the diagonal of a matrix as a vector, in the unit of the matrix.
    #[rhai_fn(name = "diagonal")]
    pub fn diagonal_of(m: Matrix) -> Vector {
        Vector::from_si(m.values.diagonal().as_slice().to_vec(), m.unit)
    }

    /// Multiplies every entry of one vector with every entry of another.
    ///
    /// # Returns
    /// A matrix in the product of the units: a row for each entry of `a`, a column for each of `b`.
    ///
    /// # Errors
    /// - `too many`: the matrix would be too large.
    ///
    /// # Example
    /// ```rhai
    /// assert(outer(vector([1, 2]), vector([3, 4, 5]))[[1, 2]] == 10);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn outer(a: Vector, b: Vector) -> Outcome<Matrix> {
        fits(a.si().len().saturating_mul(b.si().len()))?;
        let values = DMatrix::from_fn(a.si().len(), b.si().len(), |i, j| a.si()[i] * b.si()[j]);
        Ok(Matrix::from_si(values, unit_of(a.unit(), b.unit(), false)))
    }

    /// Counts all entries of a matrix in a unit.
    ///
    /// # Parameters
    /// - `unit`: the unit, as text.
    ///
    /// # Returns
    /// A matrix of plain numbers [1].
    ///
    /// # Errors
    /// - `was given where`: the matrix has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert_near(matrix([[1]], "m/rad").to("mm/mrad")[[0, 0]], 1.0, 1e-12);
    /// ```
    #[rhai_fn(name = "to", return_raw)]
    pub fn to(m: Matrix, unit: &str) -> Outcome<Matrix> {
        let unit = Unit::parse(unit).or_fail()?;
        Quantity::from_si(0.0, m.unit.clone()).check(&unit).or_fail()?;
        Ok(Matrix::from_si(&*m.values / unit.scale(), Unit::none()))
    }

    /// Shows a matrix in a unit: the same entries, printed in that unit whatever their size.
    ///
    /// # Parameters
    /// - `unit`: the unit, as text.
    ///
    /// # Returns
    /// A matrix in that unit.
    ///
    /// # Errors
    /// - `was given where`: the matrix has another dimension.
    ///
    /// # Example
    /// ```rhai
    /// assert(matrix([[1]], "m/rad").in_unit("mm/mrad").unit == "mm/mrad");
    /// ```
    #[rhai_fn(name = "in_unit", return_raw)]
    pub fn in_unit(m: Matrix, unit: &str) -> Outcome<Matrix> {
        let unit = Unit::parse(unit).or_fail()?;
        Quantity::from_si(0.0, m.unit.clone()).check(&unit).or_fail()?;
        Ok(Matrix { values: m.values, unit: unit.as_asked() })
    }
}

fn bounds_options() -> Options {
    Options::new("solve_bounded")
        .any("min")
        .help("lower bound, one for all or a vector, in the unit of the solution; none without it")
        .any("max")
        .help("upper bound, likewise")
}

/// One bound for each unknown.
fn bounds(value: Option<Dynamic>, none: f64, count: usize, unit: &Unit) -> Outcome<Vec<f64>> {
    let Some(value) = value else { return Ok(vec![none; count]) };
    let Some(v) = value.read_lock::<Vector>() else {
        let zero = quantity::from_dynamic(&value).is_some_and(|q| q.si == 0.0 && q.dimension().is_none());
        return Ok(vec![if zero { 0.0 } else { entry(&value, unit)? }; count]);
    };
    if v.unit().dimension() != unit.dimension() {
        return Err(two_units("compared", unit, v.unit()));
    }
    match v.si().len() == count {
        true => Ok(v.si().to_vec()),
        false => Err(script_error(format!("{} bounds were given for {count} unknowns", v.si().len()))),
    }
}

fn bounded(m: &Matrix, v: &Vector, options: &Map) -> Outcome<Vector> {
    let options = bounds_options().read(options)?;
    if m.values.nrows() != v.si().len() {
        return Err(no_equations(m, v));
    }
    let (unit, count) = (unit_of(v.unit(), &m.unit, true), m.values.ncols());
    let low = bounds(options.maybe_dynamic("min"), f64::NEG_INFINITY, count, &unit)?;
    let high = bounds(options.maybe_dynamic("max"), f64::INFINITY, count, &unit)?;
    let x = fodo_numerics::solve_bounded(&m.values, v.si(), &low, &high).or_fail()?;
    Ok(Vector::from_si(x, unit))
}

fn no_equations(m: &Matrix, v: &Vector) -> Box<rhai::EvalAltResult> {
    script_error(format!("a matrix of {} and a vector of {} do not make equations", m.size(), v.si().len()))
}

#[cfg(test)]
mod tests {
    use crate::quantity::bench::{fails, gives};

    #[test]
    fn matrices_calculate() {
        gives(&[
            ("matrix([[1, 2], [3, 4]])[[1, 0]]", "3.0"),
            ("matrix([[1, 2], [3, 4]], \"m/rad\")[[-1, -1]]", "4 m/rad"),
            ("matrix([[1, 2], [3, 4]])[0]", "[1, 2]"),
            ("matrix([[1, 2], [3, 4]])[[0..2, 1]]", "[2, 4]"),
            ("matrix([[1, 2], [3, 4]])[[1, 0..]]", "[3, 4]"),
            ("matrix([[1, 2], [3, 4]])[1..].rows", "1"),
            ("let m = matrix([[1, 2], [3, 4]]); m[[0, 1]] = 9; m[0]", "[1, 9]"),
            ("let m = matrix([[1, 2], [3, 4]]); m[0][1] = 7; m[0]", "[1, 7]"),
            ("let m = matrix([[1, 2], [3, 4]]); m[1] = vector([8, 9]); m.column(0)", "[1, 8]"),
            ("matrix([[1, 2], [3, 4]]) * vector([1, 1], \"mm\")", "[3, 7] mm"),
            ("matrix([[1, 2], [3, 4]], \"m/rad\") * vector([1, 1], \"mrad\")", "[3, 7] mm"),
            ("(matrix([[1, 2], [3, 4]]) * matrix([[0, 1], [1, 0]]))[0]", "[2, 1]"),
            ("(2 * identity(2) - identity(2) == identity(2))", "true"),
            ("matrix([[1, 2, 3]]).transpose().rows", "3"),
            ("hstack(identity(2), identity(2)).columns", "4"),
            ("vstack(identity(2), identity(2)).rows", "4"),
            ("let s = 0; for row in identity(3) { s += row.sum(); } s", "3.0"),
        ]);
        gives(&[(
            "matrix([[1, 2], [3, 4]], \"mm\")",
            "matrix 2×2 in mm\n           1          2\n           3          4",
        )]);
    }

    #[test]
    fn matrices_are_inverted() {
        gives(&[
            ("svd(matrix([[3, 0], [0, 4]], \"mm\")).s", "[4, 3] mm"),
            (
                "let m = matrix([[1, 2], [3, 4], [5, 6]]); let d = svd(m); let w = d.u * matrix([[d.s[0], 0], [0, d.s[1]]]) * d.v.transpose(); assert_near((w - m)[2].max_abs(), 0, 1e-12); \"\"",
                "",
            ),
            (
                "let p = pseudo_inverse(matrix([[2, 0], [0, 1e-6]]), #{ cutoff: 1e-3 }); `${p[[0, 0]]} ${p[[1, 1]]}`",
                "0.5 0.0",
            ),
            (
                "let x = solve(matrix([[2, 0], [0, 4], [0, 0]], \"m/rad\"), vector([1, 1, 5], \"mm\")); x",
                "[500, 250] µrad",
            ),
            ("let x = solve(matrix([[2, 0], [0, 4]]), vector([2, 4]), #{ count: 1 }); x", "[0, 1]"),
            ("let x = solve(matrix([[2, 0], [0, 4]]), vector([2, 4]), #{ tikhonov: 1.0 }); x", "[0.2, 0.5]"),
        ]);
        fails(&[
            (
                "solve(identity(2), vector([1, 2]), #{ cutof: 1 })",
                "`solve` has no option `cutof` | did you mean `cutoff`?",
            ),
            (
                "solve(identity(2), vector([1, 2]), #{ cutoff: 2 })",
                "`cutoff` is 2, its range is 0 to 1 | `cutoff`: singular values below this part of the largest are dropped",
            ),
            ("solve(identity(2), vector([1, 2, 3]))", "a matrix of 2×2 and a vector of 3 do not make equations"),
            ("pseudo_inverse(matrix([[0.0 / 0.0]]))", "the matrix holds something that is not a number"),
            ("matrix([[1, 2], [3]])", "rows differ: row 1 has 1 entries, the first 2"),
            (
                "let m = identity(2); m[0][5] = 1;",
                "index 5 is outside a vector of 2 | indices go from 0 to 1, or -1 to -2 from the end",
            ),
            ("identity(2) * vector([1])", "a matrix of 2×2 cannot be multiplied with a vector of 1"),
        ]);
    }
}

//! The singular value decomposition.

use faer::MatRef;
use fodo_report::{Diagnostic, Kind, Result};
use nalgebra::DMatrix;

/// A matrix as `u * diag(s) * v^T`, singular values falling.
#[derive(Clone, Debug, PartialEq)]
pub struct Decomposition {
    /// Left singular vectors, one a column.
    pub u: DMatrix<f64>,
    /// Singular values, largest first.
    pub s: Vec<f64>,
    /// Right singular vectors, one a column.
    pub v: DMatrix<f64>,
}

/// The thin singular value decomposition.
///
/// # Errors
/// An entry that is not finite; an iteration that does not converge.
pub fn decompose(matrix: &DMatrix<f64>) -> Result<Decomposition> {
    if matrix.iter().any(|v| !v.is_finite()) {
        return Err(Diagnostic::new(Kind::Script, "the matrix holds something that is not a number").into());
    }
    let (rows, columns) = matrix.shape();
    let svd = MatRef::from_column_major_slice(matrix.as_slice(), rows, columns).thin_svd().map_err(|error| {
        Diagnostic::new(Kind::Internal, format!("the singular value decomposition did not converge: {error:?}"))
    })?;
    let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
    let count = s.nrows();
    Ok(Decomposition {
        u: DMatrix::from_fn(rows, count, |i, k| u[(i, k)]),
        s: (0..count).map(|k| s[k]).collect(),
        v: DMatrix::from_fn(columns, count, |j, k| v[(j, k)]),
    })
}

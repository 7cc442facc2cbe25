//! Linear maps (3.8).

use super::Point;
use crate::number::Number;

/// Multiplies a particle by a matrix given by rows.
#[inline(always)]
pub fn apply<N: Number>(rows: &[[f64; 6]; 6], z: &mut Point<N>) {
    let before = *z;
    for (out, row) in z.iter_mut().zip(rows) {
        let mut sum = before[0] * row[0];
        for column in 1..6 {
            sum += before[column] * row[column];
        }
        *out = sum;
    }
}

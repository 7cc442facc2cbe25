//! What the photons emitted in the body of one magnet do to the beam matrix behind it.
//!
//! A kick adds `strength v vᵀ`, `v = (0, x', 0, y', 1, 0)`, which goes on to the end of the body through the
//! radiation-free matrices of what follows. Instead of carrying a beam matrix along, each v is carried back to the
//! entrance: the matrix T from there is symplectic, so that `T⁻¹ v = -J Tᵀ J v`, for which three rows of T are enough.
//! The sum is carried through the body once, at the end. No closures here, see [`crate::number::Tangent`].

use nalgebra::Matrix6;

use super::products::product;
use crate::maps::Point;
use crate::maps::watch::{ThinKick, Watch, Way};
use crate::matrix::{matrix_of, with_identity};
use crate::number::{Number, Register};

/// The diffusion collected in a body so far.
pub(super) struct Diffusion<R, const M: usize> {
    /// Strength of a kick per curvature cubed and length [m²].
    constant: f64,
    /// Rows x, px, y, py, ct of T; row delta is that of the identity.
    rows: [[R; M]; 5],
    /// Sum of `strength u uᵀ`, `u = Tᵀ J v`: the upper triangle of a 6x6 matrix, by rows.
    sum: [[R; M]; 6],
}

/// The coordinates the rows belong to.
const ROWS: [usize; 5] = [0, 1, 2, 3, 5];
const CT: usize = 4;
const DELTA: usize = 4;

/// Adds to one entry of a row.
#[inline(always)]
fn add<R: Register, const M: usize>(row: &mut [R; M], column: usize, value: f64) {
    let mut by = R::splat(0.0);
    by.set(column % R::WIDTH, value);
    row[column / R::WIDTH] = row[column / R::WIDTH].plus(by);
}

/// `sum + factor * row`.
#[inline(always)]
fn plus<R: Register, const M: usize>(mut sum: [R; M], factor: f64, row: &[R; M]) -> [R; M] {
    let factor = R::splat(factor);
    for (sum, entry) in sum.iter_mut().zip(row) {
        *sum = entry.fused(factor, *sum);
    }
    sum
}

impl<R: Register, const M: usize> Diffusion<R, M> {
    /// Nothing yet; `constant` as in [`crate::Settings`] [m²].
    #[inline(always)]
    pub fn new(constant: f64) -> Self {
        let mut rows = [[R::splat(0.0); M]; 5];
        for (row, column) in rows.iter_mut().zip(ROWS) {
            add(row, column, 1.0);
        }
        Self { constant, rows, sum: [[R::splat(0.0); M]; 6] }
    }

    /// The diffusion at the end of the body.
    #[inline(always)]
    pub fn at_end(&self) -> Matrix6<f64> {
        let mut at_start = Matrix6::zeros();
        // w = -J u takes entries in pairs
        for row in 0..6_usize {
            for column in row..6_usize {
                let entry = self.sum[row][column / R::WIDTH].get(column % R::WIDTH);
                let signed = if (row + column).is_multiple_of(2) { entry } else { -entry };
                at_start[(row ^ 1, column ^ 1)] = signed;
                at_start[(column ^ 1, row ^ 1)] = signed;
            }
        }
        let matrix = self.matrix();
        product(&product(&matrix, &at_start), &matrix.transpose())
    }

    /// The radiation-free matrix of the body.
    #[inline(always)]
    fn matrix(&self) -> Matrix6<f64> {
        let mut matrix = Matrix6::identity();
        for (entries, row) in self.rows.iter().zip(ROWS) {
            for column in 0..6 {
                matrix[(row, column)] = entries[column / R::WIDTH].get(column % R::WIDTH);
            }
        }
        matrix
    }

    #[inline(always)]
    fn straight(&mut self, [_, px, _, py, ..]: Point<f64>, q: f64, length: f64) {
        let (xp, yp, reduced) = (px * q, py * q, length * q);
        let [x, px, y, py, ct] = self.rows;
        self.rows[0] = plus(x, reduced, &px);
        self.rows[2] = plus(y, reduced, &py);
        self.rows[CT] = plus(plus(ct, reduced * xp, &px), reduced * yp, &py);
        add(&mut self.rows[0], DELTA, -(reduced * xp));
        add(&mut self.rows[2], DELTA, -(reduced * yp));
        add(&mut self.rows[CT], DELTA, -(reduced * (xp * xp + yp * yp)));
    }

    /// A flight of another kind, from its map.
    #[inline(never)]
    fn other(&mut self, at: &Point<f64>, way: Way, length: f64) {
        let mut z = with_identity::<R, M>(at);
        way.go(&mut z, length);
        let all = matrix_of(&z) * self.matrix();
        for (entries, row) in self.rows.iter_mut().zip(ROWS) {
            for column in 0..6 {
                entries[column / R::WIDTH].set(column % R::WIDTH, all[(row, column)]);
            }
        }
    }

    #[inline(always)]
    fn turn(&mut self, kick: &ThinKick<f64>) {
        let [re_x, re_y, im_x, im_y] = kick.slopes;
        let (length, bend) = (kick.length, kick.length * kick.dispersion);
        let [x, px, y, py, ct] = self.rows;
        self.rows[1] = plus(plus(px, -(length * re_x), &x), -(length * re_y), &y);
        add(&mut self.rows[1], DELTA, bend);
        self.rows[3] = plus(plus(py, length * im_x, &x), length * im_y, &y);
        self.rows[CT] = plus(ct, bend, &x);
    }

    /// Adds what is emitted in a kick, of a particle that comes with these coordinates.
    #[inline(always)]
    fn emit(&mut self, [x, px, _, py, delta, _]: Point<f64>, kick: &ThinKick<f64>) {
        let total = 1.0 + delta;
        let (xp, yp) = (px * kick.q, py * kick.q);
        let (bx, by, g) = (kick.field.1, kick.field.0 + kick.curvature, 1.0 + kick.curvature * x);
        let slopes = xp * xp + yp * yp;
        let across = bx * yp - by * xp;
        let squared = ((by * by + bx * bx) * g * g + across * across) / (g * g + slopes);
        let path = (g + 0.5 * slopes) * kick.length;
        let strength = self.constant * squared * squared.sqrt() * path * (total * total) * (total * total);
        let mut u = plus([R::splat(0.0); M], xp, &self.rows[0]);
        u = plus(u, yp, &self.rows[2]);
        u = plus(u, -1.0, &self.rows[CT]);
        for row in 0..6 {
            let first = R::splat(strength * u[row / R::WIDTH].get(row % R::WIDTH));
            // nothing below the diagonal
            for (sum, entry) in self.sum[row].iter_mut().zip(&u).skip(row / R::WIDTH) {
                *sum = entry.fused(first, *sum);
            }
        }
    }
}

/// The values of the coordinates.
#[inline(always)]
fn values<N: Number>(z: &Point<N>) -> Point<f64> {
    [z[0].lane(0), z[1].lane(0), z[2].lane(0), z[3].lane(0), z[4].lane(0), z[5].lane(0)]
}

impl<R: Register, const M: usize> Watch for Diffusion<R, M> {
    const LOOKS: bool = true;

    #[inline(always)]
    fn drift<N: Number>(&mut self, z: &Point<N>, q: N, length: f64) {
        self.straight(values(z), q.lane(0), length);
    }

    #[inline(always)]
    fn flight<N: Number>(&mut self, z: &Point<N>, way: Way, length: f64) {
        self.other(&values(z), way, length);
    }

    #[inline(always)]
    fn kick<N: Number>(&mut self, z: &Point<N>, kick: &ThinKick<N>) {
        let [re_x, re_y, im_x, im_y] = &kick.slopes;
        let kick = ThinKick {
            length: kick.length,
            field: (kick.field.0.lane(0), kick.field.1.lane(0)),
            slopes: [re_x.lane(0), re_y.lane(0), im_x.lane(0), im_y.lane(0)],
            dispersion: kick.dispersion,
            curvature: kick.curvature,
            q: kick.q.lane(0),
        };
        self.turn(&kick);
        self.emit(values(z), &kick);
    }
}

//! What the photons emitted in the body of one magnet do to the beam matrix behind it.
//!
//! A kick adds `strength v vᵀ`, `v = (0, x', 0, y', 1, 0)`, which goes on to the end of the body through the
//! radiation-free matrices of what follows. Instead of carrying a beam matrix along, each v is carried back to the
//! entrance: the matrix T from there is symplectic, so that `T⁻¹ v = -J Tᵀ J v`, for which three rows of T are enough.
//! The sum is carried through the body once, at the end.

use nalgebra::Matrix6;

use super::slopes::{matrix_of, with_identity};
use crate::maps::Point;
use crate::maps::watch::{ThinKick, Watch, Way};
use crate::number::Number;

/// The diffusion collected in a body so far.
pub(super) struct Diffusion {
    /// Strength of a kick per curvature cubed and length [m²].
    constant: f64,
    /// Rows x, px, y, py, ct of T, columns x to delta; the rest of T is that of the identity.
    rows: [Row; 5],
    /// Sum of `strength u uᵀ`, `u = Tᵀ J v`; the last entry of every u is -1.
    sum: [Row; 5],
    linear: Row,
    total: f64,
}

type Row = [f64; 5];

const CT: usize = 4;

/// `row += factor * other`.
#[inline(always)]
fn add(rows: &mut [Row; 5], row: usize, factor: f64, other: usize) {
    let other = rows[other];
    for (entry, other) in rows[row].iter_mut().zip(other) {
        *entry += factor * other;
    }
}

impl Diffusion {
    /// Nothing yet; `constant` as in [`crate::Settings`] [m²].
    pub(super) fn new(constant: f64) -> Self {
        let mut rows = [[0.0; 5]; 5];
        (0..4).for_each(|row| rows[row][row] = 1.0);
        Self { constant, rows, sum: [[0.0; 5]; 5], linear: [0.0; 5], total: 0.0 }
    }

    /// The diffusion at the end of the body.
    pub(super) fn at_end(&self) -> Matrix6<f64> {
        let sum = |row: usize, column: usize| match (row, column) {
            (5, 5) => self.total,
            (5, other) | (other, 5) => -self.linear[other],
            _ => self.sum[row][column],
        };
        // w = -J u
        let from = |row: usize| row ^ 1;
        let sign = |row: usize| if row % 2 == 0 { -1.0 } else { 1.0 };
        let at_start = Matrix6::from_fn(|row, column| sign(row) * sign(column) * sum(from(row), from(column)));
        let matrix = self.matrix();
        matrix * at_start * matrix.transpose()
    }

    /// The radiation-free matrix of the body.
    fn matrix(&self) -> Matrix6<f64> {
        let mut matrix = Matrix6::identity();
        for (row, entries) in [0, 1, 2, 3, 5].into_iter().zip(&self.rows) {
            (0..5).for_each(|column| matrix[(row, column)] = entries[column]);
        }
        matrix
    }

    #[inline(always)]
    fn straight(&mut self, [_, px, _, py, delta, _]: Point<f64>, length: f64) {
        let q = 1.0 / (1.0 + delta);
        let (xp, yp, reduced) = (px * q, py * q, length * q);
        add(&mut self.rows, CT, reduced * xp, 1);
        add(&mut self.rows, CT, reduced * yp, 3);
        add(&mut self.rows, 0, reduced, 1);
        add(&mut self.rows, 2, reduced, 3);
        self.rows[0][4] -= reduced * xp;
        self.rows[2][4] -= reduced * yp;
        self.rows[CT][4] -= reduced * (xp * xp + yp * yp);
    }

    /// A flight of another kind, from its map.
    fn other(&mut self, at: &Point<f64>, way: Way, length: f64) {
        let mut z = with_identity(at);
        way.go(&mut z, length);
        let all = matrix_of(&z) * self.matrix();
        for (row, entries) in [0, 1, 2, 3, 5].into_iter().zip(&mut self.rows) {
            (0..5).for_each(|column| entries[column] = all[(row, column)]);
        }
    }

    #[inline(always)]
    fn turn(&mut self, kick: &ThinKick<f64>) {
        let length = kick.length;
        let [re_x, re_y, im_x, im_y] = kick.slopes;
        add(&mut self.rows, 1, -length * re_x, 0);
        add(&mut self.rows, 1, -length * re_y, 2);
        add(&mut self.rows, 3, length * im_x, 0);
        add(&mut self.rows, 3, length * im_y, 2);
        if kick.dispersion != 0.0 {
            self.rows[1][4] += length * kick.dispersion;
            add(&mut self.rows, CT, length * kick.dispersion, 0);
        }
    }

    /// Adds what is emitted in a kick, of a particle that comes with these coordinates.
    #[inline(always)]
    fn emit(&mut self, [x, px, _, py, delta, _]: Point<f64>, kick: &ThinKick<f64>) {
        let total = 1.0 + delta;
        let (xp, yp) = (px / total, py / total);
        let (bx, by, g) = (kick.field.1, kick.field.0 + kick.curvature, 1.0 + kick.curvature * x);
        let slopes = xp * xp + yp * yp;
        let across = bx * yp - by * xp;
        let squared = ((by * by + bx * bx) * g * g + across * across) / (g * g + slopes);
        let path = (g + 0.5 * slopes) * kick.length;
        let strength = self.constant * squared * squared.sqrt() * path * (total * total) * (total * total);
        let [along_x, along_y, path] = [self.rows[0], self.rows[2], self.rows[CT]];
        let u: Row = std::array::from_fn(|column| xp * along_x[column] + yp * along_y[column] - path[column]);
        for (row, first) in self.sum.iter_mut().zip(u) {
            for (entry, second) in row.iter_mut().zip(u) {
                *entry += strength * first * second;
            }
        }
        for (entry, first) in self.linear.iter_mut().zip(u) {
            *entry += strength * first;
        }
        self.total += strength;
    }
}

impl Watch for Diffusion {
    const LOOKS: bool = true;

    #[inline(always)]
    fn flight<N: Number>(&mut self, z: &Point<N>, way: Way, length: f64) {
        let at = z.map(|coordinate| coordinate.lane(0));
        match way {
            Way::Straight => self.straight(at, length),
            _ => self.other(&at, way, length),
        }
    }

    #[inline(always)]
    fn kick<N: Number>(&mut self, z: &Point<N>, kick: &ThinKick<N>) {
        let (re, im) = kick.field;
        let kick = ThinKick {
            length: kick.length,
            field: (re.lane(0), im.lane(0)),
            slopes: kick.slopes.map(|slope| slope.lane(0)),
            dispersion: kick.dispersion,
            curvature: kick.curvature,
        };
        self.turn(&kick);
        self.emit(z.map(|coordinate| coordinate.lane(0)), &kick);
    }
}

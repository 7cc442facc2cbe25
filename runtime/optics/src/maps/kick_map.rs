//! Insertion devices as tables of kicks: drifts, and between them kicks from the table, as AT's IdTablePass has them.
//!
//! Within a cell of the table the kick is bilinear in x and y. A particle outside of the table is lost.

use std::sync::Arc;

use fodo_lattice::KickMap;

use super::Point;
use super::drift::drift;
use crate::number::Number;

/// A table of kicks made ready.
#[derive(Clone, Debug)]
pub struct KickTable {
    /// Length [m].
    pub length: f64,
    /// The table.
    pub map: Arc<KickMap>,
}

impl KickTable {
    /// Takes a particle through the device.
    pub fn apply<N: Number>(&self, z: &mut Point<N>) {
        let slices = self.map.slices.max(1);
        let half = self.length / f64::from(2 * slices);
        self.cells(z); // a particle that enters beside the table is lost at once
        for _ in 0..slices {
            drift(z, half);
            self.kick(z, 1.0 / f64::from(slices));
            drift(z, half);
        }
    }

    fn kick<N: Number>(&self, z: &mut Point<N>, share: f64) {
        let q = (z[4] + 1.0).recip();
        let Cells { t, u, corners } = self.cells(z);
        let (s, v) = (-t + 1.0, -u + 1.0);
        let value = |[a, b, c, d]: [N; 4]| s * v * a + t * v * b + t * u * c + s * u * d;
        let [second_x, second_y, first_x, first_y] = corners.map(value);
        z[1] += (second_x * q + first_x) * share;
        z[3] += (second_y * q + first_y) * share;
    }

    /// The cell of the table each lane is in; lanes outside are marked as lost and see a table of zeros.
    fn cells<N: Number>(&self, z: &mut Point<N>) -> Cells<N> {
        let zero = N::constant(0.0);
        let mut corners = [[zero; 4]; 4];
        let (mut from, mut width) = ([zero; 2], [N::constant(1.0); 2]);
        for lane in 0..N::LANES {
            let at = [z[0].lane(lane), z[2].lane(lane)];
            let (Some(column), Some(row)) = (interval(&self.map.x, at[0]), interval(&self.map.y, at[1])) else {
                z[5].set_lane(lane, f64::INFINITY);
                continue;
            };
            for (plane, (axis, low)) in [(&self.map.x, column), (&self.map.y, row)].into_iter().enumerate() {
                from[plane].set_lane(lane, axis[low]);
                width[plane].set_lane(lane, axis[low + 1] - axis[low]);
            }
            let columns = self.map.x.len();
            let low = row * columns + column;
            let places = [low, low + 1, low + columns + 1, low + columns];
            for (corners, table) in corners.iter_mut().zip(self.map.tables()) {
                for (corner, place) in corners.iter_mut().zip(places) {
                    corner.set_lane(lane, table.get(place).copied().unwrap_or(0.0));
                }
            }
        }
        Cells { t: (z[0] - from[0]) / width[0], u: (z[2] - from[1]) / width[1], corners }
    }
}

/// Where in its cell each lane is, and the values at the corners of the cell in each table.
struct Cells<N> {
    /// Part of the cell in x [1].
    t: N,
    /// Part of the cell in y [1].
    u: N,
    /// Counter-clockwise from the lower left; second order x and y, first order x and y.
    corners: [[N; 4]; 4],
}

/// The interval of a rising axis a value is in: the index of its lower end.
fn interval(axis: &[f64], value: f64) -> Option<usize> {
    let inside = value >= *axis.first()? && value <= *axis.last()?;
    inside.then(|| axis.partition_point(|edge| *edge <= value).clamp(1, axis.len() - 1) - 1)
}

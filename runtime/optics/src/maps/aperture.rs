//! Where particles are lost (2.7).

use super::Point;
use crate::number::Number;

/// Limits of an element. A particle outside gets an infinite ct, by which it is recognised as lost.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// `[xmin, xmax, ymin, ymax]` [m].
    pub rectangle: Option<[f64; 4]>,
    /// Half axes `[a, b]` [m].
    pub ellipse: Option<[f64; 2]>,
    /// `[dmin, dmax, ctmin, ctmax]`: delta [1] and ct [m].
    pub longitudinal: Option<[f64; 4]>,
}

impl Limits {
    /// Marks the particles that are outside.
    #[inline(never)]
    pub fn check<N: Number>(&self, z: &mut Point<N>) {
        for lane in 0..N::LANES {
            let at = z.map(|coordinate| coordinate.lane(lane));
            if self.excludes(&at) {
                z[5].set_lane(lane, f64::INFINITY);
            }
        }
    }

    fn excludes(&self, at: &Point<f64>) -> bool {
        let beyond = |limits: Option<[f64; 4]>, u: f64, v: f64| {
            limits.is_some_and(|[umin, umax, vmin, vmax]| u < umin || u > umax || v < vmin || v > vmax)
        };
        beyond(self.rectangle, at[0], at[2])
            || beyond(self.longitudinal, at[4], at[5])
            || self.ellipse.is_some_and(|[a, b]| (at[0] / a).powi(2) + (at[2] / b).powi(2) >= 1.0)
    }
}

//! Values between points.

use crate::{finite, refuse};
use fodo_report::Result;

/// How the curve between two points is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Straight lines.
    Linear,
    /// A cubic spline, twice differentiable, with the "not-a-knot" ends of C. de Boor, A Practical Guide to Splines (1978).
    Cubic,
    /// Cubic pieces that never overshoot: F. N. Fritsch and J. Butland, SIAM J. Sci. Stat. Comput. 5 (1984) 300 (PCHIP).
    Monotone,
}

/// What lies beyond the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Nothing: it is an error.
    Refuse,
    /// The value of the nearest end.
    Hold,
    /// The first or last piece goes on.
    Extend,
}

/// A curve through points.
#[derive(Clone, Debug)]
pub struct Interpolation {
    x: Vec<f64>,
    y: Vec<f64>,
    /// Slopes at the points; none for straight lines.
    slopes: Option<Vec<f64>>,
    outside: Outside,
}

impl Interpolation {
    /// A curve through (x, y).
    ///
    /// # Errors
    /// Fewer than two points, numbers that are not finite, an x that neither rises nor falls all the way.
    pub fn new(x: &[f64], y: &[f64], method: Method, outside: Outside) -> Result<Interpolation> {
        if x.len() != y.len() || x.len() < 2 {
            return refuse(format!("at least two points are needed, found {} of x and {} of y", x.len(), y.len()));
        }
        finite(x, "x")?;
        finite(y, "y")?;
        let (mut x, mut y) = (x.to_vec(), y.to_vec());
        if x[0] > x[1] {
            x.reverse();
            y.reverse();
        }
        if let Some(at) = (1..x.len()).find(|&i| x[i] <= x[i - 1]) {
            return refuse(format!(
                "x must rise or fall from point to point, but {} and {} follow each other",
                x[at - 1],
                x[at]
            ));
        }
        let slopes = match method {
            Method::Linear => None,
            Method::Cubic => Some(spline(&x, &y)),
            Method::Monotone => Some(monotone(&x, &y)),
        };
        Ok(Interpolation { x, y, slopes, outside })
    }

    /// The value at a place.
    ///
    /// # Errors
    /// The place is outside and nothing lies there; the range is told.
    pub fn at(&self, place: f64) -> Option<f64> {
        let (x, last) = (&self.x, self.x.len() - 1);
        let inside = place >= x[0] && place <= x[last];
        if place.is_nan() {
            return Some(f64::NAN);
        }
        if !inside {
            match self.outside {
                Outside::Refuse => return None,
                Outside::Hold => return Some(if place < x[0] { self.y[0] } else { self.y[last] }),
                Outside::Extend => {}
            }
        }
        let i = x.partition_point(|x| *x <= place).clamp(1, last) - 1;
        let (h, t) = (x[i + 1] - x[i], place - x[i]);
        let rise = (self.y[i + 1] - self.y[i]) / h;
        Some(match &self.slopes {
            None => self.y[i] + rise * t,
            Some(d) => {
                let second = (3.0 * rise - 2.0 * d[i] - d[i + 1]) / h;
                let third = (d[i] + d[i + 1] - 2.0 * rise) / (h * h);
                self.y[i] + t * (d[i] + t * (second + t * third))
            }
        })
    }

    /// The first and the last x.
    pub fn range(&self) -> (f64, f64) {
        (self.x[0], self.x[self.x.len() - 1])
    }
}

/// Widths and rises of the pieces.
fn pieces(x: &[f64], y: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let h: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).collect();
    let rise = y.windows(2).zip(&h).map(|(w, h)| (w[1] - w[0]) / h).collect();
    (h, rise)
}

/// Slopes of the cubic spline; two points give a line, three a parabola.
fn spline(x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    let (h, rise) = pieces(x, y);
    if n == 2 {
        return vec![rise[0]; 2];
    }
    if n == 3 {
        let bend = (rise[1] - rise[0]) / (h[0] + h[1]);
        return vec![rise[0] - bend * h[0], rise[0] + bend * h[0], rise[1] + bend * h[1]];
    }
    // diagonals and right-hand side
    let (mut below, mut on, mut above, mut right) = (vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let ends = |h0: f64, h1: f64, r0: f64, r1: f64| ((h0 + 2.0 * (h0 + h1)) * h1 * r0 + h0 * h0 * r1) / (h0 + h1);
    (on[0], above[0], right[0]) = (h[1], h[0] + h[1], ends(h[0], h[1], rise[0], rise[1]));
    for i in 1..n - 1 {
        (below[i], on[i], above[i]) = (h[i], 2.0 * (h[i - 1] + h[i]), h[i - 1]);
        right[i] = 3.0 * (h[i] * rise[i - 1] + h[i - 1] * rise[i]);
    }
    let (a, b) = (h[n - 2], h[n - 3]);
    (below[n - 1], on[n - 1], right[n - 1]) = (a + b, b, ends(a, b, rise[n - 2], rise[n - 3]));
    for i in 1..n {
        let factor = below[i] / on[i - 1];
        on[i] -= factor * above[i - 1];
        right[i] -= factor * right[i - 1];
    }
    let mut slopes = vec![0.0; n];
    slopes[n - 1] = right[n - 1] / on[n - 1];
    for i in (0..n - 1).rev() {
        slopes[i] = (right[i] - above[i] * slopes[i + 1]) / on[i];
    }
    slopes
}

/// Slopes that keep every piece between its ends.
fn monotone(x: &[f64], y: &[f64]) -> Vec<f64> {
    let n = x.len();
    let (h, rise) = pieces(x, y);
    if n == 2 {
        return vec![rise[0]; 2];
    }
    let mut slopes = vec![0.0; n];
    for i in 1..n - 1 {
        if rise[i - 1] * rise[i] > 0.0 {
            let (a, b) = (2.0 * h[i] + h[i - 1], h[i] + 2.0 * h[i - 1]);
            slopes[i] = (a + b) / (a / rise[i - 1] + b / rise[i]);
        }
    }
    let end = |h0: f64, h1: f64, r0: f64, r1: f64| {
        let slope = ((2.0 * h0 + h1) * r0 - h0 * r1) / (h0 + h1);
        match slope * r0 <= 0.0 {
            true => 0.0,
            false if r0 * r1 <= 0.0 && slope.abs() > 3.0 * r0.abs() => 3.0 * r0,
            false => slope,
        }
    };
    slopes[0] = end(h[0], h[1], rise[0], rise[1]);
    slopes[n - 1] = end(h[n - 2], h[n - 3], rise[n - 2], rise[n - 3]);
    slopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spline_through_a_cubic_is_the_cubic() {
        let cubic = |x: f64| 1.0 - 2.0 * x + 0.5 * x * x + 0.25 * x * x * x;
        let x = [-2.0, -1.0, 0.5, 1.0, 3.0, 4.5];
        let curve = Interpolation::new(&x, &x.map(cubic), Method::Cubic, Outside::Extend).unwrap();
        for place in [-3.0, -1.5, 0.0, 0.75, 2.0, 4.0, 5.0] {
            assert!((curve.at(place).unwrap() - cubic(place)).abs() < 1e-12, "{place}");
        }
    }

    #[test]
    fn the_monotone_curve_stays_between_its_points() {
        let (x, y) = ([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0, 5.0]);
        let curve = Interpolation::new(&x, &y, Method::Monotone, Outside::Refuse).unwrap();
        for i in 0..400 {
            let place = f64::from(i) / 100.0;
            let piece = place.floor() as usize;
            let value = curve.at(place).unwrap();
            assert!(value >= y[piece] - 1e-15 && value <= y[piece + 1] + 1e-15, "{place}: {value}");
        }
        assert_eq!(curve.at(4.1), None);
    }

    #[test]
    fn falling_places_are_as_good_as_rising_ones() {
        let curve = Interpolation::new(&[3.0, 1.0, 0.0], &[6.0, 2.0, 0.0], Method::Linear, Outside::Hold).unwrap();
        assert_eq!((curve.at(2.0), curve.at(9.0)), (Some(4.0), Some(6.0)));
        assert!(Interpolation::new(&[0.0, 2.0, 1.0], &[0.0; 3], Method::Linear, Outside::Hold).is_err());
    }
}

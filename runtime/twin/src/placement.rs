//! A rigid body put where it should not be, as coordinate changes at its two ends.
//!
//! After doi:10.1016/j.nima.2022.167487: first the displacement, then roll, yaw and pitch, about the middle of the line
//! between the two ends or about the entrance. Displacements and angles are in the frame of the beam at that point.

use fodo_lattice::{Alignment, Body, Element};
use nalgebra::{Matrix3, Matrix6, RowVector6, Vector3, Vector6};

/// The point that an element is displaced with and turned about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reference {
    /// The middle of the line between its two ends.
    #[default]
    Centre,
    /// The middle of its entrance.
    Entrance,
}

impl Reference {
    /// As tables say it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Reference::Centre => "centre",
            Reference::Entrance => "entrance",
        }
    }
}

/// How far an element is from where it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Placement {
    /// Horizontal displacement [m].
    pub dx: f64,
    /// Vertical displacement [m].
    pub dy: f64,
    /// Displacement along the beam [m].
    pub dz: f64,
    /// Turn about the beam, right-handed [rad].
    pub roll: f64,
    /// Turn about the horizontal axis, right-handed: the far end goes down [rad].
    pub pitch: f64,
    /// Turn about the vertical axis, right-handed: the far end goes to positive x [rad].
    pub yaw: f64,
    /// What all this is about.
    pub reference: Reference,
}

impl Placement {
    fn is_nothing(&self) -> bool {
        [self.dx, self.dy, self.dz, self.roll, self.pitch, self.yaw] == [0.0; 6]
    }

    /// The coordinate changes of an element, on top of those that the lattice gives it: its own place in the frame of the
    /// beam first, then what the lattice says.
    #[must_use]
    pub fn alignment(&self, element: &Element) -> Option<Box<Alignment>> {
        let known = element.alignment.as_deref();
        if self.is_nothing() {
            return element.alignment.clone();
        }
        let (length, angle) = (element.length, angle(element));
        let simple = angle == 0.0 && self.dz == 0.0 && self.pitch == 0.0 && self.yaw == 0.0;
        match (known, simple) {
            (None, true) => Alignment::new(self.dx, self.dy, self.roll).map(Box::new),
            (None, false) => Some(Box::new(self.ends(length, angle).alignment())),
            (Some(known), _) => Some(Box::new(self.ends(length, angle).around(&Ends::of(known)).alignment())),
        }
    }

    fn ends(&self, length: f64, angle: f64) -> Ends {
        let turned = turn(self.pitch, self.yaw, self.roll);
        let (bend, half) = (turn(0.0, -angle, 0.0), turn(0.0, -angle / 2.0, 0.0));
        let along = Vector3::z();
        let offset = Vector3::new(self.dx, self.dy, self.dz);
        let (frame, entrance) = match self.reference {
            Reference::Entrance => (turned, offset),
            Reference::Centre => {
                let frame = half * turned * half.transpose();
                let middle = half * along * (0.5 * chord(length, angle));
                (frame, middle - frame * middle + half * offset)
            }
        };
        let exit =
            Vector3::new(-chord(length, angle) * (angle / 2.0).sin(), 0.0, chord(length, angle) * (angle / 2.0).cos());
        let gone = exit - frame * exit - entrance;
        let (r1, t1) = change(&frame, &entrance, &frame);
        let (r2, t2) = change(&(bend.transpose() * frame.transpose() * bend), &gone, &bend);
        Ends { t1: solve(&r1, t1), r1, r2, t2 }
    }
}

/// Length of the straight line between the ends of an arc [m].
fn chord(length: f64, angle: f64) -> f64 {
    if angle == 0.0 { length } else { length / angle * 2.0 * (angle / 2.0).sin() }
}

/// Bending angle [rad].
fn angle(element: &Element) -> f64 {
    match &element.body {
        Body::Bend(bend) => bend.angle,
        _ => 0.0,
    }
}

fn turn(pitch: f64, yaw: f64, roll: f64) -> Matrix3<f64> {
    let [(sa, ca), (sb, cb), (sc, cc)] = [pitch, yaw, roll].map(f64::sin_cos);
    Matrix3::new(1.0, 0.0, 0.0, 0.0, ca, -sa, 0.0, sa, ca)
        * Matrix3::new(cb, 0.0, sb, 0.0, 1.0, 0.0, -sb, 0.0, cb)
        * Matrix3::new(cc, -sc, 0.0, sc, cc, 0.0, 0.0, 0.0, 1.0)
}

/// Matrix and shift of the step from one frame to another that is turned by `r` and stands off by `offset`, with both
/// in the frame whose axes are the columns of `axes`.
fn change(r: &Matrix3<f64>, offset: &Vector3<f64>, axes: &Matrix3<f64>) -> (Matrix6<f64>, Vector6<f64>) {
    let far = axes.column(2).dot(offset);
    let (c, d) = (1.0 / r[(2, 2)], far / (r[(2, 2)] * r[(2, 2)]));
    let matrix = Matrix6::from_rows(&[
        RowVector6::new(r[(1, 1)] * c, r[(1, 1)] * d, -r[(0, 1)] * c, -r[(0, 1)] * d, 0.0, 0.0),
        RowVector6::new(0.0, r[(0, 0)], 0.0, r[(1, 0)], r[(2, 0)], 0.0),
        RowVector6::new(-r[(1, 0)] * c, -r[(1, 0)] * d, r[(0, 0)] * c, r[(0, 0)] * d, 0.0, 0.0),
        RowVector6::new(0.0, r[(0, 1)], 0.0, r[(1, 1)], r[(2, 1)], 0.0),
        RowVector6::new(0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        RowVector6::new(-r[(0, 2)] * c, -r[(0, 2)] * d, -r[(1, 2)] * c, -r[(1, 2)] * d, 0.0, 1.0),
    ]);
    let [x, y] = [0, 1].map(|axis| axes.column(axis).dot(offset));
    let shift = Vector6::new(far * r[(2, 0)] * c - x, r[(2, 0)], far * r[(2, 1)] * c - y, r[(2, 1)], 0.0, far * c);
    (matrix, shift)
}

/// What has to be added before `matrix` so that `shift` is added after it.
fn solve(matrix: &Matrix6<f64>, shift: Vector6<f64>) -> Vector6<f64> {
    // a turn by less than a right angle can be undone
    matrix.lu().solve(&shift).unwrap_or(shift)
}

/// The coordinate changes at both ends, in the order of the element: `t1`, `r1`, body, `r2`, `t2`.
struct Ends {
    t1: Vector6<f64>,
    r1: Matrix6<f64>,
    r2: Matrix6<f64>,
    t2: Vector6<f64>,
}

impl Ends {
    fn of(alignment: &Alignment) -> Ends {
        let matrix = |rows: Option<[[f64; 6]; 6]>| {
            rows.map_or_else(Matrix6::identity, |rows| Matrix6::from_fn(|row, column| rows[row][column]))
        };
        let shift = |shift: Option<[f64; 6]>| Vector6::from(shift.unwrap_or_default());
        Ends { t1: shift(alignment.t1), r1: matrix(alignment.r1), r2: matrix(alignment.r2), t2: shift(alignment.t2) }
    }

    /// Goes through this change first and through the inner one then, and back.
    fn around(&self, inner: &Ends) -> Ends {
        Ends {
            t1: self.t1 + solve(&self.r1, inner.t1),
            r1: inner.r1 * self.r1,
            r2: self.r2 * inner.r2,
            t2: self.r2 * inner.t2 + self.t2,
        }
    }

    fn alignment(&self) -> Alignment {
        let rows = |matrix: &Matrix6<f64>| {
            (*matrix != Matrix6::identity()).then(|| std::array::from_fn(|row| matrix.row(row).transpose().into()))
        };
        let shift = |shift: &Vector6<f64>| (*shift != Vector6::zeros()).then(|| (*shift).into());
        Alignment { t1: shift(&self.t1), t2: shift(&self.t2), r1: rows(&self.r1), r2: rows(&self.r2) }
    }
}

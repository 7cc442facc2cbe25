//! Where an element really stands.

/// Coordinate changes around an element (section 2.6 of the physics conventions).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alignment {
    /// Added at the entrance, first.
    pub t1: Option<[f64; 6]>,
    /// Added at the exit, last.
    pub t2: Option<[f64; 6]>,
    /// Multiplied at the entrance, after `t1`; rows.
    pub r1: Option<[[f64; 6]; 6]>,
    /// Multiplied at the exit, before `t2`; rows.
    pub r2: Option<[[f64; 6]; 6]>,
}

impl Alignment {
    /// An offset of `dx`, `dy` [m] and a roll about the beam [rad]; `None` if all are zero.
    #[must_use]
    pub fn new(dx: f64, dy: f64, roll: f64) -> Option<Self> {
        if dx == 0.0 && dy == 0.0 && roll == 0.0 {
            return None;
        }
        let moved = dx != 0.0 || dy != 0.0;
        let rolled = roll != 0.0;
        Some(Self {
            t1: moved.then_some([-dx, 0.0, -dy, 0.0, 0.0, 0.0]),
            t2: moved.then_some([dx, 0.0, dy, 0.0, 0.0, 0.0]),
            r1: rolled.then(|| rotation(roll)),
            r2: rolled.then(|| rotation(-roll)),
        })
    }
}

fn rotation(angle: f64) -> [[f64; 6]; 6] {
    let (sine, cosine) = angle.sin_cos();
    roll_matrix(cosine, sine)
}

/// Rotation about the beam by the angle with this cosine and sine, as rows.
#[must_use]
pub fn roll_matrix(c: f64, s: f64) -> [[f64; 6]; 6] {
    [
        [c, 0.0, s, 0.0, 0.0, 0.0],
        [0.0, c, 0.0, s, 0.0, 0.0],
        [-s, 0.0, c, 0.0, 0.0, 0.0],
        [0.0, -s, 0.0, c, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    ]
}

//! Offsets and rolls of an element (2.6).

use fodo_lattice::elements::roll_matrix;

use super::{Point, matrix};
use crate::number::Number;

/// A shift and a turn of the coordinates.
#[derive(Clone, Debug)]
pub struct Placement {
    shift: Option<[f64; 6]>,
    turn: Turn,
}

#[derive(Clone, Debug)]
enum Turn {
    None,
    /// About the beam: cosine and sine of the roll.
    Roll(f64, f64),
    Any(Box<[[f64; 6]; 6]>),
}

impl Placement {
    /// A placement from the shift and the matrix of a file; `None` if neither does anything.
    #[must_use]
    pub fn new(shift: Option<[f64; 6]>, matrix: Option<[[f64; 6]; 6]>) -> Option<Box<Self>> {
        let shift = shift.filter(|shift| shift.iter().any(|&entry| entry != 0.0));
        let turn = matrix.map_or(Turn::None, Turn::new);
        (shift.is_some() || !matches!(turn, Turn::None)).then(|| Box::new(Self { shift, turn }))
    }

    /// At the entrance: the shift first.
    #[inline(always)]
    pub fn shift_then_turn<N: Number>(&self, z: &mut Point<N>) {
        self.shift(z);
        self.turn(z);
    }

    /// At the exit: the shift last.
    #[inline(always)]
    pub fn turn_then_shift<N: Number>(&self, z: &mut Point<N>) {
        self.turn(z);
        self.shift(z);
    }

    #[inline(always)]
    fn shift<N: Number>(&self, z: &mut Point<N>) {
        if let Some(shift) = &self.shift {
            for (coordinate, by) in z.iter_mut().zip(shift) {
                *coordinate = *coordinate + *by;
            }
        }
    }

    #[inline(always)]
    fn turn<N: Number>(&self, z: &mut Point<N>) {
        match &self.turn {
            Turn::None => {}
            Turn::Roll(cosine, sine) => {
                (z[0], z[2]) = (z[0] * *cosine + z[2] * *sine, z[2] * *cosine - z[0] * *sine);
                (z[1], z[3]) = (z[1] * *cosine + z[3] * *sine, z[3] * *cosine - z[1] * *sine);
            }
            Turn::Any(rows) => matrix::apply(rows, z),
        }
    }
}

impl Turn {
    fn new(rows: [[f64; 6]; 6]) -> Self {
        let (cosine, sine) = (rows[0][0], rows[0][2]);
        if roll_matrix(cosine, sine) != rows {
            return Turn::Any(Box::new(rows));
        }
        if cosine == 1.0 && sine == 0.0 { Turn::None } else { Turn::Roll(cosine, sine) }
    }
}

//! Insertion devices given by tables of the kicks they make.

/// An insertion device as a table of kicks, for particles that enter it almost in parallel.
///
/// The kicks are those of the whole device on a particle of the reference momentum, row by row: a row for each y, in
/// it an entry for each x. Source: P. Elleaume, A new approach to the electron beam dynamics in undulators and
/// wigglers, EPAC 1992, p. 661.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KickMap {
    /// Kicks over which the device is spread [1].
    pub slices: u32,
    /// Horizontal positions of the table [m], rising.
    pub x: Vec<f64>,
    /// Vertical positions of the table [m], rising.
    pub y: Vec<f64>,
    /// Kicks of second order in the field [rad], which fall with the square of the momentum: horizontal, vertical.
    pub second: [Vec<f64>; 2],
    /// Kicks of first order in the field [rad]: horizontal, vertical; empty where there are none.
    pub first: [Vec<f64>; 2],
}

impl KickMap {
    /// Whether there is one kick for each place of a table of at least two by two; a first order may be missing.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        let count = self.x.len() * self.y.len();
        let first = |table: &Vec<f64>| table.is_empty() || table.len() == count;
        let axes = self.x.len() > 1 && self.y.len() > 1;
        axes && self.second.iter().all(|table| table.len() == count) && self.first.iter().all(first)
    }

    /// Whether both axes rise all the way.
    #[must_use]
    pub fn rises(&self) -> bool {
        [&self.x, &self.y].iter().all(|axis| axis.windows(2).all(|pair| pair[1] > pair[0]))
    }

    /// All tables: second order x and y, first order x and y.
    pub fn tables(&self) -> impl Iterator<Item = &Vec<f64>> {
        self.second.iter().chain(&self.first)
    }
}

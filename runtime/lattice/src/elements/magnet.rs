//! Straight magnets, and the part of a bend that is like them.

/// A thick magnet, cut into slices by the fourth-order integrator.
#[derive(Clone, Debug, PartialEq)]
pub struct Magnet {
    /// Field inside, per metre.
    pub field: Field,
    /// Integration steps [1].
    pub slices: u32,
    /// Quadrupole fringe at the entrance and at the exit.
    pub fringe: [bool; 2],
    /// Square-root Hamiltonian between the kicks instead of the paraxial one.
    pub exact: bool,
}

/// Normalised multipole field, without factorials: `By + i Bx = sum (b_k + i a_k) (x + i y)^k`.
///
/// In a thick magnet b_k is in m^-(k+1); in a thin one it is integrated, in m^-k.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    /// Upright coefficients: `b[1]` is k1, `b[2]` is k2/2, `b[3]` is k3/6.
    pub b: Vec<f64>,
    /// Skew coefficients.
    pub a: Vec<f64>,
    /// The highest order that acts; coefficients above it are ignored, whatever the lists hold.
    pub max_order: usize,
}

impl Field {
    /// A field with these coefficients, all of them acting.
    #[must_use]
    pub fn new(b: Vec<f64>, a: Vec<f64>) -> Self {
        let max_order = b.len().max(a.len()).max(1) - 1;
        Self { b, a, max_order }
    }

    /// Upright coefficient of an order; 0 where the list ends before it.
    #[must_use]
    pub fn upright(&self, order: usize) -> f64 {
        self.b.get(order).copied().unwrap_or(0.0)
    }

    /// Skew coefficient of an order; 0 where the list ends before it.
    #[must_use]
    pub fn skew(&self, order: usize) -> f64 {
        self.a.get(order).copied().unwrap_or(0.0)
    }

    /// Sets an upright coefficient and raises `max_order` if it has to act.
    pub fn set_upright(&mut self, order: usize, value: f64) {
        self.make_room(order, value);
        set(&mut self.b, order, value);
    }

    /// Sets a skew coefficient and raises `max_order` if it has to act.
    pub fn set_skew(&mut self, order: usize, value: f64) {
        self.make_room(order, value);
        set(&mut self.a, order, value);
    }

    /// Raises `max_order`; what stood above the old one did not act and must not start to.
    fn make_room(&mut self, order: usize, value: f64) {
        if value != 0.0 && order > self.max_order {
            self.b.truncate(self.max_order + 1);
            self.a.truncate(self.max_order + 1);
            self.max_order = order;
        }
    }
}

fn set(list: &mut Vec<f64>, order: usize, value: f64) {
    if list.len() <= order {
        list.resize(order + 1, 0.0);
    }
    list[order] = value;
}

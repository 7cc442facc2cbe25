//! Linear maps.

/// A linear map.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix66 {
    /// The matrix by rows.
    pub rows: [[f64; 6]; 6],
    /// The matrix used instead where magnets radiate, if the file has one.
    pub radiating: Option<[[f64; 6]; 6]>,
}

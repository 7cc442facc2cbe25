//! Where particles are lost.

/// An element that is nothing but its limits; the fields absent are not checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aperture {
    /// Transverse limits.
    pub transverse: ElementAperture,
    /// Least and greatest delta [1] and ct [m]: `[dmin, dmax, ctmin, ctmax]`.
    pub longitudinal: Option<[f64; 4]>,
}

/// Transverse limits of an element.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ElementAperture {
    /// `[xmin, xmax, ymin, ymax]` [m].
    pub rectangle: Option<[f64; 4]>,
    /// Half axes `[a, b]` [m].
    pub ellipse: Option<[f64; 2]>,
}

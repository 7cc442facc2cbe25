//! From hardware units (what the power supply takes) to physics units (what the beam feels).

use std::sync::Arc;

/// Conversion between the hardware and the physics value of a field, both in SI.
#[derive(Clone, Debug, PartialEq)]
pub enum Calibration {
    /// physics = factor * hardware + offset
    Linear {
        /// physics per hardware unit
        factor: f64,
        /// physics value at hardware zero
        offset: f64,
    },
    /// Straight lines between measured points (hardware, physics), hardware strictly increasing and
    /// physics strictly monotonic; beyond the ends the last line goes on.
    Curve(Arc<[(f64, f64)]>),
}

impl Calibration {
    /// Hardware and physics are the same number.
    pub const IDENTITY: Calibration = Calibration::Linear { factor: 1.0, offset: 0.0 };

    /// A curve through measured points, or what is wrong with them.
    pub fn curve(points: Vec<(f64, f64)>) -> Result<Calibration, String> {
        if points.len() < 2 {
            return Err(format!("a curve needs at least two points, found {}", points.len()));
        }
        if let Some((h, p)) = points.iter().find(|(h, p)| !h.is_finite() || !p.is_finite()) {
            return Err(format!("the point ({h}, {p}) is not finite"));
        }
        let rising = points[1].1 > points[0].1;
        for pair in points.windows(2) {
            let ((h0, p0), (h1, p1)) = (pair[0], pair[1]);
            if h1 <= h0 {
                return Err(format!("hardware values must increase, but {h1} follows {h0}"));
            }
            if p1 == p0 || (p1 > p0) != rising {
                return Err(format!("physics values must be monotonic, but {p1} follows {p0}"));
            }
        }
        Ok(Calibration::Curve(points.into()))
    }

    /// Physics value of a hardware value.
    pub fn to_physics(&self, hardware: f64) -> f64 {
        match self {
            Calibration::Linear { factor, offset } => factor * hardware + offset,
            Calibration::Curve(points) => {
                let (a, b) = segment(points, |p| p.0 < hardware);
                a.1 + (hardware - a.0) * (b.1 - a.1) / (b.0 - a.0)
            }
        }
    }

    /// Hardware value that gives a physics value.
    pub fn to_hardware(&self, physics: f64) -> f64 {
        match self {
            Calibration::Linear { factor, offset } => (physics - offset) / factor,
            Calibration::Curve(points) => {
                let rising = points[1].1 > points[0].1;
                let (a, b) = segment(points, |p| (p.1 < physics) == rising && p.1 != physics);
                a.0 + (physics - a.1) * (b.0 - a.0) / (b.1 - a.1)
            }
        }
    }

    /// The same with physics values that are larger by a factor.
    pub fn times(&self, by: f64) -> Calibration {
        match self {
            Calibration::Linear { factor, offset } => Calibration::Linear { factor: by * factor, offset: by * offset },
            Calibration::Curve(points) => Calibration::Curve(points.iter().map(|(h, p)| (*h, by * p)).collect()),
        }
    }

    /// d physics / d hardware at a hardware value.
    pub fn slope(&self, hardware: f64) -> f64 {
        match self {
            Calibration::Linear { factor, .. } => *factor,
            Calibration::Curve(points) => {
                let (a, b) = segment(points, |p| p.0 < hardware);
                (b.1 - a.1) / (b.0 - a.0)
            }
        }
    }
}

fn segment(points: &[(f64, f64)], before: impl Fn(&(f64, f64)) -> bool) -> ((f64, f64), (f64, f64)) {
    let at = points.partition_point(before).clamp(1, points.len() - 1);
    (points[at - 1], points[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_converts_both_ways() {
        for points in [vec![(0.0, 0.0), (10.0, 1.0), (20.0, 1.5)], vec![(0.0, 1.0), (10.0, -1.0), (20.0, -2.0)]] {
            let curve = Calibration::curve(points).unwrap();
            for hardware in [-3.0, 0.0, 4.0, 10.0, 15.0, 20.0, 25.0] {
                let back = curve.to_hardware(curve.to_physics(hardware));
                assert!((back - hardware).abs() < 1e-12, "{hardware} came back as {back}");
            }
        }
        assert!(Calibration::curve(vec![(0.0, 0.0), (1.0, 1.0), (2.0, 0.5)]).unwrap_err().contains("monotonic"));
    }
}

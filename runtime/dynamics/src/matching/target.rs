//! What a match is to reach, and how it is measured on a ring or a line.

use std::fmt;
use std::sync::Arc;

use fodo_optics::{NoOptics, Optics, Orbit, Ring, Twiss};

use super::NoMatch;

/// A figure computed by the caller; the error is a sentence.
pub type Computed = Arc<dyn Fn(&Ring) -> Result<f64, String> + Send + Sync>;

/// A result of a ring or line. Places are indices: the entrance of that element, or the end.
#[derive(Clone)]
pub enum Figure {
    /// Tune with its integer part [1].
    TuneX,
    /// Tune with its integer part [1].
    TuneY,
    /// dQ/d(delta) [1].
    ChromaticityX,
    /// dQ/d(delta) [1].
    ChromaticityY,
    /// Beta function [m].
    BetaX(usize),
    /// Beta function [m].
    BetaY(usize),
    /// Alpha function [1].
    AlphaX(usize),
    /// Alpha function [1].
    AlphaY(usize),
    /// Dispersion [m].
    DispersionX(usize),
    /// Slope of the dispersion [1].
    DispersionPx(usize),
    /// Dispersion [m].
    DispersionY(usize),
    /// Slope of the dispersion [1].
    DispersionPy(usize),
    /// Phase advance from the first place to the second [rad]; through the end of a ring if that comes first.
    PhaseX(usize, usize),
    /// Phase advance from the first place to the second [rad]; through the end of a ring if that comes first.
    PhaseY(usize, usize),
    /// The largest beta function at the ends of elements [m].
    BetaMaxX,
    /// The largest beta function at the ends of elements [m].
    BetaMaxY,
    /// Closed orbit, of a line the trajectory [m].
    OrbitX(usize),
    /// Its px [1].
    OrbitPx(usize),
    /// Closed orbit, of a line the trajectory [m].
    OrbitY(usize),
    /// Its py [1].
    OrbitPy(usize),
    /// Momentum compaction [1].
    MomentumCompaction,
    /// Summed length of the elements [m].
    Length,
    /// Anything else: its name and how it is computed.
    Other(String, Computed),
}

impl fmt::Debug for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TuneX => write!(out, "tune_x"),
            Self::TuneY => write!(out, "tune_y"),
            Self::ChromaticityX => write!(out, "chromaticity_x"),
            Self::ChromaticityY => write!(out, "chromaticity_y"),
            Self::BetaX(at) => write!(out, "beta_x at {at}"),
            Self::BetaY(at) => write!(out, "beta_y at {at}"),
            Self::AlphaX(at) => write!(out, "alpha_x at {at}"),
            Self::AlphaY(at) => write!(out, "alpha_y at {at}"),
            Self::DispersionX(at) => write!(out, "dispersion_x at {at}"),
            Self::DispersionPx(at) => write!(out, "dispersion_px at {at}"),
            Self::DispersionY(at) => write!(out, "dispersion_y at {at}"),
            Self::DispersionPy(at) => write!(out, "dispersion_py at {at}"),
            Self::PhaseX(from, to) => write!(out, "phase_x from {from} to {to}"),
            Self::PhaseY(from, to) => write!(out, "phase_y from {from} to {to}"),
            Self::BetaMaxX => write!(out, "beta_max_x"),
            Self::BetaMaxY => write!(out, "beta_max_y"),
            Self::OrbitX(at) => write!(out, "orbit_x at {at}"),
            Self::OrbitPx(at) => write!(out, "orbit_px at {at}"),
            Self::OrbitY(at) => write!(out, "orbit_y at {at}"),
            Self::OrbitPy(at) => write!(out, "orbit_py at {at}"),
            Self::MomentumCompaction => write!(out, "momentum_compaction"),
            Self::Length => write!(out, "length"),
            Self::Other(name, _) => write!(out, "{name}"),
        }
    }
}

impl Figure {
    /// The last place it looks at.
    pub(super) fn place(&self) -> usize {
        match *self {
            Self::BetaX(at) | Self::BetaY(at) | Self::AlphaX(at) | Self::AlphaY(at) => at,
            Self::DispersionX(at) | Self::DispersionPx(at) | Self::DispersionY(at) | Self::DispersionPy(at) => at,
            Self::OrbitX(at) | Self::OrbitPx(at) | Self::OrbitY(at) | Self::OrbitPy(at) => at,
            Self::PhaseX(from, to) | Self::PhaseY(from, to) => from.max(to),
            _ => 0,
        }
    }

    /// Whether it only makes sense where the beam comes round again.
    pub(super) fn needs_ring(&self) -> bool {
        match *self {
            Self::ChromaticityX | Self::ChromaticityY => true,
            Self::PhaseX(from, to) | Self::PhaseY(from, to) => to < from,
            _ => false,
        }
    }

    fn needs_optics(&self) -> bool {
        !self.needs_orbit()
            && !matches!(self, Self::ChromaticityX | Self::ChromaticityY | Self::Length | Self::Other(..))
    }

    fn needs_orbit(&self) -> bool {
        matches!(self, Self::OrbitX(_) | Self::OrbitPx(_) | Self::OrbitY(_) | Self::OrbitPy(_))
    }
}

/// Whether a figure is to be met, or not to be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is to have the value.
    Equal,
    /// It may be less.
    AtMost,
    /// It may be more.
    AtLeast,
}

/// A figure and the value it is to have.
#[derive(Clone, Debug)]
pub struct Target {
    /// The figure.
    pub figure: Figure,
    /// Its value.
    pub value: f64,
    /// Equal, at most or at least.
    pub relation: Relation,
    /// How far off is good enough [unit of the figure].
    pub tolerance: f64,
    /// Factor of the difference in the sum of squares [1 / unit of the figure].
    pub weight: f64,
}

impl Target {
    /// To be met within 1e-10, with weight 1.
    #[must_use]
    pub fn equal(figure: Figure, value: f64) -> Self {
        Self { figure, value, relation: Relation::Equal, tolerance: 1e-10, weight: 1.0 }
    }

    /// Not to be passed.
    #[must_use]
    pub fn at_most(figure: Figure, value: f64) -> Self {
        Self { relation: Relation::AtMost, ..Self::equal(figure, value) }
    }

    /// Not to fall below.
    #[must_use]
    pub fn at_least(figure: Figure, value: f64) -> Self {
        Self { relation: Relation::AtLeast, ..Self::equal(figure, value) }
    }

    /// With this tolerance [unit of the figure].
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// With this weight [1 / unit of the figure].
    #[must_use]
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// What is missing; 0 where it is on the allowed side.
    #[must_use]
    pub fn missing(&self, reached: f64) -> f64 {
        let apart = reached - self.value;
        match self.relation {
            Relation::Equal => apart,
            Relation::AtMost => apart.max(0.0),
            Relation::AtLeast => apart.min(0.0),
        }
    }
}

/// How the beam enters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry {
    /// It comes round: periodic functions on the closed orbit.
    Periodic,
    /// It enters a line with Twiss functions x, y and dispersion (x, px, y, py) on the design orbit.
    Given([Twiss; 2], [f64; 4]),
}

/// Functions of the ring or line.
pub(super) fn optics(ring: &Ring, entry: Entry) -> Result<Optics, NoOptics> {
    match entry {
        Entry::Periodic => ring.optics(),
        Entry::Given(twiss, dispersion) => ring.optics_from(twiss, dispersion),
    }
}

fn orbit(ring: &Ring, entry: Entry) -> Result<Orbit, NoOptics> {
    if entry == Entry::Periodic {
        return Ok(ring.find_closed_orbit()?);
    }
    let start = [0.0, 0.0, 0.0, 0.0, ring.delta(), 0.0];
    let points = ring.trajectory(&start);
    let lost = |index: usize| fodo_optics::NoClosedOrbit::Lost(index, ring.element(index).name.to_string());
    Ok(points.map(|points| Orbit { points }).map_err(lost)?)
}

/// All that is known of one state of the machine, each computed only if a figure needs it.
#[derive(Default)]
struct Known {
    optics: Option<Optics>,
    orbit: Option<Orbit>,
    chromaticity: Option<[f64; 2]>,
}

/// The figures of these targets.
pub(super) fn measure(ring: &Ring, entry: Entry, targets: &[Target]) -> Result<Vec<f64>, NoMatch> {
    let any = |needs: fn(&Figure) -> bool| targets.iter().any(|target| needs(&target.figure));
    let mut known = Known::default();
    if any(Figure::needs_optics) {
        known.optics = Some(optics(ring, entry)?);
    }
    if any(Figure::needs_orbit) {
        known.orbit = Some(orbit(ring, entry)?);
    }
    if any(|figure| matches!(figure, Figure::ChromaticityX | Figure::ChromaticityY)) {
        known.chromaticity = Some(ring.chromaticity()?);
    }
    targets.iter().map(|target| known.figure(ring, &target.figure)).collect()
}

impl Known {
    fn figure(&self, ring: &Ring, figure: &Figure) -> Result<f64, NoMatch> {
        let value = match figure {
            Figure::Other(name, compute) => {
                Some(compute(ring).map_err(|reason| NoMatch::NotComputed(name.clone(), reason))?)
            }
            Figure::Length => Some(ring.length()),
            Figure::ChromaticityX => self.chromaticity.map(|both| both[0]),
            Figure::ChromaticityY => self.chromaticity.map(|both| both[1]),
            Figure::OrbitX(at) => self.coordinate(*at, 0),
            Figure::OrbitPx(at) => self.coordinate(*at, 1),
            Figure::OrbitY(at) => self.coordinate(*at, 2),
            Figure::OrbitPy(at) => self.coordinate(*at, 3),
            _ => self.optics.as_ref().and_then(|optics| of_optics(optics, figure)),
        };
        value.filter(|value| value.is_finite()).ok_or_else(|| NoMatch::NotFinite(figure.to_string()))
    }

    fn coordinate(&self, at: usize, coordinate: usize) -> Option<f64> {
        Some(self.orbit.as_ref()?.points.get(at)?[coordinate])
    }
}

/// A figure that follows from optical functions.
pub(super) fn of_optics(optics: &Optics, figure: &Figure) -> Option<f64> {
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let dispersion = |at: usize, row: usize| optics.dispersion.get(at).map(|at| at[row]);
    match *figure {
        Figure::TuneX => Some(optics.tune_x()),
        Figure::TuneY => Some(optics.tune_y()),
        Figure::BetaX(at) => optics.beta_x.get(at).copied(),
        Figure::BetaY(at) => optics.beta_y.get(at).copied(),
        Figure::AlphaX(at) => optics.alpha_x.get(at).copied(),
        Figure::AlphaY(at) => optics.alpha_y.get(at).copied(),
        Figure::DispersionX(at) => dispersion(at, 0),
        Figure::DispersionPx(at) => dispersion(at, 1),
        Figure::DispersionY(at) => dispersion(at, 2),
        Figure::DispersionPy(at) => dispersion(at, 3),
        Figure::PhaseX(from, to) => advance(&optics.phase_x, from, to),
        Figure::PhaseY(from, to) => advance(&optics.phase_y, from, to),
        Figure::BetaMaxX => Some(largest(&optics.beta_x)),
        Figure::BetaMaxY => Some(largest(&optics.beta_y)),
        Figure::MomentumCompaction => Some(optics.momentum_compaction),
        _ => None,
    }
}

fn advance(phase: &[f64], from: usize, to: usize) -> Option<f64> {
    let around = if to < from { *phase.last()? } else { 0.0 };
    Some(phase.get(to)? - phase.get(from)? + around)
}

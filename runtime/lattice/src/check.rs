//! What makes an element impossible to track through, found before anything is tracked.

use std::fmt;

use serde_json::Value;

use crate::elements::{Aperture, Body, Cavity, Element, ElementAperture, KickMap, Magnet, Wiggler};
use crate::{Lattice, LatticeError};

/// What is wrong with an element or with the figures of the reference particle.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// A figure (its name, its value) is not a finite number.
    NotFinite(&'static str, f64),
    /// The length [m] is negative; only a drift may go backwards.
    NegativeLength(f64),
    /// An element that needs a length has none.
    NoLength,
    /// A figure (its name, its value) has to be above zero.
    NotPositive(&'static str, f64),
    /// A magnet is cut into no slices.
    NoSlices,
    /// A figure (its name, its value) is none of those that are known.
    Unknown(&'static str, String),
    /// The table of kicks cannot be used; says what is wrong with it.
    Table(&'static str),
    /// The file names a pass method whose map is not known here.
    UnknownPass(String),
    /// The total energy is not above the rest energy [both eV].
    BelowRestEnergy(f64, f64),
    /// Exact velocities were asked for, but the lattice gives no rest energy.
    NoRestEnergy,
}

/// A problem and the element it was found in.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementProblem {
    /// Index of the element; `None` for the lattice as a whole.
    pub index: Option<usize>,
    /// Name of the element.
    pub name: String,
    /// What is wrong.
    pub problem: Problem,
}

/// All that is wrong with a lattice: at least one problem.
#[derive(Clone, Debug, PartialEq)]
pub struct LatticeProblems(pub Vec<ElementProblem>);

impl Lattice {
    /// Looks for everything that would make tracking impossible or meaningless.
    ///
    /// An unstable ring is no problem of this kind, nor is a particle that will be lost.
    ///
    /// # Errors
    /// All problems, in beam order, those of the whole lattice first.
    pub fn check(&self) -> Result<(), LatticeProblems> {
        let whole = self.reference_problems();
        let mut problems: Vec<_> = whole.into_iter().map(|problem| of_lattice(problem, &self.name)).collect();
        for (index, element) in self.elements.iter().enumerate() {
            let name = element.name.to_string();
            problems.extend(element.problems().into_iter().map(|problem| ElementProblem {
                index: Some(index),
                name: name.clone(),
                problem,
            }));
        }
        if problems.is_empty() { Ok(()) } else { Err(LatticeProblems(problems)) }
    }

    fn reference_problems(&self) -> Vec<Problem> {
        let mut found = Finder::default();
        found.positive("energy", self.energy);
        found.finite("rest energy", [self.rest_energy]);
        if self.energy.is_finite() && self.energy > 0.0 && self.energy <= self.rest_energy {
            found.0.push(Problem::BelowRestEnergy(self.energy, self.rest_energy));
        }
        if self.reference.exact_velocity && self.rest_energy == 0.0 {
            found.0.push(Problem::NoRestEnergy);
        }
        found.0
    }
}

fn of_lattice(problem: Problem, name: &str) -> ElementProblem {
    ElementProblem { index: None, name: name.to_string(), problem }
}

impl Element {
    /// Everything that would make tracking through this element impossible or meaningless.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Finder::default();
        found.finite("length", [self.length]);
        if self.length < 0.0 && !matches!(self.body, Body::Drift { .. }) {
            found.0.push(Problem::NegativeLength(self.length));
        }
        found.finite("kick", self.kick);
        found.positive("field scaling", self.field_scaling);
        if let Some(alignment) = &self.alignment {
            let shifts = [alignment.t1, alignment.t2].into_iter().flatten().flatten();
            let turns = [alignment.r1, alignment.r2].into_iter().flatten().flatten().flatten();
            found.finite("alignment", shifts.chain(turns));
        }
        self.aperture.iter().for_each(|aperture| found.aperture(aperture));
        if let Some(Value::String(pass)) = self.extra.get("PassMethod") {
            found.0.push(Problem::UnknownPass(pass.clone()));
        }
        self.body_problems(&mut found);
        found.0
    }

    fn body_problems(&self, found: &mut Finder) {
        match &self.body {
            Body::Marker | Body::Monitor | Body::Corrector | Body::Drift { .. } => {}
            Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
                found.magnet(magnet);
            }
            Body::Bend(bend) => {
                found.magnet(&bend.magnet);
                found.finite("bending angle", [bend.angle]);
                found.finite("full gap", [bend.full_gap]);
                for edge in [&bend.entrance, &bend.exit] {
                    found.finite("edge", [edge.angle, edge.fringe_integral, edge.curvature]);
                }
                found.length(self.length);
            }
            Body::ThinMultipole(thin) => {
                found.finite("strength", thin.field.b.iter().chain(&thin.field.a).copied());
                found.finite("bending angle", thin.bending_angle);
            }
            Body::Cavity(cavity) => found.cavity(cavity),
            Body::Matrix66(matrix) => {
                let rows = std::iter::once(matrix.rows).chain(matrix.radiating);
                found.finite("matrix", rows.flatten().flatten());
            }
            Body::Aperture(aperture) => found.collimator(aperture),
            Body::Wiggler(wiggler) => found.wiggler(wiggler),
            Body::KickMap(map) => found.kick_map(map),
            Body::Solenoid(solenoid) => found.finite("strength", [solenoid.strength]),
            Body::Diffusion(diffusion) => found.finite("factor", diffusion.factor.into_iter().flatten()),
        }
    }
}

/// Problems found so far.
#[derive(Default)]
struct Finder(Vec<Problem>);

impl Finder {
    /// Notes the first of these figures that is not finite.
    fn finite(&mut self, what: &'static str, values: impl IntoIterator<Item = f64>) {
        let wrong = values.into_iter().find(|value| !value.is_finite());
        self.0.extend(wrong.map(|value| Problem::NotFinite(what, value)));
    }

    fn positive(&mut self, what: &'static str, value: f64) {
        self.finite(what, [value]);
        if value <= 0.0 {
            self.0.push(Problem::NotPositive(what, value));
        }
    }

    fn length(&mut self, length: f64) {
        if length == 0.0 {
            self.0.push(Problem::NoLength);
        }
    }

    fn magnet(&mut self, magnet: &Magnet) {
        self.finite("strength", magnet.field.b.iter().chain(&magnet.field.a).copied());
        if magnet.slices == 0 {
            self.0.push(Problem::NoSlices);
        }
    }

    fn cavity(&mut self, cavity: &Cavity) {
        self.finite("voltage", [cavity.voltage]);
        self.finite("lag", [cavity.time_lag, cavity.phase_lag]);
        self.finite("frequency", [cavity.frequency]);
        if cavity.voltage != 0.0 && cavity.frequency <= 0.0 {
            self.0.push(Problem::NotPositive("frequency", cavity.frequency));
        }
    }

    /// Limits may be infinite, but not NaN; axes have to be positive.
    fn aperture(&mut self, aperture: &ElementAperture) {
        self.limits(aperture.rectangle);
        for axis in aperture.ellipse.into_iter().flatten() {
            if axis.is_nan() || axis <= 0.0 {
                self.0.push(Problem::NotPositive("half axis", axis));
            }
        }
    }

    fn collimator(&mut self, aperture: &Aperture) {
        self.aperture(&aperture.transverse);
        self.limits(aperture.longitudinal);
    }

    fn limits(&mut self, limits: Option<[f64; 4]>) {
        let wrong = limits.into_iter().flatten().find(|limit| limit.is_nan());
        self.0.extend(wrong.map(|limit| Problem::NotFinite("limit", limit)));
    }

    fn kick_map(&mut self, map: &KickMap) {
        if map.slices == 0 {
            self.0.push(Problem::NoSlices);
        }
        self.finite("kick", map.tables().flatten().copied());
        self.finite("position", map.x.iter().chain(&map.y).copied());
        if !map.is_filled() {
            self.0.push(Problem::Table("has not one kick for each x and y of at least two"));
        } else if !map.rises() {
            self.0.push(Problem::Table("has positions that do not rise"));
        }
    }

    fn wiggler(&mut self, wiggler: &Wiggler) {
        self.positive("period", wiggler.period);
        self.finite("peak field", [wiggler.peak_field]);
        if wiggler.steps == 0 {
            self.0.push(Problem::NoSlices);
        }
        if !matches!(wiggler.integrator, 2 | 4) {
            self.0.push(Problem::Unknown("integrator", wiggler.integrator.to_string()));
        }
        let rows = || wiggler.vertical.iter().chain(&wiggler.horizontal);
        self.finite("harmonic", rows().flat_map(|row| row[1..].to_vec()));
        if let Some(row) = rows().find(|row| row[4] == 0.0) {
            self.0.push(Problem::NotPositive("longitudinal wave number", row[4]));
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite(what, value) => write!(out, "its {what} is {value}, which is no finite number"),
            Self::NegativeLength(length) => write!(out, "its length is negative ({length} m)"),
            Self::NoLength => write!(out, "it has no length, but needs one"),
            Self::NotPositive(what, value) => write!(out, "its {what} is {value}, but has to be above zero"),
            Self::NoSlices => write!(out, "it is cut into no slices; at least one is needed"),
            Self::Unknown(what, value) => write!(out, "its {what} is {value}, which is not known"),
            Self::Table(what) => write!(out, "its table of kicks {what}"),
            Self::UnknownPass(pass) => write!(out, "its pass method {pass} is not known"),
            Self::BelowRestEnergy(energy, rest) => {
                write!(out, "its total energy ({energy} eV) is not above the rest energy ({rest} eV)")
            }
            Self::NoRestEnergy => write!(out, "exact velocities need a rest energy"),
        }
    }
}

impl fmt::Display for ElementProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(out, "element {index}, {}: {}", self.name, self.problem),
            None => write!(out, "lattice {}: {}", self.name, self.problem),
        }
    }
}

impl fmt::Display for LatticeProblems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { "\n" };
            write!(out, "{gap}{problem}")?;
        }
        Ok(())
    }
}

/// The first problem, and how many more there are: an element that is defined once may stand in the ring many times.
impl From<LatticeProblems> for LatticeError {
    fn from(LatticeProblems(problems): LatticeProblems) -> Self {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Self::new(match problems.len() {
            0 | 1 => first,
            count => format!("{first} (and {} more problems)", count - 1),
        })
    }
}

impl std::error::Error for ElementProblem {}
impl std::error::Error for LatticeProblems {}

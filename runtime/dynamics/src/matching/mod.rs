//! Matching: turns parameters of a ring or line until its figures have the values wanted.
//!
//! Least squares (Levenberg and Marquardt) with bounds on the variables. A step that leads to where the machine has no
//! optics is shortened. How derivatives are made is said in `gradient.rs`.

mod gradient;
mod least_squares;
mod target;
mod variable;

use std::cell::RefCell;
use std::fmt;

use fodo_optics::{NoClosedOrbit, NoOptics, Ring};
use nalgebra::DMatrix;

use least_squares::{Minimum, Problem, Space, minimise};
pub use target::{Computed, Entry, Figure, Relation, Target};
pub use variable::{Driven, Parameter, Variable};

/// What to turn, what to reach.
#[derive(Clone, Debug)]
pub struct Matching {
    /// What may be turned.
    pub variables: Vec<Variable>,
    /// What is to be reached.
    pub targets: Vec<Target>,
    /// How the beam enters.
    pub entry: Entry,
    /// Iterations that may be taken.
    pub iterations: usize,
}

impl Matching {
    /// A match of a ring, for at most 50 iterations.
    #[must_use]
    pub fn ring(variables: Vec<Variable>, targets: Vec<Target>) -> Self {
        Self { variables, targets, entry: Entry::Periodic, iterations: 50 }
    }

    /// A match of a line entered with Twiss functions x, y and dispersion (x, px, y, py).
    #[must_use]
    pub fn line(
        variables: Vec<Variable>,
        targets: Vec<Target>,
        twiss: [fodo_optics::Twiss; 2],
        dispersion: [f64; 4],
    ) -> Self {
        Self { entry: Entry::Given(twiss, dispersion), ..Self::ring(variables, targets) }
    }
}

/// Which bound holds a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The lower one.
    Lower,
    /// The upper one.
    Upper,
}

/// A variable after a match.
#[derive(Clone, Debug, PartialEq)]
pub struct Turned {
    /// Its name.
    pub name: String,
    /// Its value at the start.
    pub before: f64,
    /// Its value now.
    pub after: f64,
    /// The bound it stands at.
    pub bound: Option<Bound>,
}

/// A target after a match.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// The figure.
    pub figure: String,
    /// The value wanted.
    pub wanted: f64,
    /// The value at the start.
    pub before: f64,
    /// The value now.
    pub after: f64,
    /// What is missing now; 0 on the allowed side of an inequality.
    pub missing: f64,
    /// Whether that is within the tolerance.
    pub met: bool,
}

/// What a match came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The variables, in the order they were given.
    pub variables: Vec<Turned>,
    /// The targets, in the order they were given.
    pub targets: Vec<Reached>,
    /// Iterations taken.
    pub iterations: usize,
    /// Times the figures were computed, derivatives apart.
    pub evaluations: usize,
    /// Steps that were shortened because the machine had no optics where they led to.
    pub shortened: usize,
}

/// Why there is no match.
#[derive(Clone, Debug, PartialEq)]
pub enum NoMatch {
    /// The machine has no optics or orbit with the values to start from.
    NoOptics(NoOptics),
    /// There are no variables, or no targets.
    Empty,
    /// A variable drives nothing.
    NothingDriven(String),
    /// A variable drives an element that does not exist (variable, index).
    NoElement(String, usize),
    /// A variable drives an element that has no such parameter (variable, index, name, parameter).
    NoParameter(String, usize, String, &'static str),
    /// The bounds of a variable leave it no room, or a number of it is not finite (variable, lower, upper).
    BadBounds(String, f64, f64),
    /// A target looks behind the end of the machine (figure, number of elements).
    NoPlace(String, usize),
    /// A target of a ring was given for a line.
    NeedsRing(String),
    /// A target has a value, weight or tolerance that is not finite or is negative.
    BadTarget(String),
    /// A figure is not a finite number.
    NotFinite(String),
    /// A figure of the caller could not be computed (name, reason).
    NotComputed(String, String),
    /// The targets cannot all be met; how near they came.
    NotReached(Box<Match>),
}

impl fmt::Display for NoMatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOptics(reason) => write!(out, "no match: {reason}"),
            Self::Empty => write!(out, "no match: there are no variables, or no targets"),
            Self::NothingDriven(name) => write!(out, "no match: the variable {name} drives no element"),
            Self::NoElement(name, index) => {
                write!(out, "no match: the variable {name} drives element {index}, which there is not")
            }
            Self::NoParameter(name, index, element, parameter) => {
                write!(out, "no match: element {index}, {element}, which {name} drives, has no {parameter}")
            }
            Self::BadBounds(name, lower, upper) => {
                write!(out, "no match: the variable {name} has no room between {lower} and {upper}, or is no number")
            }
            Self::NoPlace(figure, count) => {
                write!(out, "no match: {figure} is behind the end, there are {count} elements")
            }
            Self::NeedsRing(figure) => write!(out, "no match: a line has no {figure}"),
            Self::BadTarget(figure) => {
                write!(out, "no match: value, weight and tolerance of {figure} have to be finite, and not negative")
            }
            Self::NotFinite(figure) => write!(out, "no match: {figure} is not a finite number"),
            Self::NotComputed(name, reason) => write!(out, "no match: {name}: {reason}"),
            Self::NotReached(came) => came.explain(out),
        }
    }
}

impl std::error::Error for NoMatch {}

impl From<NoOptics> for NoMatch {
    fn from(reason: NoOptics) -> Self {
        Self::NoOptics(reason)
    }
}

impl From<NoClosedOrbit> for NoMatch {
    fn from(reason: NoClosedOrbit) -> Self {
        Self::NoOptics(reason.into())
    }
}

impl Match {
    /// One sentence on what was not reached, and which bounds hold.
    fn explain(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the targets were not reached in {} iterations:", self.iterations)?;
        for target in self.targets.iter().filter(|target| !target.met) {
            write!(out, " {} is {} instead of {};", target.figure, target.after, target.wanted)?;
        }
        for variable in &self.variables {
            if let Some(bound) = variable.bound {
                let which = if bound == Bound::Lower { "lower" } else { "upper" };
                write!(out, " {} is held by its {which} bound {};", variable.name, variable.after)?;
            }
        }
        Ok(())
    }
}

/// Turns the variables of a ring or line until its figures have the values wanted, and leaves it so.
///
/// # Errors
/// The problem makes no sense, or has no figures at the start: the machine is left as it was. The targets cannot all
/// be met ([`NoMatch::NotReached`]): the machine is left as it was, and the error tells the nearest there is.
pub fn match_optics(ring: &mut Ring, matching: &Matching) -> Result<Match, NoMatch> {
    check(ring, matching)?;
    let start: Vec<f64> = matching.variables.iter().map(|variable| variable.start).collect();
    let all = |of: fn(&Variable) -> f64| matching.variables.iter().map(of).collect();
    let space = Space {
        lower: all(|variable| variable.lower),
        upper: all(|variable| variable.upper),
        scale: all(|variable| variable.scale),
    };
    let work = Work { matching, ring: RefCell::new(ring.clone()) };
    let before = work.figures(&start)?;
    let found = minimise(&work, &space, &start, matching.iterations)?;
    let after = work.figures(&found.x)?;
    let result = report(matching, &found, &before, &after);
    if !found.solved {
        return Err(NoMatch::NotReached(Box::new(result)));
    }
    for (variable, &value) in matching.variables.iter().zip(&found.x) {
        variable.apply(ring, value);
    }
    Ok(result)
}

/// The figures of a matching's targets on a ring or line as it stands.
///
/// # Errors
/// A figure cannot be computed.
pub fn measure(ring: &Ring, matching: &Matching) -> Result<Vec<f64>, NoMatch> {
    target::measure(ring, matching.entry, &matching.targets)
}

/// Derivatives of the figures with respect to the variables at their start values: targets by variables.
///
/// # Errors
/// The problem makes no sense, or a figure cannot be computed.
pub fn derivatives(ring: &Ring, matching: &Matching) -> Result<DMatrix<f64>, NoMatch> {
    check(ring, matching)?;
    let start: Vec<f64> = matching.variables.iter().map(|variable| variable.start).collect();
    let work = Work { matching, ring: RefCell::new(ring.clone()) };
    work.set(&start);
    gradient::derivatives(matching, &work.ring.borrow(), &start)
}

fn check(ring: &Ring, matching: &Matching) -> Result<(), NoMatch> {
    if matching.variables.is_empty() || matching.targets.is_empty() {
        return Err(NoMatch::Empty);
    }
    matching.variables.iter().try_for_each(|variable| variable.check(ring))?;
    for target in &matching.targets {
        let numbers = [target.value, target.weight, target.tolerance];
        if numbers.iter().any(|number| !number.is_finite()) || target.weight < 0.0 || target.tolerance < 0.0 {
            return Err(NoMatch::BadTarget(target.figure.to_string()));
        }
        if target.figure.place() > ring.len() {
            return Err(NoMatch::NoPlace(target.figure.to_string(), ring.len()));
        }
        if target.figure.needs_ring() && matching.entry != Entry::Periodic {
            return Err(NoMatch::NeedsRing(target.figure.to_string()));
        }
    }
    Ok(())
}

fn report(matching: &Matching, found: &Minimum, before: &[f64], after: &[f64]) -> Match {
    let turned = |(variable, &after): (&Variable, &f64)| Turned {
        name: variable.name.clone(),
        before: variable.start,
        after,
        bound: match after {
            after if after <= variable.lower => Some(Bound::Lower),
            after if after >= variable.upper => Some(Bound::Upper),
            _ => None,
        },
    };
    let reached = |(index, target): (usize, &Target)| {
        let missing = target.missing(after[index]);
        Reached {
            figure: target.figure.to_string(),
            wanted: target.value,
            before: before[index],
            after: after[index],
            missing,
            met: missing.abs() <= target.tolerance,
        }
    };
    Match {
        variables: matching.variables.iter().zip(&found.x).map(turned).collect(),
        targets: matching.targets.iter().enumerate().map(reached).collect(),
        iterations: found.iterations,
        evaluations: found.evaluations,
        shortened: found.shortened,
    }
}

/// A match at work on a copy of the machine.
struct Work<'a> {
    matching: &'a Matching,
    ring: RefCell<Ring>,
}

impl Work<'_> {
    fn set(&self, x: &[f64]) {
        let mut ring = self.ring.borrow_mut();
        for (variable, &value) in self.matching.variables.iter().zip(x) {
            variable.apply(&mut ring, value);
        }
    }

    fn figures(&self, x: &[f64]) -> Result<Vec<f64>, NoMatch> {
        self.set(x);
        target::measure(&self.ring.borrow(), self.matching.entry, &self.matching.targets)
    }
}

impl Problem for Work<'_> {
    type Error = NoMatch;

    fn residuals(&self, x: &[f64]) -> Result<Vec<f64>, NoMatch> {
        let reached = self.figures(x)?;
        let pairs = self.matching.targets.iter().zip(&reached);
        Ok(pairs.map(|(target, &reached)| target.weight * target.missing(reached)).collect())
    }

    fn jacobian(&self, x: &[f64]) -> Result<DMatrix<f64>, NoMatch> {
        let reached = self.figures(x)?;
        let derivatives = gradient::derivatives(self.matching, &self.ring.borrow(), x)?;
        Ok(gradient::weighted(derivatives, &self.matching.targets, &reached))
    }

    fn is_solved(&self, residuals: &[f64]) -> bool {
        let pairs = self.matching.targets.iter().zip(residuals);
        pairs.into_iter().all(|(target, residual)| residual.abs() <= target.weight * target.tolerance)
    }
}

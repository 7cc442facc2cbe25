//! Naming what the data do not tell.

use fodo_optics::Plane;
use nalgebra::{DMatrix, DVector};

use crate::setup::Setup;
use crate::solve::Scaled;
use crate::values::{Block, Layout, Parameter, Values};

/// A combination of parameters that the data do not tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Degeneracy {
    /// What is not told, and what would tell it.
    pub text: String,
    /// The parameters that may change together without a trace, those that change most first: by how much each.
    pub parameters: Vec<(Parameter, f64)>,
}

/// A direction that may well be one: a text, and the change of all parameters.
pub(crate) struct Suspect {
    text: String,
    pub direction: Vec<f64>,
}

/// The scales of what is measured, which the response alone never tells: monitors show a factor more, correctors kick it less.
pub(crate) fn suspects(setup: &Setup, layout: &Layout, values: &Values) -> Vec<Suspect> {
    let planes = |planes: &[Plane], step: bool| {
        let words = match planes {
            [Plane::X] => "horizontal",
            [Plane::Y] => "vertical",
            _ => "horizontal and vertical",
        };
        let also = if step { " and the step of the dispersion" } else { "" };
        let what = match step {
            false => "give the dispersion with the step that made it",
            true => "take the step of the dispersion as known",
        };
        let text = format!(
            "the common factor of all {words} monitor gains against all {words} corrector gains{also} is not told: {what}, or fit \
             the gains of monitors or of correctors alone"
        );
        Suspect { text, direction: scaling(setup, layout, values, planes, step) }
    };
    let both = [Plane::X, Plane::Y];
    let mut all = vec![planes(&both[..1], false), planes(&both[1..], false)];
    if layout.start(Block::DispersionStep).is_some() {
        all.extend([planes(&both[..1], true), planes(&both[1..], true), planes(&both, true)]);
    }
    all.retain(|suspect| suspect.direction.iter().any(|by| *by != 0.0));
    all
}

/// Monitors show more of some planes, correctors kick less in them.
fn scaling(setup: &Setup, layout: &Layout, values: &Values, planes: &[Plane], step: bool) -> Vec<f64> {
    let mut direction = vec![0.0; layout.count()];
    let mut set = |block: Block, place: usize, by: f64| {
        if let Some(start) = layout.start(block) {
            direction[start + place] += by;
        }
    };
    let monitors = setup.monitors.len();
    for &plane in planes {
        for monitor in 0..monitors {
            let (own, other) = match plane {
                Plane::X => (monitor, monitors + monitor),
                Plane::Y => (monitors + monitor, monitor),
            };
            set(Block::MonitorGain, own, values.monitor_gain[own]);
            set(Block::MonitorCoupling, other, values.monitor_coupling[other]);
        }
        for (column, kicks) in setup.columns.iter().enumerate() {
            let (gain, coupling) = (values.corrector_gain[column], values.corrector_coupling[column]);
            if kicks.kicks.iter().any(|kick| kick.plane == plane) {
                set(Block::CorrectorGain, column, -gain);
                set(Block::CorrectorCoupling, column, coupling);
                set(Block::EnergyShift, column, -values.energy_shift[column]);
            } else {
                set(Block::CorrectorCoupling, column, -coupling);
            }
        }
    }
    if step {
        set(Block::DispersionStep, 0, -values.dispersion_step[0]);
    }
    direction
}

/// Names directions along which nothing changes: those that were suspected as such, the rest by their parameters.
pub(crate) fn named(
    setup: &Setup,
    layout: &Layout,
    scaled: &Scaled,
    null: &[DVector<f64>],
    suspects: &[Suspect],
) -> Vec<Degeneracy> {
    let mut all = vec![];
    let mut known: Vec<DVector<f64>> = vec![];
    for suspect in suspects {
        let Some(direction) = scaled.direction(&suspect.direction) else { continue };
        let inside: f64 = null.iter().map(|null| null.dot(&direction).powi(2)).sum();
        let Some(rest) = apart(&direction, &known).filter(|_| inside > 0.999) else { continue };
        known.push(rest);
        all.push(Degeneracy { text: suspect.text.clone(), parameters: largest(layout, scaled, &direction) });
    }
    for direction in sparse(null, &known) {
        let parameters = largest(layout, scaled, &direction);
        all.push(Degeneracy { text: told_together(setup, &parameters, &direction), parameters });
    }
    let idle = (0..layout.count()).filter(|place| scaled.active.binary_search(place).is_err());
    for parameter in idle.map(|place| layout.parameter(place)) {
        let text = format!("no reading that counts depends on {}: it was left as it is", setup.name(parameter));
        all.push(Degeneracy { text, parameters: vec![(parameter, 1.0)] });
    }
    all
}

/// A direction without what lies along others; `None` if nothing is left.
fn apart(direction: &DVector<f64>, others: &[DVector<f64>]) -> Option<DVector<f64>> {
    let mut rest = direction.clone();
    others.iter().for_each(|other| rest -= other * other.dot(&rest));
    let length = rest.norm();
    (length > 1e-3).then(|| rest / length)
}

/// The same space without the known directions, by vectors of few parameters: each has one to itself.
fn sparse(null: &[DVector<f64>], known: &[DVector<f64>]) -> Vec<DVector<f64>> {
    let mut basis = known.to_vec();
    let mut rest = vec![];
    for null in null {
        if let Some(own) = apart(null, &basis) {
            basis.push(own.clone());
            rest.push(own);
        }
    }
    if rest.is_empty() {
        return rest;
    }
    let mut table = DMatrix::from_columns(&rest).transpose();
    for row in 0..table.nrows() {
        let pivot = (0..table.ncols()).max_by(|a, b| table[(row, *a)].abs().total_cmp(&table[(row, *b)].abs()));
        let Some(pivot) = pivot else { continue };
        let factor = table[(row, pivot)];
        table.row_mut(row).scale_mut(factor.recip());
        let own = table.row(row).into_owned();
        for other in (0..table.nrows()).filter(|&other| other != row) {
            let by = table[(other, pivot)];
            table.row_mut(other).zip_apply(&own, |entry, own| *entry -= by * own);
        }
    }
    table.row_iter().map(|row| row.transpose()).map(|row| &row / row.norm()).collect()
}

/// The parameters of a direction that move at least a tenth as much as the first, by what they do to the data.
fn largest(layout: &Layout, scaled: &Scaled, direction: &DVector<f64>) -> Vec<(Parameter, f64)> {
    let most = direction.amax();
    let mut places: Vec<usize> = (0..direction.len()).filter(|&at| direction[at].abs() > 0.1 * most).collect();
    places.sort_by(|&a, &b| direction[b].abs().total_cmp(&direction[a].abs()));
    places.iter().map(|&at| (layout.parameter(scaled.active[at]), direction[at] * scaled.scale[at])).collect()
}

/// How many parameters a text names.
const NAMED: usize = 6;

fn told_together(setup: &Setup, parameters: &[(Parameter, f64)], direction: &DVector<f64>) -> String {
    let first = parameters.first().map_or(1.0, |parameter| parameter.1);
    let term = |(parameter, by): &(Parameter, f64)| format!("{:+.3} {}", by / first, setup.name(*parameter));
    let terms: Vec<String> = parameters.iter().take(NAMED).map(term).collect();
    let more = match parameters.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let moved = direction.iter().filter(|by| by.abs() > 1e-3).count();
    match moved {
        1 => format!("{} is not told: the readings hardly depend on it", terms[0].trim_start_matches("+1.000 ")),
        _ => format!("a change that is not told, {moved} parameters together: {}{more}", terms.join(", ")),
    }
}

impl Setup {
    /// What a parameter is called.
    #[must_use]
    pub fn name(&self, parameter: Parameter) -> String {
        let plane = |plane: Plane| if plane == Plane::X { "horizontal" } else { "vertical" };
        let monitor = |at: usize| &self.monitors[at].name;
        let column = |at: usize| &self.columns[at].name;
        match parameter {
            Parameter::MonitorGain(p, at) => format!("the {} gain of {}", plane(p), monitor(at)),
            Parameter::MonitorCoupling(p, at) => format!("the {} coupling of {}", plane(p), monitor(at)),
            Parameter::CorrectorGain(at) => format!("the gain of {}", column(at)),
            Parameter::CorrectorCoupling(at) => format!("the coupling of {}", column(at)),
            Parameter::EnergyShift(at) => format!("the energy shift of {}", column(at)),
            Parameter::DispersionStep => "the step of the dispersion".into(),
            Parameter::Group(at) => self.groups[at].name.clone(),
        }
    }
}

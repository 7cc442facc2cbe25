//! The search for the values that fit best.

use nalgebra::DVector;

use crate::degenerate::{Suspect, suspects};
use crate::fit::NoFit;
use crate::normal::Normal;
use crate::setup::{Data, Setup};
use crate::solve::{Cut, Scaled};
use crate::values::{Block, Layout, Values};

/// How steps are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The step that is best as far as the fit is linear; a damped one where that gains much less than it should.
    GaussNewton,
    /// The same, each group held near its start by its [`width`](crate::Group::width).
    Constrained,
    /// Gauss-Newton with damping, alike for all parameters of a kind; with that damping that helps most.
    LevenbergMarquardt,
    /// The same with damping in the measure of what each parameter does to the data.
    ScaledLevenbergMarquardt,
}

/// How a fit is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How steps are found.
    pub method: Method,
    /// Which combinations of parameters are left as they are.
    pub cut: Cut,
    /// Readings further from the fit than so many times the spread of all are left out [1]; `None` keeps all.
    pub outliers: Option<f64>,
    /// At most so many steps before the first look for outliers, and so many after it.
    pub iterations: usize,
    /// Damping to start with [1], of the methods of Levenberg and Marquardt.
    pub damping: f64,
    /// How often a step that made the fit worse is shortened or damped.
    pub tries: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::GaussNewton,
            cut: Cut::default(),
            outliers: Some(5.0),
            iterations: 20,
            damping: 1e-3,
            tries: 10,
        }
    }
}

/// A step that gains less than this part of what it would if the fit were linear is too long [1].
const WORTH_IT: f64 = 0.25;

/// Converged where another step would lower the sum of squares by less than this, in units of chi².
const NOTHING_LEFT: f64 = 0.01;

/// A fit under way.
pub(crate) struct Search<'s> {
    pub setup: &'s Setup,
    pub data: Data,
    pub layout: Layout,
    pub options: Options,
    pub values: Values,
    damping: f64,
    pub iterations: usize,
    /// Steps that are left.
    budget: usize,
    pub converged: bool,
}

/// The equations at the present values.
pub(crate) struct Equations {
    normal: Normal,
    pub scaled: Scaled,
    pub suspects: Vec<Suspect>,
    pub known: Vec<DVector<f64>>,
    kinds: Vec<f64>,
}

impl<'s> Search<'s> {
    pub fn new(setup: &'s Setup, data: Data, options: Options, start: Values) -> Self {
        let layout = Layout::new(setup, data.has_dispersion());
        let (damping, budget) = (options.damping, options.iterations);
        Self { setup, data, layout, options, values: start, damping, iterations: 0, budget, converged: false }
    }

    /// Steps for what comes after the first fit.
    pub fn refill(&mut self) {
        self.budget = self.options.iterations;
    }

    pub fn is_exhausted(&self) -> bool {
        self.budget == 0
    }

    /// Sum of squares in the fit: readings, and how far groups are from their start in their widths.
    fn objective(&self, values: &Values) -> Result<f64, NoFit> {
        let predicted = self.setup.predicted(&self.data, values)?;
        let residual = |at: usize| self.data.weight_at(at) * (self.data.measured[at] - predicted[at]);
        let sum: f64 = (0..predicted.len()).map(|at| residual(at).powi(2)).sum();
        let held: f64 = self.pulls(values).iter().map(|(weight, value)| weight * value * value).sum();
        Ok(sum + held)
    }

    /// One over the squared width of each group, and its value.
    fn pulls(&self, values: &Values) -> Vec<(f64, f64)> {
        let holds = self.options.method == Method::Constrained;
        let weight = |width: Option<f64>| width.filter(|_| holds).map_or(0.0, |width| width.powi(-2));
        self.setup.groups.iter().zip(&values.groups).map(|(group, value)| (weight(group.width), *value)).collect()
    }

    /// The equations about the present values.
    fn equations(&self) -> Result<Equations, NoFit> {
        let mut normal = Normal::new(self.setup, &self.data, &self.layout, &self.values)?;
        let first = self.layout.range(Block::Groups).start;
        for (group, (weight, value)) in self.pulls(&self.values).into_iter().enumerate() {
            normal.matrix[(first + group, first + group)] += weight;
            normal.gradient[first + group] -= weight * value;
        }
        self.equations_of(normal)
    }

    fn equations_of(&self, normal: Normal) -> Result<Equations, NoFit> {
        if normal.gradient.iter().any(|slope| !slope.is_finite()) {
            return Err(NoFit::Data("the model's response holds something that is not a number".into()));
        }
        let kinds = self.diagonals(&normal);
        let scaled = Scaled::new(&normal);
        let suspects = suspects(self.setup, &self.layout, &self.values);
        let known = suspects.iter().filter_map(|suspect| scaled.direction(&suspect.direction)).collect();
        let kinds = scaled.active.iter().zip(&scaled.scale).map(|(&at, scale)| kinds[at] * scale * scale).collect();
        Ok(Equations { normal, scaled, suspects, known, kinds })
    }

    /// For each parameter the mean diagonal of those of its kind.
    fn diagonals(&self, normal: &Normal) -> Vec<f64> {
        use Block::{
            CorrectorCoupling, CorrectorGain, DispersionStep, EnergyShift, Groups, MonitorCoupling, MonitorGain,
        };
        let blocks =
            [MonitorGain, MonitorCoupling, CorrectorGain, CorrectorCoupling, EnergyShift, DispersionStep, Groups];
        let of_block = |block: Block| {
            let range = self.layout.range(block);
            let sum: f64 = range.clone().map(|at| normal.matrix[(at, at)]).sum();
            vec![sum / range.len().max(1) as f64; range.len()]
        };
        blocks.into_iter().flat_map(of_block).collect()
    }

    /// Whether the fit was mostly one to readings that are to go: they may have led it anywhere.
    pub fn is_spoilt(&self, gone: &Data) -> Result<bool, NoFit> {
        let predicted = self.setup.predicted(&self.data, &self.values)?;
        let sum = |data: &Data| -> f64 {
            let residual = |at: usize| data.weight_at(at) * (data.measured[at] - predicted[at]);
            (0..predicted.len()).map(|at| residual(at).powi(2)).sum()
        };
        Ok(sum(gone) > 0.5 * sum(&self.data))
    }

    /// The fit from its start, to other readings.
    pub fn restart(&mut self, start: &Values, data: Data) -> Result<Equations, NoFit> {
        (self.values, self.data, self.damping) = (start.clone(), data, self.options.damping);
        self.converge()
    }

    /// The fit with other readings, after one that had converged: the equations less what some said, and with what others say.
    pub fn exchange(&mut self, equations: &Equations, gone: &Data, back: &Data) -> Result<Equations, NoFit> {
        let said = |data: &Data| Normal::new(self.setup, data, &self.layout, &self.values);
        let (gone_said, back_say) = (said(gone)?, said(back)?);
        for (at, weight) in self.data.weight.iter_mut().enumerate() {
            *weight = if gone.weight[at] > 0.0 { 0.0 } else { weight.max(back.weight[at]) };
        }
        let gradient = back_say.gradient.iter().zip(&gone_said.gradient).map(|(back, gone)| back - gone);
        let normal = Normal {
            gradient: gradient.collect(),
            matrix: &equations.normal.matrix - gone_said.matrix + back_say.matrix,
        };
        let other = self.equations_of(normal)?;
        let best = other.scaled.solved(None, &other.known, self.options.cut)?.solve(&other.scaled.gradient);
        let present = self.objective(&self.values)?;
        let (gain, little) = (best.dot(&other.scaled.gradient), self.little(present, &other.scaled));
        match self.shortened(&other.scaled, &best, present) {
            Some(lower) if self.converged && lower < present - gain + little => Ok(other),
            _ => self.converge(),
        }
    }

    /// What may be left to gain of a sum of squares.
    fn little(&self, present: f64, scaled: &Scaled) -> f64 {
        let free = self.data.count().saturating_sub(scaled.active.len()).max(1) as f64;
        NOTHING_LEFT * f64::max(1.0, present / free)
    }

    /// Goes on until nothing is left to gain, or for so many steps; gives the last equations.
    pub fn converge(&mut self) -> Result<Equations, NoFit> {
        let mut present = self.objective(&self.values)?;
        let mut before: Option<(Values, Equations)> = None;
        let mut step = 0;
        loop {
            step += 1;
            self.iterations += 1;
            self.budget = self.budget.saturating_sub(1);
            let equations = match (self.equations(), before) {
                (Ok(equations), _) => equations,
                // on the edge of what has a closed orbit, where nothing more can be told
                (Err(_), Some((values, equations))) => {
                    (self.values, self.converged) = (values, false);
                    return Ok(equations);
                }
                (Err(error), None) => return Err(error),
            };
            let values = self.values.clone();
            let scaled = &equations.scaled;
            let best = scaled.solved(None, &equations.known, self.options.cut)?.solve(&scaled.gradient);
            let little = self.little(present, scaled);
            let gain = best.dot(&scaled.gradient);
            self.converged = gain < little;
            let lower = match self.converged {
                true => self.shortened(scaled, &best, present),
                false => self.step(&equations, &best, present, gain)?,
            };
            // as low as the linear fit said: the next step would find no more, unless what is not told at the start is now
            self.converged |= step > 1 && lower.is_some_and(|lower| lower < present - gain + little);
            let goes_on = !self.converged && !self.is_exhausted();
            let Some(lower) = lower.filter(|_| goes_on) else { return Ok(equations) };
            (present, before) = (lower, Some((values, equations)));
        }
    }

    /// Makes the step of the method that lowers the sum of squares most, and says to what; `None` if none does.
    fn step(
        &mut self,
        equations: &Equations,
        best: &DVector<f64>,
        present: f64,
        gain: f64,
    ) -> Result<Option<f64>, NoFit> {
        let mut lowest = Lowest { sum: present, values: None };
        if matches!(self.options.method, Method::GaussNewton | Method::Constrained) {
            self.shorten(&equations.scaled, best, &mut lowest);
            if lowest.sum < present - WORTH_IT * gain {
                return Ok(self.take(lowest));
            }
        }
        self.damp(equations, best, &mut lowest)?;
        Ok(self.take(lowest))
    }

    /// The step or a part of it, whichever is better.
    fn shortened(&mut self, scaled: &Scaled, best: &DVector<f64>, present: f64) -> Option<f64> {
        let mut lowest = Lowest { sum: present, values: None };
        self.shorten(scaled, best, &mut lowest);
        self.take(lowest)
    }

    /// The step, half of it, a quarter, ...: the first after which the next does no better.
    fn shorten(&self, scaled: &Scaled, best: &DVector<f64>, lowest: &mut Lowest) {
        for part in (0..self.options.tries.max(1)).map(|halves| 0.5_f64.powi(halves as i32)) {
            let better = self.attempt(scaled, best, part, lowest);
            if !better && lowest.values.is_some() {
                break;
            }
        }
    }

    /// Damped steps: with less and less damping while that is better, with more and more while nothing is; then undamped.
    fn damp(&mut self, equations: &Equations, best: &DVector<f64>, lowest: &mut Lowest) -> Result<(), NoFit> {
        let scaled = &equations.scaled;
        let mut damping = self.damping;
        for _ in 0..self.options.tries.max(1) {
            let by = self.damping_of(equations, damping);
            let step = scaled.solved(Some(&by), &equations.known, self.options.cut)?.solve(&scaled.gradient);
            let better = self.attempt(scaled, &step, 1.0, lowest);
            match (better, lowest.values.is_some()) {
                (true, _) => self.damping = damping,
                (false, true) => break,
                (false, false) => {}
            }
            damping *= if better { 0.1 } else { 10.0 };
        }
        self.attempt(scaled, best, 1.0, lowest);
        Ok(())
    }

    /// Whether a part of a step is better than all before.
    fn attempt(&self, scaled: &Scaled, step: &DVector<f64>, part: f64, lowest: &mut Lowest) -> bool {
        let mut values = self.values.clone();
        values.step(&self.layout, &scaled.spread(step), part);
        // what cannot be computed is no better
        let Some(sum) = self.objective(&values).ok().filter(|sum| *sum <= lowest.sum) else { return false };
        *lowest = Lowest { sum, values: Some(values) };
        true
    }

    fn take(&mut self, lowest: Lowest) -> Option<f64> {
        self.values = lowest.values?;
        Some(lowest.sum)
    }

    fn damping_of(&self, equations: &Equations, damping: f64) -> Vec<f64> {
        match self.options.method {
            Method::LevenbergMarquardt => equations.kinds.iter().map(|kind| damping * kind).collect(),
            _ => vec![damping; equations.kinds.len()],
        }
    }
}

/// The best values tried so far.
struct Lowest {
    sum: f64,
    values: Option<Values>,
}

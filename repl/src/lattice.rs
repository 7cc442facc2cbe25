//! `fodo lattice`: the summary of a lattice file that a physicist wants.

use crate::command::{Common, LatticeArguments};
use crate::{show, track};
use fodo_dynamics::{Convergence, ModelChoice, convergence};
use fodo_lattice::Lattice;
use fodo_optics::{Effects, Equilibrium, Point, Radiation, Ring, Twiss};
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Computes and prints.
pub fn lattice(common: &Common, arguments: &LatticeArguments) -> Result<ExitCode> {
    let mut lattice = fodo_builtins::read_lattice(&arguments.file)?;
    if lattice.name.is_empty() {
        lattice.name = arguments.file.display().to_string();
    }
    if arguments.converge {
        return converge(common, &lattice);
    }
    let effects = track::effects(&arguments.effects);
    if effects.radiation && !effects.cavity {
        let message = "a ring that radiates has no closed orbit without cavities";
        return Err(Diagnostic::new(Kind::Usage, message).hint("leave --rf off out, or give --radiation off").into());
    }
    let summary = Summary::new(&lattice, effects, arguments.start.as_deref())?;
    if common.json {
        show::line(summary.to_json().to_string());
    } else {
        summary.show();
    }
    Ok(ExitCode::SUCCESS)
}

/// Optical functions at the entrance of each element and at the end.
struct Functions {
    orbit: Vec<Point<f64>>,
    beta: [Vec<f64>; 2],
    alpha: [Vec<f64>; 2],
    phase: [Vec<f64>; 2],
    dispersion: Vec<[f64; 4]>,
}

/// What comes round: figures of a ring.
struct Circle {
    /// Phase advances over 2 pi, with their integer parts.
    tune: [f64; 2],
    chromaticity: [f64; 2],
    momentum_compaction: f64,
    /// From the radiation integrals; or why there is none.
    radiation: std::result::Result<Radiation, String>,
    /// With cavities and radiation; or why there is none.
    equilibrium: std::result::Result<Equilibrium, String>,
    orbit6: Option<Point<f64>>,
    /// Tune of the longitudinal mode with the effects asked for, else with cavities and radiation.
    synchrotron_tune: Option<f64>,
}

/// Everything the summary says.
struct Summary<'l> {
    lattice: &'l Lattice,
    ring: Ring,
    functions: Functions,
    /// None for a line.
    circle: Option<Circle>,
}

impl<'l> Summary<'l> {
    fn new(lattice: &'l Lattice, effects: Effects, start: Option<&[f64]>) -> Result<Summary<'l>> {
        let ring = Ring::new(lattice, effects);
        let (functions, circle) = match start {
            Some(start) => (line(&ring, start)?, None),
            None => {
                let functions = if effects.cavity { with_cavities(&ring)? } else { without_cavities(&ring)? };
                let circle = Circle::new(&ring, &functions)?;
                (functions, Some(circle))
            }
        };
        Ok(Summary { lattice, ring, functions, circle })
    }
}

fn without_cavities(ring: &Ring) -> Result<Functions> {
    let optics = ring.optics().map_err(|reason| {
        let line = "if this is a line, give the optics at its start: --start BETA_X,ALPHA_X,BETA_Y,ALPHA_Y";
        Box::new(failed(reason).hint(line))
    })?;
    Ok(Functions {
        orbit: optics.orbit,
        beta: [optics.beta_x, optics.beta_y],
        alpha: [optics.alpha_x, optics.alpha_y],
        phase: [optics.phase_x, optics.phase_y],
        dispersion: optics.dispersion,
    })
}

fn with_cavities(ring: &Ring) -> Result<Functions> {
    let optics = ring.normal_optics().map_err(failed)?;
    Ok(Functions {
        orbit: optics.orbit,
        beta: [optics.beta_x, optics.beta_y],
        alpha: [optics.alpha_x, optics.alpha_y],
        phase: [0, 1].map(|mode| optics.phase.iter().map(|phases| phases[mode]).collect()),
        dispersion: optics.dispersion,
    })
}

/// A line from optics at its start: beta and alpha of both planes, then dispersion x, px, y, py if it is given.
fn line(ring: &Ring, start: &[f64]) -> Result<Functions> {
    let (twiss, dispersion) = match *start {
        [beta_x, alpha_x, beta_y, alpha_y] => ([(beta_x, alpha_x), (beta_y, alpha_y)], [0.0; 4]),
        [beta_x, alpha_x, beta_y, alpha_y, x, px, y, py] => ([(beta_x, alpha_x), (beta_y, alpha_y)], [x, px, y, py]),
        _ => {
            let message = format!("--start takes 4 or 8 numbers, not {}", start.len());
            let order = "beta_x,alpha_x,beta_y,alpha_y, then dispersion x,px,y,py";
            return Err(Diagnostic::new(Kind::Usage, message).hint(order).into());
        }
    };
    if let Some((beta, _)) = twiss.iter().find(|(beta, _)| *beta <= 0.0 || !beta.is_finite()) {
        return Err(Diagnostic::new(Kind::Usage, format!("a beta function is above 0, not {beta}")).into());
    }
    let optics = ring.optics_from(twiss.map(|(beta, alpha)| Twiss { beta, alpha }), dispersion).map_err(failed)?;
    Ok(Functions {
        orbit: optics.orbit,
        beta: [optics.beta_x, optics.beta_y],
        alpha: [optics.alpha_x, optics.alpha_y],
        phase: [optics.phase_x, optics.phase_y],
        dispersion: optics.dispersion,
    })
}

impl Circle {
    fn new(ring: &Ring, functions: &Functions) -> Result<Circle> {
        let turns = |phase: &Vec<f64>| phase.last().map_or(0.0, |phase| phase / std::f64::consts::TAU);
        let equilibrium = ring.find_equilibrium().map_err(|reason| reason.to_string());
        let orbit6 = match (ring.effects().cavity, &equilibrium) {
            (true, _) => functions.orbit.first().copied(),
            (false, found) => found.as_ref().ok().map(|found| found.orbit.start()),
        };
        let synchrotron_tune = match ring.effects().cavity {
            true => ring.modes().map_err(failed)?.get(2).map(|mode| mode.tune),
            false => equilibrium.as_ref().ok().map(|found| found.tunes[2]),
        };
        Ok(Circle {
            tune: [turns(&functions.phase[0]), turns(&functions.phase[1])],
            chromaticity: ring.chromaticity().map_err(failed)?,
            momentum_compaction: ring.optics().map_err(failed)?.momentum_compaction,
            radiation: ring.radiation().map_err(|reason| reason.to_string()),
            equilibrium,
            orbit6,
            synchrotron_tune,
        })
    }

    /// Damping times [s]: of the equilibrium, without one from the radiation integrals.
    fn damping_times(&self) -> Option<[f64; 3]> {
        let of_equilibrium = self.equilibrium.as_ref().ok().map(|found| found.damping_times);
        of_equilibrium.or_else(|| self.radiation.as_ref().ok().map(|found| found.damping_times))
    }

    /// Emittances of the modes [m]; from the radiation integrals the horizontal one alone.
    fn emittances(&self) -> Option<[Option<f64>; 3]> {
        let of_equilibrium = self.equilibrium.as_ref().ok().map(|found| found.emittances.map(Some));
        of_equilibrium.or_else(|| self.radiation.as_ref().ok().map(|found| [Some(found.emittance_x), None, None]))
    }

    fn energy_spread(&self) -> Option<f64> {
        let of_equilibrium = self.equilibrium.as_ref().ok().map(|found| found.energy_spread);
        of_equilibrium.or_else(|| self.radiation.as_ref().ok().map(|found| found.energy_spread))
    }
}

impl Summary<'_> {
    fn to_json(&self) -> Value {
        let periodicity = self.ring.periodicity().max(1);
        let effects = self.ring.effects();
        let mut all = json!({
            "name": self.lattice.name, "length": self.ring.length() * f64::from(periodicity),
            "energy": self.ring.energy(), "periodicity": periodicity, "elements": self.ring.len(),
            "rf": effects.cavity, "radiation": effects.radiation, "at": self.at(),
        });
        if let Some(circle) = &self.circle {
            let fractional = circle.tune.map(|tune| tune.rem_euclid(1.0));
            let integrals = self.ring.radiation_integrals().ok();
            all["tune"] = json!([fractional[0], fractional[1], circle.synchrotron_tune]);
            all["tune_with_integer"] = json!(circle.tune);
            all["chromaticity"] = json!(circle.chromaticity);
            all["momentum_compaction"] = json!(circle.momentum_compaction);
            all["radiation_integrals"] = json!(integrals.map(|sum| [sum.i1, sum.i2, sum.i3, sum.i4, sum.i5]));
            all["energy_loss"] = json!(circle.radiation.as_ref().ok().map(|radiation| radiation.energy_loss));
            all["damping_time"] = json!(circle.damping_times());
            all["emittance"] = json!(circle.emittances());
            all["energy_spread"] = json!(circle.energy_spread());
            all["bunch_length"] = json!(circle.equilibrium.as_ref().ok().map(|found| found.bunch_length));
            all["orbit6"] = json!(circle.orbit6);
        }
        all
    }

    fn at(&self) -> Value {
        let Functions { orbit, beta, alpha, phase, dispersion } = &self.functions;
        let names = self.ring.elements().iter().map(|element| element.name.to_string());
        let names: Vec<String> = names.chain(["end".to_string()]).collect();
        let row = |row: usize| dispersion.iter().map(|at| at[row]).collect::<Vec<f64>>();
        json!({
            "s": self.ring.positions(), "name": names,
            "beta_x": beta[0], "alpha_x": alpha[0], "mu_x": phase[0], "beta_y": beta[1], "alpha_y": alpha[1], "mu_y": phase[1],
            "dispersion_x": row(0), "dispersion_px": row(1), "dispersion_y": row(2), "dispersion_py": row(3), "orbit": orbit,
        })
    }

    fn show(&self) {
        let Effects { cavity, radiation } = self.ring.effects();
        let on = |on: bool| if on { "on" } else { "off" };
        let periodicity = self.ring.periodicity().max(1);
        show::line(format!(
            "{}: {} elements, {:.4} m, {:.4} GeV; RF {}, radiation {}",
            self.lattice.name,
            self.ring.len(),
            self.ring.length(),
            self.ring.energy() * 1e-9,
            on(cavity),
            on(radiation)
        ));
        if periodicity > 1 {
            let whole = self.ring.length() * f64::from(periodicity);
            show::line(format!(
                "one of {periodicity} equal cells: tunes and chromaticities of the cell; the ring has {whole:.4} m"
            ));
        }
        self.show_optics();
        match &self.circle {
            Some(circle) => circle.show(),
            None => show::line("a line: no closed orbit, tunes or equilibrium"),
        }
    }

    fn show_optics(&self) {
        row("", &["x", "y", "longitudinal"].map(str::to_string));
        if let Some(circle) = &self.circle {
            let synchrotron = circle.synchrotron_tune.map_or(String::new(), |tune| format!("{tune:.7}"));
            row("tune", &[format!("{:.7}", circle.tune[0]), format!("{:.7}", circle.tune[1]), synchrotron]);
            row("chromaticity dQ/d(delta)", &circle.chromaticity.map(|value| format!("{value:.5}")));
        }
        let largest = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        let Functions { beta, dispersion, orbit, .. } = &self.functions;
        let both = |beta: &Vec<f64>| format!("{:.4} to {:.4}", least(beta), largest(beta));
        row("beta [m]", &[both(&beta[0]), both(&beta[1])]);
        let size = |column: usize| dispersion.iter().map(|at| at[column].abs()).fold(0.0, f64::max);
        row("largest dispersion [m]", &[format!("{:.6}", size(0)), format!("{:.6}", size(2))]);
        let off = |column: usize| orbit.iter().map(|at| at[column].abs()).fold(0.0, f64::max);
        row("largest orbit [m]", &[format!("{:.3e}", off(0)), format!("{:.3e}", off(2))]);
        let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
        if self.circle.is_none() {
            row("beta at the end [m]", &[0, 1].map(|plane| format!("{:.6}", last(&beta[plane]))));
            row("alpha at the end", &[0, 1].map(|plane| format!("{:.6}", last(&self.functions.alpha[plane]))));
        }
    }
}

impl Circle {
    fn show(&self) {
        single("momentum compaction", &format!("{:.6e}", self.momentum_compaction));
        match &self.radiation {
            Err(reason) => single("radiation", reason),
            Ok(radiation) => {
                let i = &radiation.integrals;
                let integrals = [i.i1, i.i2, i.i3, i.i4, i.i5].map(|value| format!("{value:.5e}")).join("  ");
                single("radiation integrals I1 to I5, whole ring", &integrals);
                single("energy loss per turn", &format!("{:.4} keV", radiation.energy_loss * 1e-3));
                row("damping partition", &radiation.damping_partition.map(|value| format!("{value:.5}")));
            }
        }
        if let Some(times) = self.damping_times() {
            row("damping time [ms]", &times.map(|time| format!("{:.4}", time * 1e3)));
        }
        if let Some(emittances) = self.emittances() {
            row(
                "emittance [m]",
                &emittances.map(|value| value.map_or("-".to_string(), |value| format!("{value:.4e}"))),
            );
        }
        if let Some(spread) = self.energy_spread() {
            single("energy spread", &format!("{spread:.4e}"));
        }
        match &self.equilibrium {
            Ok(found) => single("bunch length", &format!("{:.4} mm", found.bunch_length * 1e3)),
            Err(reason) => single("no equilibrium with RF", reason),
        }
        if let Some(orbit) = self.orbit6 {
            single("closed orbit at the start, 6D", &orbit.map(|value| format!("{value:.4e}")).join("  "));
        }
    }
}

fn row(name: &str, values: &[String]) {
    let values = values.iter().map(|value| format!("{value:>24}")).collect::<String>();
    show::line(format!("{name:<26}{values}").trim_end());
}

fn single(name: &str, value: &str) {
    show::line(format!("{name:<42}{value}"));
}

fn failed(reason: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Kind::Facility, reason.to_string())
}

fn converge(common: &Common, lattice: &Lattice) -> Result<ExitCode> {
    let found = convergence(lattice).map_err(failed)?;
    if common.json {
        show::line(convergence_json(&found).to_string());
    } else {
        convergence_table(lattice, &found);
    }
    Ok(ExitCode::SUCCESS)
}

fn convergence_json(found: &Convergence) -> Value {
    let entry = |shift: &fodo_dynamics::Shift| {
        let choices = shift.by_model.iter().map(|(choice, moved)| (choice.name().to_string(), (*moved).into()));
        let by_model: Map<String, Value> = choices.collect();
        let value = json!({
            "value": shift.value, "limit": shift.limit, "uncertainty": shift.uncertainty, "by_slices": shift.by_slices,
            "order": shift.order, "by_model": by_model, "unit": shift.quantity.unit(),
        });
        (shift.quantity.name().to_string(), value)
    };
    found.shifts.iter().map(entry).collect::<Map<_, _>>().into()
}

fn convergence_table(lattice: &Lattice, found: &Convergence) {
    if let Some((fewest, most)) = found.slices {
        let slices = if fewest == most { fewest.to_string() } else { format!("{fewest} to {most}") };
        show::line(format!(
            "{}: {slices} slices in a thick magnet; what more of them and other models would change",
            lattice.name
        ));
    }
    let choices = ModelChoice::ALL.map(|choice| format!("{:>19}", choice.name().replace('_', " "))).concat();
    show::line(format!("{:<24}{:>16}{:>13}{:>12}{choices}", "", "value", "by slices", "uncertain"));
    for shift in &found.shifts {
        let unit = if shift.quantity.unit() == "1" { String::new() } else { format!(" [{}]", shift.quantity.unit()) };
        let name = format!("{}{unit}", shift.quantity.name());
        let moved =
            |(_, moved): &(ModelChoice, Option<f64>)| moved.map_or(format!("{:>19}", "-"), |m| format!("{m:>19.2e}"));
        let by_model = shift.by_model.iter().map(moved).collect::<String>();
        show::line(format!(
            "{name:<24}{:>16.9}{:>13.2e}{:>12.1e}{by_model}",
            shift.value, shift.by_slices, shift.uncertainty
        ));
    }
}

//! `fodo lattice`: the summary of a lattice file that a physicist wants.

use crate::command::{Common, LatticeArguments};
use crate::show;
use fodo_dynamics::{Convergence, ModelChoice, convergence};
use fodo_lattice::Lattice;
use fodo_report::{Diagnostic, Kind, Result};
use std::process::ExitCode;

/// Computes and prints.
pub fn lattice(common: &Common, arguments: &LatticeArguments) -> Result<ExitCode> {
    let lattice = fodo_builtins::read_lattice(&arguments.file)?;
    if arguments.converge {
        return converge(common, &lattice);
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(reason: impl std::fmt::Display) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Facility, reason.to_string()).into()
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

fn convergence_json(found: &Convergence) -> serde_json::Value {
    let entry = |shift: &fodo_dynamics::Shift| {
        let choices = shift.by_model.iter().map(|(choice, moved)| (choice.name().to_string(), (*moved).into()));
        let by_model: serde_json::Map<String, serde_json::Value> = choices.collect();
        let value = serde_json::json!({
            "value": shift.value, "limit": shift.limit, "uncertainty": shift.uncertainty, "by_slices": shift.by_slices,
            "order": shift.order, "by_model": by_model, "unit": shift.quantity.unit(),
        });
        (shift.quantity.name().to_string(), value)
    };
    found.shifts.iter().map(entry).collect::<serde_json::Map<_, _>>().into()
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

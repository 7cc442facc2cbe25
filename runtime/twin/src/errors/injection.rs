//! `[injection]`: a beam that does not enter a line or a ring as the design says, and not every shot alike.

use super::{Errors, width};
use crate::draw::Source;
use crate::injection::InjectionTruth;
use crate::truth::Truth;
use fodo_devices::{Facility, Table};
use fodo_report::Result;

/// Coordinates and their units.
const COORDINATES: [(&str, &str); 6] =
    [("x", "m"), ("px", "rad"), ("y", "m"), ("py", "rad"), ("delta", "1"), ("ct", "m")];

/// Standard deviations: of the machine, and of each shot about it.
struct Injection {
    machine: InjectionTruth,
}

/// Refuses such a table for a ring into which nothing is injected.
pub(super) fn fits(table: &Table, name: &str, facility: &Facility) -> Result<()> {
    if facility.kind.is_ring() && facility.injection.is_none() {
        let what = format!("{} is a ring, and its facility.toml has no [injection]: nothing enters it", facility.name);
        return Err(table.mistake(name, what));
    }
    Ok(())
}

pub(super) fn read(name: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    fits(table, name, facility)?;
    let mut machine = InjectionTruth::default();
    for (row, (key, unit)) in COORDINATES.into_iter().enumerate() {
        machine.offset[row] = width(table, key, unit)?;
    }
    machine.charge = width(table, "charge", "1")?;
    if let Some(jitter) = table.table("jitter")? {
        for (row, (key, unit)) in COORDINATES.into_iter().enumerate() {
            machine.jitter[row] = width(&jitter, key, unit)?;
        }
        machine.charge_jitter = width(&jitter, "charge", "1")?;
        if facility.injection.is_some() {
            machine.kick_jitter = width(&jitter, "kick", "1")?;
            machine.time_jitter = width(&jitter, "time", "s")?;
        }
        jitter.no_other_keys()?;
    }
    Ok(Box::new(Injection { machine }))
}

impl Errors for Injection {
    fn draw(&self, from: &Source, _: &Facility, truth: &mut Truth) {
        for (row, (key, _)) in COORDINATES.into_iter().enumerate() {
            truth.injection.offset[row] = self.machine.offset[row] * from.of(key).next();
        }
        truth.injection.charge = self.machine.charge * from.of("charge").next();
        let InjectionTruth { offset, charge, .. } = truth.injection;
        truth.injection = InjectionTruth { offset, charge, ..self.machine };
    }
}

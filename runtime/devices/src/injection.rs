//! What is injected into a ring: where it enters, and what the design says of it.

use crate::family::Family;
use crate::field::Quantities;
use crate::machine::{Entrance, MachineKind};
use crate::table::Table;
use fodo_lattice::Lattice;
use fodo_report::Result;

/// Turns for which a shot is followed where the table says nothing.
const TURNS: f64 = 1024.0;

/// A beam that is injected into a ring (`[injection]` in facility.toml).
#[derive(Clone, Debug, PartialEq)]
pub struct InjectionDesign {
    /// The element at whose exit it enters: the septum, or what stands where that ends.
    pub element: usize,
    /// Where its centre is there, against the design orbit, and its sizes; its charge is said.
    pub beam: Entrance,
    /// Turns for which a shot is followed: what is left then is stored.
    pub turns: u64,
}

impl InjectionDesign {
    /// `[injection]`, which some rings have.
    pub(crate) fn read(top: &Table, kind: MachineKind, lattice: &Lattice) -> Result<Option<InjectionDesign>> {
        let Some(table) = top.table("injection")? else { return Ok(None) };
        if !kind.is_ring() {
            let what = format!("is for rings; what enters a {kind} stands under [beam]");
            return Err(top.mistake("injection", what));
        }
        let name = table.needed_text("element")?;
        let element = lattice.index_of(name).ok_or_else(|| {
            let names = lattice.elements.iter().map(|element| element.name.as_ref());
            let near = fodo_report::did_you_mean(name, names).map_or(String::new(), |near| format!("; {near}"));
            table.mistake("element", format!("no element of the lattice is called `{name}`{near}"))
        })?;
        let beam = Entrance::of(&table)?;
        if beam.charge.is_none_or(|charge| charge == 0.0) {
            return Err(table.mistake("charge", "of a shot is missing, as in charge = \"0.5 nC\""));
        }
        let turns = match table.number("turns")?.unwrap_or(TURNS) {
            turns if (1.0..=1e6).contains(&turns) && turns.fract() == 0.0 => turns as u64,
            _ => return Err(table.mistake("turns", "must be a whole number from 1 to 1 000 000")),
        };
        table.no_other_keys()?;
        Ok(Some(InjectionDesign { element, beam, turns }))
    }
}

/// No field is one of an injection that is not there.
pub(crate) fn fits(family: &Family, table: &Table, injects: bool) -> Result<()> {
    use Quantities::{Inject, InjectionDelay, InjectionEfficiency, SeptumX, SeptumY};
    let fields = family.devices.first().map(|device| device.fields.as_slice()).unwrap_or_default();
    for field in fields.iter().filter(|_| !injects) {
        let Some(inner) = table.table(&field.name)? else { continue };
        if let Some(SeptumX | SeptumY | Inject | InjectionDelay | InjectionEfficiency) = field.model {
            let what = "facility.toml does not say what is injected: it has no table [injection]";
            return Err(inner.mistake("model", what));
        }
    }
    Ok(())
}

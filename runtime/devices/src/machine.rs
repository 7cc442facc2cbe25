//! What a machine is: a ring, or a line with what the design says enters it.

use crate::field::{Field, Quantities};
use crate::table::Table;
use fodo_report::Result;
use fodo_units::Unit;
use std::fmt;

/// What sort of machine a facility is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineKind {
    /// The beam comes round: closed orbit, tunes.
    #[default]
    Ring,
    /// The beam comes round, and its energy goes up in every cycle.
    Booster,
    /// The beam passes once.
    Line,
    /// The beam passes once and is accelerated on the way.
    Linac,
}

const KINDS: [(&str, MachineKind, &str); 4] = [
    ("ring", MachineKind::Ring, "ring"),
    ("booster", MachineKind::Booster, "booster"),
    ("line", MachineKind::Line, "transfer line"),
    ("linac", MachineKind::Linac, "linac"),
];

impl fmt::Display for MachineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = KINDS.iter().find(|(_, kind, _)| kind == self).map_or("machine", |(_, _, shown)| shown);
        f.write_str(shown)
    }
}

impl MachineKind {
    /// `kind = "line"`; a ring where nothing is said.
    pub(crate) fn read(top: &Table) -> Result<MachineKind> {
        let Some(word) = top.text("kind")? else { return Ok(MachineKind::Ring) };
        let found = KINDS.iter().find(|(known, ..)| *known == word);
        found.map(|(_, kind, _)| *kind).ok_or_else(|| {
            let near = fodo_report::did_you_mean(word, KINDS.iter().map(|(known, ..)| *known));
            let near = near.unwrap_or_else(|| "it may be ring, booster, line, linac".to_string());
            top.mistake("kind", format!("`{word}` is no kind of machine; {near}"))
        })
    }

    /// Whether the beam comes round.
    pub fn is_ring(self) -> bool {
        matches!(self, MachineKind::Ring | MachineKind::Booster)
    }

    /// Why a field cannot be had on such a machine; nothing if it can.
    pub(crate) fn refuses(self, machine: &str, field: &Field) -> Option<String> {
        let has_no = |what: &str| Some(format!("{machine} is a {self}: it has no {what}"));
        use Quantities as Q;
        let is_booster = self == MachineKind::Booster;
        match (field.model?, self.is_ring()) {
            (Q::Delay | Q::CycleNumber | Q::CycleTime | Q::Energy, _) if !is_booster => has_no("cycle"),
            (Q::EmittanceX | Q::EmittanceY | Q::EmittanceS | Q::EnergySpread | Q::BunchLength, true)
            | (Q::BeamSizeX | Q::BeamSizeY | Q::BeamTilt | Q::BeamImage, true)
            | (Q::DampingTimeX | Q::DampingTimeY | Q::DampingTimeS, true)
                if is_booster =>
            {
                has_no("equilibrium beam")
            }
            (Q::Lifetime | Q::Losses, true) if is_booster => has_no("stored beam"),
            (Q::TuneX | Q::TuneY | Q::TuneS, false) => has_no("tune"),
            (Q::ChromaticityX | Q::ChromaticityY, false) => has_no("chromaticity"),
            (Q::EmittanceX | Q::EmittanceY | Q::EmittanceS | Q::EnergySpread | Q::BunchLength, false) => {
                has_no("equilibrium beam")
            }
            (Q::DampingTimeX | Q::DampingTimeY | Q::DampingTimeS, false) => has_no("damping"),
            (Q::AcKickX | Q::AcKickY | Q::AcFrequency | Q::AcPhase | Q::FastX | Q::FastY, false) => {
                has_no("orbit that is there all the time")
            }
            (Q::KickerX | Q::KickerY | Q::KickerDelay | Q::Trigger, false) => has_no("turns"),
            (Q::TurnsX | Q::TurnsY | Q::TurnsCharge | Q::SpectrumX | Q::SpectrumY, false) => has_no("turns"),
            (Q::SeptumX | Q::SeptumY | Q::Inject | Q::InjectionDelay | Q::InjectionEfficiency, false) => {
                has_no("turns into which something is injected")
            }
            (Q::RfPhaseModulation | Q::RfVoltageModulation | Q::RfModulationFrequency, false) => has_no("turns"),
            (Q::EnergyLoss, false) => has_no("turn, and so no energy loss per turn"),
            (Q::Lifetime, false) => has_no("stored beam"),
            (Q::Filling | Q::Losses, false) => has_no("stored beam"),
            (Q::Current, false) => {
                Some(format!("{machine} is a {self}: no current circulates; `charge` is what passes in a shot"))
            }
            (Q::Charge, true) => {
                Some(format!("{machine} is a ring: `charge` is what passes a line in a shot; its beam has a `current`"))
            }
            _ => None,
        }
    }
}

/// The beam that the design says enters a line (`[beam]` in facility.toml) or a ring (`[injection]`).
#[derive(Clone, Debug, PartialEq)]
pub struct Entrance {
    /// Coordinates of its centre: x [m], px [1], y [m], py [1], delta [1], ct [m].
    pub start: [f64; 6],
    /// Beta functions, horizontal and vertical [m].
    pub beta: [f64; 2],
    /// Alpha functions, horizontal and vertical [1].
    pub alpha: [f64; 2],
    /// Dispersion: x [m], px [1], y [m], py [1].
    pub dispersion: [f64; 4],
    /// Geometric emittances, horizontal and vertical, rms [m].
    pub emittance: [f64; 2],
    /// Relative energy spread, rms [1].
    pub energy_spread: f64,
    /// Bunch length, rms [m].
    pub bunch_length: f64,
    /// Charge of a shot [C]; nothing where no monitor of it is in the tables.
    pub charge: Option<f64>,
}

impl Entrance {
    /// `[beam]`, which a line has and a ring has not.
    pub(crate) fn read(top: &Table, kind: MachineKind) -> Result<Option<Entrance>> {
        let table = top.table("beam")?;
        let table = match (table, kind.is_ring()) {
            (None, true) => return Ok(None),
            (Some(_), true) => {
                return Err(
                    top.mistake("beam", "is what enters a line; a ring has none: its optics close on themselves")
                );
            }
            (None, false) => {
                let what = format!("is missing: what the design says enters the {kind} (beta_x, beta_y and more)");
                return Err(top.mistake("beam", what));
            }
            (Some(table), false) => table,
        };
        let entrance = Entrance::of(&table)?;
        table.no_other_keys()?;
        Ok(Some(entrance))
    }

    /// What the keys of a table say of a beam.
    pub(crate) fn of(table: &Table) -> Result<Entrance> {
        let number = |key: &str, symbol: &str| -> Result<f64> {
            let unit = Unit::parse(symbol).map_err(|e| table.mistake(key, e.to_string()))?;
            match table.quantity(key, &unit)?.unwrap_or(0.0) {
                value if value.is_finite() => Ok(value),
                _ => Err(table.mistake(key, "must be a finite number")),
            }
        };
        let size = |key: &str, symbol: &str| match number(key, symbol)? {
            value if value >= 0.0 => Ok(value),
            _ => Err(table.mistake(key, "must not be negative")),
        };
        let beta = |key: &str| match (table.has(key), number(key, "m")?) {
            (false, _) => Err(table.mistake(key, "is missing")),
            (true, value) if value <= 0.0 => Err(table.mistake(key, "must be above zero")),
            (true, value) => Ok(value),
        };
        Ok(Entrance {
            start: [
                number("x", "m")?,
                number("px", "rad")?,
                number("y", "m")?,
                number("py", "rad")?,
                number("delta", "1")?,
                0.0,
            ],
            beta: [beta("beta_x")?, beta("beta_y")?],
            alpha: [number("alpha_x", "1")?, number("alpha_y", "1")?],
            dispersion: [
                number("dispersion_x", "m")?,
                number("dispersion_px", "1")?,
                number("dispersion_y", "m")?,
                number("dispersion_py", "1")?,
            ],
            emittance: [size("emittance_x", "m")?, size("emittance_y", "m")?],
            energy_spread: size("energy_spread", "1")?,
            bunch_length: size("bunch_length", "m")?,
            charge: if table.has("charge") { Some(size("charge", "C")?) } else { None },
        })
    }
}

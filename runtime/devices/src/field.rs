//! A field of a device: a quantity with its units, channels and place in the model.

use crate::calibrate::{Rule, Units};
use crate::camera::Camera;
use crate::combined::{Combined, Given, gives};
use crate::cycle::Wave;
use crate::pattern::{Words, expand};
use crate::place::Place;
use crate::supply::Fed;
use crate::table::Table;
use fodo_control::{Alarms, Channel, Physics, Setpoint};
use fodo_report::Result;
use fodo_units::{Calibration, Quantity, Unit};
use std::sync::Arc;
use std::time::Duration;

/// What a field is in the lattice model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantities {
    /// Horizontal kick [rad].
    KickX,
    /// Vertical kick [rad].
    KickY,
    /// Upright strength of order n in the MAD convention: k1 [m^-2], k2 [m^-3], k3 [m^-4].
    Upright(usize),
    /// Skew strength of order n in the MAD convention.
    Skew(usize),
    /// Edge of the element's aperture: that at the lowest x, at the highest x, at the lowest y, at the highest y [m].
    Edge(usize),
    /// Frequency of the cavities [Hz].
    RfFrequency,
    /// Summed voltage of the cavities [V].
    RfVoltage,
    /// Voltage of the device's own cavities together [V].
    CavityVoltage,
    /// Phase of the device's own cavities when the reference particle comes, from the crest [rad]: it gains the voltage
    /// times the cosine; a later particle meets a larger phase.
    CavityPhase,
    /// Amplitude of a modulation of the phase of all cavities, while a beam is followed turn by turn [rad].
    RfPhaseModulation,
    /// Amplitude of a modulation of the voltage of all cavities, over what it is [1].
    RfVoltageModulation,
    /// Frequency of these modulations [Hz].
    RfModulationFrequency,
    /// Beam position at a monitor [m].
    OrbitX,
    /// Beam position at a monitor [m].
    OrbitY,
    /// Position of the photon beam that leaves the device's element, as far from it as the field says [m].
    PhotonX,
    /// The same, vertical [m].
    PhotonY,
    /// Fractional betatron tune [1].
    TuneX,
    /// Fractional betatron tune [1].
    TuneY,
    /// Synchrotron tune [1].
    TuneS,
    /// Chromaticity, dQ/d(delta) [1].
    ChromaticityX,
    /// Chromaticity, dQ/d(delta) [1].
    ChromaticityY,
    /// Emittance of the mode that is mostly horizontal, rms [m].
    EmittanceX,
    /// Emittance of the mode that is mostly vertical, rms [m].
    EmittanceY,
    /// Longitudinal emittance, rms [m].
    EmittanceS,
    /// Relative energy spread at the start of the lattice, rms [1].
    EnergySpread,
    /// Bunch length at the start of the lattice, rms [m].
    BunchLength,
    /// Energy that the beam loses per turn [eV].
    EnergyLoss,
    /// Damping time of horizontal amplitudes [s].
    DampingTimeX,
    /// Damping time of vertical amplitudes [s].
    DampingTimeY,
    /// Damping time of longitudinal amplitudes [s].
    DampingTimeS,
    /// Horizontal beam size at the device, rms [m].
    BeamSizeX,
    /// Vertical beam size at the device, rms [m].
    BeamSizeY,
    /// Tilt of the beam's ellipse at the device, from x towards y [rad].
    BeamTilt,
    /// Image that a camera has of the beam at the device, its pixels row by row [1].
    BeamImage,
    /// Kick that a kicker gives the beam once when it is triggered [rad].
    KickerX,
    /// Kick that a kicker gives the beam once when it is triggered [rad].
    KickerY,
    /// Amplitude of a sine on the kick [rad].
    AcKickX,
    /// Amplitude of a sine on the kick [rad].
    AcKickY,
    /// Frequency of the device's sine [Hz].
    AcFrequency,
    /// Phase of the device's sine when the machine's clock starts [rad].
    AcPhase,
    /// When in the cycle of a booster its monitors look at the beam, after the start of the cycle [s].
    Delay,
    /// Number of the cycle that readings are of [1].
    CycleNumber,
    /// Moment in the cycle that readings are of [s].
    CycleTime,
    /// Energy of the beam at that moment [eV].
    Energy,
    /// Fires all kickers, and starts acquisitions turn by turn, when another number than 0 is written [1].
    Trigger,
    /// Beam position at a monitor in each turn after the trigger, a row of numbers [m].
    TurnsX,
    /// Beam position at a monitor in each turn after the trigger, a row of numbers [m].
    TurnsY,
    /// Spectrum of the last turns of a monitor: amplitudes at frequencies from 0 to 1/2 of the revolution, a row of numbers [m].
    SpectrumX,
    /// The same, vertical [m].
    SpectrumY,
    /// Beam position at a monitor many times a second after the trigger, a row of numbers [m].
    FastX,
    /// The same, vertical [m].
    FastY,
    /// Charge that passes a monitor in each turn after the trigger, a row of numbers [C].
    TurnsCharge,
    /// Time after the trigger at which the kickers at the device's elements fire; several at one element add up [s].
    KickerDelay,
    /// Angle of a septum beside the design, added to the slope of what is injected [rad].
    SeptumX,
    /// Angle of a septum beside the design, added to the slope of what is injected [rad].
    SeptumY,
    /// Fires all kickers and injects a shot when another number than 0 is written [1].
    Inject,
    /// Time after the trigger at which a shot is injected [s].
    InjectionDelay,
    /// Part of the last shot that is left after the turns for which it is followed [1].
    InjectionEfficiency,
    /// Lifetime of the stored beam, I / (-dI/dt) [s].
    Lifetime,
    /// Electrons that are lost in a second, as far from the device as the field says and nearer [1/s].
    Losses,
    /// 1 where all that is calculated in the background belongs to the setpoints as they are, else 0.
    Calculated,
    /// Beam current [A].
    Current,
    /// Current of each bucket, a row of numbers [A].
    Filling,
    /// Charge of a shot that passes a place of a line [C].
    Charge,
}

impl Quantities {
    /// Whether it is what a monitor reads of the beam, or of its light, and so has the monitor's errors.
    pub fn is_position(self) -> bool {
        use Quantities::{OrbitX, OrbitY, PhotonX, PhotonY};
        matches!(self, OrbitX | OrbitY | PhotonX | PhotonY)
    }

    /// Whether it can only be that of a device with elements of its own.
    pub(crate) fn has_place(self) -> bool {
        use Quantities as Q;
        let along = matches!(
            self,
            Q::CavityVoltage | Q::CavityPhase | Q::Charge | Q::AcKickX | Q::AcKickY | Q::KickerDelay | Q::Edge(_)
        );
        let turns = matches!(self, Q::KickerX | Q::KickerY | Q::FastX | Q::FastY);
        along
            || turns
            || self.is_of_turns()
            || self.is_spectrum()
            || matches!(self, Q::Losses | Q::PhotonX | Q::PhotonY | Q::BeamImage)
    }

    /// Whether it is a row with a number for each turn.
    pub fn is_of_turns(self) -> bool {
        use Quantities::{TurnsCharge, TurnsX, TurnsY};
        matches!(self, TurnsX | TurnsY | TurnsCharge)
    }

    /// Whether it is the spectrum of turns.
    pub fn is_spectrum(self) -> bool {
        matches!(self, Quantities::SpectrumX | Quantities::SpectrumY)
    }

    /// Whether it is a row of samples taken many times a second.
    pub fn is_fast(self) -> bool {
        matches!(self, Quantities::FastX | Quantities::FastY)
    }

    /// Whether there is nothing of it before something was fired.
    pub fn is_fired(self) -> bool {
        self.is_of_turns() || self.is_spectrum() || self.is_fast() || self == Quantities::InjectionEfficiency
    }

    /// Whether it is the kick of a kicker.
    pub fn is_kicker(self) -> bool {
        matches!(self, Quantities::KickerX | Quantities::KickerY)
    }
}

const WORDS: &[(&str, Quantities)] = &[
    ("kick_x", Quantities::KickX),
    ("kick_y", Quantities::KickY),
    ("k1", Quantities::Upright(1)),
    ("k2", Quantities::Upright(2)),
    ("k3", Quantities::Upright(3)),
    ("k1s", Quantities::Skew(1)),
    ("k2s", Quantities::Skew(2)),
    ("k3s", Quantities::Skew(3)),
    ("edge_x_low", Quantities::Edge(0)),
    ("edge_x_high", Quantities::Edge(1)),
    ("edge_y_low", Quantities::Edge(2)),
    ("edge_y_high", Quantities::Edge(3)),
    ("rf_frequency", Quantities::RfFrequency),
    ("rf_voltage", Quantities::RfVoltage),
    ("cavity_voltage", Quantities::CavityVoltage),
    ("cavity_phase", Quantities::CavityPhase),
    ("rf_phase_modulation", Quantities::RfPhaseModulation),
    ("rf_voltage_modulation", Quantities::RfVoltageModulation),
    ("rf_modulation_frequency", Quantities::RfModulationFrequency),
    ("orbit_x", Quantities::OrbitX),
    ("orbit_y", Quantities::OrbitY),
    ("photon_x", Quantities::PhotonX),
    ("photon_y", Quantities::PhotonY),
    ("tune_x", Quantities::TuneX),
    ("tune_y", Quantities::TuneY),
    ("tune_s", Quantities::TuneS),
    ("chromaticity_x", Quantities::ChromaticityX),
    ("chromaticity_y", Quantities::ChromaticityY),
    ("emittance_x", Quantities::EmittanceX),
    ("emittance_y", Quantities::EmittanceY),
    ("emittance_s", Quantities::EmittanceS),
    ("energy_spread", Quantities::EnergySpread),
    ("bunch_length", Quantities::BunchLength),
    ("energy_loss", Quantities::EnergyLoss),
    ("damping_time_x", Quantities::DampingTimeX),
    ("damping_time_y", Quantities::DampingTimeY),
    ("damping_time_s", Quantities::DampingTimeS),
    ("beam_size_x", Quantities::BeamSizeX),
    ("beam_size_y", Quantities::BeamSizeY),
    ("beam_tilt", Quantities::BeamTilt),
    ("beam_image", Quantities::BeamImage),
    ("kicker_x", Quantities::KickerX),
    ("kicker_y", Quantities::KickerY),
    ("delay", Quantities::Delay),
    ("cycle_number", Quantities::CycleNumber),
    ("cycle_time", Quantities::CycleTime),
    ("energy", Quantities::Energy),
    ("trigger", Quantities::Trigger),
    ("turns_x", Quantities::TurnsX),
    ("turns_y", Quantities::TurnsY),
    ("ac_kick_x", Quantities::AcKickX),
    ("ac_kick_y", Quantities::AcKickY),
    ("ac_frequency", Quantities::AcFrequency),
    ("ac_phase", Quantities::AcPhase),
    ("fast_x", Quantities::FastX),
    ("fast_y", Quantities::FastY),
    ("spectrum_x", Quantities::SpectrumX),
    ("spectrum_y", Quantities::SpectrumY),
    ("turns_charge", Quantities::TurnsCharge),
    ("kicker_delay", Quantities::KickerDelay),
    ("septum_x", Quantities::SeptumX),
    ("septum_y", Quantities::SeptumY),
    ("inject", Quantities::Inject),
    ("injection_delay", Quantities::InjectionDelay),
    ("injection_efficiency", Quantities::InjectionEfficiency),
    ("lifetime", Quantities::Lifetime),
    ("losses", Quantities::Losses),
    ("calculated", Quantities::Calculated),
    ("current", Quantities::Current),
    ("filling", Quantities::Filling),
    ("charge", Quantities::Charge),
];

/// Where a reading comes from: a channel, and the place in what it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The channel.
    pub channel: Channel,
    /// Where the number stands in it.
    pub place: Place,
}

/// A quantity of one device.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name: `kick`, `x`, `k1`.
    pub name: Arc<str>,
    /// Unit the beam feels it in.
    pub physics: Unit,
    /// Unit of its channels.
    pub hardware: Unit,
    /// From hardware to physics, both in SI.
    pub calibration: Calibration,
    /// What it is in the lattice model.
    pub model: Option<Quantities>,
    /// What it gives where it is the supply of several quantities; its `model` is none then.
    pub gives: Arc<[Given]>,
    /// What such a supply holds where the lattice is as designed, physics value in SI.
    pub design: f64,
    /// How it follows from such supplies, where it is a quantity over them; it has no channel then.
    pub combined: Option<Arc<Combined>>,
    /// How it is set, if it can be.
    pub setpoint: Option<Arc<Setpoint>>,
    /// What its setpoint moves: this device, and those of the family that hang on the same supply, in lattice order. Empty
    /// where it cannot be set.
    pub fed: Arc<[Fed]>,
    /// How it is read, if it can be.
    pub source: Option<Source>,
    /// Step of a response measurement, from the lower to the upper value, physics unit in SI.
    pub delta: Option<f64>,
    /// Values beyond which a reading warns, as numbers on the channel.
    pub alarms: Alarms,
    /// Turns, or samples, that a row of them has.
    pub turns: usize,
    /// How often samples are taken [Hz].
    pub sampling: f64,
    /// How far from the device's element its photon beam is looked at, or losses are seen [m].
    pub distance: f64,
    /// How its image is made.
    pub camera: Option<Camera>,
    /// How it is set, if by a wave form: then it has no setpoint of its own.
    pub wave: Option<Wave>,
    /// Length of a kicker's pulse, half a sine [s]; without it, it acts for one revolution.
    pub pulse: Option<f64>,
}

impl Field {
    /// Physics value in SI of a number on the channel.
    pub fn to_physics(&self, on_channel: f64) -> f64 {
        self.calibration.to_physics(on_channel * self.hardware.scale())
    }

    /// Whether its channel holds a row of numbers that belongs to it alone.
    pub fn is_row(&self) -> bool {
        use Quantities::{BeamImage, Filling};
        let row = |quantity: Quantities| {
            matches!(quantity, BeamImage | Filling)
                || quantity.is_fast()
                || quantity.is_of_turns()
                || quantity.is_spectrum()
        };
        self.wave.is_some() || self.model.is_some_and(row)
    }

    /// Number on the channel of a physics value in SI.
    pub fn to_channel(&self, physics: f64) -> f64 {
        self.calibration.to_hardware(physics) / self.hardware.scale()
    }
}

/// The part of a field that all devices of a family share, as the table has it.
pub(crate) struct FieldTable {
    name: Arc<str>,
    physics: Unit,
    hardware: Unit,
    rule: Rule,
    model: Option<Quantities>,
    gives: Arc<[Given]>,
    design: f64,
    /// The fields of the supplies that it is over.
    pub of: Vec<String>,
    set: Option<String>,
    read: Option<String>,
    column: Option<String>,
    index: Option<String>,
    scaled: Scaled,
    arrival: Duration,
    delta: Option<f64>,
    turns: usize,
    sampling: f64,
    distance: f64,
    camera: Option<Camera>,
    points: Option<usize>,
    pulse: Option<f64>,
}

/// What a calibration brings onto the channel.
#[derive(Clone)]
struct Scaled {
    calibration: Calibration,
    limits: (f64, f64),
    tolerance: f64,
    rate: Option<f64>,
    alarms: Alarms,
}

impl Scaled {
    fn read(table: &Table, physics: &Unit, hardware: &Unit, calibration: &Calibration) -> Result<Scaled> {
        Ok(Scaled {
            limits: range(table, "limits", physics, hardware, calibration)?.unwrap_or(EVERYTHING),
            tolerance: span(table, "tolerance", physics, hardware, calibration)?.unwrap_or(0.0),
            rate: rate(table, physics, hardware, calibration)?,
            alarms: Alarms {
                warning: range(table, "warning", physics, hardware, calibration)?,
                alarm: range(table, "alarm", physics, hardware, calibration)?,
            },
            calibration: calibration.clone(),
        })
    }
}

impl FieldTable {
    pub fn read(
        name: &str,
        table: &Table,
        rigidity: Option<f64>,
        csv: impl Fn(&str) -> Option<Arc<str>>,
    ) -> Result<FieldTable> {
        let physics = table.unit("unit")?.ok_or_else(|| table.mistake("unit", "is missing"))?;
        let hardware = table.unit("hardware")?.unwrap_or_else(|| physics.clone());
        let rule = Rule::read(table, &Units { physics: &physics, hardware: &hardware, rigidity }, csv)?;
        let gives = gives(table, &physics, rigidity)?;
        let field = FieldTable {
            name: name.into(),
            model: if gives.is_empty() { model(table)? } else { None },
            design: design(table, &physics, &gives)?,
            gives,
            of: table.texts("of")?,
            set: table.text("set")?.map(String::from),
            read: table.text("read")?.map(String::from),
            column: table.text("column")?.map(String::from),
            index: table.text("index")?.map(String::from),
            scaled: Scaled::read(table, &physics, &hardware, rule.any())?,
            arrival: table.duration("arrival")?.unwrap_or(Duration::from_secs(10)),
            delta: table.quantity("delta", &physics)?,
            turns: turns(table)?,
            sampling: sampling(table)?,
            distance: distance(table)?,
            camera: Camera::read(table)?,
            points: points(table)?,
            pulse: pulse(table)?,
            physics,
            hardware,
            rule,
        };
        if !field.of.is_empty() {
            field.is_over(table)?;
        } else if field.set.is_none() && field.read.is_none() {
            return Err(table.mistake("read", "a field needs a channel to `read` or to `set`"));
        }
        if field.column.is_some() && (field.index.is_none() || field.read.is_none()) {
            return Err(table.mistake("column", "a column of a table needs `read`, its channel, and `index`, its row"));
        }
        if field.model == Some(Quantities::BeamImage) && field.camera.is_none() {
            return Err(table.mistake("model", "an image needs `width`, `height` and `pixel`"));
        }
        table.no_other_keys()?;
        Ok(field)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A quantity over supplies has a strength as its model, and no channel.
    fn is_over(&self, table: &Table) -> Result<()> {
        if let Some(key) = ["set", "read", "calibration"].into_iter().find(|key| table.has(key)) {
            return Err(table.mistake(key, "cannot stand beside `of`: the quantity follows from its supplies"));
        }
        let Some(word) = table.text("model")? else {
            return Err(table.mistake("model", "is missing: which quantity is it over its supplies?"));
        };
        let (_, unit) = strength(table, "model", word)?;
        match unit.dimension() == self.physics.dimension() {
            true => Ok(()),
            false => Err(table.mistake("unit", format!("must be one of `{unit}`: `{word}` is counted in it"))),
        }
    }

    /// Its calibration at a device, and what follows from it.
    fn scaled(&self, device: &str, table: &Table) -> Result<Scaled> {
        match self.rule.of(device, table)? {
            None => Ok(self.scaled.clone()),
            Some(own) => Scaled::read(table, &self.physics, &self.hardware, own),
        }
    }

    pub fn of_device(&self, family: &Arc<str>, words: &Words, table: &Table) -> Result<Field> {
        let put = |key: &str, pattern: &Option<String>| -> Result<Option<String>> {
            let Some(pattern) = pattern else { return Ok(None) };
            expand(pattern, words).map(Some).map_err(|what| table.mistake(key, what))
        };
        let read = put("read", &self.read)?;
        let set = put("set", &self.set)?;
        let index = match put("index", &self.index)? {
            None => None,
            Some(text) => Some(
                text.parse::<usize>()
                    .map_err(|_| table.mistake("index", format!("`{text}` is not a place in a vector")))?,
            ),
        };
        let place = Place { column: put("column", &self.column)?.map(Arc::from), index };
        let shown: Arc<str> = match words.name == family.as_ref() {
            true => format!("{family}.{}", self.name).into(),
            false => format!("{family}[\"{}\"].{}", words.name, self.name).into(),
        };
        let Scaled { calibration, limits, tolerance, rate, alarms } = self.scaled(words.name, table)?;
        let setpoint = set.map(|channel| {
            Arc::new(Setpoint {
                name: shown,
                family: family.clone(),
                channel: channel.into(),
                readback: read.as_deref().filter(|_| place.index.is_none()).map(Channel::from),
                unit: self.hardware.symbol().into(),
                limits,
                tolerance,
                arrival: self.arrival,
                rate,
                physics: Some(Physics {
                    hardware: self.hardware.clone(),
                    unit: self.physics.clone(),
                    calibration: calibration.clone(),
                }),
            })
        });
        let (wave, setpoint) = match (self.points, setpoint) {
            (Some(knots), Some(whole)) => (Some(Wave { whole, knots }), None),
            (_, setpoint) => (None, setpoint),
        };
        let row = wave.as_ref().map(|wave| wave.whole.channel.clone());
        Ok(Field {
            name: self.name.clone(),
            physics: self.physics.clone(),
            hardware: self.hardware.clone(),
            calibration,
            model: self.model,
            gives: self.gives.clone(),
            design: self.design,
            combined: None,
            source: match (row.or(read.map(Channel::from)), &setpoint) {
                (Some(channel), _) => Some(Source { channel, place }),
                (None, Some(setpoint)) => Some(Source { channel: setpoint.channel.clone(), place: Place::default() }),
                (None, None) => None,
            },
            setpoint,
            fed: Arc::default(),
            delta: self.delta,
            alarms,
            turns: self.turns,
            sampling: self.sampling,
            distance: self.distance,
            camera: self.camera,
            wave,
            pulse: self.pulse,
        })
    }
}

/// A strength by its word, and the unit in which it is counted.
pub(crate) fn strength(table: &Table, key: &str, word: &str) -> Result<(Quantities, Unit)> {
    let known = |quantity: Quantities| match quantity {
        Quantities::KickX | Quantities::KickY => Some("rad".to_string()),
        Quantities::Upright(order) | Quantities::Skew(order) => Some(format!("1/m^{}", order + 1)),
        _ => None,
    };
    let strengths = WORDS.iter().filter_map(|(word, quantity)| Some((*word, *quantity, known(*quantity)?)));
    match strengths.clone().find(|(known, ..)| *known == word) {
        Some((_, quantity, symbol)) => {
            Ok((quantity, Unit::parse(&symbol).map_err(|error| table.mistake(key, error.to_string()))?))
        }
        None => {
            let words: Vec<&str> = strengths.map(|(word, ..)| word).collect();
            let near = fodo_report::did_you_mean(word, words.iter().copied())
                .unwrap_or_else(|| format!("it may be {}", words.join(", ")));
            Err(table.mistake(key, format!("`{word}` is no strength of a magnet; {near}")))
        }
    }
}

/// What a supply of several quantities holds where the lattice is as designed.
fn design(table: &Table, physics: &Unit, gives: &[Given]) -> Result<f64> {
    match (table.quantity("design", physics)?, gives.is_empty()) {
        (Some(_), true) => Err(table.mistake(
            "design",
            "is for a field whose `model` is a table of quantities: others start as the lattice is",
        )),
        (design, _) => Ok(design.unwrap_or(0.0)),
    }
}

/// `turns`, or of samples at a rate `samples`.
fn turns(table: &Table) -> Result<usize> {
    let key = if table.has("samples") { "samples" } else { "turns" };
    match table.number(key)? {
        None => Ok(1024),
        Some(turns) if (1.0..=1e6).contains(&turns) && turns.fract() == 0.0 => Ok(turns as usize),
        Some(_) => Err(table.mistake(key, "must be a whole number from 1 to 1 000 000")),
    }
}

/// Knots of a wave form.
fn points(table: &Table) -> Result<Option<usize>> {
    match table.number("points")? {
        None => Ok(None),
        Some(_) if !table.has("set") => Err(table.mistake("points", "is that of a wave form that is `set`")),
        Some(points) if (2.0..=1e4).contains(&points) && points.fract() == 0.0 => Ok(Some(points as usize)),
        Some(_) => Err(table.mistake("points", "must be a whole number from 2 to 10 000")),
    }
}

fn sampling(table: &Table) -> Result<f64> {
    match in_unit(table, "sampling", "Hz")?.unwrap_or(10e3) {
        rate if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err(table.mistake("sampling", "must be above zero")),
    }
}

fn distance(table: &Table) -> Result<f64> {
    match in_unit(table, "distance", "m")?.unwrap_or(0.0) {
        distance if distance.is_finite() && distance >= 0.0 => Ok(distance),
        _ => Err(table.mistake("distance", "must not be negative")),
    }
}

fn in_unit(table: &Table, key: &str, symbol: &str) -> Result<Option<f64>> {
    let unit = Unit::parse(symbol).map_err(|e| table.mistake(key, e.to_string()))?;
    table.quantity(key, &unit)
}

/// `pulse = "1 us"`, of a kicker.
fn pulse(table: &Table) -> Result<Option<f64>> {
    match table.seconds("pulse")? {
        None => Ok(None),
        Some(_) if !model(table)?.is_some_and(Quantities::is_kicker) => {
            Err(table.mistake("pulse", "is that of a kicker: `model` must be kicker_x or kicker_y"))
        }
        Some(length) if length > 0.0 && length.is_finite() => Ok(Some(length)),
        Some(_) => Err(table.mistake("pulse", "must be longer than nothing")),
    }
}

fn model(table: &Table) -> Result<Option<Quantities>> {
    let Some(word) = table.text("model")? else { return Ok(None) };
    match WORDS.iter().find(|(known, _)| *known == word) {
        Some((_, quantity)) => Ok(Some(*quantity)),
        None => {
            let words = WORDS.iter().map(|w| w.0);
            let near = fodo_report::did_you_mean(word, words.clone())
                .unwrap_or_else(|| format!("it knows {}", words.collect::<Vec<_>>().join(", ")));
            Err(table.mistake("model", format!("`{word}` is nothing the model knows; {near}")))
        }
    }
}

/// A value in either unit as the number on the channel.
fn on_channel(
    table: &Table,
    key: &str,
    quantity: &Quantity,
    physics: &Unit,
    hardware: &Unit,
    calibration: &Calibration,
) -> Result<f64> {
    // a plain number, like a value in the hardware's own dimension, is meant for the channel
    if quantity.check(hardware).is_ok() {
        return Ok(quantity.si / hardware.scale());
    }
    quantity.check(physics).map_err(|_| {
        let found = &quantity.unit;
        table.mistake(key, format!("a value in `{found}` was given where `{hardware}` or `{physics}` is needed"))
    })?;
    Ok(calibration.to_hardware(quantity.si) / hardware.scale())
}

const EVERYTHING: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// A lowest and a highest value in either unit as numbers on the channel; a negative calibration turns them round.
fn range(
    table: &Table,
    key: &str,
    physics: &Unit,
    hardware: &Unit,
    calibration: &Calibration,
) -> Result<Option<(f64, f64)>> {
    let Some([low, high]) = table.pair(key)? else { return Ok(None) };
    let a = on_channel(table, key, &low, physics, hardware, calibration)?;
    let b = on_channel(table, key, &high, physics, hardware, calibration)?;
    if a == b {
        return Err(table.mistake(key, "is a range without an inside: its ends are equal"));
    }
    if low.si > high.si && low.unit.dimension() == high.unit.dimension() {
        return Err(table.mistake(key, "must have the lower value first"));
    }
    Ok(Some((a.min(b), a.max(b))))
}

/// A difference in either unit as a difference on the channel.
fn span(table: &Table, key: &str, physics: &Unit, hardware: &Unit, calibration: &Calibration) -> Result<Option<f64>> {
    let Some(quantity) = table.any_quantity(key)? else { return Ok(None) };
    let there = on_channel(table, key, &quantity, physics, hardware, calibration)?;
    let zero = if quantity.check(hardware).is_ok() { 0.0 } else { calibration.to_hardware(0.0) / hardware.scale() };
    Ok(Some((there - zero).abs()))
}

fn rate(table: &Table, physics: &Unit, hardware: &Unit, calibration: &Calibration) -> Result<Option<f64>> {
    let Some(quantity) = table.any_quantity("rate")? else { return Ok(None) };
    let second = Quantity::new(1.0, Unit::parse("s").map_err(|e| table.mistake("rate", e.to_string()))?);
    let change = quantity.times(&second);
    let there = on_channel(table, "rate", &change, physics, hardware, calibration)?;
    let zero = if change.check(hardware).is_ok() { 0.0 } else { calibration.to_hardware(0.0) / hardware.scale() };
    match (there - zero).abs() {
        0.0 => Err(table.mistake("rate", "a rate of zero never arrives")),
        rate => Ok(Some(rate)),
    }
}

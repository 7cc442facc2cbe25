//! Which channel is what on the twin.

use crate::errors::buckets;
use crate::figures::{ELLIPSES, Figure, LOSSES, PLACES};
use crate::turns::CHARGE;
use fodo_control::{Alarms, Channel, ChannelInfo, Shape};
use fodo_devices::{Camera, Device, Facility, Field, Quantities, Source};
use fodo_optics::Point;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a channel answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// What the setpoint holds.
    Setpoint(usize),
    /// What its supply holds.
    Readback(usize),
    /// The wave form of a setpoint.
    Wave(usize),
    /// Number of the cycle that readings are of.
    CycleNumber,
    /// Moment in it.
    CycleTime,
    /// Energy of the beam then.
    Energy,
    /// One plane of one monitor.
    Monitor(usize, usize),
    /// The beam at many places.
    Row(Box<Row>),
    /// The same as named columns, with so many rows.
    Table(Vec<(Arc<str>, Row)>, usize),
    /// A fractional tune.
    Tune(usize),
    /// A number of the beam, at this element where it is different from place to place.
    Figure(&'static Figure, usize),
    /// Whether all figures are found.
    Calculated,
    /// Beam current.
    Current,
    /// The image of a camera at an element.
    Image(usize, Camera),
    /// Current of each of so many buckets.
    Filling(usize),
    /// Lifetime of the beam.
    Lifetime,
    /// What is lost within a distance [m] of an element.
    Losses(usize, f64),
    /// Part of the last injected shot that is left.
    Efficiency,
    /// One plane of one monitor, or the charge at it, in each turn after the trigger, so many of them.
    Turns(usize, usize, usize),
    /// Amplitudes of so many turns of one plane of one monitor.
    Spectrum(usize, usize, usize),
    /// One plane of one monitor after the trigger, so many samples at this rate [Hz].
    Fast(usize, usize, usize, f64),
    /// Charge that comes to an element of a line.
    Charge(usize),
    /// A signal that belongs to no device, by its place among them.
    Signal(usize),
}

/// One plane at every element, as monitors read it where there are some.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub plane: usize,
    /// The field whose unit and calibration its numbers are in.
    pub field: Field,
    /// Entries that monitors read: (entry, monitor).
    pub monitors: Vec<(usize, usize)>,
}

/// A setpoint and what it moves.
#[derive(Clone, Debug)]
pub(crate) struct Knob {
    pub device: Arc<Device>,
    pub field: Field,
    pub quantity: Option<Quantities>,
    pub limits: (f64, f64),
    /// Its supply: of several knobs on one it is the first that counts.
    pub supply: usize,
}

/// A monitor and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    pub device: Arc<Device>,
    pub element: usize,
    /// How far from the element it sees the light that the beam sends straight on; none for one of the beam itself [m].
    pub distance: Option<f64>,
}

impl Monitor {
    /// The two positions that it is to see of a beam with these coordinates at its element [m].
    pub fn sees(&self, at: &Point<f64>) -> [f64; 2] {
        let Some(distance) = self.distance else { return [at[0], at[2]] };
        let along = ((1.0 + at[4]).powi(2) - at[1].powi(2) - at[3].powi(2)).sqrt();
        [0, 2].map(|plane| at[plane] + distance * at[plane + 1] / along)
    }
}

/// The channels of a facility.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    pub infos: Vec<ChannelInfo>,
    pub answers: Vec<Answer>,
    /// The field whose unit and calibration a channel's number is in; signals have none.
    pub fields: Vec<Option<Field>>,
    pub by_name: HashMap<Channel, usize>,
    pub knobs: Vec<Knob>,
    /// The knobs of each supply: those that one setpoint moves.
    supplies: Vec<Vec<usize>>,
    pub monitors: Vec<Monitor>,
    /// What signals hold while all is well.
    pub signals: Vec<f64>,
    /// Of the ring.
    pub buckets: usize,
}

impl Channels {
    pub fn of(facility: &Facility) -> Channels {
        let mut channels = Channels { buckets: buckets(facility), ..Channels::default() };
        for device in facility.families.iter().flat_map(|family| &family.devices) {
            let monitor = channels.monitor(device);
            for field in &device.fields {
                channels.add(device, field, monitor, facility.lattice.elements.len());
            }
        }
        for (channel, value) in facility.signals() {
            channels.add_signal(channel, value);
        }
        channels
    }

    fn add_signal(&mut self, channel: &Channel, value: f64) {
        if self.by_name.contains_key(channel) {
            return;
        }
        self.announce(ChannelInfo {
            channel: channel.clone(),
            shape: Shape::Scalar,
            description: String::new(),
            unit: String::new(),
            precision: 3,
            limits: None,
            writable: true,
            alarms: Alarms::default(),
        });
        self.answers.push(Answer::Signal(self.signals.len()));
        self.fields.push(None);
        self.signals.push(value);
    }

    fn announce(&mut self, info: ChannelInfo) {
        self.by_name.insert(info.channel.clone(), self.infos.len());
        self.infos.push(info);
    }

    fn monitor(&mut self, device: &Arc<Device>) -> Option<usize> {
        let element = *device.elements.first()?;
        let shows = |any: [Quantities; 2]| device.fields.iter().find(|f| f.model.is_some_and(|q| any.contains(&q)));
        let light = shows([Quantities::PhotonX, Quantities::PhotonY]);
        if shows([Quantities::OrbitX, Quantities::OrbitY]).is_none() && light.is_none() {
            let keeps = |field: &&Field| field.model.is_some_and(|q| q.is_of_turns() || q.is_spectrum());
            device.fields.iter().find(keeps).or(shows([Quantities::FastX, Quantities::FastY]))?;
            // the same electrodes, and the same errors, as the monitor that reads the orbit there
            let same = |monitor: &Monitor| monitor.element == element && monitor.distance.is_none();
            if let Some(known) = self.monitors.iter().position(same) {
                return Some(known);
            }
        }
        self.monitors.push(Monitor { device: device.clone(), element, distance: light.map(|field| field.distance) });
        Some(self.monitors.len() - 1)
    }

    fn add(&mut self, device: &Arc<Device>, field: &Field, monitor: Option<usize>, elements: usize) {
        if let Some(wave) = &field.wave {
            self.knobs.push(Knob {
                device: device.clone(),
                field: field.clone(),
                quantity: field.model,
                limits: wave.whole.limits,
                supply: self.supplies.len(),
            });
            self.supplies.push(vec![self.knobs.len() - 1]);
            let answer = Answer::Wave(self.knobs.len() - 1);
            self.push(&wave.whole.channel, field, answer, Shape::Vector(wave.knots), true);
            return;
        }
        if let Some(setpoint) = &field.setpoint {
            let supply = match self.by_name.get(&setpoint.channel).map(|&at| &self.answers[at]) {
                Some(Answer::Setpoint(first)) => self.knobs[*first].supply,
                _ => self.supplies.len(),
            };
            match self.supplies.get_mut(supply) {
                Some(known) => known.push(self.knobs.len()),
                None => self.supplies.push(vec![self.knobs.len()]),
            }
            self.knobs.push(Knob {
                device: device.clone(),
                field: field.clone(),
                quantity: field.model,
                limits: setpoint.limits,
                supply,
            });
            let knob = self.knobs.len() - 1;
            self.push(&setpoint.channel, field, Answer::Setpoint(knob), Shape::Scalar, true);
            if let Some(readback) = &setpoint.readback {
                self.push(readback, field, Answer::Readback(knob), Shape::Scalar, false);
            }
            return;
        }
        let Some(source) = &field.source else { return };
        use Quantities::{OrbitX, OrbitY, PhotonX, PhotonY};
        let plane = |q: Quantities| usize::from(matches!(q, OrbitY | PhotonY | Quantities::TuneY));
        match (field.model, monitor, source.place.index) {
            (Some(q @ (OrbitX | OrbitY | PhotonX | PhotonY)), Some(monitor), None) => {
                self.push(&source.channel, field, Answer::Monitor(plane(q), monitor), Shape::Scalar, false);
            }
            (Some(q @ (OrbitX | OrbitY)), Some(monitor), Some(entry)) => {
                let row = Row { plane: plane(q), field: field.clone(), monitors: vec![(entry, monitor)] };
                self.add_row(source, row, elements);
            }
            (Some(q @ (Quantities::TuneX | Quantities::TuneY)), _, _) => {
                self.push(&source.channel, field, Answer::Tune(plane(q)), Shape::Scalar, false);
            }
            (Some(Quantities::Current), _, _) => {
                self.push(&source.channel, field, Answer::Current, Shape::Scalar, false);
            }
            (Some(q @ (Quantities::TurnsX | Quantities::TurnsY | Quantities::TurnsCharge)), Some(monitor), _) => {
                let kept = match q {
                    Quantities::TurnsCharge => CHARGE,
                    Quantities::TurnsY => 1,
                    _ => 0,
                };
                let answer = Answer::Turns(kept, monitor, field.turns);
                self.push(&source.channel, field, answer, Shape::Vector(field.turns), false);
            }
            (Some(q), Some(monitor), _) if q.is_spectrum() => {
                let answer = Answer::Spectrum(usize::from(q == Quantities::SpectrumY), monitor, field.turns);
                self.push(&source.channel, field, answer, Shape::Vector(field.turns / 2 + 1), false);
            }
            (Some(q @ (Quantities::FastX | Quantities::FastY)), Some(monitor), _) => {
                let plane = usize::from(q == Quantities::FastY);
                let answer = Answer::Fast(plane, monitor, field.turns, field.sampling);
                self.push(&source.channel, field, answer, Shape::Vector(field.turns), false);
            }
            (Some(Quantities::BeamImage), _, _) => {
                // the tables are refused where such a device has no element, or no camera
                let (Some(&element), Some(camera)) = (device.elements.first(), field.camera) else { return };
                let shape = Shape::Image(camera.width, camera.height);
                self.push(&source.channel, field, Answer::Image(element, camera), shape, false);
            }
            (Some(Quantities::Filling), _, _) => {
                self.push(&source.channel, field, Answer::Filling(self.buckets), Shape::Vector(self.buckets), false);
            }
            (Some(Quantities::Charge), _, _) => {
                // the tables are refused where such a device has no element
                let element = device.elements.first().copied().unwrap_or(elements);
                self.push(&source.channel, field, Answer::Charge(element), Shape::Scalar, false);
            }
            (Some(Quantities::CycleNumber), _, _) => {
                self.push(&source.channel, field, Answer::CycleNumber, Shape::Scalar, false);
            }
            (Some(Quantities::CycleTime), _, _) => {
                self.push(&source.channel, field, Answer::CycleTime, Shape::Scalar, false);
            }
            (Some(Quantities::Energy), _, _) => {
                self.push(&source.channel, field, Answer::Energy, Shape::Scalar, false);
            }
            (Some(Quantities::InjectionEfficiency), _, _) => {
                self.push(&source.channel, field, Answer::Efficiency, Shape::Scalar, false);
            }
            (Some(Quantities::Lifetime), _, _) => {
                self.push(&source.channel, field, Answer::Lifetime, Shape::Scalar, false);
            }
            (Some(Quantities::Losses), _, _) => {
                let element = device.elements.first().copied().unwrap_or(0);
                self.push(&source.channel, field, Answer::Losses(element, field.distance), Shape::Scalar, false);
            }
            (Some(Quantities::Calculated), _, _) => {
                self.push(&source.channel, field, Answer::Calculated, Shape::Scalar, false);
            }
            (Some(quantity), _, _) => {
                let Some(figure) = Figure::find(quantity) else { return };
                let element = device.elements.first().copied().unwrap_or(0);
                self.push(&source.channel, field, Answer::Figure(figure, element), Shape::Scalar, false);
            }
            _ => {}
        }
    }

    /// The knobs on the same supply, this one included.
    pub fn beside(&self, knob: usize) -> &[usize] {
        self.supplies.get(self.knobs[knob].supply).map_or(&[], Vec::as_slice)
    }

    /// The first of the knobs on the same supply: what its setpoint holds is kept there.
    pub fn first(&self, knob: usize) -> usize {
        self.beside(knob).first().copied().unwrap_or(knob)
    }

    /// By how much more what this magnet gives changes with the current than it does of another on the same supply [1];
    /// along curves that of the middle of the limits.
    pub fn part(&self, knob: usize, other: usize) -> f64 {
        let slope = |at: usize| {
            let Knob { field, limits: (low, high), .. } = &self.knobs[at];
            let middle = 0.5 * (low + high) * field.hardware.scale();
            field.calibration.slope(if middle.is_finite() { middle } else { 0.0 })
        };
        slope(knob) / slope(other)
    }

    /// What each setpoint holds where its knobs start at these physics values, in channel units: on a supply of several
    /// magnets the mean of what they need, and each of them then gives what its own calibration says.
    pub fn held_at(&self, starts: &[f64]) -> Vec<f64> {
        let own: Vec<f64> = self.knobs.iter().zip(starts).map(|(knob, start)| knob.field.to_channel(*start)).collect();
        let mean = |knob: usize| {
            let beside = self.beside(knob);
            let needed = |of: &usize| own[*of];
            match beside.iter().all(|of| own[*of] == own[knob]) {
                true => own[knob],
                false => beside.iter().map(needed).sum::<f64>() / beside.len() as f64,
            }
        };
        (0..own.len()).map(mean).collect()
    }

    /// Knobs that do not start where the lattice has them: their supply holds what other magnets on it need, too.
    pub fn elsewhere(&self, starts: &[f64], values: &[f64]) -> BTreeSet<usize> {
        let is_elsewhere = |knob: &usize| self.knobs[*knob].field.to_channel(starts[*knob]) != values[*knob];
        (0..values.len()).filter(is_elsewhere).collect()
    }

    /// Turns to take: as many as the longest row has.
    pub fn turns(&self) -> usize {
        let turns = |answer: &Answer| match answer {
            Answer::Turns(.., turns) | Answer::Spectrum(.., turns) => *turns,
            _ => 0,
        };
        self.answers.iter().map(turns).max().unwrap_or(0)
    }

    /// Whether a monitor takes samples many times a second.
    pub fn has_samples(&self) -> bool {
        self.answers.iter().any(|answer| matches!(answer, Answer::Fast(..)))
    }

    /// What has to be found for the figures that are shown, each once.
    pub fn works(&self, decays: bool) -> Vec<usize> {
        let works = self.answers.iter().flat_map(|answer| match answer {
            Answer::Figure(figure, _) => vec![figure.work],
            Answer::Image(..) => vec![ELLIPSES],
            Answer::Lifetime => vec![LOSSES],
            Answer::Losses(..) => vec![LOSSES, PLACES],
            Answer::Current if decays => vec![LOSSES],
            _ => Vec::new(),
        });
        works.collect::<std::collections::BTreeSet<usize>>().into_iter().collect()
    }

    /// Adds what one monitor reads to a row, or to a column of a table.
    fn add_row(&mut self, source: &Source, row: Row, elements: usize) {
        let (field, empty) = (row.field.clone(), Row { monitors: Vec::new(), ..row.clone() });
        let Some(column) = &source.place.column else {
            let at = self.push(&source.channel, &field, Answer::Row(Box::new(empty)), Shape::Vector(elements), false);
            if let Answer::Row(known) = &mut self.answers[at] {
                known.monitors.extend(row.monitors);
            }
            return;
        };
        let shape = Shape::Table(Vec::new(), 0);
        let at = self.push(&source.channel, &field, Answer::Table(Vec::new(), 0), shape, false);
        let Answer::Table(columns, length) = &mut self.answers[at] else { return };
        let place = columns.iter().position(|(name, _)| name == column).unwrap_or_else(|| {
            columns.push((column.clone(), empty));
            columns.len() - 1
        });
        *length = row.monitors.iter().map(|(entry, _)| entry + 1).fold(*length, usize::max);
        columns[place].1.monitors.extend(row.monitors);
        self.infos[at].shape = Shape::Table(columns.iter().map(|(name, _)| name.clone()).collect(), *length);
    }

    /// Adds a channel once; answers its place.
    fn push(&mut self, channel: &Channel, field: &Field, answer: Answer, shape: Shape, writable: bool) -> usize {
        if let Some(&at) = self.by_name.get(channel) {
            return at;
        }
        let limits = field.setpoint.as_ref().filter(|_| writable).map(|s| s.limits);
        let reads = field.source.as_ref().is_some_and(|source| source.channel == *channel);
        let alarms = if shape == Shape::Scalar && reads { field.alarms } else { Alarms::default() };
        self.announce(ChannelInfo {
            channel: channel.clone(),
            shape,
            description: String::new(),
            unit: field.hardware.symbol().to_string(),
            precision: precision(field),
            limits: limits.filter(|(low, high)| low.is_finite() && high.is_finite()),
            writable,
            alarms,
        });
        self.answers.push(answer);
        self.fields.push(Some(field.clone()));
        self.infos.len() - 1
    }
}

/// Digits that show the tolerance of a field, or a nanometre.
fn precision(field: &Field) -> i16 {
    let step = match &field.setpoint {
        Some(setpoint) if setpoint.tolerance > 0.0 => setpoint.tolerance / 10.0,
        _ => 1e-9 / field.hardware.scale(),
    };
    (-step.log10()).ceil().clamp(0.0, 12.0) as i16
}

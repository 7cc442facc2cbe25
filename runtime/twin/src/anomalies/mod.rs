//! `[anomalies.NAME]`: what goes wrong for a while, when it is told to, by the clock or at random.
//!
//! What is wrong just now is put on what is true at all times, afresh after each change: what ends leaves nothing behind.

mod kinds;

use crate::channels::Channels;
use crate::draw::{Draw, Spread};
use crate::errors::{at, elements, exactly, is_supply, positive, unknown};
use crate::present::Present;
use fodo_control::{Happened, Time, Victim};
use fodo_devices::{Facility, Table};
use fodo_lattice::Body;
use fodo_report::{Diagnostic, Kind as Sorts, Result};
use kinds::{Case, KINDS, Kind, Size, Sort};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many events are remembered; older ones are forgotten.
const REMEMBERED: usize = 100_000;

/// Something that can go wrong.
pub(crate) struct Anomaly {
    name: Arc<str>,
    kind: &'static Kind,
    /// Family, and the devices or elements that it may happen to, by name.
    family: Option<Arc<str>>,
    targets: Vec<Arc<str>>,
    /// Elements by the same place in the list, where it happens to elements.
    places: Vec<usize>,
    field: Option<Arc<str>>,
    size: f64,
    /// How often in a second, at random; never by itself where there is none.
    rate: Option<f64>,
    /// How long [s]; until it is stopped where it is not said.
    lasts: Option<f64>,
    /// By the clock, a time after the start [s].
    start: Option<f64>,
}

/// The tables below `[anomalies]`.
pub(crate) fn read(tables: &Table, facility: &Facility) -> Result<Vec<Anomaly>> {
    let read = |(name, table): (&str, Table)| {
        let anomaly = Anomaly::read(name, &table, facility)?;
        table.no_other_keys()?;
        Ok(anomaly)
    };
    let all = tables.tables().into_iter().map(read).collect();
    tables.no_other_keys()?;
    all
}

impl Anomaly {
    fn read(name: &str, table: &Table, facility: &Facility) -> Result<Anomaly> {
        let word = table.needed_text("kind")?;
        let words: Vec<&str> = KINDS.iter().map(|kind| kind.word).collect();
        let kind = KINDS.iter().find(|kind| kind.word == word).ok_or_else(|| unknown(table, "kind", word, &words))?;
        if !facility.kind.is_ring() && ["vacuum_leak", "lifetime_drop"].contains(&kind.word) {
            let what = format!("happens to a stored beam, and {} is a {}", facility.name, facility.kind);
            return Err(table.mistake("kind", what));
        }
        let mut anomaly = Anomaly {
            name: name.into(),
            kind,
            family: None,
            targets: Vec::new(),
            places: Vec::new(),
            field: None,
            size: 0.0,
            rate: positive(table, "rate", "1/s")?,
            lasts: positive(table, "lasts", "s")?,
            start: exactly(table, "start", "s")?,
        };
        match kind.sort {
            Sort::Supply | Sort::Kicker | Sort::Monitor => anomaly.read_family(table, facility)?,
            Sort::Cavity | Sort::Place => anomaly.read_elements(table, facility)?,
            Sort::Beam => {}
        }
        let unit = match kind.size {
            Size::None => return Ok(anomaly),
            Size::Unit(unit) => unit.to_string(),
            Size::OfFieldPerHour => anomaly.field_unit(facility),
        };
        anomaly.size = exactly(table, "size", &unit)?
            .ok_or_else(|| table.mistake("size", format!("is missing: how bad is it, as in \"1 {unit}\"?")))?;
        Ok(anomaly)
    }

    /// `family`, or `devices` of it.
    fn read_family(&mut self, table: &Table, facility: &Facility) -> Result<()> {
        let name = table.needed_text("family")?;
        let family = facility.family(name).map_err(|e| at(table, "family", &e))?;
        let named = table.texts("devices")?;
        for device in &named {
            facility.device(name, device).map_err(|e| at(table, "devices", &e))?;
        }
        let wanted = |name: &Arc<str>| named.is_empty() || named.iter().any(|wanted| **wanted == **name);
        self.family = Some(family.name.clone());
        self.targets = family.devices.iter().map(|device| device.name.clone()).filter(wanted).collect();
        let fits = |field: &fodo_devices::Field| match self.kind.sort {
            Sort::Supply => is_supply(field),
            Sort::Kicker => is_supply(field) && field.model.is_some_and(fodo_devices::Quantities::is_kicker),
            _ => field.model.is_some_and(fodo_devices::Quantities::is_position),
        };
        let fields = family.devices.iter().flat_map(|device| &device.fields);
        let fields: Vec<&fodo_devices::Field> = fields.filter(|field| fits(field)).collect();
        let field = match table.text("field")? {
            None => fields.first(),
            Some(wanted) => fields.iter().find(|field| field.name.as_ref() == wanted),
        };
        let what = match self.kind.sort {
            Sort::Supply => "has no such field that is set",
            Sort::Kicker => "is no family of kickers",
            _ => "is no family of monitors",
        };
        self.field = Some(field.ok_or_else(|| table.mistake("family", format!("{name} {what}")))?.name.clone());
        Ok(())
    }

    fn read_elements(&mut self, table: &Table, facility: &Facility) -> Result<()> {
        let all = &facility.lattice.elements;
        let cavity = |&index: &usize| self.kind.sort != Sort::Cavity || matches!(all[index].body, Body::Cavity(_));
        let places: Vec<usize> = match table.has("elements") || self.kind.sort == Sort::Place {
            true => elements(table, "elements", facility)?,
            false => (0..all.len()).collect(),
        };
        self.places = places.into_iter().filter(cavity).collect();
        if self.places.is_empty() {
            return Err(table.mistake("elements", "there is no cavity among these"));
        }
        self.targets = self.places.iter().map(|&index| all[index].name.clone()).collect();
        Ok(())
    }

    fn field_unit(&self, facility: &Facility) -> String {
        let family = self.family.as_ref().and_then(|name| facility.family(name).ok());
        let fields = family.iter().flat_map(|family| &family.devices).flat_map(|device| &device.fields);
        let of = |field: &&fodo_devices::Field| Some(&field.name) == self.field.as_ref();
        fields.into_iter().find(of).map_or_else(|| "1".into(), |field| field.physics.symbol().to_string())
    }

    /// Knob, monitor or element of one of its targets.
    fn index(&self, target: usize, channels: &Channels) -> usize {
        let Some(name) = self.targets.get(target) else { return 0 };
        let is = |device: &fodo_devices::Device| Some(&device.family) == self.family.as_ref() && device.name == *name;
        let found = match self.kind.sort {
            Sort::Supply | Sort::Kicker => {
                channels.knobs.iter().position(|k| is(&k.device) && Some(&k.field.name) == self.field.as_ref())
            }
            Sort::Monitor => channels.monitors.iter().position(|monitor| is(&monitor.device)),
            Sort::Cavity | Sort::Place => self.places.get(target).copied(),
            Sort::Beam => None,
        };
        found.unwrap_or(0)
    }

    /// What it does at a knob, monitor or element: a supply does it to all its magnets.
    fn cases(&self, index: usize, channels: &Channels, holds: impl Fn(usize) -> f64) -> Vec<Case> {
        if self.kind.sort != Sort::Supply {
            return vec![Case { target: index, size: self.size, held: 0.0, lasts: 0.0 }];
        }
        let part = |knob: usize| match self.kind.size {
            Size::OfFieldPerHour => channels.part(knob, index),
            _ => 1.0,
        };
        let case = |&knob: &usize| Case { target: knob, size: self.size * part(knob), held: holds(knob), lasts: 0.0 };
        channels.beside(index).iter().map(case).collect()
    }

    fn device(&self, target: usize) -> Option<String> {
        let name = self.targets.get(target)?;
        Some(self.family.as_ref().map_or_else(|| name.to_string(), |family| format!("{family}[\"{name}\"]")))
    }
}

/// What goes wrong now.
struct Active {
    anomaly: usize,
    /// Where: every magnet of a supply, or one place.
    cases: Vec<Case>,
    until: Option<Time>,
    /// What is told of its beginning.
    began: Happened,
}

/// What can go wrong, what goes wrong and what did.
pub(crate) struct Stage {
    anomalies: Vec<Anomaly>,
    active: Vec<Active>,
    /// What begins by itself next: when, which, and whether at random.
    next: BTreeSet<(Time, usize, bool)>,
    draws: Vec<Draw>,
    happened: Vec<Happened>,
}

/// What a supply holds at a time, physics value in SI.
pub(crate) type Holds<'h> = &'h dyn Fn(usize, Time) -> f64;

impl Stage {
    pub fn new(anomalies: Vec<Anomaly>, seed: u64, start: Time) -> Stage {
        let draw = |anomaly: &Anomaly| Draw::new(seed, &format!("anomalies.{}", anomaly.name), Spread::GAUSS);
        let mut draws: Vec<Draw> = anomalies.iter().map(draw).collect();
        let mut next = BTreeSet::new();
        for (place, anomaly) in anomalies.iter().enumerate() {
            if let Some(after) = anomaly.start {
                next.insert((later(start, after), place, false));
            }
            if let Some(rate) = anomaly.rate {
                next.insert((later(start, draws[place].until(rate)), place, true));
            }
        }
        Stage { anomalies, active: Vec::new(), next, draws, happened: Vec::new() }
    }

    /// Lets begin and end what is due; whether anything did.
    pub fn go_to(&mut self, now: Time, channels: &Channels, holds: Holds) -> bool {
        let mut changed = false;
        loop {
            let ends = self.active.iter().filter_map(|active| active.until).min().filter(|&end| end <= now);
            let begins = self.next.first().copied().filter(|(time, ..)| *time <= now);
            match (ends, begins) {
                (None, None) => return changed,
                (Some(end), begins) if begins.is_none_or(|(begin, ..)| end <= begin) => {
                    self.end(end, "its time was over", |active| active.until == Some(end));
                }
                (_, Some(begins)) => {
                    self.next.remove(&begins);
                    self.begin_by_itself(begins, channels, holds);
                }
                _ => {}
            }
            changed = true;
        }
    }

    fn begin_by_itself(&mut self, (time, place, random): (Time, usize, bool), channels: &Channels, holds: Holds) {
        let anomaly = &self.anomalies[place];
        let count = anomaly.targets.len().max(1);
        let target = ((self.draws[place].even() * count as f64) as usize).min(count - 1);
        if let Some(rate) = anomaly.rate.filter(|_| random) {
            let again = later(time, self.draws[place].until(rate).max(1e-9));
            self.next.insert((again, place, true));
        }
        if !self.goes_on(place, target, channels) {
            let cause = if random { "at random" } else { "by the clock" };
            self.begin(time, (place, target), cause, channels, holds);
        }
    }

    fn goes_on(&self, place: usize, target: usize, channels: &Channels) -> bool {
        let index = self.anomalies[place].index(target, channels);
        self.active.iter().any(|active| active.anomaly == place && active.cases.iter().any(|case| case.target == index))
    }

    fn begin(
        &mut self,
        time: Time,
        (place, target): (usize, usize),
        cause: &'static str,
        channels: &Channels,
        holds: Holds,
    ) {
        let anomaly = &self.anomalies[place];
        let index = anomaly.index(target, channels);
        let cases = anomaly.cases(index, channels, |knob| holds(knob, time));
        let until = anomaly.lasts.map(|lasts| later(time, lasts));
        let began = Happened {
            time,
            name: anomaly.name.clone(),
            kind: anomaly.kind.word,
            device: anomaly.device(target),
            size: anomaly.size,
            begins: true,
            cause,
        };
        self.tell(began.clone());
        self.active.push(Active { anomaly: place, cases, until, began });
    }

    /// Ends those that are over.
    fn end(&mut self, time: Time, cause: &'static str, is_over: impl Fn(&Active) -> bool) -> usize {
        let (over, rest): (Vec<Active>, Vec<Active>) = self.active.drain(..).partition(is_over);
        self.active = rest;
        let count = over.len();
        for active in over {
            self.tell(Happened { time, begins: false, cause, ..active.began });
        }
        count
    }

    fn tell(&mut self, event: Happened) {
        if self.happened.len() == REMEMBERED {
            self.happened.drain(..REMEMBERED / 10);
        }
        self.happened.push(event);
    }

    fn named(&self, name: &str) -> Result<usize> {
        if let Some(place) = self.anomalies.iter().position(|anomaly| anomaly.name.as_ref() == name) {
            return Ok(place);
        }
        let names = || self.anomalies.iter().map(|anomaly| anomaly.name.as_ref());
        let report = Diagnostic::new(Sorts::Usage, format!("the twin has no anomaly `{name}`")).near(name, names());
        let all: Vec<&str> = names().collect();
        let how = match all.is_empty() {
            true => "twin.toml names them: [anomalies.NAME]".to_string(),
            false => format!("it has {}", all.join(", ")),
        };
        Err(report.hint(how).into())
    }

    /// Begins what is asked for, at a device of those it may happen to; the first one where none is named.
    pub fn start(
        &mut self,
        name: &str,
        victim: Option<Victim<'_>>,
        now: Time,
        channels: &Channels,
        holds: Holds,
    ) -> Result<()> {
        let place = self.named(name)?;
        let anomaly = &self.anomalies[place];
        let is_other = |victim: &Victim<'_>| {
            // monitors of an orbit and of its turns are the same electrodes under one name
            let own = anomaly.family.as_deref().zip(victim.family).filter(|_| anomaly.kind.sort == Sort::Supply);
            own.is_some_and(|(own, family)| own != family)
        };
        let target = match victim {
            None => 0,
            Some(victim) if is_other(&victim) => {
                let Victim { family, name: device } = victim;
                let what = format!("`{name}` does not happen to {}[\"{device}\"]", family.unwrap_or_default());
                let own = anomaly.family.as_deref().unwrap_or_default();
                return Err(Diagnostic::new(Sorts::Usage, what).hint(format!("it happens to devices of {own}")).into());
            }
            Some(Victim { name: device, .. }) => {
                anomaly.targets.iter().position(|known| known.as_ref() == device).ok_or_else(|| {
                    let what = format!("`{name}` does not happen to `{device}`");
                    let known = anomaly.targets.iter().map(AsRef::as_ref);
                    Box::new(Diagnostic::new(Sorts::Usage, what).near(device, known))
                })?
            }
        };
        if self.goes_on(place, target, channels) {
            let at = anomaly.device(target).map_or(String::new(), |device| format!(" at {device}"));
            return Err(Diagnostic::new(Sorts::Usage, format!("`{name}` goes on already{at}")).into());
        }
        self.begin(now, (place, target), "started", channels, holds);
        Ok(())
    }

    /// Ends all that goes on under a name.
    pub fn stop(&mut self, name: &str, now: Time) -> Result<()> {
        let place = self.named(name)?;
        match self.end(now, "stopped", |active| active.anomaly == place) {
            0 => Err(Diagnostic::new(Sorts::Usage, format!("`{name}` does not go on")).into()),
            _ => Ok(()),
        }
    }

    /// Whether something goes on that changes while it lasts.
    pub fn grows(&self) -> bool {
        self.active.iter().any(|active| self.anomalies[active.anomaly].kind.grows)
    }

    /// Puts what goes wrong on what is true.
    pub fn happen(&self, now: Time, present: &mut Present) {
        for active in &self.active {
            let lasts = (now.0 - active.began.time.0) as f64 * 1e-9;
            let happens = self.anomalies[active.anomaly].kind.happens;
            active.cases.iter().for_each(|case| happens(&Case { lasts, ..*case }, present));
        }
    }

    pub fn names(&self) -> Vec<(Arc<str>, &'static str)> {
        self.anomalies.iter().map(|anomaly| (anomaly.name.clone(), anomaly.kind.word)).collect()
    }

    /// What goes on, as it began.
    pub fn active(&self) -> Vec<Happened> {
        self.active.iter().map(|active| active.began.clone()).collect()
    }

    /// What happened from a time on.
    pub fn happened(&self, from: Time) -> Vec<Happened> {
        let first = self.happened.partition_point(|event| event.time < from);
        self.happened[first..].to_vec()
    }
}

fn later(time: Time, seconds: f64) -> Time {
    Time(time.0.saturating_add((seconds * 1e9) as i64))
}

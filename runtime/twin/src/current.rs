//! `[beam]`: the current that is stored, how it is lost, and how it is filled up again.

use crate::beam::Found;
use crate::errors::{buckets, exactly, positive};
use fodo_devices::{Facility, Table};
use fodo_dynamics::{
    Acceptance, AcceptanceShape, Gas, Molecule, MomentumLimits, Sizes, gas_losses, quantum_losses, touschek,
};
use fodo_optics::constants::SPEED_OF_LIGHT;
use fodo_optics::{Optics, Ring};
use fodo_report::Result;
use std::f64::consts::PI;

/// The current of a beam of which nothing is said [A].
pub(crate) const CURRENT: f64 = 0.2;
/// Temperature of the gas [K].
const TEMPERATURE: f64 = 300.0;

/// What `[beam]` says.
#[derive(Clone, Debug)]
pub(crate) struct BeamTable {
    /// At the start, and when it is filled up [A].
    current: f64,
    /// Filled bunches; as many as there are buckets where it is not said.
    bunches: Option<f64>,
    /// Trains of filled buckets, which say more than their number does.
    trains: Vec<Train>,
    /// Part of the horizontal emittance that is added to the vertical one [1].
    coupling: f64,
    /// Largest change of momentum that is survived, besides that of the bucket [1].
    momentum: f64,
    /// Largest amplitudes where the beta functions are largest, besides the apertures of the lattice [m].
    aperture: [f64; 2],
    gas: Option<Gas>,
    /// Filled up when the current has fallen below [A].
    top_up: Option<f64>,
}

/// What scattering within a bunch follows from.
pub(crate) struct Scattered {
    /// Of a bunch, weighted by charge, where the beam makes an ampere [C].
    pub charge: f64,
    pub sizes: Sizes,
    /// Changes of momentum that are survived.
    pub limits: MomentumLimits,
    /// Of the amplitudes in both planes [s].
    damping_times: [f64; 2],
    optics: Optics,
}

/// Buckets in a row that are filled alike.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Train {
    /// Its first bucket, from 0.
    first: usize,
    bunches: usize,
    /// Charge of a bunch against those of other trains [1].
    charge: f64,
}

/// Losses in a second: of the part that is there for each ampere of it [1/(A s)], and of the part that is there [1/s].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub touschek: f64,
    pub gas: f64,
    /// What apertures take of the beam's own tails.
    pub tails: f64,
}

impl Default for BeamTable {
    fn default() -> Self {
        let aperture = [f64::INFINITY; 2];
        BeamTable {
            current: CURRENT,
            bunches: None,
            trains: Vec::new(),
            coupling: 0.0,
            momentum: f64::INFINITY,
            aperture,
            gas: None,
            top_up: None,
        }
    }
}

impl BeamTable {
    pub fn read(table: &Table, facility: &Facility) -> Result<BeamTable> {
        let positive = |key: &str, unit: &str| positive(table, key, unit);
        let current = exactly(table, "current", "A")?.unwrap_or(CURRENT);
        if current < 0.0 {
            return Err(table.mistake("current", "must not be negative"));
        }
        let top_up = positive("top_up_below", "A")?;
        if top_up.is_some_and(|below| below >= current) {
            return Err(table.mistake("top_up_below", "must be below the current that it is filled up to"));
        }
        let aperture = [positive("aperture_x", "m")?, positive("aperture_y", "m")?];
        let beam = BeamTable {
            current,
            bunches: positive("bunches", "1")?,
            trains: read_trains(table, buckets(facility))?,
            coupling: positive("coupling", "1")?.unwrap_or(0.0),
            momentum: positive("momentum_acceptance", "1")?.unwrap_or(f64::INFINITY),
            aperture: aperture.map(|edge| edge.unwrap_or(f64::INFINITY)),
            gas: table.table("gas")?.map(|gas| read_gas(&gas, facility)).transpose()?,
            top_up,
        };
        table.no_other_keys()?;
        Ok(beam)
    }

    /// How the equilibrium beam of a ring with cavities and radiation is lost.
    pub fn rates(&self, ring: &mut Ring) -> Found<Vec<f64>> {
        let Scattered { charge, sizes, limits, damping_times, optics } = self.scattered(ring)?;
        let touschek = touschek(ring, charge, &sizes, &limits).map_err(|e| e.to_string())?;
        let gas = self.gas.as_ref().map_or(Ok(0.0), |gas| self.gas_rate(ring, &optics, gas, &limits))?;
        let emittances = [sizes.emittance_x, sizes.emittance_y];
        let tails = quantum_losses(ring, &optics, emittances, sizes.energy_spread, damping_times);
        Ok(vec![touschek.mean_rate(), gas, tails])
    }

    /// What scattering within a bunch follows from.
    pub fn scattered(&self, ring: &mut Ring) -> Found<Scattered> {
        let beam = ring.equilibrium().map_err(|e| e.to_string())?;
        let bucket = bucket(ring, beam.energy_loss).ok_or("the cavities do not hold the beam")?;
        let limit = bucket.min(self.momentum);
        let optics = ring.optics().map_err(|e| e.to_string())?;
        let limits = MomentumLimits::of_apertures(ring, &optics).map_err(|e| e.to_string())?.within(-limit, limit);
        let sizes = Sizes {
            emittance_x: beam.emittances[0],
            emittance_y: beam.emittances[1].abs() + self.coupling * beam.emittances[0],
            energy_spread: beam.energy_spread,
            length: beam.bunch_length,
        };
        let buckets = ring.harmonic_number().map_or(1, |number| number as usize);
        // a bunch loses by its own charge: so much of it for an ampere of the whole beam
        let share: f64 = self.filling(buckets).iter().map(|part| part * part).sum();
        let [x, y, _] = beam.damping_times;
        Ok(Scattered { charge: ring.length() / SPEED_OF_LIGHT * share, sizes, limits, damping_times: [x, y], optics })
    }

    /// The part of the current that each bucket has [1].
    fn filling(&self, buckets: usize) -> Vec<f64> {
        let mut parts = vec![0.0; buckets];
        for train in &self.trains {
            parts.iter_mut().skip(train.first).take(train.bunches).for_each(|part| *part += train.charge);
        }
        if self.trains.is_empty() {
            let filled = self.bunches.map_or(buckets, |bunches| (bunches as usize).clamp(1, buckets));
            parts[..filled].fill(1.0);
        }
        let sum: f64 = parts.iter().sum();
        parts.iter().map(|part| part / sum).collect()
    }

    fn gas_rate(&self, ring: &Ring, optics: &Optics, gas: &Gas, limits: &MomentumLimits) -> Found<f64> {
        let largest = |beta: &[f64]| beta.iter().copied().fold(0.0, f64::max);
        let own = Acceptance {
            x: self.aperture[0].powi(2) / largest(&optics.beta_x),
            y: self.aperture[1].powi(2) / largest(&optics.beta_y),
            shape: AcceptanceShape::Rectangle,
        };
        let acceptance = Acceptance::of_apertures(ring, optics).and(own);
        let losses = gas_losses(ring, gas, &acceptance, limits).map_err(|e| e.to_string())?;
        Ok(losses.mean_rates().iter().sum())
    }
}

/// `[beam.trains.NAME]`: buckets in a row that are filled.
fn read_trains(table: &Table, buckets: usize) -> Result<Vec<Train>> {
    let Some(trains) = table.table("trains")? else { return Ok(Vec::new()) };
    if table.has("bunches") {
        return Err(table.mistake("bunches", "is said by `trains`"));
    }
    trains.tables().into_iter().map(|(_, train)| read_train(&train, buckets)).collect()
}

fn read_train(table: &Table, buckets: usize) -> Result<Train> {
    let whole = |key: &str, least: f64| match table.number(key)? {
        Some(number) if number >= least && number.fract() == 0.0 => Ok(number as usize),
        Some(_) => Err(table.mistake(key, format!("must be a whole number from {least} on"))),
        None => Err(table.mistake(key, "is missing")),
    };
    let charge = positive(table, "charge", "1")?.unwrap_or(1.0);
    let train = Train { first: whole("first", 0.0)?, bunches: whole("bunches", 1.0)?, charge };
    if train.first + train.bunches > buckets {
        return Err(table.mistake("bunches", format!("ends behind the last of {buckets} buckets")));
    }
    table.no_other_keys()?;
    Ok(train)
}

/// `[beam.gas]`: `pressure`, or a `profile` of it along the ring, and the parts of it by formula.
fn read_gas(table: &Table, facility: &Facility) -> Result<Gas> {
    let profile = match (exactly(table, "pressure", "mbar")?, table.text("profile")?) {
        (Some(pressure), None) => vec![(0.0, pressure)],
        (None, Some(path)) => read_profile(table, path, facility)?,
        (None, None) => return Err(table.mistake("pressure", "is missing")),
        (Some(_), Some(_)) => return Err(table.mistake("profile", "says the pressure already: leave out `pressure`")),
    };
    let mut parts = Vec::new();
    for key in table.keys().into_iter().filter(|key| !["pressure", "profile"].contains(key)) {
        parts.push((key, exactly(table, key, "1")?.unwrap_or(0.0)));
    }
    let Some(&(first, _)) = parts.first() else {
        return Err(table.mistake("pressure", "of what gas? Say its parts: H2 = 0.8, CO = 0.2"));
    };
    let wrong = |error: fodo_dynamics::NoLifetime| table.mistake(first, error.to_string());
    let part = |&(formula, share): &(&str, f64)| {
        Ok((Molecule::new(formula).map_err(wrong)?, profile.iter().map(|(_, pressure)| share * pressure).collect()))
    };
    let parts = parts.iter().map(part).collect::<Result<Vec<_>>>()?;
    Gas::new(profile.iter().map(|(position, _)| *position).collect(), parts, TEMPERATURE).map_err(wrong)
}

/// Lines of a position [m] and the pressure there [mbar]; a first line with names is skipped.
fn read_profile(table: &Table, path: &str, facility: &Facility) -> Result<Vec<(f64, f64)>> {
    let text = facility.files().text(path);
    let text = text.ok_or_else(|| table.mistake("profile", format!("there is no file {path}")))?;
    let mut profile = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let columns: Vec<Option<f64>> = line.split(',').map(|column| column.trim().parse().ok()).collect();
        match columns.as_slice() {
            [Some(position), Some(pressure)] => profile.push((*position, 100.0 * pressure)),
            [None, None] if profile.is_empty() => {}
            _ => {
                let what = format!("{path}, line {}: a position in m and a pressure in mbar are needed", number + 1);
                return Err(table.mistake("profile", what));
            }
        }
    }
    Ok(profile)
}

/// Half height of the bucket [1] (M. Sands, SLAC-121 (1970), equation 3.71 with the energy loss of the ring).
fn bucket(ring: &Ring, loss: f64) -> Option<f64> {
    let (voltage, harmonic) = (ring.rf_voltage(), f64::from(ring.harmonic_number()?));
    let over = voltage / loss;
    let slip = ring.slip_factor().ok()?.abs();
    let room = 2.0 * ((over * over - 1.0).sqrt() - (1.0 / over).acos());
    (over > 1.0).then(|| (loss / (PI * slip * harmonic * ring.energy()) * room).sqrt())
}

/// What is stored.
#[derive(Debug)]
pub(crate) struct Store {
    table: Option<BeamTable>,
    /// The current at a moment [A, s].
    current: f64,
    since: f64,
    rates: Rates,
    /// What is wrong with the vacuum, and what else is lost [1, 1/s].
    gas: f64,
    loss: f64,
}

impl Store {
    pub fn new(table: Option<BeamTable>) -> Store {
        let current = table.as_ref().map_or(CURRENT, |table| table.current);
        Store { table, current, since: 0.0, rates: Rates::default(), gas: 1.0, loss: 0.0 }
    }

    /// Whether the current falls by itself.
    pub fn decays(&self) -> bool {
        self.table.is_some()
    }

    /// The same losses in another way from now on.
    pub fn set_losses(&mut self, rates: Rates, gas: f64, loss: f64, now: f64) {
        if (rates, gas, loss) != (self.rates, self.gas, self.loss) {
            self.current = self.at(now);
            self.since = now;
            (self.rates, self.gas, self.loss) = (rates, gas, loss);
        }
    }

    /// Whether nothing is stored.
    pub fn is_lost(&self) -> bool {
        self.current == 0.0
    }

    /// Everything is lost now.
    pub fn lose(&mut self, now: f64) {
        (self.current, self.since) = (0.0, now);
    }

    /// The current of each bucket [A], where so much is stored.
    pub fn filling(&self, current: f64, buckets: usize) -> Vec<f64> {
        let parts = self.table.clone().unwrap_or_default().filling(buckets);
        parts.into_iter().map(|part| part * current).collect()
    }

    /// A part of it is left now [1].
    pub fn keep(&mut self, part: f64, now: f64) {
        (self.current, self.since) = (part * self.at(now), now);
    }

    /// A shot that was injected adds to it [A].
    pub fn add(&mut self, current: f64, now: f64) {
        (self.current, self.since) = (self.at(now) + current, now);
    }

    /// Why nothing is stored, where it does not fill itself.
    pub fn why_empty(&self) -> &'static str {
        match self.table.as_ref().is_some_and(|table| table.current == 0.0) {
            true => "no beam is stored: `[beam]` starts without one, and nothing that was injected is left",
            false => "no beam is stored: it was lost, and `[beam]` has no `top_up_below`",
        }
    }

    /// It is filled up at once.
    pub fn fill(&mut self, now: f64) {
        self.current = self.table.as_ref().map_or(CURRENT, |table| table.current);
        self.since = now;
    }

    /// Whether a lost beam comes back by itself.
    pub fn fills_itself(&self) -> bool {
        self.table.as_ref().is_none_or(|table| table.top_up.is_some())
    }

    fn linear(&self) -> f64 {
        self.gas * self.rates.gas + self.rates.tails + self.loss
    }

    /// The current now [A], filled up as often as it had to be; dI/dt = -(a + b I) I between. Without a table it stays.
    pub fn at(&self, now: f64) -> f64 {
        let Some(table) = &self.table else { return self.current };
        let passed = now - self.since;
        let below = table.top_up.map(|below| (below, table.current));
        let Some((below, full)) = below.filter(|_| self.current > 0.0) else {
            return self.left(self.current, passed);
        };
        let first = self.until(self.current, below);
        if passed < first {
            return self.left(self.current, passed);
        }
        let cycle = self.until(full, below);
        self.left(full, if cycle.is_finite() && cycle > 0.0 { (passed - first) % cycle } else { 0.0 })
    }

    fn left(&self, current: f64, passed: f64) -> f64 {
        let (a, b) = (self.linear(), self.rates.touschek);
        // the time that passed, as losses within the beam see it; right also where a is next to nothing
        let seen = if a == 0.0 { passed } else { -(-a * passed).exp_m1() / a };
        current * (-a * passed).exp() / (1.0 + b * current * seen)
    }

    /// Time in which a current falls to another [s].
    fn until(&self, from: f64, to: f64) -> f64 {
        let (a, b) = (self.linear(), self.rates.touschek);
        if from <= to {
            return 0.0;
        }
        if a == 0.0 {
            return (from / to - 1.0) / (b * from);
        }
        (a * (from - to) / (to * (a + b * from))).ln_1p() / a
    }

    /// I / (-dI/dt) now [s].
    pub fn lifetime(&self, now: f64) -> f64 {
        1.0 / (self.linear() + self.rates.touschek * self.at(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(top_up: Option<f64>) -> BeamTable {
        BeamTable { top_up, ..BeamTable::default() }
    }

    /// Against small steps of the same equation.
    #[test]
    fn current_falls_as_its_equation_says() {
        let mut store = Store::new(Some(table(None)));
        let rates = Rates { touschek: 1e-4, gas: 2e-5, tails: 0.0 };
        store.set_losses(rates, 1.5, 1e-6, 0.0);
        let (mut current, steps, end) = (0.2, 1_000_000, 20_000.0);
        for _ in 0..steps {
            let slope = |i: f64| -(1.5 * rates.gas + 1e-6 + rates.touschek * i) * i;
            let half = current + 0.5 * end / f64::from(steps) * slope(current);
            current += end / f64::from(steps) * slope(half);
        }
        assert!((store.at(end) / current - 1.0).abs() < 1e-9, "{} {current}", store.at(end));
        let step = 1e-2;
        let slope = (store.at(end + step) - store.at(end - step)) / (2.0 * step);
        assert!((store.lifetime(end) / (-store.at(end) / slope) - 1.0).abs() < 1e-6);
        // other losses from a moment on leave no step
        let before = store.at(300.0);
        store.set_losses(Rates { gas: 1e-3, ..Rates::default() }, 1.0, 0.0, 300.0);
        assert_eq!(store.at(300.0), before);
        assert!((store.at(1300.0) / before - (-1.0_f64).exp()).abs() < 1e-12);
    }

    /// Losses of a part of the beam that are next to nothing hide nothing.
    #[test]
    fn what_is_next_to_nothing_changes_nothing() {
        let with = |tails: f64| {
            let mut store = Store::new(Some(table(Some(0.19))));
            store.set_losses(Rates { touschek: 1e-4, gas: 0.0, tails }, 1.0, 0.0, 0.0);
            [100.0, 1000.0, 5000.0].map(|time| store.at(time))
        };
        let alike =
            |tails: f64| with(tails).iter().zip(with(0.0)).all(|(one, other)| (one / other - 1.0).abs() < 1e-12);
        assert!(with(0.0)[0] < 0.2 && alike(1e-300) && alike(1e-30));
    }

    #[test]
    fn top_up_keeps_it_between_two_currents() {
        let mut store = Store::new(Some(table(Some(0.19))));
        store.set_losses(Rates { touschek: 1e-4, gas: 2e-5, tails: 0.0 }, 1.0, 0.0, 0.0);
        let all: Vec<f64> = (0..20_000).map(|second| store.at(f64::from(second))).collect();
        let (least, most) = all.iter().fold((1.0_f64, 0.0_f64), |(low, high), &i| (low.min(i), high.max(i)));
        assert!((0.19..0.1901).contains(&least) && most == 0.2, "{least} {most}");
        let fills = all.windows(2).filter(|pair| pair[1] > pair[0]).count();
        assert!((15..=17).contains(&fills), "{fills}");
        store.lose(20_000.0);
        assert_eq!(store.at(20_001.0), 0.0);
        store.fill(20_002.0);
        assert_eq!(store.at(20_002.0), 0.2);
    }
}

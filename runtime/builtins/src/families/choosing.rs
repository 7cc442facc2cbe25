//! Devices chosen from families: by place, slice, mask, name and condition; sets of them; neighbours along the beam.

use super::{Member, Members, document, own_family};
use crate::context::{Context, here};
use crate::vector::{Mask, chosen};
use fodo_devices::{Device, Family};
use fodo_language::{Outcome, article, fail, script_error, type_word};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use rhai::{Array, Dynamic, Engine, FuncRegistration, INT, NativeCallContext};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

impl Members {
    fn with(&self, devices: Vec<Arc<Device>>) -> Members {
        Members { family: self.family.clone(), devices: devices.into() }
    }

    /// Devices by slice, mask, or a list of places, names and devices.
    fn pick(&self, index: &Dynamic) -> Outcome<Members> {
        if let Some(list) = index.read_lock::<Array>() {
            let one = |item: &Dynamic| -> Outcome<Arc<Device>> {
                if let Ok(place) = item.as_int() {
                    return Ok(self.at(place)?.device);
                }
                if let Some(member) = item.read_lock::<Member>() {
                    let ours = self.devices.iter().find(|ours| same(ours, &member.device));
                    return ours.cloned().ok_or_else(|| fail(self.unknown(&member.device.name)));
                }
                match item.clone().into_string() {
                    Ok(name) => Ok(self.member(&name)?.device),
                    Err(_) => Err(script_error("a list of devices holds places, names and devices")),
                }
            };
            return Ok(self.with(list.iter().map(one).collect::<Outcome<_>>()?));
        }
        let places = chosen(index, self.devices.len(), "family")?;
        Ok(self.with(places.into_iter().map(|place| self.devices[place].clone()).collect()))
    }

    pub(super) fn has(&self, device: &Device) -> bool {
        self.devices.iter().any(|ours| same(ours, device))
    }

    /// The devices of both, each once.
    fn joined(&self, other: &Members) -> Members {
        if Arc::ptr_eq(&self.family, &other.family) {
            return self.family_order(|device| self.has(device) || other.has(device));
        }
        let theirs = other.devices.iter().filter(|device| !self.has(device));
        let mut devices: Vec<Arc<Device>> = self.devices.iter().chain(theirs).cloned().collect();
        if devices.iter().all(|device| device.family == self.family.name) {
            return self.with(devices);
        }
        devices.sort_by(|a, b| a.s.total_cmp(&b.s));
        Members { family: Arc::new(union(&self.family, &other.family, &devices)), devices: devices.into() }
    }

    /// Devices of its family in the family's order.
    fn family_order(&self, keep: impl Fn(&Device) -> bool) -> Members {
        self.with(self.family.devices.iter().filter(|device| keep(device)).cloned().collect())
    }

    /// Devices with their distance from `s`, the nearest first; those at `s` itself are passed over when going one way.
    fn from(&self, s: f64, way: Way, around: Around) -> Vec<(f64, &Arc<Device>)> {
        let placed = self.devices.iter().filter(|device| stands(device));
        let distance = |device: &Arc<Device>| match way {
            Way::Downstream => around.on(device.s - s),
            Way::Upstream => around.on(s - device.s),
            Way::Either => around.apart(device.s - s),
        };
        let mut found: Vec<(f64, &Arc<Device>)> = placed.map(|device| (distance(device), device)).collect();
        found.retain(|(distance, _)| distance.is_finite());
        if !matches!(way, Way::Either) {
            found.retain(|(distance, _)| *distance > HERE && around.0 - distance > HERE);
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found
    }

    /// All devices from `s` on, once round the ring; without those that `ends` name.
    fn all_round(&self, s: f64, around: Around, ends: &[&Dynamic]) -> Members {
        let named = |device: &Device| {
            ends.iter().any(|end| end.read_lock::<Member>().is_some_and(|end| same(&end.device, device)))
        };
        let inside = self.devices.iter().filter(|device| stands(device) && !named(device));
        let mut devices: Vec<Arc<Device>> = inside.cloned().collect();
        let on = |device: &Device| around.on(device.s - s);
        devices.sort_by(|a, b| on(a).total_cmp(&on(b)));
        self.with(devices)
    }
}

/// Length of the way after which the beam is back where it was [m]; without end in a line.
#[derive(Clone, Copy)]
struct Around(f64);

impl Around {
    fn of(context: &Context) -> Around {
        let length = context.facility.positions.last().copied().unwrap_or(0.0);
        Around(if context.facility.kind.is_ring() { length } else { f64::INFINITY })
    }

    /// The way on to what lies so far ahead [m]; in a line the beam does not come to what lies behind.
    fn on(self, ahead: f64) -> f64 {
        match self.0.is_finite() {
            true => ahead.rem_euclid(self.0),
            false if ahead < 0.0 => f64::INFINITY,
            false => ahead,
        }
    }

    /// The way to it on the nearer side [m].
    fn apart(self, ahead: f64) -> f64 {
        let on = self.on(ahead);
        if self.0.is_finite() { on.min(self.0 - on) } else { ahead.abs() }
    }
}

/// Where one looks for neighbours.
#[derive(Clone, Copy)]
enum Way {
    Downstream,
    Upstream,
    Either,
}

/// Devices nearer to each other than this stand at one place [m].
const HERE: f64 = 1e-9;

pub(super) fn same(a: &Device, b: &Device) -> bool {
    a.family == b.family && a.name == b.name
}

fn stands(device: &Device) -> bool {
    !device.elements.is_empty()
}

/// A family of what two families have: the slower settling, the longer averaging count.
fn union(a: &Family, b: &Family, devices: &[Arc<Device>]) -> Family {
    let both = |a: &Arc<str>, b: &Arc<str>, word: &str| match a == b {
        true => a.clone(),
        false => format!("{a}{word}{b}").into(),
    };
    Family {
        name: both(&a.name, &b.name, " + "),
        role: both(&a.role, &b.role, ", "),
        source: both(&a.source, &b.source, ", "),
        devices: devices.to_vec(),
        settle: a.settle.max(b.settle),
        period: a.period.max(b.period),
        average: a.average.max(b.average),
        hysteresis: a.hysteresis && b.hysteresis,
    }
}

/// A place along the beam: a device or a length.
fn place(place: &Dynamic) -> Outcome<(f64, String)> {
    if let Some(member) = place.read_lock::<Member>() {
        return match stands(&member.device) {
            true => Ok((member.device.s, member.device.shown())),
            false => Err(script_error(format!("{} stands nowhere in the lattice", member.device.shown()))),
        };
    }
    let along = Unit::position();
    match crate::quantity::from_dynamic(place) {
        Some(s) if s.check(&along).is_ok() || crate::quantity::in_metres(&s.unit, &along) => {
            Ok((s.si, Quantity::from_si(s.si, along).to_string()))
        }
        _ => {
            let found = article(&type_word(place.type_name()));
            let report = Diagnostic::new(Kind::Script, format!("a place is a device or a length, found {found}"));
            Err(fail(Box::new(report.hint("`QF[0]`, `12.0 * m`, or the number of metres"))))
        }
    }
}

/// The nearest devices from a place on.
fn neighbours(context: &Context, members: &Members, from: &Dynamic, way: Way, count: usize) -> Outcome<Members> {
    let (s, said) = place(from)?;
    let around = Around::of(context);
    let found = members.from(s, way, around);
    if found.len() < count {
        return Err(script_error(format!(
            "{} has {} devices beside {said}, {count} were asked for",
            members.family.name,
            found.len()
        )));
    }
    Ok(members.with(found.into_iter().take(count).map(|(_, device)| device.clone()).collect()))
}

fn neighbour(context: &Context, members: &Members, from: &Dynamic, way: Way) -> Outcome<Member> {
    neighbours(context, members, from, way, 1)?.at(0)
}

fn counted(count: INT) -> Outcome<usize> {
    usize::try_from(count).map_err(|_| script_error(format!("{count} devices cannot be asked for")))
}

/// Devices from one place on to another, in the order of the beam.
fn between(context: &Context, members: &Members, from: &Dynamic, to: &Dynamic) -> Outcome<Members> {
    let ends = [from, to];
    let ((from, _), (to, _)) = (place(from)?, place(to)?);
    let around = Around::of(context);
    if to - from >= around.0 - HERE {
        return Ok(members.all_round(from, around, &ends));
    }
    let length = around.on(to - from);
    if length.is_infinite() {
        return Err(script_error(format!(
            "{} is a {}: the second place lies upstream",
            context.facility.name, context.facility.kind
        )));
    }
    let found = members.from(from, Way::Downstream, around);
    let inside = found.into_iter().filter(|(distance, _)| *distance < length - HERE);
    Ok(members.with(inside.map(|(_, device)| device.clone()).collect()))
}

/// The next device of a device's own family.
fn beside(context: &NativeCallContext, member: &Member, step: isize) -> Outcome<Member> {
    let family = own_family(context, member)?;
    let all = &family.devices;
    let at = all.iter().position(|device| same(device, &member.device));
    let at = at.ok_or_else(|| script_error(format!("{} is not in its family", member.device.shown())))?;
    let next = at as isize + step;
    let around = next.rem_euclid(all.len() as isize);
    let facility = &here(context)?.facility;
    if next != around && !facility.kind.is_ring() {
        let which = if step > 0 { "last" } else { "first" };
        let (shown, kind) = (member.device.shown(), facility.kind);
        return Err(script_error(format!("{shown} is the {which} of its family, and {} is a {kind}", facility.name)));
    }
    Ok(Member { device: all[around as usize].clone(), family })
}

/// Registers what chooses devices.
pub(super) fn register(engine: &mut Engine) {
    index(engine);
    sets(engine);
    along_the_beam(engine);
    conditions(engine);
}

fn index(engine: &mut Engine) {
    engine
        .register_indexer_get(|m: &mut Members, r: Range<INT>| m.pick(&Dynamic::from(r)))
        .register_indexer_get(|m: &mut Members, r: RangeInclusive<INT>| m.pick(&Dynamic::from(r)))
        .register_indexer_get(|m: &mut Members, mask: Mask| m.pick(&Dynamic::from(mask)))
        .register_indexer_get(|m: &mut Members, list: Array| m.pick(&Dynamic::from(list)))
        .register_indexer_set(|m: &mut Members, place: INT, value: Dynamic| -> Outcome<()> {
            let device = m.at(place)?;
            // from `HCOR[0].step(…)` comes back the device itself, or nothing if the function took it
            let itself = value.read_lock::<Member>().is_some_and(|value| same(&value.device, &device.device));
            if itself || value.is_unit() {
                return Ok(());
            }
            let shown = device.device.shown();
            let report = Diagnostic::new(Kind::Script, format!("nothing is set by `{}[{place}] = …`", m.family.name));
            Err(fail(Box::new(
                report.hint(format!("`{shown}.set(value)` sets its main field, `{shown}.step(change)` steps it")),
            )))
        });
}

/// Union, intersection, difference; a device counts as a family of one.
fn sets(engine: &mut Engine) {
    fn all<A: AsMembers, B: AsMembers>(engine: &mut Engine) {
        for name in ["+", "|"] {
            engine.register_fn(name, |a: A, b: B| a.members().joined(&b.members()));
        }
        engine.register_fn("-", |a: A, b: B| {
            let without = b.members();
            a.members().some(|device| !without.has(device))
        });
        engine.register_fn("&", |a: A, b: B| {
            let both = b.members();
            a.members().some(|device| both.has(device))
        });
    }
    all::<Members, Members>(engine);
    all::<Members, Member>(engine);
    all::<Member, Members>(engine);
    all::<Member, Member>(engine);
    let equal = |a: &Members, b: &Members| {
        a.devices.len() == b.devices.len() && a.devices.iter().zip(b.devices.iter()).all(|(a, b)| same(a, b))
    };
    engine.register_fn("==", move |a: Members, b: Members| equal(&a, &b));
    engine.register_fn("!=", move |a: Members, b: Members| !equal(&a, &b));
    engine.register_fn("==", |a: Member, b: Member| same(&a.device, &b.device));
    engine.register_fn("!=", |a: Member, b: Member| !same(&a.device, &b.device));
    document!(
        engine,
        "contains",
        ["members: family", "device: device", "boolean"],
        "/// Tells whether a device belongs to a family or a part of it; `device in members` is the same.\n///\n\
         /// # Parameters\n/// - `device`: a device, or its name as text.\n///\n\
         /// # Returns\n/// `true` or `false`.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(HCOR[3] in HCOR[0..4]);\n/// assert(!(HCOR[4] in HCOR[0..4]));\n/// ```",
        |m: Members, device: Member| m.has(&device.device)
    );
    engine
        .register_fn("contains", |m: Members, name: &str| m.devices.iter().any(|device| device.name.as_ref() == name));
}

/// A family, or one device as one.
trait AsMembers: Clone + Send + Sync + 'static {
    fn members(&self) -> Members;
}

impl AsMembers for Members {
    fn members(&self) -> Members {
        self.clone()
    }
}

impl AsMembers for Member {
    fn members(&self) -> Members {
        Members::one(self)
    }
}

fn along_the_beam(engine: &mut Engine) {
    document!(
        engine,
        "downstream",
        ["members: family", "place: device, quantity or number", "device"],
        "/// Finds the first device of a family downstream of a place; in a ring the first comes again after the last.\n///\n\
         /// # Parameters\n/// - `members`: a family or a part of it.\n/// - `place`: a device, or a place along the machine [m]. What stands at that place is passed over.\n///\n\
         /// # Returns\n/// The device; with a third argument, `count`, that many devices, the nearest first.\n///\n\
         /// # Errors\n/// - `a place is`: it is neither a device nor a length or number.\n/// - `were asked for`: the family has not so many.\n///\n\
         /// # Example\n/// ```rhai\n/// let monitor = BPM.downstream(QF[0]);\n/// assert(monitor.s > QF[0].s);\n/// ```",
        |c: NativeCallContext, m: Members, place: Dynamic| neighbour(&*here(&c)?, &m, &place, Way::Downstream)
    );
    document!(
        engine,
        "downstream",
        ["members: family", "place: device, quantity or number", "count: integer", "family"],
        "/// Finds the next devices of a family downstream of a place; see `downstream(members, place)`.",
        |c: NativeCallContext, m: Members, place: Dynamic, count: INT| {
            neighbours(&*here(&c)?, &m, &place, Way::Downstream, counted(count)?)
        }
    );
    document!(
        engine,
        "upstream",
        ["members: family", "place: device, quantity or number", "device"],
        "/// Finds the last device of a family upstream of a place; in a ring the last comes again before the first.\n///\n\
         /// # Parameters\n/// - `members`: a family or a part of it.\n/// - `place`: a device, or a place along the machine [m]. What stands at that place is passed over.\n///\n\
         /// # Returns\n/// The device; with a third argument, `count`, that many devices, the nearest first.\n///\n\
         /// # Errors\n/// As `downstream`.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(BPM.upstream(BPM[1]) == BPM[0]);\n/// ```",
        |c: NativeCallContext, m: Members, place: Dynamic| neighbour(&*here(&c)?, &m, &place, Way::Upstream)
    );
    document!(
        engine,
        "upstream",
        ["members: family", "place: device, quantity or number", "count: integer", "family"],
        "/// Finds the last devices of a family upstream of a place; see `upstream(members, place)`.",
        |c: NativeCallContext, m: Members, place: Dynamic, count: INT| {
            neighbours(&*here(&c)?, &m, &place, Way::Upstream, counted(count)?)
        }
    );
    document!(
        engine,
        "nearest",
        ["members: family", "place: device, quantity or number", "device"],
        "/// Finds the device of a family that is nearest to a place, on either side.\n///\n\
         /// # Parameters\n/// - `members`: a family or a part of it.\n/// - `place`: a device, or a place along the machine [m]; centres count.\n///\n\
         /// # Returns\n/// The device; with a third argument, `count`, that many devices, the nearest first.\n///\n\
         /// # Errors\n/// As `downstream`.\n///\n\
         /// # Example\n/// ```rhai\n/// let corrector = HCOR.nearest(BPM[4]);\n/// ```",
        |c: NativeCallContext, m: Members, place: Dynamic| neighbour(&*here(&c)?, &m, &place, Way::Either)
    );
    document!(
        engine,
        "nearest",
        ["members: family", "place: device, quantity or number", "count: integer", "family"],
        "/// Finds the devices of a family that are nearest to a place; see `nearest(members, place)`.",
        |c: NativeCallContext, m: Members, place: Dynamic, count: INT| {
            neighbours(&*here(&c)?, &m, &place, Way::Either, counted(count)?)
        }
    );
    document!(
        engine,
        "between",
        ["members: family", "from: device, quantity or number", "to: device, quantity or number", "family"],
        "/// Gives the devices of a family between two places, going downstream from the first to the second.\n///\n\
         /// # Parameters\n/// - `members`: a family or a part of it.\n/// - `from`, `to`: devices, or places along the machine [m]. What stands at them is left out.\n///\n\
         /// # Returns\n/// Those devices, in the order of the beam; across the end of the ring if `to` is before `from`, all of them from 0 to the length of the ring.\n///\n\
         /// # Errors\n/// - `a place is`: one is neither a device nor a length or number.\n/// - `script`: in a line, the second lies upstream.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(BPM.between(BPM[2], BPM[5]) == BPM[3..5]);\n/// ```",
        |c: NativeCallContext, m: Members, from: Dynamic, to: Dynamic| between(&*here(&c)?, &m, &from, &to)
    );
    document!(
        engine,
        "next",
        ["device: device", "device"],
        "/// Gives the next device of the same family; in a ring after the last the first.\n///\n\
         /// # Returns\n/// The device.\n///\n\
         /// # Errors\n/// - `script`: in a line, one beyond its end.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(BPM[3].next() == BPM[4]);\n/// assert(BPM[-1].next() == BPM[0]);\n/// ```",
        |c: NativeCallContext, device: Member| beside(&c, &device, 1)
    );
    document!(
        engine,
        "previous",
        ["device: device", "device"],
        "/// Gives the previous device of the same family; in a ring before the first the last.\n///\n\
         /// # Returns\n/// The device.\n///\n\
         /// # Errors\n/// - `script`: in a line, one beyond its end.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(BPM[3].previous() == BPM[2]);\n/// ```",
        |c: NativeCallContext, device: Member| beside(&c, &device, -1)
    );
}

fn conditions(engine: &mut Engine) {
    document!(
        engine,
        "without",
        ["members: family", "names: text, device, family or array", "family"],
        "/// Gives the devices of a family without those named.\n///\n\
         /// # Parameters\n/// - `names`: device names separated by commas, a device, a family, or an array of these.\n///\n\
         /// # Returns\n/// The remaining devices, in their order.\n///\n\
         /// # Errors\n/// - `script`: the family has no such device.\n///\n\
         /// # Example\n/// ```rhai\n/// let good = BPM.without([BPM[3]]);\n/// assert(good.len == BPM.len - 1);\n/// ```",
        |m: Members, which: Dynamic| m.without(&which)
    );
    document!(
        engine,
        "where",
        ["members: family", "condition: function", "family"],
        "/// Gives the devices of a family for which a condition holds.\n///\n\
         /// # Parameters\n/// - `condition`: a function of one device, such as `|q| q.s > 100.0`: places count in metres.\n///\n\
         /// # Returns\n/// Those devices, in their order.\n///\n\
         /// # Errors\n/// - `script`: the condition does not answer true or false.\n///\n\
         /// # Example\n/// ```rhai\n/// let first_half = BPM.where(|b| b.s < 38.4);\n/// ```",
        |c: NativeCallContext, m: Members, condition: Dynamic| -> Outcome<Members> {
            let condition = fodo_language::Callback::from_dynamic(&c, condition, "the condition")?;
            let mut kept = Vec::new();
            for member in m.clone() {
                let device = member.device.clone();
                let answer = condition.call(&c, (member,))?;
                if answer.as_bool().map_err(|found| {
                    let found = article(&type_word(found));
                    script_error(format!("the condition must answer true or false, not {found}"))
                })? {
                    kept.push(device);
                }
            }
            Ok(Members { family: m.family.clone(), devices: kept.into() })
        }
    );
}

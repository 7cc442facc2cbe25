//! Families and devices as scripts see them.

mod choosing;
mod setting;

use crate::Property;
use crate::context::{Context, here, sampling};
use crate::vector::Vector;
use choosing::same;
use fodo_devices::{Device, Family, Field};
use fodo_language::{OrFail, Outcome, article, fail, script_error, type_word};
use fodo_measure::sample;
use fodo_report::{Diagnostic, Kind, did_you_mean};
use fodo_units::{Quantity, Unit};
use rhai::{Array, Dynamic, Engine, FuncRegistration, INT, ImmutableString, Module, NativeCallContext};
use setting::write;
use std::sync::Arc;
use std::time::Duration;

/// Devices of one family: the family itself, in lattice order, or a part of it, in the order in which it was chosen.
#[derive(Clone)]
pub struct Members {
    /// The family they belong to.
    pub family: Arc<Family>,
    /// The devices.
    pub devices: Arc<[Arc<Device>]>,
}

/// One device.
#[derive(Clone)]
pub struct Member {
    /// The family it belongs to.
    pub family: Arc<Family>,
    /// The device.
    pub device: Arc<Device>,
}

impl Members {
    /// A whole family.
    pub fn all(family: &Arc<Family>) -> Members {
        Members { family: family.clone(), devices: family.devices.clone().into() }
    }

    /// One device.
    pub fn one(member: &Member) -> Members {
        Members { family: member.family.clone(), devices: Arc::from([member.device.clone()]) }
    }

    fn some(&self, keep: impl Fn(&Device) -> bool) -> Members {
        let devices = self.devices.iter().filter(|d| keep(d)).cloned().collect();
        Members { family: self.family.clone(), devices }
    }

    fn member(&self, name: &str) -> Outcome<Member> {
        let mut found = self.devices.iter().filter(|d| d.name.as_ref() == name);
        let device = found.next().ok_or_else(|| fail(self.unknown(name)))?;
        if let Some(other) = found.find(|other| !same(other, device)) {
            let both = format!("{} and {}", device.shown(), other.shown());
            return Err(script_error(format!("\"{name}\" is the name of {both}: choose it in its own family")));
        }
        Ok(Member { family: self.family.clone(), device: device.clone() })
    }

    fn unknown(&self, name: &str) -> Box<Diagnostic> {
        let names = || self.devices.iter().map(|d| d.name.as_ref());
        let report = Diagnostic::new(Kind::Script, format!("{} has no device \"{name}\"", self.family.name));
        match (did_you_mean(name, names()), names().next()) {
            (Some(hint), _) => report.hint(hint),
            (None, Some(first)) => {
                report.hint(format!("its {} devices are called like \"{first}\"", self.devices.len()))
            }
            (None, None) => report.hint("it is empty"),
        }
        .into()
    }

    fn at(&self, index: INT) -> Outcome<Member> {
        let count = self.devices.len() as INT;
        let place = if index < 0 { index + count } else { index };
        match self.devices.get(place.max(0) as usize).filter(|_| place >= 0) {
            Some(device) => Ok(Member { family: self.family.clone(), device: device.clone() }),
            None => {
                Err(script_error(format!("{}[{index}]: there are {count} devices, counted from 0", self.family.name)))
            }
        }
    }

    /// The devices less those given: names, devices, families, arrays of them.
    fn without(&self, which: &Dynamic) -> Outcome<Members> {
        if let Some(array) = which.read_lock::<Array>() {
            return array.iter().try_fold(self.clone(), |left, one| left.without(one));
        }
        if let Some(theirs) = which.read_lock::<Members>() {
            return self.without_devices(&theirs.devices);
        }
        if let Some(member) = which.read_lock::<Member>() {
            return self.without_devices(std::slice::from_ref(&member.device));
        }
        let wrong = || script_error("device names are needed: a text, a device, or an array of them");
        let list = which.clone().into_string().map_err(|_| wrong())?;
        let names: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if let Some(unknown) = names.iter().find(|name| self.family.device(name).is_none()) {
            return Err(fail(Members::all(&self.family).unknown(unknown)));
        }
        Ok(self.some(|device| !names.contains(&device.name.as_ref())))
    }

    fn without_devices(&self, theirs: &[Arc<Device>]) -> Outcome<Members> {
        // one outside a part of the family is left out already
        let all = Members::all(&self.family);
        if let Some(other) = theirs.iter().find(|device| !all.has(device)) {
            return Err(fail(all.unknown(&other.name)));
        }
        Ok(self.some(|device| !theirs.iter().any(|other| same(other, device))))
    }
}

/// Something that is asked of devices: which field, counted in which unit.
pub(crate) struct Wanted {
    pub field: usize,
    /// Its name; the main field goes by its place, since families may call theirs differently.
    name: Option<Arc<str>>,
    unit: Option<Unit>,
}

impl Wanted {
    const MAIN: Wanted = Wanted { field: 0, name: None, unit: None };

    fn of<'d>(&self, device: &'d Device) -> Outcome<&'d Field> {
        match &self.name {
            None => main(device),
            Some(name) => device.field(name).ok_or_else(|| fail(no_field(device, name))),
        }
    }
}

/// Families that were joined may have fields that do not go into one vector, if no unit was asked for.
fn one_dimension(members: &Members, fields: &[(&Device, &Field)]) -> Outcome<()> {
    let Some((first, field)) = fields.first() else { return Ok(()) };
    let other = fields.iter().find(|(_, other)| other.physics.dimension() != field.physics.dimension());
    other.map_or(Ok(()), |(device, other)| {
        let report = Diagnostic::new(
            Kind::Script,
            format!(
                "`{}` of {} is counted in `{}`, `{}` of {} in `{}`: a vector has one unit",
                field.name,
                first.shown(),
                field.physics,
                other.name,
                device.shown(),
                other.physics
            ),
        );
        Err(fail(Box::new(report.hint(format!("read the families of {} one by one", members.family.name)))))
    })
}

/// Reads `("k1")`, `("A")`, `("k1", "A")`.
pub(crate) fn wanted(device: &Device, first: Option<&str>, second: Option<&str>) -> Outcome<Wanted> {
    let Some(first) = first else { return Ok(Wanted::MAIN) };
    if let Some(field) = device.fields.iter().position(|f| f.name.as_ref() == first) {
        let unit = second.map(Unit::parse).transpose().or_fail()?;
        return Ok(Wanted { field, name: Some(first.into()), unit });
    }
    match Unit::parse(first) {
        Ok(unit) if second.is_none() => Ok(Wanted { unit: Some(unit), ..Wanted::MAIN }),
        _ => Err(fail(no_field(device, first))),
    }
}

fn no_field(device: &Device, name: &str) -> Box<Diagnostic> {
    let fields: Vec<&str> = device.fields.iter().map(|f| f.name.as_ref()).collect();
    Diagnostic::new(Kind::Script, format!("{} has no field `{name}`", device.shown()))
        .near(name, fields.iter().copied())
        .hint(format!("its fields: {}", fields.join(", ")))
        .into()
}

/// A number on the channel as a quantity in the field's physics or hardware unit.
fn shown(field: &Field, physics: f64, unit: Option<&Unit>) -> Outcome<(f64, Unit)> {
    let Some(unit) = unit else { return Ok((physics, field.physics.clone())) };
    if unit.dimension() == field.physics.dimension() {
        return Ok((physics, unit.as_asked()));
    }
    if unit.dimension() == field.hardware.dimension() {
        return Ok((field.calibration.to_hardware(physics), unit.as_asked()));
    }
    let message = format!("{} is counted in {}, not in `{unit}`", what(field), units(field));
    Err(script_error(message))
}

/// A field as it is known: with its device where it can be set.
fn what(field: &Field) -> String {
    field.setpoint.as_ref().map_or_else(|| format!("`{}`", field.name), |setpoint| setpoint.name.to_string())
}

fn units(field: &Field) -> String {
    either(&field.physics, &field.hardware)
}

fn either(physics: &Unit, hardware: &Unit) -> String {
    match physics.dimension() == hardware.dimension() {
        true => format!("`{physics}`"),
        false => format!("`{physics}` or `{hardware}`"),
    }
}

fn wrong_unit(field: &Field, found: &Unit) -> Box<Diagnostic> {
    no_unit(&what(field), &field.physics, &field.hardware, found).into()
}

/// What is told of a plain number, or a value in a wrong unit, where a field (`what`) counts in these two.
pub fn no_unit(what: &str, physics: &Unit, hardware: &Unit, found: &Unit) -> Diagnostic {
    let plain = found.symbol() == "1";
    let found = if plain { "a plain number".to_string() } else { format!("a value in `{found}`") };
    let example = example(physics);
    let hint = if plain { "write the unit, as in" } else { "a value it takes:" };
    Diagnostic::new(Kind::Script, format!("{found} was given where {what} needs {}", either(physics, hardware)))
        .hint(format!("{hint} `{example}`"))
}

fn example(unit: &Unit) -> String {
    match unit.symbol() {
        "1" => "0.5".into(),
        "rad" => "5.0 * urad".into(),
        symbol if symbol.chars().all(char::is_alphanumeric) => format!("5.0 * {symbol}"),
        symbol => format!("quantity(5.0, \"{symbol}\")"),
    }
}

fn setpoint_of(device: &Device, field: &Field) -> Outcome<Arc<fodo_control::Setpoint>> {
    field
        .setpoint
        .clone()
        .ok_or_else(|| script_error(format!("{}.{} can be read but not set", device.shown(), field.name)))
}

/// Reads a field of devices: settled and averaged readings, or setpoints.
fn read(context: &Context, members: &Members, want: &Wanted, setpoints: bool) -> Outcome<Vector> {
    context.connect(members.devices.iter())?;
    let fields: Vec<(&Device, &Field)> =
        members.devices.iter().map(|device| Ok((device.as_ref(), want.of(device)?))).collect::<Outcome<_>>()?;
    if want.unit.is_none() {
        one_dimension(members, &fields)?;
    }
    // a quantity over several supplies is read by all of them
    let over: Vec<(&Device, &Field)> =
        fields.iter().flat_map(|(device, field)| field.over(device).into_iter().map(move |f| (*device, f))).collect();
    let read: Vec<f64> = if setpoints {
        let points = over.iter().map(|(d, f)| setpoint_of(d, f)).collect::<Outcome<Vec<_>>>()?;
        let values = context.session.setpoints(&points).or_fail()?;
        over.iter().zip(values).map(|((_, f), v)| f.to_physics(v)).collect()
    } else {
        let sampling = sampling(&members.family, Duration::ZERO);
        sample(&context.session, &over, sampling).or_fail()?.into_iter().map(|s| s.mean).collect()
    };
    let mut read = read.into_iter();
    let mut physics = Vec::with_capacity(fields.len());
    for (device, field) in &fields {
        let own: Vec<f64> = read.by_ref().take(field.over(device).len()).collect();
        physics.push(match &field.combined {
            Some(combined) => combined.value(&own),
            None => own.first().copied().unwrap_or(f64::NAN),
        });
    }
    let mut unit = fields.first().map_or_else(Unit::none, |(_, f)| f.physics.clone());
    let mut values = Vec::with_capacity(physics.len());
    for ((_, field), physics) in fields.iter().zip(physics) {
        let (value, shown) = shown(field, physics, want.unit.as_ref())?;
        values.push(value);
        unit = shown;
    }
    Ok(Vector::from_si(values, unit))
}

fn main(device: &Device) -> Outcome<&Field> {
    device.fields.first().ok_or_else(|| script_error(format!("{} has no field", device.shown())))
}

/// One value for each of `count` devices: a vector, or one quantity for all.
fn spread(value: &Dynamic, count: usize) -> Outcome<Vec<Quantity>> {
    if let Some(vector) = value.read_lock::<Vector>() {
        return Ok(vector.si().iter().map(|&si| Quantity::from_si(si, vector.unit().clone())).collect());
    }
    one(value).map(|quantity| vec![quantity; count])
}

fn one(value: &Dynamic) -> Outcome<Quantity> {
    if let Some(quantity) = value.read_lock::<Quantity>() {
        return Ok(quantity.clone());
    }
    let number = value.as_float().or_else(|_| value.as_int().map(|n| n as f64));
    let wrong =
        |found: &str| script_error(format!("a value with a unit is needed, found {}", article(&type_word(found))));
    number.map(Quantity::plain).map_err(wrong)
}

/// What can stand behind the dot of a family or a device, beside device names.
pub const PROPERTIES: [Property; 18] = [
    of("family", "len", "how many devices", "1", "integer"),
    of("family", "s", "their centres along the ring", "m", "vector"),
    of("family", "length", "their lengths along the beam", "m", "vector"),
    of("family", "delta", "steps of their main field in a measurement", "its physics unit", "vector"),
    of("family", "lowest", "lowest setpoints of their main field that are allowed", "its physics unit", "vector"),
    of("family", "highest", "highest setpoints of their main field that are allowed", "its physics unit", "vector"),
    of("family", "names", "their names", "", "array"),
    of("family", "fields", "names of their fields", "", "array"),
    of("family", "settable", "whether their main field can be set", "", "boolean"),
    of("family", "name", "name of the family", "", "text"),
    of("family", "role", "what the family is for", "", "text"),
    of("device", "name", "its name", "", "text"),
    of("device", "family", "the family it belongs to", "", "family"),
    of("device", "s", "its centre along the ring", "m", "quantity"),
    of("device", "length", "its length along the beam", "m", "quantity"),
    of("device", "delta", "step of its main field in a measurement", "its physics unit", "quantity"),
    of("device", "lowest", "lowest setpoint of its main field that is allowed", "its physics unit", "quantity"),
    of("device", "highest", "highest setpoint of its main field that is allowed", "its physics unit", "quantity"),
];

const fn of(
    of: &'static str,
    name: &'static str,
    about: &'static str,
    unit: &'static str,
    kind: &'static str,
) -> Property {
    Property { subject: "families", of, name, about, unit, kind }
}

/// Names of the properties of families or of devices.
fn names_of(of: &'static str) -> impl Iterator<Item = &'static str> {
    PROPERTIES.iter().filter(move |property| property.of == of).map(|property| property.name)
}

fn property(members: &Members, name: &str) -> Outcome<Dynamic> {
    let each = |of: fn(&Device) -> f64, unit: Unit| {
        Ok(Dynamic::from(Vector::from_si(members.devices.iter().map(|d| of(d)).collect(), unit)))
    };
    match name {
        "s" => each(|d| d.s, Unit::position()),
        "length" => each(|d| d.length, Unit::parse("m").or_fail()?),
        "delta" | "lowest" | "highest" => {
            let values =
                members.devices.iter().map(|device| of_setpoint(device, name)).collect::<Outcome<Vec<f64>>>()?;
            let unit = first_device(members)?.fields.first().map_or_else(Unit::none, |field| field.physics.clone());
            Ok(Dynamic::from(Vector::from_si(values, unit)))
        }
        "names" => Ok(members.devices.iter().map(|d| Dynamic::from(d.name.to_string())).collect::<Array>().into()),
        "name" => Ok(members.family.name.to_string().into()),
        "role" => Ok(members.family.role.to_string().into()),
        "settable" => Ok(first_device(members)?.fields.first().is_some_and(|field| field.setpoint.is_some()).into()),
        "fields" => Ok(members.family.fields().iter().map(|f| Dynamic::from(f.to_string())).collect::<Array>().into()),
        // a device by its name, or a name that is not known
        other => match members.member(other) {
            Ok(member) => Ok(Dynamic::from(member)),
            Err(_) if members.family.fields().iter().any(|field| field.as_ref() == other) => {
                Err(fail(to_be_read(&members.family.name, other)))
            }
            Err(error) => match did_you_mean(other, names_of("family")) {
                Some(hint) => {
                    let family = &members.family.name;
                    let report = Diagnostic::new(Kind::Script, format!("{family} has no property or device `{other}`"));
                    Err(fail(Box::new(report.hint(hint))))
                }
                None => Err(error),
            },
        },
    }
}

fn member_property(context: &NativeCallContext, member: &Member, name: &str) -> Outcome<Dynamic> {
    let quantity = |value: f64, unit: Unit| Ok(Dynamic::from(Quantity::from_si(value, unit)));
    match name {
        "name" => Ok(member.device.name.to_string().into()),
        "family" => Ok(Dynamic::from(Members::all(&own_family(context, member)?))),
        "s" => quantity(member.device.s, Unit::position()),
        "length" => quantity(member.device.length, Unit::parse("m").or_fail()?),
        "delta" | "lowest" | "highest" => {
            let unit = member.device.fields.first().map_or_else(Unit::none, |field| field.physics.clone());
            quantity(of_setpoint(&member.device, name)?, unit)
        }
        other if member.device.field(other).is_some() => Err(fail(to_be_read(&member.device.shown(), other))),
        other => {
            let mut near: Vec<&str> = names_of("device").collect();
            near.extend(member.device.fields.iter().map(|f| f.name.as_ref()));
            let report = Diagnostic::new(Kind::Script, format!("{} has no property `{other}`", member.device.shown()));
            let report = report.near(other, near);
            let known = names_of("device").collect::<Vec<_>>().join(", ");
            Err(fail(Box::new(report.hint(format!("it has {known}; `.get()` reads its main field")))))
        }
    }
}

/// How far the main field of a device is stepped, or may go; physics unit in SI.
fn of_setpoint(device: &Device, what: &str) -> Outcome<f64> {
    let none = |why: &str| script_error(format!("{} {why}", device.shown()));
    let field = device.fields.first().ok_or_else(|| none("has no field"))?;
    if what == "delta" {
        return field.delta.ok_or_else(|| none("has no `delta` in the families table"));
    }
    let (one, other) = field.setpoint.as_ref().ok_or_else(|| none("cannot be set"))?.limits;
    let felt = |limit: f64| if limit.is_finite() { field.to_physics(limit) } else { limit };
    let (one, other) = (felt(one), felt(other));
    Ok(if what == "lowest" { one.min(other) } else { one.max(other) })
}

/// The family of the facility that a device belongs to, also where families were joined.
fn own_family(context: &NativeCallContext, member: &Member) -> Outcome<Arc<Family>> {
    match member.device.family == member.family.name {
        true => Ok(member.family.clone()),
        false => here(context)?.facility.family(&member.device.family).cloned().or_fail(),
    }
}

/// A field is no property: reading one asks the machine.
fn to_be_read(of: &str, field: &str) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Script, format!("`{field}` is a field of {of}, and a field is read from the machine"))
        .hint(format!("`{of}.get(\"{field}\")`"))
        .into()
}

fn only(vector: &Vector) -> Dynamic {
    let value = vector.si().first().copied().unwrap_or(f64::NAN);
    match vector.unit().dimension().is_none() {
        true => Dynamic::from_float(value),
        false => Dynamic::from(Quantity::from_si(value, vector.unit().clone())),
    }
}

/// Every family of the facility as a constant, and what can be done with it.
pub fn register(engine: &mut Engine, facility: &fodo_devices::Facility) {
    let mut constants = Module::new();
    for family in &facility.families {
        constants.set_var(family.name.as_ref(), Members::all(family));
    }
    engine.register_global_module(constants.into());
    engine.register_type_with_name::<Members>("family").register_type_with_name::<Member>("device");
    engine
        .register_iterator::<Members>()
        .register_indexer_get(|m: &mut Members, name: ImmutableString| property(m, &name))
        .register_indexer_get(|m: &mut Members, index: INT| m.at(index))
        .register_indexer_set(|m: &mut Members, name: ImmutableString, value: Dynamic| {
            unchanged(property(m, &name), &value, || m.family.name.to_string(), &name)
        })
        .register_indexer_get(|c: NativeCallContext, m: &mut Member, name: ImmutableString| {
            member_property(&c, m, &name)
        })
        .register_indexer_set(|c: NativeCallContext, m: &mut Member, name: ImmutableString, value: Dynamic| {
            unchanged(member_property(&c, m, &name), &value, || m.device.shown(), &name)
        })
        .register_fn("to_string", |m: &mut Members| m.to_string())
        .register_fn("to_debug", |m: &mut Members| m.to_string())
        .register_fn("to_string", |m: &mut Member| m.to_string())
        .register_fn("to_debug", |m: &mut Member| m.to_string())
        .register_get("len", |m: &mut Members| m.devices.len() as INT);
    functions(engine);
    choosing::register(engine);
    setting::register(engine);
}

/// A property that comes back from an expression such as `BPM.s[0] = …` must be what it was: it is read, not set.
fn unchanged(present: Outcome<Dynamic>, value: &Dynamic, of: impl Fn() -> String, name: &str) -> Outcome<()> {
    match present {
        Ok(present) if crate::same(&present, value) => Ok(()),
        Ok(_) => Err(script_error(format!("`{name}` of {} can be read but not set", of()))),
        Err(_) => {
            let report = Diagnostic::new(Kind::Script, format!("nothing of {} is set by `.{name} = …`", of()));
            let hint = format!("`{0}.set(value)` sets its main field, `{0}.step(change)` steps it", of());
            Err(fail(Box::new(report.hint(hint))))
        }
    }
}

impl std::fmt::Display for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.devices.iter().map(|d| d.name.as_ref()).collect();
        let list = match names.as_slice() {
            [first, second, .., last] if names.len() > 4 => format!("{first}, {second}, … {last}"),
            few => few.join(", "),
        };
        let shared = setting::shared(self);
        write!(f, "{} ({}, {} devices{shared}): {list}", self.family.name, self.family.role, names.len())
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.device.shown())
    }
}

impl IntoIterator for Members {
    type Item = Member;
    type IntoIter = std::vec::IntoIter<Member>;

    fn into_iter(self) -> Self::IntoIter {
        let member = |device: &Arc<Device>| Member { family: self.family.clone(), device: device.clone() };
        self.devices.iter().map(member).collect::<Vec<_>>().into_iter()
    }
}

/// A documented method or function; with declared options, `{options}` in its comment stands for their lines.
macro_rules! document {
    ($engine:expr, $name:literal, [$($info:literal),*], $comment:literal, $options:expr, $function:expr) => {
        let comment = $comment.replace("/// {options}\n", &$options.lines());
        FuncRegistration::new($name).with_params_info([$($info),*]).with_comments([comment.as_str()]).register_into_engine($engine, $function);
    };
    ($engine:expr, $name:literal, [$($info:literal),*], $comment:literal, $function:expr) => {
        FuncRegistration::new($name).with_params_info([$($info),*]).with_comments([$comment]).register_into_engine($engine, $function);
    };
}
pub(crate) use document;

/// A documented property.
macro_rules! getter {
    ($engine:expr, $name:literal, [$($info:literal),*], $comment:literal, $function:expr) => {
        FuncRegistration::new_getter($name).with_params_info([$($info),*]).with_comments([$comment]).register_into_engine($engine, $function);
    };
}
pub(crate) use getter;

fn functions(engine: &mut Engine) {
    document!(
        engine,
        "get",
        ["members: family", "vector"],
        "/// Reads the main field of every device: settled, fresh, averaged as the family says.\n///\n\
         /// # Returns\n/// A vector in the field's physics unit, one entry for each device, in the order of `members`.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: every channel that is absent, invalid or not a number, in one error.\n///\n\
         /// # Example\n/// ```rhai\n/// let k1 = QF.get();\n/// ```",
        |c: NativeCallContext, m: Members| read(&*here(&c)?, &m, &Wanted::MAIN, false)
    );
    document!(
        engine,
        "get",
        ["members: family", "field_or_unit: text", "vector"],
        "/// Reads a field of every device by its name, or the main field in a unit (hardware or physics).\n///\n\
         /// # Parameters\n/// - `field_or_unit`: a field such as `\"k1\"`, or a unit such as `\"A\"`.\n///\n\
         /// # Returns\n/// A vector in the field's physics unit, or in the unit asked for, one entry for each device.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: no such field or unit.\n/// - `machine`: channels that could not be read.\n///\n\
         /// # Example\n/// ```rhai\n/// let x = BPM.get(\"x\");\n/// ```",
        |c: NativeCallContext, m: Members, first: &str| {
            let want = wanted(first_device(&m)?, Some(first), None)?;
            read(&*here(&c)?, &m, &want, false)
        }
    );
    document!(
        engine,
        "get",
        ["members: family", "field: text", "unit: text", "vector"],
        "/// Reads a field of every device by its name, in a unit (hardware or physics); see `get(members, field_or_unit)`.",
        |c: NativeCallContext, m: Members, first: &str, second: &str| {
            read(&*here(&c)?, &m, &wanted(first_device(&m)?, Some(first), Some(second))?, false)
        }
    );
    document!(
        engine,
        "get",
        ["device: device", "quantity"],
        "/// Reads the main field of a device: settled, fresh, averaged as its family says.\n///\n\
         /// # Returns\n/// A quantity in the field's physics unit; a plain number [1] where it has none.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: the channel is absent, invalid or not a number.\n///\n\
         /// # Example\n/// ```rhai\n/// let kick = HCOR[0].get();\n/// ```",
        |c: NativeCallContext, m: Member| {
            read(&*here(&c)?, &Members::one(&m), &Wanted::MAIN, false).map(|v| only(&v))
        }
    );
    document!(
        engine,
        "get",
        ["device: device", "field_or_unit: text", "quantity"],
        "/// Reads a field of a device by its name, or its main field in a unit; see `get(members, field_or_unit)`.",
        |c: NativeCallContext, m: Member, first: &str| {
            read(&*here(&c)?, &Members::one(&m), &wanted(&m.device, Some(first), None)?, false).map(|v| only(&v))
        }
    );
    document!(
        engine,
        "get",
        ["device: device", "field: text", "unit: text", "quantity"],
        "/// Reads a field of a device by its name, in a unit; see `get(members, field_or_unit)`.",
        |c: NativeCallContext, m: Member, first: &str, second: &str| {
            read(&*here(&c)?, &Members::one(&m), &wanted(&m.device, Some(first), Some(second))?, false)
                .map(|v| only(&v))
        }
    );
    document!(
        engine,
        "setpoint",
        ["members: family", "vector"],
        "/// Asks for the present setpoints of the main field of every device.\n///\n\
         /// # Returns\n/// A vector in the field's physics unit.\n///\n\
         /// # On the machine\n/// Only reads. In a rehearsal: what the setpoints would be.\n///\n\
         /// # Errors\n/// - `machine`: setpoints that are absent or not a number.\n///\n\
         /// # Example\n/// ```rhai\n/// let kicks = HCOR.setpoint();\n/// ```",
        |c: NativeCallContext, m: Members| read(&*here(&c)?, &m, &Wanted::MAIN, true)
    );
    document!(
        engine,
        "setpoint",
        ["members: family", "field_or_unit: text", "vector"],
        "/// Asks for the present setpoints of a field of every device, or of the main field in a unit.\n///\n\
         /// # Parameters\n/// - `field_or_unit`: a field such as `\"k1\"`, or a unit such as `\"A\"`.\n///\n\
         /// # Returns\n/// A vector in the field's physics unit, or in the unit asked for.\n///\n\
         /// # On the machine\n/// Only reads. In a rehearsal: what the setpoints would be.\n///\n\
         /// # Errors\n/// - `script`: no such field or unit, or the field cannot be set.\n/// - `machine`: setpoints that are absent or not a number.\n///\n\
         /// # Example\n/// ```rhai\n/// let kicks = HCOR.setpoint(\"mrad\");\n/// ```",
        |c: NativeCallContext, m: Members, first: &str| {
            read(&*here(&c)?, &m, &wanted(first_device(&m)?, Some(first), None)?, true)
        }
    );
    document!(
        engine,
        "setpoint",
        ["device: device", "quantity"],
        "/// Asks for the present setpoint of the main field of a device.\n///\n\
         /// # Returns\n/// A quantity in the field's physics unit; a plain number [1] where it has none.\n///\n\
         /// # On the machine\n/// Only reads. In a rehearsal: what the setpoint would be.\n///\n\
         /// # Errors\n/// - `machine`: the setpoint is absent or not a number.\n///\n\
         /// # Example\n/// ```rhai\n/// let kick = HCOR[0].setpoint();\n/// ```",
        |c: NativeCallContext, m: Member| {
            read(&*here(&c)?, &Members::one(&m), &Wanted::MAIN, true).map(|v| only(&v))
        }
    );
    document!(
        engine,
        "setpoint",
        ["device: device", "field_or_unit: text", "quantity"],
        "/// Asks for the present setpoint of a field of a device, or of its main field in a unit.",
        |c: NativeCallContext, m: Member, first: &str| {
            read(&*here(&c)?, &Members::one(&m), &wanted(&m.device, Some(first), None)?, true).map(|v| only(&v))
        }
    );
    document!(
        engine,
        "set",
        ["members: family", "value: quantity or vector", "()"],
        "/// Sets the main field of every device and waits until all have arrived.\n///\n\
         /// # Parameters\n/// - `value`: one quantity for all, or a vector with one entry for each; physics or hardware unit.\n///\n\
         /// # On the machine\n/// Writes setpoints, all checked before the first, a supply of several devices once; part of the run's transaction.\n///\n\
         /// # Errors\n/// - `limits`: which devices would leave their limits, by how much; nothing is written.\n\
         /// - `rights`: the session is read-only, or the procedure does not declare the family.\n\
         /// - `script`: wrong unit, wrong number of values, different values for devices on one supply (`supplies`).\n///\n\
         /// # Example\n/// ```rhai\n/// HCOR.set(HCOR.setpoint());\n/// ```",
        |c: NativeCallContext, m: Members, value: Dynamic| {
            write(&*here(&c)?, &m, &Wanted::MAIN, &spread(&value, m.devices.len())?, false)
        }
    );
    document!(
        engine,
        "step",
        ["members: family", "change: quantity or vector", "()"],
        "/// Changes the main field of every device by a step and waits until all have arrived.\n///\n\
         /// # Parameters\n/// - `change`: one quantity for all, or a vector with one entry for each; physics or hardware unit.\n///\n\
         /// # On the machine\n/// Writes setpoints, all checked before the first; part of the run's transaction.\n///\n\
         /// # Errors\n/// As `set`.\n///\n\
         /// # Example\n/// ```rhai\n/// HCOR[0].step(5.0 * urad);\n/// ```",
        |c: NativeCallContext, m: Members, value: Dynamic| {
            write(&*here(&c)?, &m, &Wanted::MAIN, &spread(&value, m.devices.len())?, true)
        }
    );
    document!(
        engine,
        "set",
        ["device: device", "value: quantity", "()"],
        "/// Sets the main field of a device and waits until it has arrived; physics or hardware unit.",
        |c: NativeCallContext, m: Member, value: Dynamic| write(
            &*here(&c)?,
            &Members::one(&m),
            &Wanted::MAIN,
            &[one(&value)?],
            false
        )
    );
    document!(
        engine,
        "step",
        ["device: device", "change: quantity", "()"],
        "/// Changes the main field of a device by a step and waits until it has arrived; physics or hardware unit.",
        |c: NativeCallContext, m: Member, value: Dynamic| write(
            &*here(&c)?,
            &Members::one(&m),
            &Wanted::MAIN,
            &[one(&value)?],
            true
        )
    );
    document!(
        engine,
        "family",
        ["name: text", "family"],
        "/// Finds a family by its name, or the first of a role: for scripts that serve several facilities.\n///\n\
         /// # Parameters\n/// - `name`: such as `\"HCOR\"`, or a role such as `\"horizontal corrector\"`.\n///\n\
         /// # Returns\n/// The family.\n///\n\
         /// # Errors\n/// - `no family`: the facility has none of that name or role.\n///\n\
         /// # Example\n/// ```rhai\n/// assert(family(\"horizontal corrector\").name == \"HCOR\");\n/// ```",
        |c: NativeCallContext, name: &str| by_name_or_role(&*here(&c)?, name)
    );
    document!(
        engine,
        "families",
        ["array"],
        "/// Gives all families of the facility.\n///\n\
         /// # Returns\n/// An array of families, in the order of the table.\n///\n\
         /// # Errors\n/// None.\n///\n\
         /// # Example\n/// ```rhai\n/// let quadrupoles = families().filter(|f| f.role == \"quadrupole\");\n/// assert(quadrupoles.len == 2);\n/// ```",
        |c: NativeCallContext| -> Outcome<Array> {
            Ok(here(&c)?.facility.families.iter().map(|family| Dynamic::from(Members::all(family))).collect())
        }
    );
    document!(
        engine,
        "set_setpoints",
        ["members: family", "values: quantity or vector", "()"],
        "/// Sets the main field of devices; the same as `members.set(values)`.\n///\n\
         /// # Parameters\n/// - `members`: a family or a part of it.\n/// - `values`: one quantity for all, or a vector with one entry for each device; physics or hardware unit.\n///\n\
         /// # On the machine\n/// Writes setpoints; part of the run's transaction.\n///\n\
         /// # Errors\n/// As `set`.\n///\n\
         /// # Example\n/// ```rhai\n/// set_setpoints(HCOR, HCOR.setpoint());\n/// ```",
        |c: NativeCallContext, m: Members, value: Dynamic| {
            write(&*here(&c)?, &m, &Wanted::MAIN, &spread(&value, m.devices.len())?, false)
        }
    );
    document!(
        engine,
        "step_setpoints",
        ["members: family", "changes: quantity or vector", "()"],
        "/// Changes the main field of devices by steps; the same as `members.step(changes)`.\n///\n\
         /// # Parameters\n/// - `members`: a family or a part of it.\n/// - `changes`: one quantity for all, or a vector with one entry for each device; physics or hardware unit.\n///\n\
         /// # On the machine\n/// Writes setpoints; part of the run's transaction.\n///\n\
         /// # Errors\n/// As `set`.\n///\n\
         /// # Example\n/// ```rhai\n/// step_setpoints(HCOR, linspace(-1.0 * urad, 1.0 * urad, HCOR.len));\n/// ```",
        |c: NativeCallContext, m: Members, value: Dynamic| {
            write(&*here(&c)?, &m, &Wanted::MAIN, &spread(&value, m.devices.len())?, true)
        }
    );
}

/// The family of a name, or the first of a role.
fn by_name_or_role(context: &Context, name: &str) -> Outcome<Members> {
    let families = &context.facility.families;
    context.facility.named_or_role(name).map(Members::all).ok_or_else(|| {
        let known = || families.iter().flat_map(|f| [f.name.as_ref(), f.role.as_ref()]);
        let report = Diagnostic::new(Kind::Script, format!("{} has no family `{name}`", context.facility.name));
        let report = report.near(name, known());
        let names = families.iter().map(|f| f.name.as_ref()).collect::<Vec<_>>().join(", ");
        fail(Box::new(if report.hints.is_empty() { report.hint(format!("its families: {names}")) } else { report }))
    })
}

fn first_device(members: &Members) -> Outcome<&Device> {
    let first = members.devices.first().map(AsRef::as_ref);
    first.ok_or_else(|| script_error(format!("there is no device left in this part of {}", members.family.name)))
}

//! Families of devices, in lattice order.

use crate::combined::combine;
use crate::field::{Field, FieldTable, Quantities};
use crate::pattern::{Words, expand, glob};
use crate::strength::edges;
use crate::supply::join;
use crate::table::Table;
use fodo_lattice::Lattice;
use fodo_report::{Diagnostic, Kind, Result};
use std::sync::Arc;
use std::time::Duration;

/// One device: a magnet with its supply, a monitor, the RF.
#[derive(Clone, Debug)]
pub struct Device {
    /// Name, unique in its family.
    pub name: Arc<str>,
    /// Family it belongs to.
    pub family: Arc<str>,
    /// Lattice elements it is made of, in beam order; empty for what stands nowhere.
    pub elements: Vec<usize>,
    /// Position of its centre [m].
    pub s: f64,
    /// Length along the beam [m].
    pub length: f64,
    /// Its fields; the first is the main one.
    pub fields: Vec<Field>,
}

impl Device {
    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name.as_ref() == name)
    }

    /// As a script writes it: `HCOR["C03-2"]`.
    pub fn shown(&self) -> String {
        match self.name == self.family {
            true => self.family.to_string(),
            false => format!("{}[\"{}\"]", self.family, self.name),
        }
    }
}

/// What answers for a family beside a live machine: the facility's own control system, the twin in this process, the
/// operator, or another control system.
pub const SOURCES: [&str; 8] = ["live", "twin", "manual", "ca", "ca-libca", "pva", "tango", "adapter"];

/// Devices of one kind, in lattice order.
#[derive(Clone, Debug)]
pub struct Family {
    /// Name, as scripts use it.
    pub name: Arc<str>,
    /// What it is for: `horizontal corrector`, `beam position monitor`.
    pub role: Arc<str>,
    /// What answers for it with `--on live`: one of [`SOURCES`].
    pub source: Arc<str>,
    /// Its devices.
    pub devices: Vec<Arc<Device>>,
    /// Time to let pass after arrival before readings count.
    pub settle: Duration,
    /// Time between two shots of a monitor; a source silent for longer is asked.
    pub period: Duration,
    /// Shots averaged by default.
    pub average: usize,
    /// Whether its magnets remember the way: what `cycle` leaves behind is followed.
    pub hysteresis: bool,
}

impl Family {
    /// A device by name.
    pub fn device(&self, name: &str) -> Option<&Arc<Device>> {
        self.devices.iter().find(|device| device.name.as_ref() == name)
    }

    /// Names of its fields, the main one first.
    pub fn fields(&self) -> Vec<Arc<str>> {
        self.devices.first().map(|d| d.fields.iter().map(|f| f.name.clone()).collect()).unwrap_or_default()
    }

    /// The channels that its fields are set by and read from; one may come more than once.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<str>> {
        let fields = self.devices.iter().flat_map(|device| &device.fields);
        fields.flat_map(|field| {
            let setpoint = field.setpoint.iter().map(|setpoint| &setpoint.channel);
            setpoint.chain(field.source.iter().map(|source| &source.channel))
        })
    }

    pub(crate) fn read(
        name: &str,
        table: &Table,
        lattice: &Lattice,
        positions: &[f64],
        rigidity: Option<f64>,
        csv: &dyn Fn(&str) -> Option<Arc<str>>,
    ) -> Result<Family> {
        let family: Arc<str> = name.into();
        let device_name = table.text("name")?.map(String::from);
        let role: Arc<str> = table.needed_text("role")?.into();
        let settle = table.duration("settle")?.unwrap_or_default();
        let period = table.duration("period")?.unwrap_or(Duration::from_millis(100));
        let average = table.number("average")?.unwrap_or(1.0).max(1.0) as usize;
        let hysteresis = table.boolean("hysteresis")?.unwrap_or(false);
        let source = source(table)?;
        let groups = group(name, table, lattice, device_name.as_deref())?;
        let mut fields = Vec::new();
        for (field, inner) in table.tables() {
            fields.push((FieldTable::read(field, &inner, rigidity, csv)?, inner));
        }
        if fields.is_empty() {
            return Err(table.mistake(name, "a family needs a field, like [HCOR.kick]"));
        }
        table.no_other_keys()?;
        let mut devices = Vec::with_capacity(groups.len());
        for (number, group) in groups.iter().enumerate() {
            let words = group.words(lattice, number + 1);
            let of_device = fields
                .iter()
                .map(|(field, inner)| field.of_device(&family, &words, inner))
                .collect::<Result<Vec<Field>>>()?;
            let mut device = group.device(&family, positions, of_device);
            combine(&mut device, &fields, lattice)?;
            devices.push(device);
        }
        join(&mut devices).map_err(|(field, what)| table.mistake(&field, what))?;
        let devices: Vec<Arc<Device>> = devices.into_iter().map(Arc::new).collect();
        let row =
            devices.iter().flat_map(|d| &d.fields).find(|f| f.source.as_ref().is_some_and(|s| s.place.index.is_some()));
        if let Some(field) = row.filter(|_| source.as_ref() == "manual") {
            let what = format!("{name}.{} is one entry of a row of numbers, for which nobody can be asked", field.name);
            return Err(table.mistake("source", what));
        }
        for device in &devices {
            edges_are_there(device, lattice).map_err(|(field, what)| {
                table.mistake(field, what).hint("in lattice.toml: `aperture = [x from, x to, y from, y to]`")
            })?;
        }
        if hysteresis && devices.iter().all(|device| device.fields.iter().all(|field| field.setpoint.is_none())) {
            return Err(table.mistake("hysteresis", "is that of magnets that are set, and nothing of this family is"));
        }
        Ok(Family { name: family, role, source, devices, settle, period, average, hysteresis })
    }
}

/// Whether the elements of a device have the edges that its fields move; the field and what is wrong.
fn edges_are_there<'d>(device: &'d Device, lattice: &Lattice) -> std::result::Result<(), (&'d str, String)> {
    for field in &device.fields {
        let Some(Quantities::Edge(side)) = field.model else { continue };
        let has = |at: usize| edges(&lattice.elements[at]).is_some_and(|edges| edges[side].is_finite());
        if let Some(&at) = device.elements.iter().find(|at| !has(**at)) {
            return Err((&field.name, format!("{} has no such edge", lattice.elements[at].name)));
        }
    }
    Ok(())
}

/// What answers for a family; the facility's own control system if it says nothing.
fn source(table: &Table) -> Result<Arc<str>> {
    let word = table.text("source")?.unwrap_or("live");
    if SOURCES.contains(&word) {
        return Ok(word.into());
    }
    let near = fodo_report::did_you_mean(word, SOURCES).map_or(String::new(), |near| format!("; {near}"));
    let what = format!("`{word}` is none of {}{near}", SOURCES.join(", "));
    Err(table.mistake("source", what))
}

/// Elements that make one device.
struct Group {
    name: String,
    suffix: String,
    elements: Vec<usize>,
}

impl Group {
    fn words<'a>(&'a self, lattice: &'a Lattice, number: usize) -> Words<'a> {
        let position = self.elements.first().copied().unwrap_or(0);
        let element = self.elements.first().map_or("", |&at| lattice.elements[at].name.as_ref());
        Words { element, suffix: &self.suffix, number, position, name: &self.name }
    }

    fn device(&self, family: &Arc<str>, positions: &[f64], fields: Vec<Field>) -> Device {
        let start = self.elements.first().map_or(0.0, |&at| positions[at]);
        let end = self.elements.last().map_or(0.0, |&at| positions[at + 1]);
        Device {
            name: self.name.as_str().into(),
            family: family.clone(),
            elements: self.elements.clone(),
            s: (start + end) / 2.0,
            length: end - start,
            fields,
        }
    }
}

/// The elements a family's patterns name, in lattice order; equal device names make one device.
fn group(family: &str, table: &Table, lattice: &Lattice, pattern: Option<&str>) -> Result<Vec<Group>> {
    let patterns = table.texts("elements")?;
    if patterns.is_empty() {
        let name = pattern.unwrap_or(family).to_string();
        return Ok(vec![Group { name, suffix: String::new(), elements: Vec::new() }]);
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut places = std::collections::HashMap::new();
    let mut used = vec![false; patterns.len()];
    for (position, element) in lattice.elements.iter().enumerate() {
        let hit = patterns.iter().enumerate().find_map(|(k, p)| Some((k, glob(p, &element.name)?)));
        let Some((which, suffix)) = hit else { continue };
        used[which] = true;
        let words = Words { element: &element.name, suffix, number: groups.len() + 1, position, name: family };
        let name = expand(pattern.unwrap_or("{element}"), &words).map_err(|what| table.mistake("name", what))?;
        let place = *places.entry(name.clone()).or_insert_with(|| {
            groups.push(Group { name, suffix: suffix.to_string(), elements: Vec::new() });
            groups.len() - 1
        });
        groups[place].elements.push(position);
    }
    if let Some(unused) = used.iter().position(|used| !used) {
        let pattern = &patterns[unused];
        let names = lattice.elements.iter().map(|e| e.name.as_ref());
        let near = fodo_report::did_you_mean(pattern, names).map_or(String::new(), |near| format!("; {near}"));
        return Err(table.mistake("elements", format!("no element of the lattice is called `{pattern}`{near}")));
    }
    Ok(groups)
}

/// The error for a device that a family does not have.
pub(crate) fn unknown_device(family: &Family, name: &str) -> Box<Diagnostic> {
    let names = || family.devices.iter().map(|d| d.name.as_ref());
    let first = names().next().unwrap_or("");
    Diagnostic::new(Kind::Script, format!("{} has no device \"{name}\"", family.name))
        .near(name, names())
        .hint(format!("its {} devices begin with \"{first}\"", family.devices.len()))
        .into()
}

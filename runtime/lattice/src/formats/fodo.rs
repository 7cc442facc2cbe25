//! Our own lattice format: a TOML file that a physicist can read and write.
//!
//! ```toml
//! name = "demo"
//! energy = "1 GeV"                 # a number is in eV
//! harmonic = 90
//! use = "ring"                     # the line that is the machine
//! names = "{name}_{count:03}"      # how devices are called, see below
//!
//! [defaults]                       # per type, may be overruled by an element
//! quadrupole = { slices = 10, fringe = "both" }
//!
//! [elements]
//! QF = { type = "quadrupole", length = 0.4, k1 = 1.258 }
//! D1 = { type = "drift", length = 0.5, name = "D" }
//!
//! [lines]
//! cell = ["QF", "D1"]
//! ring = ["cell * 16"]
//! ```
//!
//! **Strengths.** `k1`, `k2`, `k3` are those of MAD (k2 = 2 b_2, k3 = 6 b_3), skew ones end in `s`; lists `b` and `a`
//! give all coefficients without factorials, as they are used. Lengths in m, angles in rad, voltages in V, frequencies
//! in Hz; `energy`, `voltage` and `frequency` may be text with a unit. Halving k2 is exact; where a value must
//! come back to the last bit, the writer uses `k3` only if 6 b_3 / 6 gives b_3 again, else `b`.
//!
//! **The reference particle.** `exact_velocity = true` lets particles fly with the speed of their momentum (needs
//! `rest_energy`); `accelerates = true` makes a linac, whose cavities change the reference momentum. A `solenoid` has
//! `strength` (field over rigidity, 1/m), a `diffusion` six rows `factor`, a `wiggler` `period`, `peak_field` (T),
//! `steps`, `integrator` and its harmonics `vertical`, `horizontal`; a `kick_map` the axes `x`, `y` (m) of its tables
//! `second_x`, `second_y` and perhaps `first_x`, `first_y` (rad, of second and first order in the field), a row for each
//! y, and `slices`. `exact = true` chooses the square-root Hamiltonian.
//!
//! **Names of devices** follow a pattern with `{name}` (the element's `name`, else its key), `{cell}` (which line of
//! the used line it stands in, from 1) and `{count}` (how often this name came before, from 1); `{count:03}` pads with
//! zeros. Without `names` it is `{name}`. Only drifts and markers may share a name.

use std::collections::HashMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

pub use super::fodo_write::write;
use super::read_text;
use crate::elements::{
    Alignment, Aperture, Bend, Body, Cavity, Class, Diffusion, Edge, Element, ElementAperture, Field, KickMap, Magnet,
    Matrix66, Reference, Solenoid, Thin, Wiggler,
};
use crate::{Lattice, LatticeError};

/// Reads a file.
///
/// # Errors
/// The file cannot be read or is not a lattice; says the line and column, and the nearest known word.
pub fn read(path: &Path) -> Result<Lattice, LatticeError> {
    parse(&read_text(path)?).map_err(|error| error.in_file(path))
}

/// Reads a lattice from text.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str) -> Result<Lattice, LatticeError> {
    let root = DeTable::parse(text).map_err(|problem| {
        let error = LatticeError::new(format!("this is not TOML: {}", problem.message()));
        problem.span().map_or(error.clone(), |span| error.at_offset(text, span.start))
    })?;
    let mut root = Table::new(root.get_ref(), text, 0, "the lattice");
    let energy = root.quantity("energy", "eV")?;
    let energy = root.required(energy, "energy")?;
    let defaults = root.table("defaults")?;
    let definitions = read_definitions(root.needed_table("elements")?, defaults, text)?;
    let mut lines = Lines::read(root.needed_table("lines")?)?;
    lines.definitions = definitions;
    let main = root.word("use")?.unwrap_or_else(|| "ring".to_string());
    let pattern = root.word("names")?.unwrap_or_else(|| "{name}".to_string());
    let lattice = Lattice {
        name: root.word("name")?.unwrap_or_default(),
        energy,
        periodicity: root.whole("periodicity")?.unwrap_or(1),
        harmonic_number: root.whole("harmonic")?,
        rest_energy: root.quantity("rest_energy", "eV")?.unwrap_or(0.0),
        reference: Reference {
            exact_velocity: root.switch("exact_velocity")?.unwrap_or(false),
            accelerates: root.switch("accelerates")?.unwrap_or(false),
        },
        elements: lines.expand(&main, &pattern).map_err(|(message, at)| message.at_offset(text, at))?,
    };
    root.finish()?;
    Ok(lattice)
}

/// A table being read: knows its text, and which keys were asked for.
struct Table<'t> {
    entries: Option<&'t DeTable<'t>>,
    text: &'t str,
    at: usize,
    what: String,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    fn new(entries: &'t DeTable<'t>, text: &'t str, at: usize, what: &str) -> Self {
        Self { entries: Some(entries), text, at, what: what.to_string(), asked: vec![] }
    }

    fn error(&self, message: impl Into<String>, at: usize) -> LatticeError {
        LatticeError::new(message).at_offset(self.text, at)
    }

    fn get(&mut self, key: &'static str) -> Option<(&'t DeValue<'t>, usize)> {
        self.asked.push(key);
        self.entries?.get(key).map(|value| (value.get_ref(), value.span().start))
    }

    fn get_as<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Result<Option<T>, LatticeError> {
        let Some((value, at)) = self.get(key) else { return Ok(None) };
        let wrong =
            || self.error(format!("`{key}` of {} should be {expected}, not {}", self.what, value.type_str()), at);
        convert(value).map(Some).ok_or_else(wrong)
    }

    fn number(&mut self, key: &'static str) -> Result<Option<f64>, LatticeError> {
        self.get_as(key, "a number", as_number)
    }

    /// A number in `unit` (eV, V, Hz), or a text with that unit and its prefixes.
    fn quantity(&mut self, key: &'static str, unit: &str) -> Result<Option<f64>, LatticeError> {
        let expected = format!("a number in {unit}, or text such as \"300 M{unit}\"");
        self.get_as(key, &expected, |value| as_quantity(value, unit))
    }

    fn whole(&mut self, key: &'static str) -> Result<Option<u32>, LatticeError> {
        self.get_as(key, "a whole number", |value| value.as_integer()?.as_str().replace('_', "").parse().ok())
    }

    fn switch(&mut self, key: &'static str) -> Result<Option<bool>, LatticeError> {
        self.get_as(key, "true or false", DeValue::as_bool)
    }

    fn word(&mut self, key: &'static str) -> Result<Option<String>, LatticeError> {
        self.get_as(key, "text", |value| value.as_str().map(str::to_string))
    }

    fn list(&mut self, key: &'static str) -> Result<Option<Vec<f64>>, LatticeError> {
        self.get_as(key, "a list of numbers", as_numbers)
    }

    fn array<const N: usize>(&mut self, key: &'static str) -> Result<Option<[f64; N]>, LatticeError> {
        self.get_as(key, &format!("a list of {N} numbers"), |value| as_numbers(value)?.try_into().ok())
    }

    fn rows(&mut self, key: &'static str) -> Result<Option<[[f64; 6]; 6]>, LatticeError> {
        let row =
            |row: &'t toml::Spanned<DeValue<'t>>| -> Option<[f64; 6]> { as_numbers(row.get_ref())?.try_into().ok() };
        self.get_as(key, "six rows of six numbers", |value| {
            let rows: Option<Vec<_>> = value.as_array()?.iter().map(row).collect();
            rows?.try_into().ok()
        })
    }

    fn harmonics(&mut self, key: &'static str) -> Result<Option<Vec<[f64; 6]>>, LatticeError> {
        self.get_as(key, "a list of harmonics of six numbers each", |value| {
            value.as_array()?.iter().map(|row| as_numbers(row.get_ref())?.try_into().ok()).collect()
        })
    }

    /// Rows of any length, one after the other; none if there are none.
    fn table_rows(&mut self, key: &'static str) -> Result<Vec<f64>, LatticeError> {
        let rows = self.get_as(key, "a list of rows of numbers", |value| {
            value.as_array()?.iter().map(|row| as_numbers(row.get_ref())).collect::<Option<Vec<_>>>()
        })?;
        Ok(rows.unwrap_or_default().concat())
    }

    fn table(&mut self, key: &'static str) -> Result<Option<Table<'t>>, LatticeError> {
        let text = self.text;
        let found = self.get(key);
        let at = found.map_or(0, |(_, at)| at);
        let entries = match found {
            None => return Ok(None),
            Some((value, at)) => {
                value.as_table().ok_or_else(|| self.error(format!("`{key}` should be a table"), at))?
            }
        };
        Ok(Some(Table::new(entries, text, at, &format!("[{key}]"))))
    }

    fn needed_table(&mut self, key: &'static str) -> Result<Table<'t>, LatticeError> {
        let table = self.table(key)?;
        self.required(table, key)
    }

    fn required<T>(&self, value: Option<T>, key: &str) -> Result<T, LatticeError> {
        value.ok_or_else(|| self.error(format!("{} has no `{key}`", self.what), self.at))
    }

    /// Complains about the first key that was never asked for.
    fn finish(self) -> Result<(), LatticeError> {
        let unknown =
            self.entries.into_iter().flat_map(DeTable::keys).find(|key| !self.asked.contains(&key.get_ref().as_ref()));
        match unknown {
            None => Ok(()),
            Some(key) => {
                let word = key.get_ref().as_ref();
                let message = format!("{} has no field `{word}`", self.what);
                Err(self.error(message, key.span().start).near(word, self.asked.iter().copied()))
            }
        }
    }
}

fn as_number(value: &DeValue) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
        DeValue::Integer(integer) => integer.as_str().replace('_', "").parse().ok(),
        _ => None,
    }
}

fn as_numbers(value: &DeValue) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(|entry| as_number(entry.get_ref())).collect()
}

fn as_quantity(value: &DeValue, unit: &str) -> Option<f64> {
    let Some(text) = value.as_str() else { return as_number(value) };
    let (number, found) = text.trim().split_once(' ')?;
    let factor = match found.trim().strip_suffix(unit)? {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

/// An element as defined, and the name its devices have.
struct Definition {
    element: Element,
    name: String,
}

/// The types of element with the words for them.
pub(super) const TYPES: [(&str, Class); 17] = [
    ("marker", Class::Marker),
    ("monitor", Class::Monitor),
    ("drift", Class::Drift),
    ("bend", Class::Bend),
    ("quadrupole", Class::Quadrupole),
    ("sextupole", Class::Sextupole),
    ("octupole", Class::Octupole),
    ("multipole", Class::Multipole),
    ("thin_multipole", Class::ThinMultipole),
    ("corrector", Class::Corrector),
    ("cavity", Class::Cavity),
    ("matrix", Class::Matrix66),
    ("aperture", Class::Aperture),
    ("wiggler", Class::Wiggler),
    ("kick_map", Class::KickMap),
    ("solenoid", Class::Solenoid),
    ("diffusion", Class::Diffusion),
];

fn read_definitions<'t>(
    elements: Table<'t>,
    defaults: Option<Table<'t>>,
    text: &'t str,
) -> Result<HashMap<String, Definition>, LatticeError> {
    let mut out = HashMap::new();
    for (key, value) in elements.entries.into_iter().flatten() {
        let (key, at) = (key.get_ref().to_string(), key.span().start);
        let fields = value.get_ref().as_table().ok_or_else(|| {
            LatticeError::new(format!("element `{key}` should be a table like {{ type = \"drift\", length = 0.5 }}"))
                .at_offset(text, at)
        })?;
        let table = Table::new(fields, text, at, &format!("element `{key}`"));
        let definition = Reader::new(table, defaults.as_ref())?.definition(&key)?;
        out.insert(key, definition);
    }
    Ok(out)
}

/// Reads one element: its own fields first, then the defaults of its type.
struct Reader<'t> {
    own: Table<'t>,
    defaults: Table<'t>,
    class: Class,
}

impl<'t> Reader<'t> {
    fn new(mut own: Table<'t>, defaults: Option<&Table<'t>>) -> Result<Self, LatticeError> {
        let word = own.word("type")?;
        let word = own.required(word, "type")?;
        let at = own.get("type").map_or(own.at, |(_, at)| at);
        let class = TYPES.iter().find(|(name, _)| *name == word).map(|(_, class)| *class).ok_or_else(|| {
            own.error(format!("there is no element type `{word}`"), at).near(&word, TYPES.map(|(name, _)| name))
        })?;
        let found = defaults.and_then(|defaults| defaults.entries).and_then(|entries| entries.get(word.as_str()));
        let entries = found.and_then(|value| value.get_ref().as_table());
        let defaults = Table { entries, text: own.text, at: own.at, what: format!("default of {word}"), asked: vec![] };
        Ok(Self { own, defaults, class })
    }

    fn pick<T>(
        &mut self,
        get: impl Fn(&mut Table<'t>) -> Result<Option<T>, LatticeError>,
    ) -> Result<Option<T>, LatticeError> {
        let own = get(&mut self.own)?;
        let default = get(&mut self.defaults)?;
        Ok(own.or(default))
    }

    fn number(&mut self, key: &'static str) -> Result<f64, LatticeError> {
        Ok(self.pick(|table| table.number(key))?.unwrap_or(0.0))
    }

    fn definition(mut self, key: &str) -> Result<Definition, LatticeError> {
        let length = self.number("length")?;
        let body = self.body()?;
        let mut element = Element::new(key, length, body);
        element.kick = self.pick(|table| table.array("kick"))?.unwrap_or([0.0; 2]);
        element.field_scaling = self.pick(|table| table.number("scaling"))?.unwrap_or(1.0);
        element.alignment = self.alignment()?;
        element.aperture = self.aperture()?;
        let name = self.own.word("name")?.unwrap_or_else(|| key.to_string());
        self.own.finish()?;
        self.defaults.finish()?;
        Ok(Definition { element, name })
    }

    fn alignment(&mut self) -> Result<Option<Box<Alignment>>, LatticeError> {
        let [dx, dy, roll] = self.own.array("misalignment")?.unwrap_or([0.0; 3]);
        let (t1, t2) = (self.own.array("t1")?, self.own.array("t2")?);
        let (r1, r2) = (self.own.rows("r1")?, self.own.rows("r2")?);
        let raw = Alignment { t1, t2, r1, r2 };
        let found = if raw == Alignment::default() { Alignment::new(dx, dy, roll) } else { Some(raw) };
        Ok(found.map(Box::new))
    }

    fn aperture(&mut self) -> Result<Option<Box<ElementAperture>>, LatticeError> {
        if self.class == Class::Aperture {
            return Ok(None);
        }
        let found = self.transverse()?;
        Ok((found != ElementAperture::default()).then(|| Box::new(found)))
    }

    fn transverse(&mut self) -> Result<ElementAperture, LatticeError> {
        Ok(ElementAperture {
            rectangle: self.pick(|table| table.array("aperture"))?,
            ellipse: self.pick(|table| table.array("ellipse"))?,
        })
    }

    fn body(&mut self) -> Result<Body, LatticeError> {
        Ok(match self.class {
            Class::Marker => Body::Marker,
            Class::Monitor => Body::Monitor,
            Class::Drift => Body::Drift { exact: self.exact()? },
            Class::Bend => Body::Bend(Box::new(self.bend()?)),
            Class::Quadrupole => Body::Quadrupole(self.magnet(1)?),
            Class::Sextupole => Body::Sextupole(self.magnet(2)?),
            Class::Octupole => Body::Octupole(self.magnet(3)?),
            Class::Multipole => Body::Multipole(self.magnet(0)?),
            Class::ThinMultipole => Body::ThinMultipole(Thin {
                field: self.field(0)?,
                bending_angle: self.own.array("angles")?.unwrap_or([0.0; 2]),
            }),
            Class::Corrector => Body::Corrector,
            Class::Cavity => Body::Cavity(self.cavity()?),
            Class::Matrix66 => self.matrix()?,
            Class::Aperture => Body::Aperture(Aperture {
                transverse: self.transverse()?,
                longitudinal: self.own.array("longitudinal")?,
            }),
            Class::Wiggler => Body::Wiggler(Box::new(self.wiggler()?)),
            Class::KickMap => Body::KickMap(self.kick_map()?.into()),
            Class::Solenoid => Body::Solenoid(Solenoid { strength: self.number("strength")?, exact: self.exact()? }),
            Class::Diffusion => {
                let factor = self.own.rows("factor")?;
                Body::Diffusion(Box::new(Diffusion { factor: self.own.required(factor, "factor")? }))
            }
        })
    }

    fn exact(&mut self) -> Result<bool, LatticeError> {
        Ok(self.pick(|table| table.switch("exact"))?.unwrap_or(false))
    }

    fn matrix(&mut self) -> Result<Body, LatticeError> {
        let rows = self.own.rows("rows")?;
        let rows = self.own.required(rows, "rows")?;
        Ok(Body::Matrix66(Box::new(Matrix66 { rows, radiating: self.own.rows("radiating")? })))
    }

    fn wiggler(&mut self) -> Result<Wiggler, LatticeError> {
        let (period, peak_field) = (self.number("period")?, self.number("peak_field")?);
        Ok(Wiggler {
            period,
            peak_field,
            steps: self.pick(|table| table.whole("steps"))?.unwrap_or(5),
            integrator: self.pick(|table| table.whole("integrator"))?.unwrap_or(4),
            vertical: self.own.harmonics("vertical")?.unwrap_or_default(),
            horizontal: self.own.harmonics("horizontal")?.unwrap_or_default(),
        })
    }

    fn kick_map(&mut self) -> Result<KickMap, LatticeError> {
        let mut table = |key| self.own.table_rows(key);
        let (second, first) = ([table("second_x")?, table("second_y")?], [table("first_x")?, table("first_y")?]);
        let (x, y) = (self.own.list("x")?, self.own.list("y")?);
        let map = KickMap {
            slices: self.pick(|table| table.whole("slices"))?.unwrap_or(1),
            x: self.own.required(x, "x")?,
            y: self.own.required(y, "y")?,
            second,
            first,
        };
        let wrong = || self.own.error(format!("{} has not one kick for each x and y", self.own.what), self.own.at);
        if map.is_filled() { Ok(map) } else { Err(wrong()) }
    }

    fn cavity(&mut self) -> Result<Cavity, LatticeError> {
        Ok(Cavity {
            voltage: self.pick(|table| table.quantity("voltage", "V"))?.unwrap_or(0.0),
            frequency: self.pick(|table| table.quantity("frequency", "Hz"))?.unwrap_or(0.0),
            harmonic: self.number("harmonic")?,
            time_lag: self.number("time_lag")?,
            phase_lag: self.number("phase_lag")?,
            on: self.pick(|table| table.switch("on"))?.unwrap_or(true),
            counts_turns: self.pick(|table| table.switch("counts_turns"))?.unwrap_or(true),
        })
    }

    fn magnet(&mut self, least_order: usize) -> Result<Magnet, LatticeError> {
        Ok(Magnet {
            field: self.field(least_order)?,
            slices: self.pick(|table| table.whole("slices"))?.unwrap_or(10),
            fringe: self.fringe()?,
            exact: self.exact()?,
        })
    }

    fn fringe(&mut self) -> Result<[bool; 2], LatticeError> {
        let word = self.pick(|table| {
            table.get_as("fringe", "\"both\", \"entrance\", \"exit\" or \"none\"", |value| {
                Some(match value.as_str()? {
                    "both" => [true, true],
                    "entrance" => [true, false],
                    "exit" => [false, true],
                    "none" => [false, false],
                    _ => return None,
                })
            })
        })?;
        Ok(word.unwrap_or([false; 2]))
    }

    /// The field from `b`, `a` or from k1, k2, ...; acts up to `order`, else up to the last strength given.
    fn field(&mut self, least_order: usize) -> Result<Field, LatticeError> {
        let upright = self.strengths("b", ["k0", "k1", "k2", "k3"])?;
        let skew = self.strengths("a", ["k0s", "k1s", "k2s", "k3s"])?;
        let given = upright.len().max(skew.len()).max(least_order + 1) - 1;
        let max_order = self.pick(|table| table.whole("order"))?.map_or(given, |order| order as usize);
        Ok(Field { b: upright, a: skew, max_order })
    }

    fn strengths(&mut self, list: &'static str, names: [&'static str; 4]) -> Result<Vec<f64>, LatticeError> {
        let mut out = self.own.list(list)?.unwrap_or_default();
        for (order, name) in names.into_iter().enumerate() {
            if let Some(strength) = self.own.number(name)? {
                if out.len() <= order {
                    out.resize(order + 1, 0.0);
                }
                out[order] = strength / FACTORIALS[order];
            }
        }
        Ok(out)
    }

    fn bend(&mut self) -> Result<Bend, LatticeError> {
        Ok(Bend {
            angle: self.number("angle")?,
            entrance: self.edge(["e1", "fringe_integral_1", "fringe_method_1", "pole_curvature_1"])?,
            exit: self.edge(["e2", "fringe_integral_2", "fringe_method_2", "pole_curvature_2"])?,
            full_gap: self.number("full_gap")?,
            second_order: self.pick(|table| table.switch("second_order"))?.unwrap_or(false),
            magnet: self.magnet(0)?,
        })
    }

    fn edge(&mut self, [angle, integral, method, curvature]: [&'static str; 4]) -> Result<Edge, LatticeError> {
        let method = self.pick(|table| table.whole(method))?.unwrap_or(1);
        Ok(Edge {
            angle: self.number(angle)?,
            fringe_integral: self.number(integral)?,
            method: u8::try_from(method).unwrap_or(1),
            curvature: self.number(curvature)?,
        })
    }
}

pub(super) const FACTORIALS: [f64; 4] = [1.0, 1.0, 2.0, 6.0];

/// An item of a line: what, how often, where in the text.
struct Item {
    word: String,
    times: usize,
    at: usize,
}

struct Lines {
    lines: HashMap<String, Vec<Item>>,
    definitions: HashMap<String, Definition>,
}

type Place = (LatticeError, usize);

impl Lines {
    fn read(table: Table) -> Result<Self, LatticeError> {
        let mut lines = HashMap::new();
        for (key, value) in table.entries.into_iter().flatten() {
            let (name, at) = (key.get_ref().to_string(), key.span().start);
            let items = value.get_ref().as_array().and_then(|items| {
                items.iter().map(|item| Some(Item::parse(item.get_ref().as_str()?, item.span().start))).collect()
            });
            let items: Vec<Item> =
                items.ok_or_else(|| table.error(format!("line `{name}` should be a list of names"), at))?;
            lines.insert(name, items);
        }
        Ok(Self { lines, definitions: HashMap::new() })
    }

    /// All elements of a line with their device names.
    fn expand(&self, main: &str, pattern: &str) -> Result<Vec<Element>, Place> {
        let mut places = Vec::new();
        let mut cells = 0;
        let items = self.lines.get(main).ok_or_else(|| (self.unknown(main), 0))?;
        for item in items {
            for _ in 0..item.times {
                cells += usize::from(self.lines.contains_key(&item.word));
                self.flatten(item, cells, 0, &mut places)?;
            }
        }
        name_devices(&places, pattern)
    }

    fn flatten<'a>(
        &'a self,
        item: &Item,
        cell: usize,
        depth: usize,
        out: &mut Vec<(&'a Definition, usize, usize)>,
    ) -> Result<(), Place> {
        if let Some(definition) = self.definitions.get(&item.word) {
            out.push((definition, cell, item.at));
            return Ok(());
        }
        let line = self.lines.get(&item.word).ok_or_else(|| (self.unknown(&item.word), item.at))?;
        if depth > 50 {
            return Err((LatticeError::new(format!("line `{}` contains itself", item.word)), item.at));
        }
        for inner in line {
            for _ in 0..inner.times {
                self.flatten(inner, cell, depth + 1, out)?;
            }
        }
        Ok(())
    }

    fn unknown(&self, word: &str) -> LatticeError {
        let known = self.definitions.keys().chain(self.lines.keys());
        LatticeError::new(format!("there is no element or line `{word}`")).near(word, known.map(String::as_str))
    }
}

impl Item {
    /// `name` or `name * times`.
    fn parse(text: &str, at: usize) -> Self {
        let parts = text.rsplit_once('*').and_then(|(word, times)| Some((word, times.trim().parse().ok()?)));
        let (word, times) = parts.unwrap_or((text, 1));
        Self { word: word.trim().to_string(), times, at }
    }
}

fn name_devices(places: &[(&Definition, usize, usize)], pattern: &str) -> Result<Vec<Element>, Place> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut out = Vec::with_capacity(places.len());
    for &(definition, cell, at) in places {
        let count = counts.entry(&definition.name).or_default();
        *count += 1;
        let name = device_name(pattern, &definition.name, cell, *count).map_err(|error| (error, 0))?;
        let mut element = definition.element.clone();
        let may_repeat = matches!(element.class(), Class::Drift | Class::Marker);
        if taken.insert(name.clone(), at).is_some() && !may_repeat {
            let error = LatticeError::new(format!("two devices would be called `{name}`"))
                .hint("put {cell} or {count} into `names`, or give one definition another name");
            return Err((error, at));
        }
        element.name = name.into();
        out.push(element);
    }
    Ok(out)
}

/// Fills a pattern of `{name}`, `{cell}` and `{count}`, the numbers with an optional `:0<digits>`.
fn device_name(pattern: &str, name: &str, cell: usize, count: usize) -> Result<String, LatticeError> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}').unwrap_or((after, ""));
        let (field, digits) = field.split_once(":0").unwrap_or((field, "0"));
        let digits: usize = digits.parse().unwrap_or(0);
        out.push_str(before);
        match field {
            "name" => out.push_str(name),
            "cell" => out.push_str(&format!("{cell:0digits$}")),
            "count" => out.push_str(&format!("{count:0digits$}")),
            _ => {
                return Err(LatticeError::new(format!("`names` has a field {{{field}}} that does not exist"))
                    .near(field, ["name", "cell", "count"]));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

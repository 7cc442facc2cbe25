//! A facility as a configuration of pyAML, the Python Accelerator Middle Layer.
//!
//! pyAML has integrated strengths in SI and AT's polynomials, one magnet for each set of elements with all its functions,
//! and links magnets with the elements whose `UUID` is their name. It converts no units of monitors.

use crate::{Device, Facility, Field, Quantities, Source};
use fodo_lattice::{Lattice, formats};
use fodo_report::{Diagnostic, Kind, Result};
use fodo_units::Calibration;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// Speed of light [m/s].
const LIGHT: f64 = 299_792_458.0;

/// Files of a configuration, and what pyAML cannot have of the facility.
#[derive(Clone, Debug)]
pub struct PyamlConfiguration {
    /// Names and texts.
    pub files: Vec<(String, String)>,
    /// What was left out or is different there, for people.
    pub remarks: Vec<String>,
}

/// A field that is a multipole of a magnet.
struct Function<'f> {
    device: &'f Device,
    field: &'f Field,
    /// AT's name of the coefficient: `B1`.
    multipole: String,
    /// Physics value over coefficient times length.
    divided: f64,
}

/// Fields of one set of elements: a magnet of pyAML.
struct Magnet<'f> {
    name: String,
    elements: Vec<usize>,
    functions: Vec<Function<'f>>,
}

struct Writer<'f> {
    facility: &'f Facility,
    is_epics: bool,
    /// Name of pyAML by element.
    links: BTreeMap<usize, String>,
    names: BTreeSet<String>,
    /// Arrays: kind, name, elements.
    arrays: Vec<(&'static str, Arc<str>, Vec<String>)>,
    devices: String,
    remarks: Vec<String>,
}

impl Facility {
    /// Its configuration for pyAML, with the lattice of the model.
    ///
    /// # Errors
    /// `facility` if its control system is neither EPICS nor TANGO: pyAML knows no other.
    pub fn pyaml(&self) -> Result<PyamlConfiguration> {
        if !self.kind.is_ring() {
            let what = format!("{} is a {}, and pyAML 0.3 knows rings only", self.name, self.kind);
            return Err(Diagnostic::new(Kind::Facility, what).into());
        }
        let (is_epics, control) = match self.control.as_ref() {
            "ca" | "ca-libca" => (true, "    backend: Epics\n"),
            "pva" => (true, "    backend: Epics\n  prefix: \"pva://\"\n"),
            "tango" => (false, "    backend: Tango\n"),
            other => {
                let what = format!("{} has the control system `{other}`, of which pyAML knows nothing", self.name);
                return Err(Diagnostic::new(Kind::Facility, what).hint("it knows EPICS and TANGO").into());
            }
        };
        let mut writer = Writer {
            facility: self,
            is_epics,
            links: BTreeMap::new(),
            names: BTreeSet::new(),
            arrays: Vec::new(),
            devices: String::new(),
            remarks: Vec::new(),
        };
        writer.monitors();
        writer.magnets();
        writer.rf();
        writer.tunes();
        writer.tools();
        let mut text = format!(
            "type: pyaml.accelerator\nfacility: {name}\nmachine: sr\nenergy: {energy:?}\nsimulators:\n- type: \
             pyaml.lattice.simulator\n  name: design\n  lattice: ${{path:lattice.json}}\n  linker:\n    type: \
             pyaml.lattice.attribute_linker\n    attribute_name: UUID\ncontrols:\n- type: pyaml_cs_oa.controlsystem\n  \
             name: live\n  catalog:\n    type: pyaml_cs_oa.dynamic_catalog\n    timeout_ms: 3000\n{control}arrays:\n",
            name = quoted(&self.title),
            energy = self.lattice.energy,
        );
        for (kind, name, elements) in &writer.arrays {
            _ = writeln!(text, "- type: pyaml.arrays.{kind}\n  name: {}\n  elements:", quoted(name));
            elements.iter().for_each(|element| _ = writeln!(text, "  - {}", quoted(element)));
        }
        text.push_str("devices:\n");
        text.push_str(&writer.devices);
        let lattice = linked(&self.lattice, &writer.links);
        Ok(PyamlConfiguration {
            files: vec![
                (format!("{}.yaml", self.name), text),
                ("lattice.json".into(), formats::at_json::write(&lattice)),
            ],
            remarks: writer.remarks,
        })
    }
}

/// The lattice with the names of pyAML as `UUID`.
fn linked(lattice: &Lattice, links: &BTreeMap<usize, String>) -> Lattice {
    let mut lattice = lattice.clone();
    for (&at, name) in links {
        let element = &mut lattice.elements[at];
        let mut extra = element.extra.as_ref().clone();
        extra.insert("UUID".into(), Value::from(name.as_str()));
        element.extra = Arc::new(extra);
    }
    lattice
}

impl<'f> Writer<'f> {
    /// A name that nothing has yet: the first, or the second.
    fn name(&mut self, first: &str, second: String) -> String {
        let name = if self.names.contains(first) { second } else { first.to_string() };
        self.names.insert(name.clone());
        name
    }

    fn devices(&self) -> impl Iterator<Item = &'f Device> + use<'f> {
        self.facility.families.iter().flat_map(|family| family.devices.iter().map(AsRef::as_ref))
    }

    fn line(&mut self, text: std::fmt::Arguments) {
        _ = self.devices.write_fmt(text);
        self.devices.push('\n');
    }

    /// How a reading is written; none if pyAML has no words for it.
    fn read(&mut self, field: &Field, source: &Source) -> Option<String> {
        if source.place.column.is_some() {
            self.remarks.push(format!("{} is a column of a table, which pyAML does not read", source.channel));
            return None;
        }
        let place = source.place.index.map(|index| format!("@{index}")).unwrap_or_default();
        Some(format!("{}{place}[{}]", source.channel, unit_of(field)))
    }

    fn set(&self, field: &Field) -> String {
        let unit = unit_of(field);
        match field.setpoint.as_deref() {
            Some(setpoint) if self.is_epics => {
                let readback = setpoint.readback.as_ref().unwrap_or(&setpoint.channel);
                format!("({readback}, {})[{unit}]", setpoint.channel)
            }
            Some(setpoint) => format!("{}[{unit}]", setpoint.channel),
            None => String::new(),
        }
    }

    fn monitors(&mut self) {
        for family in &self.facility.families {
            let mut elements = Vec::new();
            for device in &family.devices {
                let of = |wanted: Quantities| device.fields.iter().find(|field| field.model == Some(wanted));
                let planes = [of(Quantities::OrbitX), of(Quantities::OrbitY)];
                let [Some((x, from_x)), Some((y, from_y))] =
                    planes.map(|field| Some((field?, field?.source.as_ref()?)))
                else {
                    continue;
                };
                let (Some(x), Some(y)) = (self.read(x, from_x), self.read(y, from_y)) else { continue };
                let name = self.name(&device.name, format!("{}.{}", family.name, device.name));
                device.elements.first().map(|&at| self.links.insert(at, name.clone()));
                let (x, y) = (quoted(&x), quoted(&y));
                self.line(format_args!(
                    "- type: pyaml.diagnostics.bpm.bpm\n  name: {}\n  x_pos: {x}\n  y_pos: {y}",
                    quoted(&name)
                ));
                elements.push(name);
            }
            let field = family.devices.first().and_then(|device| device.fields.first());
            if let Some(field) = field.filter(|field| !elements.is_empty() && field.hardware.scale() != 1.0) {
                let unit = field.hardware.symbol();
                self.remarks.push(format!("{} reads in {unit}, and pyAML takes the number as it is", family.name));
            }
            self.array("bpm", &family.name, elements);
        }
    }

    fn array(&mut self, kind: &'static str, name: &Arc<str>, elements: Vec<String>) {
        if !elements.is_empty() {
            self.arrays.push((kind, name.clone(), elements));
        }
    }

    /// Setpoints of multipoles by the elements that they are in.
    fn grouped(&self) -> Vec<Magnet<'f>> {
        let mut magnets: Vec<Magnet> = Vec::new();
        let mut places: BTreeMap<&[usize], usize> = BTreeMap::new();
        for device in self.devices().filter(|device| !device.elements.is_empty()) {
            for field in device.fields.iter().filter(|field| field.setpoint.is_some()) {
                let Some((multipole, divided)) = field.model.and_then(multipole) else { continue };
                let place = *places.entry(&device.elements).or_insert_with(|| {
                    magnets.push(Magnet {
                        name: String::new(),
                        elements: device.elements.clone(),
                        functions: Vec::new(),
                    });
                    magnets.len() - 1
                });
                magnets[place].functions.push(Function { device, field, multipole, divided });
            }
        }
        magnets
    }

    fn magnets(&mut self) {
        let mut by_family: BTreeMap<Arc<str>, Vec<String>> = BTreeMap::new();
        for mut magnet in self.grouped() {
            let [first, ..] = magnet.elements.as_slice() else { continue };
            let lattice = self.facility.lattice.clone();
            let own = match magnet.elements.len() {
                1 => &lattice.elements[*first].name,
                _ => &magnet.functions[0].device.name,
            };
            let second = format!("{}.{own}", magnet.functions[0].device.family);
            magnet.name = self.name(own, second);
            for &at in &magnet.elements {
                if let Some(other) = self.links.insert(at, magnet.name.clone()) {
                    self.remarks
                        .push(format!("{other} and {} share an element, which pyAML knows as the latter", magnet.name));
                }
            }
            let names = self.magnet(&magnet);
            for (function, name) in magnet.functions.iter().zip(names) {
                by_family.entry(function.device.family.clone()).or_default().push(name);
            }
        }
        for family in &self.facility.families {
            self.array("magnet", &family.name, by_family.remove(&family.name).unwrap_or_default());
        }
    }

    /// Writes a magnet; the names of its functions.
    fn magnet(&mut self, magnet: &Magnet) -> Vec<String> {
        let lattice = &self.facility.lattice;
        let length: f64 = magnet.elements.iter().map(|&at| lattice.elements[at].length).sum();
        // a thin element of the toolbox holds the integral
        let length = if length == 0.0 { magnet.elements.len() as f64 } else { length };
        let rigidity = lattice.energy / LIGHT;
        let models: Vec<Model> =
            magnet.functions.iter().map(|f| Model::of(f, length, rigidity, self.set(f.field))).collect();
        let name = quoted(&magnet.name);
        if let ([function], [model]) = (magnet.functions.as_slice(), models.as_slice())
            && let Some(kind) = kind(&function.multipole)
        {
            self.line(format_args!("- type: pyaml.magnet.{kind}\n  name: {name}\n  model:\n{}", model.alone()));
            return vec![magnet.name.clone()];
        }
        let names: Vec<String> =
            magnet.functions.iter().map(|f| format!("{}.{}", f.device.family, f.device.name)).collect();
        self.line(format_args!("- type: pyaml.magnet.cfm_magnet\n  name: {name}\n  mapping:"));
        for (function, name) in magnet.functions.iter().zip(&names) {
            self.line(format_args!("  - [{}, {}]", function.multipole, quoted(name)));
        }
        let text = Model::together(&models);
        self.line(format_args!("  model:\n{text}"));
        names
    }

    fn rf(&mut self) {
        let Some(name) = &self.facility.orbit.rf else { return };
        let Some(device) = self.devices().find(|device| device.family == *name) else { return };
        let of = |wanted: Quantities| device.fields.iter().find(|field| field.model == Some(wanted));
        let Some(frequency) = of(Quantities::RfFrequency) else { return };
        let (name, master) = (quoted(&device.name), quoted(&self.set(frequency)));
        self.line(format_args!("- type: pyaml.rf.rf_plant\n  name: {name}\n  masterclock: {master}"));
        if frequency.hardware.scale() != 1.0 {
            let unit = frequency.hardware.symbol();
            self.remarks.push(format!("{} is set in {unit}, and pyAML takes the number as it is", device.name));
        }
        let Some(voltage) = of(Quantities::RfVoltage) else { return };
        let mut cavities = Vec::new();
        for &at in &device.elements {
            let name = format!("{}.{at}", self.facility.lattice.elements[at].name);
            cavities.push(quoted(&name));
            self.links.insert(at, name);
        }
        let (cavities, set) = (cavities.join(", "), quoted(&self.set(voltage)));
        self.line(format_args!(
            "  transmitters:\n  - type: pyaml.rf.rf_transmitter\n    name: {}\n    cavities: [{cavities}]\n    harmonic: \
             1\n    distribution: 1\n    voltage: {set}",
            quoted(&format!("{}.transmitter", device.name))
        ));
    }

    fn tunes(&mut self) {
        let field = |wanted: Quantities| {
            self.devices().flat_map(|device| &device.fields).find(|field| field.model == Some(wanted))
        };
        let planes = [field(Quantities::TuneX), field(Quantities::TuneY)];
        let [Some((x, from_x)), Some((y, from_y))] = planes.map(|field| Some((field?, field?.source.as_ref()?))) else {
            return;
        };
        let (Some(x), Some(y)) = (self.read(x, from_x), self.read(y, from_y)) else { return };
        let (x, y) = (quoted(&x), quoted(&y));
        self.line(format_args!(
            "- type: pyaml.diagnostics.tune_monitor\n  name: BETATRON_TUNE\n  tune_h: {x}\n  tune_v: {y}"
        ));
    }

    /// The response measurement of the families for orbit tools, with their own step.
    fn tools(&mut self) {
        let orbit = &self.facility.orbit;
        let delta = self.devices().filter(|device| device.family == orbit.horizontal);
        let delta = delta.flat_map(|device| &device.fields).find_map(|field| field.delta).unwrap_or(1e-5);
        let [monitors, horizontal, vertical] = [&orbit.monitors, &orbit.horizontal, &orbit.vertical].map(|n| quoted(n));
        self.line(format_args!(
            "- type: pyaml.tuning_tools.orbit_response_matrix\n  name: DEFAULT_ORBIT_RESPONSE_MATRIX\n  bpm_array_name: \
             {monitors}\n  hcorr_array_name: {horizontal}\n  vcorr_array_name: {vertical}\n  corrector_delta: {delta:?}"
        ));
    }
}

/// AT's coefficient of a multipole, and the physics value over the coefficient times the length.
fn multipole(quantity: Quantities) -> Option<(String, f64)> {
    let factorial = |order: usize| (1..=order).map(|n| n as f64).product::<f64>();
    match quantity {
        Quantities::KickX => Some(("B0".into(), 1.0)),
        Quantities::KickY => Some(("A0".into(), 1.0)),
        Quantities::Upright(order) => Some((format!("B{order}"), factorial(order))),
        Quantities::Skew(order) => Some((format!("A{order}"), factorial(order))),
        _ => None,
    }
}

/// The type of pyAML for a magnet with this multipole alone.
fn kind(multipole: &str) -> Option<&'static str> {
    Some(match multipole {
        "B0" => "hcorrector",
        "A0" => "vcorrector",
        "B1" => "quadrupole",
        "A1" => "skewquad",
        "B2" => "sextupole",
        "A2" => "skewsext",
        "B3" => "octupole",
        "A3" => "skewoctu",
        _ => return None,
    })
}

/// From the number on a channel to an integrated strength.
struct Model {
    multipole: String,
    key: String,
    strength: String,
    hardware: String,
    /// Whether the number on the channel is the strength.
    same: bool,
    /// Points (number on the channel, strength times rigidity).
    curve: Vec<(f64, f64)>,
}

impl Model {
    fn of(function: &Function, length: f64, rigidity: f64, key: String) -> Model {
        let field = function.field;
        let is_kick = matches!(field.model, Some(Quantities::KickX | Quantities::KickY));
        let factor = if is_kick { 1.0 } else { length / function.divided };
        let strength = |number: f64| factor * field.to_physics(number);
        let order: i32 = function.multipole[1..].parse().unwrap_or(0);
        let unit = match order {
            0 => "rad".to_string(),
            1 => "1/m".to_string(),
            order => format!("1/m**{order}"),
        };
        let same = strength(0.0) == 0.0 && (strength(1.0) - 1.0).abs() < 1e-12;
        let same = same && matches!(field.calibration, Calibration::Linear { .. });
        let curve = match &field.calibration {
            Calibration::Linear { .. } => {
                // pyAML's curves end at their ends
                let (low, high) = field.setpoint.as_ref().map_or((-1.0, 1.0), |setpoint| setpoint.limits);
                let ends = if low.is_finite() && high.is_finite() { [low, high] } else { [-1e3, 1e3] };
                ends.map(|number| (number, rigidity * strength(number))).to_vec()
            }
            Calibration::Curve(points) => {
                let number = |hardware: f64| hardware / field.hardware.scale();
                points.iter().map(|(h, _)| (number(*h), rigidity * strength(number(*h)))).collect()
            }
        };
        Model { multipole: function.multipole.clone(), key, strength: unit, hardware: unit_of(field), same, curve }
    }

    /// The points as a curve of YAML.
    fn rows(&self) -> String {
        let rows = self.curve.iter().map(|(number, value)| format!("[{number:?}, {value:?}]"));
        format!("{{type: pyaml.magnet.inline_curve, mat: [{}]}}", rows.collect::<Vec<_>>().join(", "))
    }

    fn alone(&self) -> String {
        let (key, strength, hardware) = (quoted(&self.key), quoted(&self.strength), quoted(&self.hardware));
        match self.same {
            true => format!("    type: pyaml.magnet.identity_model\n    physics: {key}\n    unit: {strength}"),
            false => format!(
                "    type: pyaml.magnet.linear_model\n    unit: {strength}\n    hardware_unit: {hardware}\n    curve: {}\n    \
                 powerconverter: {key}",
                self.rows()
            ),
        }
    }

    fn together(models: &[Model]) -> String {
        let list = |of: &dyn Fn(&Model) -> String| models.iter().map(of).collect::<Vec<_>>().join(", ");
        let multipoles = list(&|model| model.multipole.clone());
        let keys = list(&|model| quoted(&model.key));
        let strengths = list(&|model| quoted(&model.strength));
        if models.iter().all(|model| model.same) {
            return format!(
                "    type: pyaml.magnet.identity_cfm_model\n    multipoles: [{multipoles}]\n    physics: [{keys}]\n    units: \
                 [{strengths}]"
            );
        }
        let hardware = list(&|model| quoted(&model.hardware));
        let curves: String = models.iter().map(|model| format!("    - {}\n", model.rows())).collect();
        format!(
            "    type: pyaml.magnet.linear_cfm_model\n    multipoles: [{multipoles}]\n    curves:\n{curves}    \
             powerconverters: [{keys}]\n    hardware_units: [{hardware}]\n    units: [{strengths}]"
        )
    }
}

/// The unit of a channel as Python writes powers.
fn unit_of(field: &Field) -> String {
    field.hardware.symbol().replace('^', "**")
}

/// A text of YAML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

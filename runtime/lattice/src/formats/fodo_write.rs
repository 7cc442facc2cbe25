//! Writes our own lattice format.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::fodo::{FACTORIALS, TYPES};
use crate::elements::{
    Alignment, Bend, Body, Cavity, Class, Element, ElementAperture, Field, KickMap, Magnet, Matrix66, Wiggler,
};
use crate::{Lattice, LatticeError};

/// Writes a lattice as text that [`parse`] reads back to the same numbers.
///
/// Each device is defined under its own name; drifts and markers with the same name and figures share a definition.
///
/// # Errors
/// None at present: every kind of element can be written.
pub fn write(lattice: &Lattice) -> Result<String, LatticeError> {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("name = {:?}", lattice.name));
    line(format!("energy = {:?}", lattice.energy));
    if lattice.rest_energy != 0.0 {
        line(format!("rest_energy = {:?}", lattice.rest_energy));
    }
    for (key, on) in
        [("exact_velocity", lattice.reference.exact_velocity), ("accelerates", lattice.reference.accelerates)]
    {
        if on {
            line(format!("{key} = true"));
        }
    }
    line(format!("periodicity = {}", lattice.periodicity));
    if let Some(harmonic) = lattice.harmonic_number {
        line(format!("harmonic = {harmonic}"));
    }
    line("use = \"ring\"\n\n[elements]".to_string());
    let mut names = Names::default();
    let mut keys = Vec::with_capacity(lattice.elements.len());
    for element in &lattice.elements {
        let (key, is_new) = names.key_of(element);
        if is_new {
            line(format!("{} = {{ {} }}", quoted(&key), fields(element, &key)?));
        }
        keys.push(key);
    }
    line("\n[lines]\nring = [".to_string());
    for some in keys.chunks(10) {
        line(format!("    {},", some.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ")));
    }
    line("]".to_string());
    Ok(out)
}

/// Keys given to definitions so far.
#[derive(Default)]
struct Names<'a> {
    known: HashMap<String, &'a Element>,
}

impl<'a> Names<'a> {
    /// The key of an equal element, or a new one made from its name; and whether it is new.
    fn key_of(&mut self, element: &'a Element) -> (String, bool) {
        let mut key = element.name.to_string();
        let mut number = 1;
        while let Some(other) = self.known.get(&key) {
            if same(other, element) {
                return (key, false);
            }
            number += 1;
            key = format!("{}_{number}", element.name);
        }
        self.known.insert(key.clone(), element);
        (key, true)
    }
}

fn same(one: &Element, other: &Element) -> bool {
    let may_repeat = matches!(one.class(), Class::Drift | Class::Marker);
    let plain = |element: &Element| Element {
        definition: "".into(),
        name: "".into(),
        extra: Default::default(),
        ..element.clone()
    };
    may_repeat && plain(one) == plain(other)
}

fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_string() } else { format!("{key:?}") }
}

fn fields(element: &Element, key: &str) -> Result<String, LatticeError> {
    let class = element.class();
    let word = TYPES.iter().find(|(_, each)| *each == class).map_or("marker", |(word, _)| word);
    let mut out = format!("type = \"{word}\"");
    if *key != *element.name {
        let _ = write!(out, ", name = {:?}", &*element.name);
    }
    put(&mut out, "length", element.length, 0.0);
    match &element.body {
        Body::Marker | Body::Monitor | Body::Corrector => {}
        Body::Drift { exact } => put_switch(&mut out, "exact", *exact, false),
        Body::Bend(bend) => put_bend(&mut out, bend),
        Body::Quadrupole(magnet) => put_magnet(&mut out, magnet, 1),
        Body::Sextupole(magnet) => put_magnet(&mut out, magnet, 2),
        Body::Octupole(magnet) => put_magnet(&mut out, magnet, 3),
        Body::Multipole(magnet) => put_magnet(&mut out, magnet, 0),
        Body::ThinMultipole(thin) => {
            put_field(&mut out, &thin.field, 0);
            put_list(&mut out, "angles", &thin.bending_angle, thin.bending_angle == [0.0; 2]);
        }
        Body::Cavity(cavity) => put_cavity(&mut out, cavity),
        Body::Matrix66(matrix) => put_matrix(&mut out, matrix),
        Body::Aperture(aperture) => {
            put_transverse(&mut out, &aperture.transverse);
            aperture.longitudinal.iter().for_each(|limits| put_list(&mut out, "longitudinal", limits, false));
        }
        Body::Wiggler(wiggler) => put_wiggler(&mut out, wiggler),
        Body::KickMap(map) => put_kick_map(&mut out, map),
        Body::Solenoid(solenoid) => {
            put(&mut out, "strength", solenoid.strength, 0.0);
            put_switch(&mut out, "exact", solenoid.exact, false);
        }
        Body::Diffusion(diffusion) => put_rows(&mut out, "factor", Some(&diffusion.factor)),
    }
    put_list(&mut out, "kick", &element.kick, element.kick == [0.0; 2]);
    put(&mut out, "scaling", element.field_scaling, 1.0);
    element.aperture.iter().for_each(|aperture| put_transverse(&mut out, aperture));
    if let Some(alignment) = &element.alignment {
        put_alignment(&mut out, alignment);
    }
    Ok(out)
}

fn put(out: &mut String, key: &str, value: f64, default: f64) {
    if value != default {
        let _ = write!(out, ", {key} = {value:?}");
    }
}

fn put_switch(out: &mut String, key: &str, value: bool, default: bool) {
    if value != default {
        let _ = write!(out, ", {key} = {value}");
    }
}

fn put_list(out: &mut String, key: &str, values: &[f64], is_default: bool) {
    if !is_default {
        let _ = write!(out, ", {key} = {values:?}");
    }
}

fn put_rows(out: &mut String, key: &str, rows: Option<&[[f64; 6]; 6]>) {
    if let Some(rows) = rows {
        let _ = write!(out, ", {key} = {rows:?}");
    }
}

fn put_bend(out: &mut String, bend: &Bend) {
    put(out, "angle", bend.angle, 0.0);
    put(out, "e1", bend.entrance.angle, 0.0);
    put(out, "e2", bend.exit.angle, 0.0);
    for (edge, number) in [(&bend.entrance, 1), (&bend.exit, 2)] {
        put(out, &format!("fringe_integral_{number}"), edge.fringe_integral, 0.0);
        put(out, &format!("pole_curvature_{number}"), edge.curvature, 0.0);
        if edge.method != 1 {
            let _ = write!(out, ", fringe_method_{number} = {}", edge.method);
        }
    }
    put(out, "full_gap", bend.full_gap, 0.0);
    put_switch(out, "second_order", bend.second_order, false);
    put_magnet(out, &bend.magnet, 0);
}

fn put_magnet(out: &mut String, magnet: &Magnet, least_order: usize) {
    put_field(out, &magnet.field, least_order);
    let _ = write!(out, ", slices = {}", magnet.slices);
    let word = match magnet.fringe {
        [true, true] => "both",
        [true, false] => "entrance",
        [false, true] => "exit",
        [false, false] => "",
    };
    if !word.is_empty() {
        let _ = write!(out, ", fringe = \"{word}\"");
    }
    put_switch(out, "exact", magnet.exact, false);
}

/// Strengths by name where a single one says it all to the last bit, else as a list; the order where it does not follow.
fn put_field(out: &mut String, field: &Field, least_order: usize) {
    let acting = |list: &[f64]| -> Vec<f64> {
        let mut list: Vec<f64> = list.iter().take(field.max_order + 1).copied().collect();
        while list.last() == Some(&0.0) {
            list.pop();
        }
        list
    };
    let (b, a) = (acting(&field.b), acting(&field.a));
    put_strengths(out, "b", ["k0", "k1", "k2", "k3"], &b);
    put_strengths(out, "a", ["k0s", "k1s", "k2s", "k3s"], &a);
    if b.len().max(a.len()).max(least_order + 1) - 1 != field.max_order {
        let _ = write!(out, ", order = {}", field.max_order);
    }
}

fn put_strengths(out: &mut String, list: &str, names: [&str; 4], values: &[f64]) {
    let Some(top) = values.len().checked_sub(1) else { return };
    let single = values[..top].iter().all(|value| *value == 0.0);
    match FACTORIALS.get(top) {
        Some(factor) if single && values[top] * factor / factor == values[top] => {
            put(out, names[top], values[top] * factor, f64::NAN);
        }
        _ => put_list(out, list, values, false),
    }
}

fn put_cavity(out: &mut String, cavity: &Cavity) {
    put(out, "voltage", cavity.voltage, 0.0);
    put(out, "frequency", cavity.frequency, 0.0);
    put(out, "harmonic", cavity.harmonic, 0.0);
    put(out, "time_lag", cavity.time_lag, 0.0);
    put(out, "phase_lag", cavity.phase_lag, 0.0);
    put_switch(out, "on", cavity.on, true);
    put_switch(out, "counts_turns", cavity.counts_turns, true);
}

fn put_wiggler(out: &mut String, wiggler: &Wiggler) {
    put(out, "period", wiggler.period, 0.0);
    put(out, "peak_field", wiggler.peak_field, 0.0);
    let _ = write!(out, ", steps = {}, integrator = {}", wiggler.steps, wiggler.integrator);
    for (key, rows) in [("vertical", &wiggler.vertical), ("horizontal", &wiggler.horizontal)] {
        if !rows.is_empty() {
            let _ = write!(out, ", {key} = {rows:?}");
        }
    }
}

fn put_kick_map(out: &mut String, map: &KickMap) {
    let _ = write!(out, ", slices = {}", map.slices);
    put_list(out, "x", &map.x, false);
    put_list(out, "y", &map.y, false);
    for (key, table) in ["second_x", "second_y", "first_x", "first_y"].iter().zip(map.tables()) {
        if !table.is_empty() {
            let _ = write!(out, ", {key} = {:?}", table.chunks(map.x.len()).collect::<Vec<_>>());
        }
    }
}

fn put_matrix(out: &mut String, matrix: &Matrix66) {
    put_rows(out, "rows", Some(&matrix.rows));
    put_rows(out, "radiating", matrix.radiating.as_ref());
}

fn put_transverse(out: &mut String, aperture: &ElementAperture) {
    aperture.rectangle.iter().for_each(|limits| put_list(out, "aperture", limits, false));
    aperture.ellipse.iter().for_each(|axes| put_list(out, "ellipse", axes, false));
}

fn put_alignment(out: &mut String, alignment: &Alignment) {
    for (key, shift) in [("t1", &alignment.t1), ("t2", &alignment.t2)] {
        shift.iter().for_each(|shift| put_list(out, key, shift, false));
    }
    put_rows(out, "r1", alignment.r1.as_ref());
    put_rows(out, "r2", alignment.r2.as_ref());
}

//! Writes a lattice in the JSON of the Accelerator Toolbox.

use serde_json::{Map, Value, json};

use crate::Lattice;
use crate::elements::{Bend, Body, Cavity, Edge, Element, Field, KickMap, Magnet, Wiggler};

type Fields = Map<String, Value>;

/// Text of a file that holds this lattice, without radiation; cavities are on where they are on in the lattice.
///
/// Fields that were kept from another file of the toolbox go back as they were. Numbers are written so that reading
/// them gives the same bits.
#[must_use]
pub fn write(lattice: &Lattice) -> String {
    let with_energy = |element: &Element| {
        let mut fields = fields(element);
        if matches!(element.body, Body::Cavity(_) | Body::Wiggler(_)) {
            put(&mut fields, "Energy", real(lattice.energy)); // the toolbox makes none without it
        }
        if matches!(element.body, Body::KickMap(_)) {
            // nor one of these without saying where it came from
            fields.entry("Filename_in").or_insert_with(|| "".into());
            fields.entry("Normalization_energy").or_insert_with(|| real(lattice.energy * 1e-9));
        }
        Value::Object(fields)
    };
    let elements: Vec<Value> = lattice.elements.iter().map(with_energy).collect();
    let particle = if lattice.rest_energy == 0.0 { "relativistic" } else { "particle" };
    let mut properties = json!({
        "name": lattice.name,
        "energy": lattice.energy,
        "periodicity": lattice.periodicity,
        "particle": { "name": particle, "rest_energy": lattice.rest_energy, "charge": -1.0 },
    });
    if let Some(harmonic) = lattice.harmonic_number {
        properties["harmonic_number"] = harmonic.into();
    }
    json!({ "atjson": 1, "elements": elements, "properties": properties }).to_string() + "\n"
}

fn fields(element: &Element) -> Fields {
    let mut fields = Map::new();
    put(&mut fields, "FamName", &*element.name);
    put(&mut fields, "Length", real(element.length));
    body(&mut fields, element);
    if element.kick != [0.0; 2] || matches!(element.body, Body::Corrector) {
        put(&mut fields, "KickAngle", reals(&element.kick));
    }
    placement(&mut fields, element);
    if element.field_scaling != 1.0 {
        put(&mut fields, "FieldScaling", real(element.field_scaling));
    }
    fields.extend(element.extra.as_ref().clone());
    fields
}

fn put(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    fields.insert(name.into(), value.into());
}

/// What is not finite is written in words.
fn real(value: f64) -> Value {
    match value {
        _ if value.is_finite() => Value::from(value),
        _ if value.is_nan() => Value::from("NaN"),
        _ => Value::from(if value > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

fn reals(values: &[f64]) -> Value {
    values.iter().copied().map(real).collect()
}

fn matrix(rows: &[[f64; 6]; 6]) -> Value {
    rows.iter().map(|row| reals(row)).collect()
}

fn kind(fields: &mut Fields, class: &str, pass: &str) {
    put(fields, "Class", class);
    put(fields, "PassMethod", pass);
}

fn body(fields: &mut Fields, element: &Element) {
    let length = element.length;
    match &element.body {
        Body::Marker => kind(fields, "Marker", "IdentityPass"),
        Body::Monitor => kind(fields, "Monitor", "IdentityPass"),
        Body::Drift { exact } => kind(fields, "Drift", if *exact { "ExactDriftPass" } else { "DriftPass" }),
        Body::Bend(bend) => put_bend(fields, bend),
        Body::Quadrupole(magnet) => put_straight(fields, "Quadrupole", magnet),
        Body::Sextupole(magnet) => put_straight(fields, "Sextupole", magnet),
        Body::Octupole(magnet) => put_straight(fields, "Octupole", magnet),
        Body::Multipole(magnet) => put_straight(fields, "Multipole", magnet),
        Body::ThinMultipole(thin) => {
            kind(fields, "ThinMultipole", "ThinMPolePass");
            put_field(fields, &thin.field);
            if thin.bending_angle != [0.0; 2] {
                put(fields, "BendingAngle", reals(&thin.bending_angle));
            }
        }
        Body::Corrector => kind(fields, "Corrector", "CorrectorPass"),
        Body::Cavity(cavity) => put_cavity(fields, cavity, length),
        Body::Matrix66(given) => {
            kind(fields, "Matrix66", "Matrix66Pass");
            put(fields, "M66", matrix(&given.rows));
            given.radiating.iter().for_each(|rows| put(fields, "M66Rad", matrix(rows)));
        }
        Body::Aperture(aperture) => {
            let transverse = &aperture.transverse;
            match &aperture.longitudinal {
                Some(limits) => {
                    kind(fields, "LongtAperture", "LongtAperturePass");
                    put(fields, "Limits", reals(limits));
                }
                None => {
                    kind(fields, "Aperture", "AperturePass");
                    transverse.rectangle.iter().for_each(|limits| put(fields, "Limits", reals(limits)));
                    transverse.ellipse.iter().for_each(|axes| put(fields, "Axes", reals(axes)));
                }
            }
        }
        Body::Wiggler(wiggler) => put_wiggler(fields, wiggler),
        Body::KickMap(map) => put_kick_map(fields, map),
        Body::Solenoid(solenoid) => {
            kind(fields, "Solenoid", "SolenoidLinearPass");
            put(fields, "K", real(solenoid.strength));
        }
        Body::Diffusion(diffusion) => {
            kind(fields, "QuantumDiffusion", "QuantDiffPass");
            put(fields, "Lmatp", matrix(&diffusion.factor));
        }
    }
}

fn put_field(fields: &mut Fields, field: &Field) {
    let padded = |list: &[f64]| {
        let mut list = list.to_vec();
        list.resize(list.len().max(field.max_order + 1), 0.0);
        reals(&list)
    };
    put(fields, "PolynomA", padded(&field.a));
    put(fields, "PolynomB", padded(&field.b));
    put(fields, "MaxOrder", field.max_order);
}

fn put_magnet(fields: &mut Fields, magnet: &Magnet) {
    put_field(fields, &magnet.field);
    put(fields, "NumIntSteps", magnet.slices);
    if magnet.fringe != [false; 2] {
        put(fields, "FringeQuadEntrance", u8::from(magnet.fringe[0]));
        put(fields, "FringeQuadExit", u8::from(magnet.fringe[1]));
    }
}

fn put_straight(fields: &mut Fields, class: &str, magnet: &Magnet) {
    kind(fields, class, if magnet.exact { "ExactMultipolePass" } else { "StrMPoleSymplectic4Pass" });
    put_magnet(fields, magnet);
}

fn put_bend(fields: &mut Fields, bend: &Bend) {
    let pass = match (bend.magnet.exact, bend.second_order) {
        (true, _) => "ExactSectorBendPass",
        (false, true) => "BndMPoleSymplectic4E2Pass",
        (false, false) => "BndMPoleSymplectic4Pass",
    };
    kind(fields, "Bend", pass);
    put_magnet(fields, &bend.magnet);
    put(fields, "BendingAngle", real(bend.angle));
    let mut edge = |edge: &Edge, [angle, integral, method, curvature]: [&str; 4]| {
        put(fields, angle, real(edge.angle));
        put(fields, integral, real(edge.fringe_integral));
        put(fields, method, edge.method);
        put(fields, curvature, real(edge.curvature));
    };
    edge(&bend.entrance, ["EntranceAngle", "FringeInt1", "FringeBendEntrance", "H1"]);
    edge(&bend.exit, ["ExitAngle", "FringeInt2", "FringeBendExit", "H2"]);
    put(fields, "FullGap", real(bend.full_gap));
}

fn put_cavity(fields: &mut Fields, cavity: &Cavity, length: f64) {
    let pass = match (cavity.on, cavity.counts_turns) {
        (true, true) => "RFCavityPass",
        (true, false) => "CavityPass",
        (false, _) if length == 0.0 => "IdentityPass",
        (false, _) => "DriftPass",
    };
    kind(fields, "RFCavity", pass);
    put(fields, "Voltage", real(cavity.voltage));
    put(fields, "Frequency", real(cavity.frequency));
    put(fields, "HarmNumber", real(cavity.harmonic));
    put(fields, "TimeLag", real(cavity.time_lag));
    if cavity.phase_lag != 0.0 {
        put(fields, "PhaseLag", real(cavity.phase_lag));
    }
}

fn put_wiggler(fields: &mut Fields, wiggler: &Wiggler) {
    kind(fields, "Wiggler", "GWigSymplecticPass");
    put(fields, "Lw", real(wiggler.period));
    put(fields, "Bmax", real(wiggler.peak_field));
    put(fields, "Nstep", wiggler.steps);
    put(fields, "Nmeth", wiggler.integrator);
    for (name, harmonics) in [("By", &wiggler.vertical), ("Bx", &wiggler.horizontal)] {
        let row = |row: usize| harmonics.iter().map(|harmonic| real(harmonic[row])).collect::<Value>();
        put(fields, name, (0..6).map(row).collect::<Value>());
    }
}

fn put_kick_map(fields: &mut Fields, map: &KickMap) {
    kind(fields, "InsertionDeviceKickMap", "IdTablePass");
    put(fields, "Nslice", map.slices);
    put(fields, "xtable", reals(&map.x));
    put(fields, "ytable", reals(&map.y));
    let none = vec![0.0; map.x.len() * map.y.len()];
    for (name, table) in ["xkick", "ykick", "xkick1", "ykick1"].iter().zip(map.tables()) {
        let table = if table.is_empty() { &none } else { table };
        put(fields, name, table.chunks(map.x.len().max(1)).map(reals).collect::<Value>());
    }
}

fn placement(fields: &mut Fields, element: &Element) {
    if let Some(alignment) = &element.alignment {
        alignment.t1.iter().for_each(|shift| put(fields, "T1", reals(shift)));
        alignment.t2.iter().for_each(|shift| put(fields, "T2", reals(shift)));
        alignment.r1.iter().for_each(|rows| put(fields, "R1", matrix(rows)));
        alignment.r2.iter().for_each(|rows| put(fields, "R2", matrix(rows)));
    }
    if let Some(aperture) = &element.aperture {
        aperture.rectangle.iter().for_each(|limits| put(fields, "RApertures", reals(limits)));
        aperture.ellipse.iter().for_each(|axes| put(fields, "EApertures", reals(axes)));
    }
}

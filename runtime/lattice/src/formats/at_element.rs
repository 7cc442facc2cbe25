//! Elements of the Accelerator Toolbox from their named fields, as its JSON and its MATLAB files have them.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::elements::{
    Alignment, Aperture, Bend, Body, Cavity, Diffusion, Edge, Element, ElementAperture, Field, KickMap, Magnet,
    Matrix66, Reference, Solenoid, Thin, Wiggler,
};
use crate::{Lattice, LatticeError};

type Fields = Map<String, Value>;

/// A lattice from the fields of its elements and the properties around them.
pub fn lattice(elements: Vec<Fields>, properties: &Fields) -> Result<Lattice, LatticeError> {
    let mut parameters = properties.clone();
    let mut found_energy = None;
    let mut out = Vec::with_capacity(elements.len());
    for (index, fields) in elements.into_iter().enumerate() {
        if fields.get("Class").and_then(Value::as_str) == Some("RingParam")
            || (fields.contains_key("Periodicity") && fields.contains_key("Particle"))
        {
            add_ring_parameters(&mut parameters, &fields);
            continue;
        }
        found_energy = found_energy.or_else(|| fields.get("Energy").and_then(as_number));
        out.push(element(fields).map_err(|error| in_element(error, index))?);
    }
    let number = |name: &str| parameters.get(name).and_then(as_number);
    let energy = number("energy").or(found_energy).ok_or_else(|| {
        LatticeError::new("the lattice has no energy").hint("give it in a RingParam element or in the properties")
    })?;
    let whole = |value: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rounded = value.round() as u32;
        rounded
    };
    let periodicity = number("periodicity").unwrap_or_else(|| full_turns(&out));
    let cell_harmonic = number("cell_harmonic").or_else(|| out.iter().find_map(stated_harmonic));
    let harmonic_number = number("harmonic_number").or_else(|| cell_harmonic.map(|harmonic| harmonic * periodicity));
    Ok(Lattice {
        name: parameters.get("name").and_then(Value::as_str).unwrap_or_default().to_string(),
        energy,
        periodicity: whole(periodicity).max(1),
        harmonic_number: harmonic_number.map(whole),
        rest_energy: parameters.get("particle").and_then(|p| p.get("rest_energy")).and_then(as_number).unwrap_or(0.0),
        reference: Reference::default(),
        elements: out,
    })
}

fn in_element(mut error: LatticeError, index: usize) -> LatticeError {
    error.message = format!("element {index}: {}", error.message);
    error
}

fn add_ring_parameters(parameters: &mut Fields, fields: &Fields) {
    let known =
        [("FamName", "name"), ("Energy", "energy"), ("Periodicity", "periodicity"), ("HarmNumber", "cell_harmonic")];
    for (from, to) in known {
        if let Some(value) = fields.get(from) {
            parameters.entry(to).or_insert_with(|| value.clone());
        }
    }
}

/// Harmonic number of a cavity, counted over the elements of the file.
fn stated_harmonic(element: &Element) -> Option<f64> {
    match &element.body {
        Body::Cavity(cavity) if cavity.harmonic != 0.0 => Some(cavity.harmonic),
        _ => None,
    }
}

/// How many of these cells make a ring, from the sum of bending angles; 1 for a line without bends.
fn full_turns(elements: &[Element]) -> f64 {
    let angle = |element: &Element| match &element.body {
        Body::Bend(bend) => bend.angle,
        _ => 0.0,
    };
    let total: f64 = elements.iter().map(angle).sum();
    if total.abs() > 1e-6 { (std::f64::consts::TAU / total.abs()).round().max(1.0) } else { 1.0 }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" | "inf" => Some(f64::INFINITY),
            "-Infinity" | "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Value::Array(items) if items.len() == 1 => as_number(&items[0]),
        _ => None,
    }
}

/// Numbers of a scalar, a list or a list of lists, by rows.
fn as_numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Array(items) => {
            let parts: Option<Vec<Vec<f64>>> = items.iter().map(as_numbers).collect();
            parts.map(|parts| parts.concat())
        }
        _ => as_number(value).map(|number| vec![number]),
    }
}

/// Takes fields out of an element by name, so that those left over can be kept.
struct Taker {
    fields: Fields,
}

impl Taker {
    fn wrong(&self, name: &str, expected: &str) -> LatticeError {
        let element = self.fields.get("FamName").and_then(Value::as_str).unwrap_or("without name");
        LatticeError::new(format!("field {name} of {element} is not {expected}"))
    }

    fn maybe(&mut self, name: &str) -> Result<Option<f64>, LatticeError> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        if value.as_array().is_some_and(Vec::is_empty) {
            self.fields.remove(name);
            return Ok(None);
        }
        let number = as_number(value).ok_or_else(|| self.wrong(name, "a number"))?;
        self.fields.remove(name);
        Ok(Some(number))
    }

    fn number(&mut self, name: &str) -> Result<f64, LatticeError> {
        Ok(self.maybe(name)?.unwrap_or(0.0))
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn whole(&mut self, name: &str, default: u32) -> Result<u32, LatticeError> {
        Ok(self.maybe(name)?.map_or(default, |number| number as u32))
    }

    fn switch(&mut self, name: &str) -> Result<bool, LatticeError> {
        Ok(self.number(name)? != 0.0)
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<f64>>, LatticeError> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        let numbers = as_numbers(value).ok_or_else(|| self.wrong(name, "a list of numbers"))?;
        self.fields.remove(name);
        Ok(Some(numbers))
    }

    fn array<const N: usize>(&mut self, name: &str) -> Result<Option<[f64; N]>, LatticeError> {
        let Some(numbers) = self.list(name)? else { return Ok(None) };
        if numbers.is_empty() {
            return Ok(None);
        }
        let expected = format!("a list of {N} numbers");
        numbers.try_into().map(Some).map_err(|_| self.wrong(name, &expected))
    }

    fn matrix(&mut self, name: &str) -> Result<Option<[[f64; 6]; 6]>, LatticeError> {
        let flat: Option<[f64; 36]> = self.array(name)?;
        Ok(flat.map(|flat| std::array::from_fn(|row| std::array::from_fn(|column| flat[6 * row + column]))))
    }

    fn word(&mut self, name: &str) -> Option<String> {
        let word = self.fields.get(name)?.as_str()?.to_string();
        self.fields.remove(name);
        Some(word)
    }
}

/// The pass methods whose maps are known; any other one is kept in `extra`, where [`Lattice::check`] finds it.
const PASSES: [&str; 28] = [
    "",
    "IdentityPass",
    "DriftPass",
    "ExactDriftPass",
    "StrMPoleSymplectic4Pass",
    "StrMPoleSymplectic4RadPass",
    "StrMPoleSymplectic4QuantPass",
    "ExactMultipolePass",
    "BndMPoleSymplectic4Pass",
    "BndMPoleSymplectic4RadPass",
    "BndMPoleSymplectic4QuantPass",
    "BndMPoleSymplectic4E2Pass",
    "BndMPoleSymplectic4E2RadPass",
    "ExactSectorBendPass",
    "CorrectorPass",
    "ThinMPolePass",
    "RFCavityPass",
    "CavityPass",
    "Matrix66Pass",
    "Matrix66RadPass",
    "AperturePass",
    "EAperturePass",
    "LongtAperturePass",
    "GWigSymplecticPass",
    "GWigSymplecticRadPass",
    "IdTablePass",
    "SolenoidLinearPass",
    "QuantDiffPass",
];

/// Words of this file format for the kinds of element.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Marker,
    Monitor,
    Drift,
    Bend,
    Quadrupole,
    Sextupole,
    Octupole,
    Multipole,
    Thin,
    Corrector,
    Cavity,
    Matrix,
    Aperture,
    LongitudinalAperture,
    Wiggler,
    KickMap,
    Solenoid,
    Diffusion,
}

fn kind_of_class(class: &str) -> Option<Kind> {
    Some(match class {
        "Marker" | "BeamLoadingElement" | "RingParam" => Kind::Marker,
        "Monitor" | "BPM" => Kind::Monitor,
        "Drift" => Kind::Drift,
        "Bend" | "Dipole" => Kind::Bend,
        "Quadrupole" => Kind::Quadrupole,
        "Sextupole" => Kind::Sextupole,
        "Octupole" => Kind::Octupole,
        "Multipole" => Kind::Multipole,
        "ThinMultipole" => Kind::Thin,
        "Corrector" | "Kicker" => Kind::Corrector,
        "RFCavity" | "RF" | "Cavity" => Kind::Cavity,
        "Matrix66" | "M66" => Kind::Matrix,
        "Aperture" => Kind::Aperture,
        "LongtAperture" => Kind::LongitudinalAperture,
        "Wiggler" => Kind::Wiggler,
        "InsertionDeviceKickMap" | "KickMap" => Kind::KickMap,
        "Solenoid" => Kind::Solenoid,
        "QuantumDiffusion" => Kind::Diffusion,
        _ => return None,
    })
}

fn kind_of_pass(pass: &str) -> Option<Kind> {
    Some(match pass {
        "CorrectorPass" => Kind::Corrector,
        "RFCavityPass" | "CavityPass" => Kind::Cavity,
        "ThinMPolePass" => Kind::Thin,
        "Matrix66Pass" => Kind::Matrix,
        "AperturePass" => Kind::Aperture,
        "LongtAperturePass" => Kind::LongitudinalAperture,
        "GWigSymplecticPass" | "GWigSymplecticRadPass" => Kind::Wiggler,
        "DriftPass" | "ExactDriftPass" => Kind::Drift,
        "IdTablePass" => Kind::KickMap,
        "SolenoidLinearPass" => Kind::Solenoid,
        "QuantDiffPass" => Kind::Diffusion,
        _ if pass.starts_with("Bnd") || pass.starts_with("BendLinear") => Kind::Bend,
        _ => return None,
    })
}

/// The class where the file does not say: from the strongest hint the fields give.
fn kind_of_content(fields: &Fields) -> Kind {
    let has = |name: &str| fields.contains_key(name);
    let length = fields.get("Length").and_then(as_number).unwrap_or(0.0);
    if has("BendingAngle") && length > 0.0 {
        Kind::Bend
    } else if has("Voltage") && has("Frequency") {
        Kind::Cavity
    } else if has("KickAngle") && !has("PolynomB") {
        Kind::Corrector
    } else if has("PolynomB") || has("K") {
        kind_of_polynomials(fields)
    } else if has("GCR") {
        Kind::Monitor
    } else if length > 0.0 {
        Kind::Drift
    } else {
        Kind::Marker
    }
}

fn kind_of_polynomials(fields: &Fields) -> Kind {
    let strengths = fields.get("PolynomB").and_then(as_numbers).unwrap_or_default();
    let acts = |order: usize| strengths.get(order).is_some_and(|&strength| strength != 0.0);
    match fields.get("MaxOrder").and_then(as_number) {
        Some(order) if order >= 1.0 && acts(1) => Kind::Quadrupole,
        None if acts(1) || fields.contains_key("K") => Kind::Quadrupole,
        Some(order) if order >= 2.0 && acts(2) => Kind::Sextupole,
        Some(order) if order >= 3.0 && acts(3) => Kind::Octupole,
        _ => Kind::Multipole,
    }
}

fn kind(fields: &Fields) -> Kind {
    let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    kind_of_class(word("Class"))
        .or_else(|| kind_of_class(word("FamName")))
        .or_else(|| kind_of_pass(word("PassMethod")))
        .unwrap_or_else(|| kind_of_content(fields))
}

/// One element from its fields.
fn element(fields: Fields) -> Result<Element, LatticeError> {
    let kind = kind(&fields);
    let mut take = Taker { fields };
    let name = take.fields.get("FamName").and_then(Value::as_str).unwrap_or_default().to_string();
    let pass = take.word("PassMethod").unwrap_or_default();
    let length = take.number("Length")?;
    let body = body(kind, &pass, &mut take)?;
    let kick = take.array("KickAngle")?.unwrap_or([0.0; 2]);
    let mut element = Element::new(name.as_str(), length, body);
    element.kick = kick;
    element.alignment = alignment(&mut take)?;
    element.aperture = aperture(&mut take)?;
    element.field_scaling = take.maybe("FieldScaling")?.unwrap_or(1.0);
    take.fields.remove("FamName");
    take.fields.remove("Energy");
    take.fields.remove("K");
    if !PASSES.contains(&pass.as_str()) {
        take.fields.insert("PassMethod".to_string(), Value::String(pass.clone()));
    }
    if take.fields.get("Class").and_then(Value::as_str).and_then(kind_of_class) == Some(kind) && !is_thin(kind, &pass) {
        take.fields.remove("Class");
    }
    element.extra = take.fields.into();
    Ok(element)
}

fn is_thin(kind: Kind, pass: &str) -> bool {
    kind == Kind::Thin || pass == "ThinMPolePass"
}

fn body(kind: Kind, pass: &str, take: &mut Taker) -> Result<Body, LatticeError> {
    let off = matches!(pass, "IdentityPass" | "DriftPass");
    Ok(match kind {
        Kind::Cavity => Body::Cavity(Cavity {
            voltage: take.number("Voltage")?,
            frequency: take.number("Frequency")?,
            harmonic: take.number("HarmNumber")?,
            time_lag: take.number("TimeLag")?,
            phase_lag: take.number("PhaseLag")?,
            on: !off,
            counts_turns: pass != "CavityPass",
        }),
        _ if is_thin(kind, pass) => Body::ThinMultipole(Thin {
            field: field(take)?,
            bending_angle: take.array("BendingAngle")?.unwrap_or([0.0; 2]),
        }),
        Kind::Marker => Body::Marker,
        Kind::Monitor => Body::Monitor,
        Kind::Corrector => Body::Corrector,
        Kind::Matrix => matrix(take)?,
        Kind::Aperture => Body::Aperture(Aperture {
            transverse: ElementAperture { rectangle: take.array("Limits")?, ellipse: take.array("Axes")? },
            longitudinal: None,
        }),
        Kind::LongitudinalAperture => {
            Body::Aperture(Aperture { transverse: ElementAperture::default(), longitudinal: take.array("Limits")? })
        }
        // a magnet that the file switches off
        _ if pass == "IdentityPass" => Body::Marker,
        Kind::Drift => Body::Drift { exact: pass.starts_with("Exact") },
        _ if pass == "DriftPass" => Body::Drift { exact: false },
        Kind::Bend => bend(pass, take)?,
        Kind::Quadrupole => Body::Quadrupole(magnet(pass, take)?),
        Kind::Sextupole => Body::Sextupole(magnet(pass, take)?),
        Kind::Octupole => Body::Octupole(magnet(pass, take)?),
        Kind::Wiggler => wiggler(take)?,
        Kind::KickMap => kick_map(take)?,
        Kind::Solenoid => Body::Solenoid(Solenoid { strength: take.number("K")?, exact: false }),
        Kind::Diffusion => diffusion(take)?,
        Kind::Multipole | Kind::Thin => Body::Multipole(magnet(pass, take)?),
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn field(take: &mut Taker) -> Result<Field, LatticeError> {
    let gradient = take.maybe("K")?;
    let a = take.list("PolynomA")?.unwrap_or_default();
    let b = take.list("PolynomB")?.unwrap_or_else(|| gradient.map_or(vec![], |gradient| vec![0.0, gradient]));
    let max_order = take.maybe("MaxOrder")?.map(|order| order as usize);
    let mut field = Field::new(b, a);
    field.max_order = max_order.unwrap_or(field.max_order);
    Ok(field)
}

fn magnet(pass: &str, take: &mut Taker) -> Result<Magnet, LatticeError> {
    Ok(Magnet {
        field: field(take)?,
        slices: take.whole("NumIntSteps", 10)?,
        fringe: [take.switch("FringeQuadEntrance")?, take.switch("FringeQuadExit")?],
        exact: pass.starts_with("Exact"),
    })
}

fn bend(pass: &str, take: &mut Taker) -> Result<Body, LatticeError> {
    let mut magnet = magnet(pass, take)?;
    magnet.exact = pass.starts_with("ExactSectorBend");
    let full_gap = take.number("FullGap")?;
    let mut edge = |angle, integral, method, curvature| -> Result<Edge, LatticeError> {
        Ok(Edge {
            angle: take.number(angle)?,
            fringe_integral: take.number(integral)?,
            method: u8::try_from(take.whole(method, 1)?).unwrap_or(1),
            curvature: take.number(curvature)?,
        })
    };
    let entrance = edge("EntranceAngle", "FringeInt1", "FringeBendEntrance", "H1")?;
    let exit = edge("ExitAngle", "FringeInt2", "FringeBendExit", "H2")?;
    let second_order = pass.contains("E2");
    Ok(Body::Bend(Box::new(Bend {
        magnet,
        angle: take.number("BendingAngle")?,
        entrance,
        exit,
        full_gap,
        second_order,
    })))
}

fn matrix(take: &mut Taker) -> Result<Body, LatticeError> {
    let rows = take.matrix("M66")?.ok_or_else(|| take.wrong("M66", "there, but this element needs it"))?;
    Ok(Body::Matrix66(Box::new(Matrix66 { rows, radiating: take.matrix("M66Rad")? })))
}

fn diffusion(take: &mut Taker) -> Result<Body, LatticeError> {
    let factor = take.matrix("Lmatp")?.ok_or_else(|| take.wrong("Lmatp", "there, but this element needs it"))?;
    Ok(Body::Diffusion(Box::new(Diffusion { factor })))
}

fn wiggler(take: &mut Taker) -> Result<Body, LatticeError> {
    let harmonics = |take: &mut Taker, name| -> Result<Vec<[f64; 6]>, LatticeError> {
        let flat = take.list(name)?.unwrap_or_default();
        let count = flat.len() / 6;
        Ok((0..count).map(|column| std::array::from_fn(|row| flat[row * count + column])).collect())
    };
    Ok(Body::Wiggler(Box::new(Wiggler {
        period: take.number("Lw")?,
        peak_field: take.number("Bmax")?,
        steps: take.whole("Nstep", 5)?,
        integrator: take.whole("Nmeth", 4)?,
        vertical: harmonics(take, "By")?,
        horizontal: harmonics(take, "Bx")?,
    })))
}

fn kick_map(take: &mut Taker) -> Result<Body, LatticeError> {
    let mut table = |name| take.list(name).map(Option::unwrap_or_default);
    let (x, y) = (table("xtable")?, table("ytable")?);
    let (second, first) = ([table("xkick")?, table("ykick")?], [table("xkick1")?, table("ykick1")?]);
    // tables of zeros stand for none
    let first = first.map(|table| if table.iter().all(|kick| *kick == 0.0) { vec![] } else { table });
    let map = KickMap { slices: take.whole("Nslice", 1)?, x, y, second, first };
    if !map.is_filled() {
        return Err(take.wrong("xkick, ykick, xkick1 or ykick1", "a table over xtable and ytable"));
    }
    Ok(Body::KickMap(Arc::new(map)))
}

fn alignment(take: &mut Taker) -> Result<Option<Box<Alignment>>, LatticeError> {
    let found =
        Alignment { t1: take.array("T1")?, t2: take.array("T2")?, r1: take.matrix("R1")?, r2: take.matrix("R2")? };
    Ok((found != Alignment::default()).then(|| Box::new(found)))
}

fn aperture(take: &mut Taker) -> Result<Option<Box<ElementAperture>>, LatticeError> {
    let found = ElementAperture { rectangle: take.array("RApertures")?, ellipse: take.array("EApertures")? };
    Ok((found != ElementAperture::default()).then(|| Box::new(found)))
}

//! Options, units and devices, where they are written out.

use super::Check;
use crate::what::{Origin, What};
use fodo_language::{ParameterKind, unknown_option};
use fodo_report::{Diagnostic, Kind};
use fodo_units::{Quantity, Unit};
use rhai::{Dynamic, Expr, Position};

impl<'a> Check<'a> {
    /// The map of options behind the other arguments: known names, and values that may stand there.
    pub(super) fn options(&mut self, name: &str, arguments: &[What], written: &'a [Expr]) {
        let Some(What::Map(entries)) = arguments.last() else { return };
        let Some((word, known)) = self.known.options(name) else { return };
        let takes_map = |parameter: &str| parameter.starts_with("options");
        let forms = self.known.function(name).iter().filter(|form| form.parameters.len() == arguments.len());
        if !forms.clone().any(|form| form.parameters.last().is_some_and(|p| takes_map(p))) {
            return;
        }
        let Some(last) = written.last() else { return };
        for (key, value) in entries {
            let at = place_of(last, key).unwrap_or_else(|| last.position());
            let declared: Vec<_> = known.iter().filter(|parameter| parameter.name == *key).collect();
            if declared.is_empty() {
                let mut names: Vec<&str> = known.iter().map(|parameter| parameter.name.as_str()).collect();
                names.dedup();
                self.mistake(at, unknown_option(name, names, key, word));
                continue;
            }
            let wrong = |parameter: &&&fodo_language::Parameter| wrong_value(parameter, value);
            // of two builtins with one name either may be meant
            let mut reports: Vec<Diagnostic> = declared.iter().filter_map(wrong).collect();
            if reports.len() == declared.len()
                && let Some(report) = reports.pop()
            {
                let at = value_of(last, key).unwrap_or(at);
                self.mistake(at, report);
            }
        }
    }

    /// A plain number, or another dimension, where a family is set; gives whether something was told.
    pub(super) fn no_unit(&mut self, name: &str, arguments: &[What], written: &'a [Expr]) -> bool {
        if !["set", "step", "set_setpoints", "step_setpoints"].contains(&name) {
            return false;
        }
        let ([What::Family(origins) | What::Device(origins), What::Number(unit, value)], Some(last)) =
            (arguments, written.last())
        else {
            return false;
        };
        let field = |origin: &Origin| origin.family.devices.first().and_then(|device| device.fields.first().cloned());
        let found =
            |physics: &Unit, hardware: &Unit| [physics, hardware].iter().any(|u| u.dimension() == unit.dimension());
        let wrong = origins.iter().filter_map(|origin| Some((origin, field(origin)?)));
        let Some((origin, field)) = wrong.into_iter().find(|(_, field)| !found(&field.physics, &field.hardware)) else {
            return false;
        };
        let what = format!("{}.{}", origin.family.name, field.name);
        let shown = value.map(|si| Quantity::from_si(si, unit.clone()).to_string());
        let report = fodo_builtins::no_unit(&what, &field.physics, &field.hardware, unit);
        self.mistake(
            last.position(),
            shown.filter(|_| unit.symbol() != "1").map_or(report.clone(), |q| report.detail(format!("found {q}"))),
        );
        true
    }

    /// `family("HCOR")`: a name or role that is nearly one of this facility.
    pub(super) fn family_by_name(&mut self, name: &str, arguments: &[What], written: &'a [Expr]) {
        let ("family", [What::Text(Some(word))], [argument]) = (name, arguments, written) else { return };
        if self.known.family(word).is_none() {
            let message = format!("{} has no family `{word}`", self.known.facility.name);
            let report = Diagnostic::new(Kind::Script, message).near(word, self.known.families());
            // a script for many facilities may ask for what one of them lacks
            match report.hints.is_empty() {
                true => self.warning(argument.position(), report),
                false => self.mistake(argument.position(), report),
            }
        }
    }

    /// `start("correct_orbit", #{ … })`: a procedure that there is, with parameters that it has.
    pub(super) fn started(&mut self, name: &str, arguments: &[What], written: &'a [Expr]) {
        let ("start", [What::Text(Some(procedure)), given @ ..], [argument, ..]) = (name, arguments, written) else {
            return;
        };
        if self.known.procedure(procedure).is_some() {
            return self.options(procedure, given, written);
        }
        let names = self.known.procedures().map(|(name, _)| name);
        let report = Diagnostic::new(Kind::Usage, format!("there is no procedure `{procedure}`"));
        self.mistake(argument.position(), report.near(procedure, names));
    }

    /// `HCOR["HCOR_001"]`: the family must have that device.
    pub(super) fn device(&mut self, of: &What, index: &What, at: Position) {
        if let (What::Family(_), What::Text(Some(name))) = (of, index) {
            self.device_or_property(of, name, at);
        }
    }

    /// `HCOR.name` and `HCOR["name"]`.
    pub(super) fn device_or_property(&mut self, of: &What, name: &str, at: Position) {
        let (What::Family(origins) | What::Device(origins)) = of else { return };
        // a parameter may be given another family
        let [Origin { family, parameter: None }] = origins.as_slice() else { return };
        let known: Vec<&str> = self.known.properties(of).map(|property| property.name).collect();
        let is_family = matches!(of, What::Family(_));
        if known.contains(&name) || (is_family && family.device(name).is_some()) {
            return;
        }
        let what = if is_family { family.name.to_string() } else { format!("a device of {}", family.name) };
        if family.fields().iter().any(|field| field.as_ref() == name) {
            let message = format!("`{name}` is a field of {what}, and a field is read from the machine");
            let report = Diagnostic::new(Kind::Script, message).hint(format!("`.get(\"{name}\")`"));
            return self.mistake(at, report);
        }
        let devices = family.devices.iter().filter(|_| is_family).map(|device| device.name.as_ref());
        let noun = if is_family { "property or device" } else { "property" };
        let report = Diagnostic::new(Kind::Script, format!("{what} has no {noun} `{name}`"));
        let report = report.near(name, known.iter().copied().chain(devices));
        let report = match (report.hints.is_empty(), family.devices.first()) {
            (true, Some(first)) if is_family => {
                report.hint(format!("its {} devices are called like \"{}\"", family.devices.len(), first.name))
            }
            _ => report,
        };
        self.mistake(at, report);
    }

    /// What `a + b` and the like are.
    pub(super) fn operator(&mut self, name: &str, arguments: &[What], at: Position) -> What {
        match (name, arguments) {
            ("==" | "!=" | "<" | ">" | "<=" | ">=" | "!" | "in", _) => What::kind("boolean"),
            (".." | "..=", _) => What::Kind("range".into(), Vec::new()),
            ("-", [What::Number(unit, value)]) => What::Number(unit.clone(), value.map(|value| -value)),
            ("-", [of @ What::Kind(kind, _)]) if ["vector", "steps", "matrix"].contains(&kind.as_str()) => of.clone(),
            ("+" | "-", [What::Number(a, x), What::Number(b, y)]) => {
                if a.dimension() != b.dimension() {
                    self.mistake(at, not_alike(name, a, b));
                    return What::Unknown;
                }
                let sign = if name == "+" { 1.0 } else { -1.0 };
                What::Number(a.clone(), x.zip(*y).map(|(x, y)| x + sign * y))
            }
            ("*" | "/", [What::Number(a, x), What::Number(b, y)]) => {
                let (one, other) =
                    (Quantity::from_si(x.unwrap_or(1.0), a.clone()), Quantity::from_si(y.unwrap_or(1.0), b.clone()));
                let result = if name == "*" { one.times(&other) } else { one.over(&other) };
                What::Number(result.unit, x.and(*y).map(|_| result.si))
            }
            ("^" | "^=", [What::Number(..), What::Number(..)]) => {
                self.mistake(at, fodo_language::no_power());
                What::Unknown
            }
            ("**", [What::Number(a, x), What::Number(b, Some(n))]) if b.dimension().is_none() => power(a, *x, *n),
            _ => What::Unknown,
        }
    }
}

/// A number or quantity to a power written out.
fn power(unit: &Unit, value: Option<f64>, exponent: f64) -> What {
    let value = value.map(|value| value.powf(exponent));
    match exponent.fract() == 0.0 && exponent.abs() < 8.0 {
        _ if unit.dimension().is_none() => What::Number(Unit::none(), value),
        true => What::Number(Unit::si(unit.dimension().power(exponent as i8)), value),
        false => What::Unknown,
    }
}

fn not_alike(name: &str, a: &Unit, b: &Unit) -> Diagnostic {
    let act = if name == "+" { "added" } else { "subtracted" };
    let word = |unit: &Unit| match unit.dimension().is_none() {
        true => "a plain number".to_string(),
        false => format!("`{unit}`"),
    };
    let message = format!("{} and {} cannot be {act}: their dimensions differ", word(a), word(b));
    let report = Diagnostic::new(Kind::Script, message);
    match (a.dimension().is_none(), b.dimension().is_none()) {
        (true, false) => report.hint(format!("give the plain number a unit, as in `5.0 * {b}`")),
        (false, true) => report.hint(format!("give the plain number a unit, as in `5.0 * {a}`")),
        _ => report,
    }
}

/// What is wrong with a value that is written out, for one declaration.
fn wrong_value(parameter: &fodo_language::Parameter, value: &What) -> Option<Diagnostic> {
    let value = match value {
        What::Number(unit, Some(si)) if unit.symbol() == "1" => {
            let whole = si.fract() == 0.0 && si.abs() < 9e15;
            if whole { Dynamic::from_int(*si as i64) } else { Dynamic::from_float(*si) }
        }
        What::Number(unit, si) if !unit.dimension().is_none() || si.is_some() => {
            let counted = match &parameter.kind {
                // of a value that is not written out only the dimension is known
                ParameterKind::Number(wanted) if si.is_none() && wanted.dimension() == unit.dimension() => return None,
                _ => si.unwrap_or(1.0),
            };
            Dynamic::from(Quantity::from_si(counted, unit.clone()))
        }
        What::Text(Some(text)) => Dynamic::from(text.clone()),
        What::Kind(kind, _) if kind == "function" && parameter.kind != ParameterKind::Function => {
            return needs(parameter, "a function");
        }
        _ => return None,
    };
    if let (ParameterKind::Named { .. } | ParameterKind::Any, _) = (&parameter.kind, &value) {
        return None;
    }
    parameter.check(&value, &|_, _| None).err().map(|report| *report)
}

fn needs(parameter: &fodo_language::Parameter, found: &str) -> Option<Diagnostic> {
    let word = parameter.kind.word();
    let takes_any = matches!(parameter.kind, ParameterKind::Any | ParameterKind::Named { .. });
    (!takes_any).then(|| {
        Diagnostic::new(
            Kind::Script,
            format!("`{}` must be {}, found {found}", parameter.name, fodo_language::article(&word)),
        )
    })
}

/// Where a key of a map stands.
fn place_of(map: &Expr, key: &str) -> Option<Position> {
    let Expr::Map(map, _) = map else { return None };
    map.0.iter().find(|(name, _)| name.name == key).map(|(name, _)| name.pos)
}

/// Where the value of a key begins.
fn value_of(map: &Expr, key: &str) -> Option<Position> {
    let Expr::Map(map, _) = map else { return None };
    map.0.iter().find(|(name, _)| name.name == key).map(|(_, value)| value.start_position())
}

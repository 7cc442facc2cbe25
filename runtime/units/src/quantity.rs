//! A number with a unit.

use crate::{Dimension, Unit, UnknownUnit};

/// A number with a unit: stored in SI, shown in its unit.
#[derive(Clone, Debug)]
pub struct Quantity {
    /// The number in SI (eV for energies, rad for angles).
    pub si: f64,
    /// The unit it is shown in.
    pub unit: Unit,
}

/// Two units that do not go together.
#[derive(Clone, Debug, PartialEq)]
pub struct WrongUnit {
    /// The unit found.
    pub found: String,
    /// The unit needed.
    pub needed: String,
}

impl std::fmt::Display for WrongUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a value in {} was given where {} is needed", name(&self.found), name(&self.needed))
    }
}

impl std::error::Error for WrongUnit {}

fn name(symbol: &str) -> String {
    if symbol == "1" { "no unit (a plain number)".to_string() } else { format!("`{symbol}`") }
}

impl Quantity {
    /// `value` counted in `unit`.
    pub fn new(value: f64, unit: Unit) -> Quantity {
        Quantity { si: value * unit.scale(), unit }
    }

    /// An SI number of a dimension.
    pub fn from_si(si: f64, unit: Unit) -> Quantity {
        Quantity { si, unit }
    }

    /// A plain number.
    pub fn plain(value: f64) -> Quantity {
        Quantity { si: value, unit: Unit::none() }
    }

    /// Reads `5 urad`, `-0.2 %`, `6 GeV`, `1e-3`.
    pub fn parse(text: &str) -> Result<Quantity, UnknownUnit> {
        let text = text.trim();
        let unknown = || UnknownUnit(text.to_string());
        if let Ok(value) = text.parse::<f64>() {
            return Ok(Quantity::plain(value));
        }
        let cut = text
            .char_indices()
            .find(|&(at, c)| {
                let in_number = c.is_ascii_digit() || "+-.".contains(c);
                let exponent = (c == 'e' || c == 'E')
                    && text[at + 1..].starts_with(|d: char| d.is_ascii_digit() || d == '-' || d == '+');
                !in_number && !exponent
            })
            .map(|(at, _)| at)
            .ok_or_else(unknown)?;
        let value: f64 = text[..cut].trim().parse().map_err(|_| unknown())?;
        Ok(Quantity::new(value, Unit::parse(text[cut..].trim())?))
    }

    /// Its dimension.
    pub fn dimension(&self) -> Dimension {
        self.unit.dimension()
    }

    /// The number counted in `unit`.
    pub fn to(&self, unit: &Unit) -> Result<f64, WrongUnit> {
        self.check(unit)?;
        Ok(self.si / unit.scale())
    }

    /// Whether it can be counted in `unit`.
    pub fn check(&self, unit: &Unit) -> Result<(), WrongUnit> {
        if self.dimension() == unit.dimension() {
            return Ok(());
        }
        Err(WrongUnit { found: self.unit.symbol().to_string(), needed: unit.symbol().to_string() })
    }

    /// Sum of two quantities of one dimension.
    pub fn plus(&self, other: &Quantity) -> Result<Quantity, WrongUnit> {
        other.check(&self.unit)?;
        Ok(Quantity { si: self.si + other.si, unit: self.unit.of_sum(&other.unit) })
    }

    /// Product.
    pub fn times(&self, other: &Quantity) -> Quantity {
        Quantity { si: self.si * other.si, unit: product(&self.unit, &other.unit, 1) }
    }

    /// Quotient.
    pub fn over(&self, other: &Quantity) -> Quantity {
        Quantity { si: self.si / other.si, unit: product(&self.unit, &other.unit, -1) }
    }

    /// The same times a plain number.
    pub fn scaled(&self, factor: f64) -> Quantity {
        Quantity { si: self.si * factor, unit: self.unit.clone() }
    }
}

/// The unit of a product or quotient; a plain factor keeps the other's unit.
fn product(a: &Unit, b: &Unit, power: i8) -> Unit {
    if b.dimension().is_none() {
        return a.clone();
    }
    if a.dimension().is_none() && power == 1 {
        return b.clone();
    }
    Unit::si(a.dimension().times(b.dimension().power(power)))
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = self.unit.for_value(self.si);
        let value = self.si / unit.scale();
        let text = match f.precision() {
            Some(digits) => format!("{value:.digits$}"),
            None => shortest(value, if unit.is_asked() { 9 } else { 6 }),
        };
        if unit.symbol() == "1" { f.write_str(&text) } else { write!(f, "{text} {unit}") }
    }
}

/// That many significant digits, without trailing zeros.
fn shortest(value: f64, significant: i32) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        let text = format!("{value:.*e}", significant as usize - 1);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        return format!("{digits}e{exponent}");
    }
    let digits = if size == 0.0 { 0 } else { (significant - 1 - size.log10().floor() as i32).clamp(0, 12) as usize };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, shown) in
            [("5 urad", "5 µrad"), ("0.012mm", "12 µm"), ("6 GeV", "6 GeV"), ("1e-3", "0.001"), ("-0.2 %", "-0.2 %")]
        {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn refuses_the_wrong_unit() {
        let current = Quantity::parse("5 A").unwrap();
        let angle = Quantity::parse("1 rad").unwrap();
        assert_eq!(current.plus(&angle).unwrap_err().to_string(), "a value in `rad` was given where `A` is needed");
        assert_eq!(angle.over(&current).times(&current).dimension(), Dimension::ANGLE);
    }
}

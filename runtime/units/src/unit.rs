//! Units: a dimension, a scale to SI and the symbol shown.

use std::sync::Arc;

/// Exponents of metre, second, ampere, volt, radian and electronvolt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dimension([i8; 6]);

const BASES: [&str; 6] = ["m", "s", "A", "V", "rad", "eV"];

/// Symbols with their dimension, scale to SI, and whether they take prefixes.
const SYMBOLS: &[(&str, [i8; 6], f64, bool)] = &[
    ("1", [0; 6], 1.0, false),
    ("percent", [0; 6], 0.01, false),
    ("%", [0; 6], 0.01, false),
    ("permille", [0; 6], 1e-3, false),
    ("turn", [0; 6], 1.0, false),
    ("m", [1, 0, 0, 0, 0, 0], 1.0, true),
    ("s", [0, 1, 0, 0, 0, 0], 1.0, true),
    ("min", [0, 1, 0, 0, 0, 0], 60.0, false),
    ("h", [0, 1, 0, 0, 0, 0], 3600.0, false),
    ("A", [0, 0, 1, 0, 0, 0], 1.0, true),
    ("V", [0, 0, 0, 1, 0, 0], 1.0, true),
    ("rad", [0, 0, 0, 0, 1, 0], 1.0, true),
    ("deg", [0, 0, 0, 0, 1, 0], std::f64::consts::PI / 180.0, false),
    ("eV", [0, 0, 0, 0, 0, 1], 1.0, true),
    ("Hz", [0, -1, 0, 0, 0, 0], 1.0, true),
    ("C", [0, 1, 1, 0, 0, 0], 1.0, true),
    ("W", [0, 0, 1, 1, 0, 0], 1.0, true),
    ("T", TESLA, 1.0, true),
    ("Pa", [-3, 1, 1, 1, 0, 0], 1.0, true),
    ("mbar", [-3, 1, 1, 1, 0, 0], 100.0, false),
];

const TESLA: [i8; 6] = [-2, 1, 0, 1, 0, 0];
const METRE: Dimension = Dimension([1, 0, 0, 0, 0, 0]);

const PREFIXES: &[(&str, f64)] = &[
    ("f", 1e-15),
    ("p", 1e-12),
    ("n", 1e-9),
    ("u", 1e-6),
    ("µ", 1e-6),
    ("μ", 1e-6),
    ("m", 1e-3),
    ("c", 1e-2),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];

impl Dimension {
    /// The dimension of a plain number.
    pub const NONE: Dimension = Dimension([0; 6]);
    /// The dimension of an angle.
    pub const ANGLE: Dimension = Dimension([0, 0, 0, 0, 1, 0]);

    /// Whether it is a plain number.
    pub fn is_none(self) -> bool {
        self == Dimension::NONE
    }

    /// Dimension of a product.
    pub fn times(self, other: Dimension) -> Dimension {
        Dimension(std::array::from_fn(|i| self.0[i].saturating_add(other.0[i])))
    }

    /// Dimension of a power.
    pub fn power(self, exponent: i8) -> Dimension {
        Dimension(self.0.map(|e| e.saturating_mul(exponent)))
    }

    /// What is left of it where angles count as plain numbers.
    pub fn without_angle(self) -> Dimension {
        let Dimension([m, s, a, v, _, ev]) = self;
        Dimension([m, s, a, v, 0, ev])
    }

    /// Dimension of the square root, where it exists.
    pub fn root(self) -> Option<Dimension> {
        self.0.iter().all(|e| e % 2 == 0).then(|| Dimension(self.0.map(|e| e / 2)))
    }
}

impl std::fmt::Display for Dimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((symbol, ..)) = SYMBOLS.iter().find(|s| s.1 == self.0 && s.2 == 1.0 && s.0 != "turn") {
            return f.write_str(symbol);
        }
        let factor = |symbol: &str, exponent: i8| match exponent {
            1 => symbol.to_string(),
            n => format!("{symbol}^{n}"),
        };
        // a field times or over a power of a length: T m, T/m
        let tesla = (-4..=4).find(|&n| Dimension(TESLA).times(METRE.power(n)) == *self);
        let factors: Vec<(&str, i8)> = match tesla {
            Some(n) => vec![("T", 1), ("m", n)],
            None => BASES.into_iter().zip(self.0).collect(),
        };
        let above: Vec<String> = factors.iter().filter(|(_, n)| *n > 0).map(|(s, n)| factor(s, *n)).collect();
        let below = factors.iter().filter(|(_, n)| *n < 0).map(|(s, n)| format!("/{}", factor(s, n.saturating_neg())));
        write!(f, "{}{}", if above.is_empty() { "1".into() } else { above.join(" ") }, below.collect::<String>())
    }
}

/// A unit: dimension, scale to SI, symbol.
#[derive(Clone, Debug)]
pub struct Unit {
    dimension: Dimension,
    scale: f64,
    symbol: Arc<str>,
    first: Option<First>,
    asked: bool,
    position: bool,
}

/// The first factor of a unit whose prefix may be chosen: the `m` of `mm`, the `rad` of `urad/A`.
#[derive(Clone, Copy, Debug)]
struct First {
    base: &'static str,
    prefix: f64,
    /// Bytes of the unit's symbol that prefix and base take.
    length: usize,
}

impl PartialEq for Unit {
    fn eq(&self, other: &Unit) -> bool {
        self.dimension == other.dimension && self.scale == other.scale
    }
}

/// A unit symbol that is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownUnit(pub String);

impl std::fmt::Display for UnknownUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is not a unit", self.0)?;
        match fodo_report::did_you_mean(&self.0, SYMBOLS.iter().map(|s| s.0)) {
            Some(hint) => write!(f, "; {hint}"),
            None => f.write_str("; write it like `mm`, `urad`, `1/m^2`, `rad/A`"),
        }
    }
}

impl std::error::Error for UnknownUnit {}

impl Unit {
    /// The unit of a plain number, `1`.
    pub fn none() -> Unit {
        Unit { dimension: Dimension::NONE, scale: 1.0, symbol: "1".into(), first: None, asked: false, position: false }
    }

    /// The SI unit of a dimension (eV for energies, rad for angles).
    pub fn si(dimension: Dimension) -> Unit {
        let symbol: Arc<str> = dimension.to_string().into();
        Unit { dimension, scale: 1.0, first: First::of(&symbol), symbol, asked: false, position: false }
    }

    /// The unit of places along the machine: metres, never with a prefix; a plain number beside one counts in metres.
    pub fn position() -> Unit {
        Unit { first: None, position: true, ..Unit::si(METRE) }
    }

    /// Whether it counts places along the machine.
    pub fn is_position(&self) -> bool {
        self.position
    }

    /// The unit of a sum: a length from a place on is a place.
    #[must_use]
    pub fn of_sum(&self, other: &Unit) -> Unit {
        if other.position { other.clone() } else { self.clone() }
    }

    /// The unit of a difference: from one place to another is a length.
    #[must_use]
    pub fn of_difference(&self, other: &Unit) -> Unit {
        if self.position && other.position { Unit::si(METRE) } else { self.clone() }
    }

    /// Reads `mm`, `urad`, `1/m^2`, `m^-2`, `rad/A`, `T m`, `kHz`, `%`.
    pub fn parse(text: &str) -> Result<Unit, UnknownUnit> {
        let unknown = || UnknownUnit(text.to_string());
        let mut dimension = Dimension::NONE;
        let mut scale = 1.0;
        for (place, group) in text.split('/').enumerate() {
            let sign = if place == 0 { 1 } else { -1 };
            // T/(m A) and T/m/A are one unit
            let group = group.trim();
            let group = group.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(group);
            if group.trim().is_empty() {
                return Err(unknown());
            }
            for factor in group.split([' ', '*', '·']).filter(|f| !f.is_empty()) {
                let (symbol, exponent) = split_exponent(factor).ok_or_else(unknown)?;
                let (d, s) = lookup(symbol).ok_or_else(unknown)?;
                let exponent = exponent.saturating_mul(sign);
                dimension = dimension.times(d.power(exponent));
                scale *= f64::powi(s, i32::from(exponent));
            }
        }
        let symbol: Arc<str> = text.trim().into();
        Ok(Unit { dimension, scale, first: First::of(&symbol), symbol, asked: false, position: false })
    }

    /// This many of it as one unit: 1e-3 of `rad` is a milliradian.
    pub fn scaled(&self, factor: f64) -> Unit {
        let symbol = format!("{factor} {}", self.symbol).into();
        Unit { scale: self.scale * factor, symbol, first: None, ..self.clone() }
    }

    /// The same unit as one that was asked for: values are shown in it, whatever their size, and with more digits.
    #[must_use]
    pub fn as_asked(&self) -> Unit {
        Unit { asked: true, ..self.clone() }
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        self.asked
    }

    /// Its dimension.
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// One of it in SI.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Its symbol, as it was written.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// The unit in which `value` (SI) reads best: the prefix of its first factor is chosen. A unit without prefixes
    /// (`deg`, `h`, `mbar`) stays, and so does one that was asked for.
    pub fn for_value(&self, value: f64) -> Unit {
        let Some(first) = self.first.filter(|_| !self.asked) else { return self.clone() };
        let size = (value / self.scale * first.prefix).abs();
        if size == 0.0 || !size.is_finite() {
            return self.clone();
        }
        let step = ((size.log10() + 1e-9) / 3.0).floor().clamp(-5.0, 4.0) as i32;
        let (prefix, scale) = match step {
            -5 => ("f", 1e-15),
            -4 => ("p", 1e-12),
            -3 => ("n", 1e-9),
            -2 => ("µ", 1e-6),
            -1 => ("m", 1e-3),
            1 => ("k", 1e3),
            2 => ("M", 1e6),
            3 => ("G", 1e9),
            4 => ("T", 1e12),
            _ => ("", 1.0),
        };
        let begin = format!("{prefix}{}", first.base);
        let symbol = format!("{begin}{}", &self.symbol[first.length..]).into();
        let rest = if first.prefix == self.scale { 1.0 } else { self.scale / first.prefix };
        Unit {
            scale: rest * scale,
            symbol,
            first: Some(First { prefix: scale, length: begin.len(), ..first }),
            ..*self
        }
    }
}

impl First {
    /// The first factor of a unit's symbol, if its prefix may be chosen.
    fn of(symbol: &str) -> Option<First> {
        let length = symbol.find([' ', '*', '·', '/']).unwrap_or(symbol.len());
        let factor = &symbol[..length];
        let bare = |text: &str| SYMBOLS.iter().find(|s| s.3 && s.0 == text).map(|s| s.0);
        if SYMBOLS.iter().any(|s| s.0 == factor) {
            return bare(factor).map(|base| First { base, prefix: 1.0, length });
        }
        let found = PREFIXES.iter().find_map(|(prefix, scale)| Some((bare(factor.strip_prefix(prefix)?)?, *scale)));
        found.map(|(base, prefix)| First { base, prefix, length })
    }
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.symbol)
    }
}

fn lookup(symbol: &str) -> Option<(Dimension, f64)> {
    let plain = SYMBOLS.iter().find(|s| s.0 == symbol).map(|s| (Dimension(s.1), s.2));
    plain.or_else(|| {
        PREFIXES.iter().find_map(|(prefix, factor)| {
            let rest = symbol.strip_prefix(prefix)?;
            let found = SYMBOLS.iter().find(|s| s.3 && s.0 == rest)?;
            Some((Dimension(found.1), found.2 * factor))
        })
    })
}

/// `m^-2`, `m-2`, `m⁻²`, `m2`, `m**2` as symbol and exponent.
fn split_exponent(factor: &str) -> Option<(&str, i8)> {
    let cut = factor.find(|c: char| "^⁻²³¹*".contains(c) || c == '-' || (c.is_ascii_digit() && factor != "1"));
    let Some(cut) = cut.filter(|&c| c > 0) else { return Some((factor, 1)) };
    let digits: String = factor[cut..]
        .trim_start_matches(['^', '*'])
        .chars()
        .map(|c| match c {
            '⁻' => '-',
            '¹' => '1',
            '²' => '2',
            '³' => '3',
            other => other,
        })
        .collect();
    Some((&factor[..cut], digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_units_of_the_field() {
        for (text, scale, dimension) in [
            ("mm", 1e-3, "m"),
            ("urad", 1e-6, "rad"),
            ("µrad", 1e-6, "rad"),
            ("1/m^2", 1.0, "1/m^2"),
            ("m⁻²", 1.0, "1/m^2"),
            ("rad/A", 1.0, "rad/A"),
            ("A/m/s", 1.0, "A/m/s"),
            ("kHz", 1e3, "Hz"),
            ("T", 1.0, "T"),
            ("T m", 1.0, "T m"),
            ("T/m", 1.0, "T/m"),
            ("V s", 1.0, "T m^2"),
            ("GeV", 1e9, "eV"),
            ("%", 0.01, "1"),
            ("min", 60.0, "s"),
        ] {
            let unit = Unit::parse(text).unwrap();
            assert_eq!((unit.scale(), unit.dimension().to_string().as_str()), (scale, dimension), "{text}");
        }
        assert!(Unit::parse("mrd").unwrap_err().to_string().contains("rad"));
        assert!(Unit::parse("m/").is_err() && Unit::parse("1/(m").is_err() && Unit::parse("1/()").is_err());
        assert_eq!(Unit::parse("T/(m A)"), Unit::parse("T/m/A"));
        assert!(Unit::parse("1/m^-128").is_ok() && Unit::parse("m^128").is_err());
    }
    #[test]
    fn the_prefix_of_the_first_factor_follows_the_size() {
        for (unit, si, shown) in [
            ("m", 0.005, "5 mm"),
            ("cm", 0.05, "50 mm"),
            ("m rad", 1.32e-10, "132 pm rad"),
            ("rad/A", 5e-6, "5 µrad/A"),
            ("mm/mrad", 20.0, "20 mm/mrad"),
            ("deg", 0.5 * std::f64::consts::PI, "90 deg"),
            ("h", 7200.0, "2 h"),
            ("mbar", 1e-7, "1e-9 mbar"),
            ("1/m^2", 1e-3, "0.001 1/m^2"),
            ("%", 1e-3, "0.1 %"),
        ] {
            let unit = Unit::parse(unit).unwrap();
            assert_eq!(crate::Quantity::from_si(si, unit).to_string(), shown);
        }
        let asked = Unit::parse("mm").unwrap().as_asked();
        assert_eq!(crate::Quantity::from_si(5.0, asked).to_string(), "5000 mm");
        // six digits would hide a step of the RF frequency
        let asked = Unit::parse("kHz").unwrap().as_asked();
        assert_eq!(crate::Quantity::from_si(352_372_123.0, asked).to_string(), "352372.123 kHz");
    }

    #[test]
    fn places_along_the_machine_have_no_prefix() {
        let (place, length) = (Unit::position(), Unit::si(METRE));
        for (si, shown) in [(0.35, "0.35 m"), (1200.0, "1200 m"), (26_658.9, "26658.9 m")] {
            assert_eq!(crate::Quantity::from_si(si, place.clone()).to_string(), shown);
        }
        for (unit, is_place) in [
            (place.of_sum(&length), true),
            (length.of_sum(&place), true),
            (place.of_difference(&length), true),
            (place.of_difference(&place), false),
            (length.of_difference(&place), false),
        ] {
            assert_eq!(unit.is_position(), is_place);
            assert_eq!(unit, length);
        }
    }

    #[test]
    fn every_dimension_is_written_as_a_unit_that_is_read() {
        for exponents in [[1, 0, 0, 0, 1, 0], [0, 0, -1, 0, 1, 0], [-3, 2, 0, 1, 0, -1], [-2, 0, 0, 0, 0, 0], TESLA] {
            let dimension = Dimension(exponents);
            let unit = Unit::parse(&dimension.to_string()).unwrap();
            assert_eq!((unit.dimension(), unit.scale()), (dimension, 1.0), "{dimension}");
        }
    }
}

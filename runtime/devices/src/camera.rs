//! A camera that looks at the beam: how large its image is and what its pixels count.

use crate::table::Table;
use fodo_report::Result;
use fodo_units::Unit;

/// What a table says of the image of a beam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// What a pixel sees of the beam, both ways [m].
    pub pixel: f64,
    /// Rms width of the image of a point, both ways [m].
    pub blur: f64,
    /// Counts in the whole image for each ampere of the beam, or coulomb of a shot [1/A, 1/C].
    pub counts: f64,
    /// Counts in each pixel without light [1].
    pub background: f64,
    /// The largest number that a pixel can count to is two to this power, less one.
    pub bits: u32,
}

/// The most pixels that an image may have.
const PIXELS: usize = 1 << 22;

impl Camera {
    /// The keys of a field; nothing where it has none of them.
    pub(crate) fn read(table: &Table) -> Result<Option<Camera>> {
        if !table.has("width") && !table.has("height") {
            return Ok(None);
        }
        let whole = |key: &str, otherwise: f64, most: f64| match table.number(key)?.unwrap_or(otherwise) {
            number if (1.0..=most).contains(&number) && number.fract() == 0.0 => Ok(number as usize),
            _ => Err(table.mistake(key, format!("must be a whole number from 1 to {most}"))),
        };
        let positive = |key: &str, symbol: &str, otherwise: f64| -> Result<f64> {
            let unit = Unit::parse(symbol).map_err(|e| table.mistake(key, e.to_string()))?;
            match table.quantity(key, &unit)?.unwrap_or(otherwise) {
                value if value.is_finite() && value >= 0.0 => Ok(value),
                _ => Err(table.mistake(key, "must not be negative")),
            }
        };
        let camera = Camera {
            width: whole("width", 0.0, 1e4)?,
            height: whole("height", 0.0, 1e4)?,
            pixel: positive("pixel", "m", 0.0)?,
            blur: positive("blur", "m", 0.0)?,
            counts: table.number("counts")?.unwrap_or(1e6),
            background: table.number("background")?.unwrap_or(0.0),
            bits: whole("bits", 12.0, 32.0)? as u32,
        };
        if camera.pixel == 0.0 {
            return Err(table.mistake("pixel", "is missing: what one sees of the beam, such as \"20 um\""));
        }
        if camera.width * camera.height > PIXELS {
            return Err(table.mistake("width", format!("an image has at most {PIXELS} pixels")));
        }
        if camera.counts <= 0.0 || camera.background < 0.0 {
            return Err(table.mistake("counts", "must be above zero, and `background` not below it"));
        }
        Ok(Some(camera))
    }
}

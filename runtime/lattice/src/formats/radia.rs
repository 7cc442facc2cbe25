//! Kick maps of insertion devices in the text format of RADIA, as the Accelerator Toolbox and others read it.
//!
//! Lines that begin with `#` are comments. Then: the length [m]; the number of horizontal and of vertical points, each
//! on a line of its own; and blocks that begin with a line `START`: first the horizontal positions [m], then a line for
//! each vertical position with the position and its values. The first two blocks are the horizontal and the vertical
//! kicks of second order [T² m²], the next two, if there are any, those of first order [T m].

use std::fmt::Write as _;
use std::path::Path;

use super::read_text;
use crate::LatticeError;
use crate::elements::KickMap;

/// Reads a file: the length [m] and the kicks on particles of this rigidity [T m], spread over so many slices.
///
/// # Errors
/// The file cannot be read, or is none of this format; says the line.
pub fn read(path: &Path, rigidity: f64, slices: u32) -> Result<(f64, KickMap), LatticeError> {
    parse(&read_text(path)?, rigidity, slices).map_err(|error| error.in_file(path))
}

/// Reads such a text.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, rigidity: f64, slices: u32) -> Result<(f64, KickMap), LatticeError> {
    let mut lines = Lines { text, rest: text };
    let length = lines.numbers(1, "the length")?[0];
    let mut count = |what| -> Result<usize, LatticeError> {
        let number = lines.numbers(1, what)?[0];
        if number < 2.0 || number.fract() != 0.0 || number > 1e5 {
            return Err(lines.wrong(format!("{what} cannot be {number}")));
        }
        Ok(number as usize)
    };
    let (columns, rows) = (count("the number of horizontal points")?, count("the number of vertical points")?);
    let mut blocks = vec![];
    while let Some(line) = lines.next() {
        if line != "START" {
            return Err(lines.wrong(format!("expected START, found `{line}`")));
        }
        blocks.push(block(&mut lines, columns, rows)?);
    }
    if !matches!(blocks.len(), 2 | 4) {
        return Err(LatticeError::new(format!(
            "a kick map has 2 or 4 blocks that begin with START, not {}",
            blocks.len()
        )));
    }
    if blocks.iter().any(|block| block.x != blocks[0].x || block.y != blocks[0].y) {
        return Err(LatticeError::new("the blocks of this kick map have different positions"));
    }
    let scaled = |index: usize, factor: f64| {
        blocks.get(index).map_or(vec![], |block| block.values.iter().map(|value| value * factor).collect())
    };
    let (first, second) = (1.0 / rigidity, 1.0 / (rigidity * rigidity));
    let map = KickMap {
        slices,
        x: blocks[0].x.clone(),
        y: blocks[0].y.clone(),
        second: [scaled(0, second), scaled(1, second)],
        first: [scaled(2, first), scaled(3, first)],
    };
    if !map.rises() {
        return Err(LatticeError::new("a position of this kick map stands there twice"));
    }
    Ok((length, map))
}

/// Text of a kick map of this length [m], whose kicks belong to particles of this rigidity [T m].
#[must_use]
pub fn write(length: f64, map: &KickMap, rigidity: f64) -> String {
    let mut out = format!(
        "# kick map of an insertion device\n# length [m]\n{length:?}\n# number of horizontal points\n{}\n# number of \
         vertical points\n{}\n",
        map.x.len(),
        map.y.len()
    );
    let orders = [("T2m2", &map.second, rigidity * rigidity), ("Tm", &map.first, rigidity)];
    for (unit, tables, factor) in orders {
        for (plane, table) in ["horizontal", "vertical"].iter().zip(tables) {
            if table.is_empty() {
                continue;
            }
            let _ = writeln!(out, "# {plane} kick [{unit}]\nSTART\n{}", spaced(map.x.iter().copied()));
            for (y, row) in map.y.iter().zip(table.chunks(map.x.len())).rev() {
                let _ = writeln!(out, "{y:?} {}", spaced(row.iter().map(|kick| kick * factor)));
            }
        }
    }
    out
}

fn spaced(values: impl Iterator<Item = f64>) -> String {
    values.map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" ")
}

/// A table with rising positions.
struct Block {
    x: Vec<f64>,
    y: Vec<f64>,
    values: Vec<f64>,
}

fn block(lines: &mut Lines, columns: usize, rows: usize) -> Result<Block, LatticeError> {
    let x = lines.numbers(columns, "the horizontal positions")?;
    let mut table: Vec<Vec<f64>> = (0..rows)
        .map(|_| lines.numbers(columns + 1, "a vertical position and its values"))
        .collect::<Result<_, _>>()?;
    table.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut order: Vec<usize> = (0..columns).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    Ok(Block {
        x: order.iter().map(|&column| x[column]).collect(),
        y: table.iter().map(|row| row[0]).collect(),
        values: table.iter().flat_map(|row| order.iter().map(|&column| row[column + 1])).collect(),
    })
}

/// The lines of a text that say something.
struct Lines<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Option<&'t str> {
        while !self.rest.is_empty() {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                return Some(line);
            }
        }
        None
    }

    /// Finite numbers on the next line.
    fn numbers(&mut self, count: usize, what: &str) -> Result<Vec<f64>, LatticeError> {
        let line = self.next().ok_or_else(|| LatticeError::new(format!("the file ends before {what}")))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers = words.iter().take(count).map(|word| word.parse().ok().filter(|number: &f64| number.is_finite()));
        let numbers: Vec<f64> =
            numbers.collect::<Option<_>>().ok_or_else(|| self.wrong(format!("{what} should be numbers")))?;
        // what follows a single number is a comment
        if numbers.len() < count || (count > 1 && words.len() > count) {
            return Err(self.wrong(format!("expected {count} numbers ({what}), found {}", words.len())));
        }
        Ok(numbers)
    }

    fn wrong(&self, message: String) -> LatticeError {
        let after = self.text.len() - self.rest.len();
        let line = self.text[..after].trim_end().rfind('\n').map_or(0, |end| end + 1);
        LatticeError::new(message).at_offset(self.text, line)
    }
}

//! Tables as text that fits the screen.

use super::{Column, Table};
use fodo_units::Quantity;

/// Rows shown at the beginning and at the end of a long table.
const ROWS: (usize, usize) = (14, 5);
/// Significant digits of the largest entry of a column.
const DIGITS: i32 = 6;

/// A column ready to be printed.
struct Printed {
    name: String,
    unit: String,
    cells: Vec<String>,
    left: bool,
}

impl Printed {
    fn width(&self) -> usize {
        self.cells.iter().chain([&self.name, &self.unit]).map(|text| text.chars().count()).max().unwrap_or(0)
    }
}

impl Table {
    /// The table in at most `width` columns of text: long ones lose rows in the middle, wide ones columns at the right.
    pub fn text(&self, width: usize) -> String {
        let rows = self.rows();
        let shown: Vec<Option<usize>> = match rows <= ROWS.0 + ROWS.1 + 1 {
            true => (0..rows).map(Some).collect(),
            false => (0..ROWS.0).map(Some).chain([None]).chain((rows - ROWS.1..rows).map(Some)).collect(),
        };
        let places = shown.iter().map(|row| row.map_or("…".into(), |row| row.to_string()));
        let mut printed =
            vec![Printed { name: String::new(), unit: String::new(), cells: places.collect(), left: false }];
        let mut used = printed[0].width();
        let mut left_out: Vec<&str> = Vec::new();
        for (name, column) in self.columns() {
            let one = printed_column(name, column, &shown);
            let fits = used + 2 + one.width() <= width || printed.len() == 1;
            if fits && left_out.is_empty() {
                used += 2 + one.width();
                printed.push(one);
            } else {
                left_out.push(name.as_str());
            }
        }
        let line = |cell: &dyn Fn(&Printed) -> String| {
            let cells = printed.iter().map(|column| match column.left {
                true => format!("{:<1$}", cell(column), column.width()),
                false => format!("{:>1$}", cell(column), column.width()),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        };
        let mut lines = vec![line(&|column| column.name.clone())];
        if printed.iter().any(|column| !column.unit.is_empty()) {
            lines.push(line(&|column| column.unit.clone()));
        }
        lines.extend((0..shown.len()).map(|row| line(&|column| column.cells[row].clone())));
        if shown.len() < rows || rows == 0 {
            lines.push(format!("({rows} rows)"));
        }
        if !left_out.is_empty() {
            lines.push(format!("columns that do not fit: {}", left_out.join(", ")));
        }
        lines.join("\n")
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text(100))
    }
}

fn printed_column(name: &str, column: &Column, shown: &[Option<usize>]) -> Printed {
    let cells = |cell: &dyn Fn(usize) -> String| shown.iter().map(|row| row.map_or("…".into(), cell)).collect();
    let mut printed = Printed { name: name.to_string(), unit: String::new(), cells: Vec::new(), left: true };
    match column {
        Column::Numbers(v) => {
            let unit = v.unit().for_value(v.largest());
            let numbers: Vec<f64> = v.si().iter().map(|x| x / unit.scale()).collect();
            let visible: Vec<f64> = shown.iter().flatten().map(|&row| numbers[row]).collect();
            let digits = decimals(&visible);
            printed.cells = cells(&|row| number(numbers[row], digits));
            printed.left = false;
            if unit.symbol() != "1" {
                printed.unit = format!("[{unit}]");
            }
        }
        Column::Texts(texts) => printed.cells = cells(&|row| texts[row].to_string()),
        Column::Truths(mask) => printed.cells = cells(&|row| mask.0[row].to_string()),
        Column::Empty => {}
    }
    printed
}

/// Digits behind the point that all numbers of a column get; none where they have none, or need exponents.
fn decimals(numbers: &[f64]) -> Option<usize> {
    let largest = numbers.iter().filter(|x| x.is_finite()).fold(0.0, |a: f64, x| a.max(x.abs()));
    if largest != 0.0 && !(1e-4..1e9).contains(&largest) {
        return None;
    }
    let most = if largest == 0.0 { 0 } else { (DIGITS - 1 - largest.log10().floor() as i32).clamp(0, 9) as usize };
    let needed = |x: &f64| {
        let text = format!("{x:.most$}");
        text.split_once('.').map_or(0, |(_, after)| after.trim_end_matches('0').len())
    };
    Some(numbers.iter().filter(|x| x.is_finite()).map(needed).max().unwrap_or(0))
}

fn number(x: f64, decimals: Option<usize>) -> String {
    match decimals {
        Some(digits) if x == 0.0 || !x.is_finite() || x.abs() >= 0.5 * 10_f64.powi(-(digits as i32)) => {
            let text = format!("{x:.digits$}");
            // no sign before a zero
            if x == 0.0 { text.trim_start_matches('-').to_string() } else { text }
        }
        _ => Quantity::plain(x).to_string(),
    }
}

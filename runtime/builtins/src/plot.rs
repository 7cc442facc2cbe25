//! Plots of text, for the terminal.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use crate::families::document;
use crate::vector::{Vector, from_array};
use fodo_language::{Options, Outcome, article, script_error, type_word};
use fodo_units::Unit;
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// One curve.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend; may be empty.
    pub name: String,
    /// Abscissa in SI.
    pub x: Vec<f64>,
    /// Ordinate in SI.
    pub y: Vec<f64>,
}

/// Curves over one pair of axes.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Line above; may be empty.
    pub title: String,
    /// Name of the abscissa; may be empty.
    pub x_label: String,
    /// Name of the ordinate; may be empty.
    pub y_label: String,
    /// Unit of the abscissa.
    pub x_unit: Unit,
    /// Unit of the ordinate.
    pub y_unit: Unit,
    /// The curves; one is drawn as a line, several as marks.
    pub series: Vec<Series>,
}

/// Marks of several curves, in their order.
const MARKS: [char; 6] = ['·', '●', '+', 'x', 'o', '*'];

impl Plot {
    /// A plot of one vector against another.
    pub fn of(x: &Vector, y: &Vector) -> Plot {
        Plot {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            x_unit: x.unit().clone(),
            y_unit: y.unit().clone(),
            series: vec![Series { name: String::new(), x: x.si().to_vec(), y: y.si().to_vec() }],
        }
    }

    /// The plot as lines of text, about `width` columns wide.
    pub fn render(&self, width: usize, height: usize) -> String {
        let points = || self.series.iter().flat_map(|s| s.x.iter().copied().zip(s.y.iter().copied()));
        let finite = || points().filter(|(x, y)| x.is_finite() && y.is_finite());
        let missing = points().count() - finite().count();
        let (Some(xs), Some(ys)) = (span(finite().map(|p| p.0)), span(finite().map(|p| p.1))) else {
            return format!("{}nothing to plot: no entry is a finite number", head(&self.title));
        };
        let (y_unit, x_unit) = (shown_unit(&self.y_unit, ys), shown_unit(&self.x_unit, xs));
        let columns = width.saturating_sub(MARGIN + 1).clamp(20, 200);
        let rows = height.clamp(5, 60);
        let cells = match self.series.as_slice() {
            [one] => line(one, xs, ys, columns, rows),
            several => marks(several, xs, ys, columns, rows),
        };
        let mut out = head(&self.title);
        out.push_str(&format!("{:>MARGIN$} {}\n", axis(&self.y_label, &y_unit), self.legend()));
        for (row, line) in cells.iter().enumerate() {
            let value = ys.1 - (ys.1 - ys.0) * row as f64 / (rows - 1) as f64;
            let labelled = row == 0 || row + 1 == rows || row == rows / 2;
            let text = if labelled { tick(value, ys, &y_unit) } else { String::new() };
            let edge = if labelled { '┤' } else { '│' };
            out.push_str(&format!("{text:>MARGIN$}{edge}{}\n", line.iter().collect::<String>().trim_end()));
        }
        out.push_str(&format!("{:>MARGIN$}└{}\n", "", "─".repeat(columns)));
        let (left, right) = (tick(xs.0, xs, &x_unit), tick(xs.1, xs, &x_unit));
        let middle = axis(&self.x_label, &x_unit);
        let free = columns.saturating_sub(left.chars().count() + right.chars().count() + middle.chars().count());
        let (a, b) = (free / 2, free - free / 2);
        out.push_str(&format!("{:>MARGIN$} {left}{}{middle}{}{right}", "", " ".repeat(a), " ".repeat(b)));
        if missing > 0 {
            out.push_str(&format!("\n{:>MARGIN$} not drawn, since not finite: {missing}", ""));
        }
        out
    }

    fn legend(&self) -> String {
        let named = self.series.iter().zip(MARKS.iter().cycle()).filter(|(s, _)| !s.name.is_empty());
        let many = self.series.len() > 1;
        named.map(|(s, mark)| if many { format!("{mark} {}   ", s.name) } else { s.name.clone() }).collect()
    }
}

/// Columns left of the axis.
const MARGIN: usize = 10;

fn head(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("{:>MARGIN$} {title}\n", "") }
}

fn axis(label: &str, unit: &Unit) -> String {
    match (label, unit.symbol()) {
        ("", "1") => String::new(),
        (label, "1") => label.to_string(),
        ("", unit) => format!("[{unit}]"),
        (label, unit) => format!("{label} [{unit}]"),
    }
}

/// Least and greatest value, spread a little when they are the same.
fn span(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high {
        return None;
    }
    let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
    Some(if low == high { (low - room, high + room) } else { (low, high) })
}

fn shown_unit(unit: &Unit, range: (f64, f64)) -> Unit {
    unit.for_value(range.0.abs().max(range.1.abs()))
}

/// A number of the axis with as many digits as its range needs.
fn tick(si: f64, range: (f64, f64), unit: &Unit) -> String {
    let width = (range.1 - range.0) / unit.scale();
    let value = si / unit.scale();
    let digits = (2 - width.abs().log10().floor() as i32).clamp(0, 9) as usize;
    if !(1e-6..1e7).contains(&width) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_string() } else { text.to_string() }
}

/// Where a value falls among `count` places.
fn at(value: f64, range: (f64, f64), count: usize) -> usize {
    ((value - range.0) / (range.1 - range.0) * (count - 1) as f64).round().clamp(0.0, (count - 1) as f64) as usize
}

/// An empty field, with the zero line where zero is in range.
fn field(ys: (f64, f64), columns: usize, rows: usize) -> Vec<Vec<char>> {
    let mut cells = vec![vec![' '; columns]; rows];
    if ys.0 < 0.0 && ys.1 > 0.0 {
        cells[rows - 1 - at(0.0, ys, rows)].fill('┈');
    }
    cells
}

/// One curve as a braille line: 2×4 dots in each cell.
fn line(series: &Series, xs: (f64, f64), ys: (f64, f64), columns: usize, rows: usize) -> Vec<Vec<char>> {
    const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
    let (wide, high) = (columns * 2, rows * 4);
    let mut dots = vec![0_u8; columns * rows];
    let mut set = |x: usize, y: usize| dots[(y / 4) * columns + x / 2] |= DOTS[y % 4][x % 2];
    let mut last: Option<(usize, usize)> = None;
    for (&x, &y) in series.x.iter().zip(&series.y) {
        if !(x.is_finite() && y.is_finite()) {
            last = None; // a gap stays a gap
            continue;
        }
        let (px, py) = (at(x, xs, wide), high - 1 - at(y, ys, high));
        let (lx, ly) = last.unwrap_or((px, py));
        let steps = px.abs_diff(lx).max(py.abs_diff(ly)).max(1);
        let between = |a: usize, b: usize, k: usize| {
            (a as f64 + (b as f64 - a as f64) * k as f64 / steps as f64).round() as usize
        };
        (0..=steps).for_each(|k| set(between(lx, px, k), between(ly, py, k)));
        last = Some((px, py));
    }
    let mut cells = field(ys, columns, rows);
    for (place, bits) in dots.into_iter().enumerate().filter(|(_, bits)| *bits != 0) {
        cells[place / columns][place % columns] = char::from_u32(0x2800 + u32::from(bits)).unwrap_or('·');
    }
    cells
}

/// Several curves as marks; later ones lie on top.
fn marks(series: &[Series], xs: (f64, f64), ys: (f64, f64), columns: usize, rows: usize) -> Vec<Vec<char>> {
    let mut cells = field(ys, columns, rows);
    for (one, mark) in series.iter().zip(MARKS.iter().cycle()) {
        for (&x, &y) in one.x.iter().zip(&one.y).filter(|(x, y)| x.is_finite() && y.is_finite()) {
            cells[rows - 1 - at(y, ys, rows)][at(x, xs, columns)] = *mark;
        }
    }
    cells
}

/// A vector from what a script gives for a curve.
fn curve(value: &Dynamic, what: &str) -> Outcome<Vector> {
    if let Some(v) = value.read_lock::<Vector>() {
        return Ok(v.clone());
    }
    match value.read_lock::<Array>() {
        Some(array) => from_array(&array),
        None => Err(script_error(format!("{what} must be a vector, found {}", article(&type_word(value.type_name()))))),
    }
}

fn counted(length: usize) -> Vector {
    Vector::from_si((0..length).map(|i| i as f64).collect(), Unit::none())
}

fn same_length(x: &Vector, y: &Vector) -> Outcome<()> {
    if x.si().len() == y.si().len() {
        return Ok(());
    }
    Err(script_error(format!("x has {} entries, y has {}: a plot needs as many of each", x.si().len(), y.si().len())))
}

fn show(context: &NativeCallContext, plot: &Plot) -> Outcome<()> {
    context.call_native_fn::<()>("print", (plot.render(100, 16),))
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    vec![plot_options()]
}

fn plot_options() -> Options {
    Options::new("plot")
        .any("x")
        .help("vector along the abscissa")
        .otherwise("the number of the entry")
        .any("y")
        .help("a vector, or a map of vectors by name")
        .any("before")
        .help("a vector, drawn first")
        .any("after")
        .help("a vector, drawn over it")
        .text("title")
        .help("a text above")
        .text("x_label")
        .help("a text below")
        .text("y_label")
        .help("a text beside")
}

fn from_map(map: &Map) -> Outcome<Plot> {
    let values = plot_options().read(map)?;
    let mut curves: Vec<(String, Vector)> = Vec::new();
    if let Some(y) = values.maybe_dynamic("y") {
        match y.read_lock::<Map>() {
            Some(named) => {
                for (name, value) in named.iter() {
                    curves.push((name.to_string(), curve(value, name)?));
                }
            }
            None => curves.push((String::new(), curve(&y, "y")?)),
        }
    }
    for name in ["before", "after"] {
        if let Some(value) = values.maybe_dynamic(name) {
            curves.push((name.to_string(), curve(&value, name)?));
        }
    }
    let Some((_, first)) = curves.first().cloned() else {
        return Err(script_error("a plot needs `y`, or `before` and `after`"));
    };
    let x = values.maybe_dynamic("x").map(|x| curve(&x, "x")).transpose()?.unwrap_or_else(|| counted(first.si().len()));
    let mut plot = Plot { series: Vec::new(), ..Plot::of(&x, &first) };
    for (name, y) in curves {
        same_length(&x, &y)?;
        if y.unit().dimension() != first.unit().dimension() {
            return Err(crate::quantity::two_units("plotted on one axis", first.unit(), y.unit()));
        }
        plot.series.push(Series { name, x: x.si().to_vec(), y: y.si().to_vec() });
    }
    let text = |name: &str| values.maybe_text(name).unwrap_or("").to_string();
    Ok(Plot { title: text("title"), x_label: text("x_label"), y_label: text("y_label"), ..plot })
}

/// Registers `plot`.
pub fn register(engine: &mut Engine) {
    engine.register_global_module(exported_module!(functions).into());
    document!(
        engine,
        "plot",
        ["options: map", "()"],
        "/// Plots what a map describes.\n///\n\
         /// # Parameters\n/// {options}\n///\n\
         /// # Errors\n/// - `as many of each`: a curve has not as many entries as `x`.\n\
         /// - `cannot be plotted on one axis`: the curves differ in dimension.\n///\n\
         /// # Example\n/// ```rhai\n/// plot(#{ before: vector([1, -2, 1], \"mm\"), after: vector([0, 1, 0], \"um\"), title: \"orbit\" });\n/// ```",
        plot_options(),
        |context: NativeCallContext, what: Map| show(&context, &from_map(&what)?)
    );
}

#[export_module]
mod functions {
    use super::*;

    /// Plots one vector against another, as text.
    ///
    /// # Parameters
    /// - `x`, `y`: vectors of one length.
    ///
    /// # Errors
    /// - `as many of each`: the lengths differ.
    ///
    /// # Example
    /// ```rhai
    /// let s = linspace(0 * m, 10 * m, 50);
    /// plot(s, s.map(|x| 2 * mm * sin(x / m)));
    /// ```
    #[rhai_fn(name = "plot", volatile, return_raw)]
    pub fn plot_xy(context: NativeCallContext, x: Vector, y: Vector) -> Outcome<()> {
        same_length(&x, &y)?;
        show(&context, &Plot::of(&x, &y))
    }

    /// Plots the entries of a vector one after the other; see `plot(x, y)`.
    #[rhai_fn(name = "plot", volatile, return_raw)]
    pub fn plot_y(context: NativeCallContext, y: Vector) -> Outcome<()> {
        show(&context, &Plot::of(&counted(y.si().len()), &y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::bench::{Printed, engine, fails};
    use std::sync::Arc;

    #[test]
    fn one_curve_is_a_line() {
        let unit = |symbol: &str| Unit::parse(symbol).unwrap();
        let x = Vector::from_si((0..9).map(f64::from).collect(), unit("m"));
        let y = Vector::from_si([0.0, 1e-3, 2e-3, 1e-3, 0.0, -1e-3, -2e-3, f64::NAN, 0.0].to_vec(), unit("m"));
        let text = Plot { title: "orbit".into(), x_label: "s".into(), ..Plot::of(&x, &y) }.render(40, 5);
        assert_eq!(text.lines().count(), 10, "{text}");
        assert!(text.contains("orbit") && text.contains("[mm]") && text.contains("s [m]"), "{text}");
        assert!(text.contains("not finite: 1"), "{text}");
        assert!(text.lines().take(9).all(|l| l.chars().count() <= 40), "{text}");
    }

    #[test]
    fn before_and_after_share_the_axes() {
        let printed = Arc::<Printed>::default();
        let engine = engine(printed.clone());
        engine
            .run("plot(#{ before: vector([1, -2, 1], \"mm\"), after: vector([0, 100, 0], \"um\"), title: \"orbit\" });")
            .unwrap();
        let text = printed.0.lock().unwrap().clone();
        assert!(text.contains("· before") && text.contains("● after"), "{text}");
        assert!(text.contains("[mm]") && text.contains("-2┤"), "{text}");
        fails(&[
            ("plot(vector([1, 2]), vector([1]))", "x has 2 entries, y has 1: a plot needs as many of each"),
            ("plot(#{ y: vector([1]), titel: \"a\" })", "`plot` has no option `titel` | did you mean `title`?"),
            (
                "plot(#{ before: vector([1], \"mm\"), after: vector([1], \"A\") })",
                "`mm` and `A` cannot be plotted on one axis: their dimensions differ",
            ),
        ]);
    }
}

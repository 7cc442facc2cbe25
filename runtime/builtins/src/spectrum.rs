//! Fourier transforms of signals, and the lines in them.

use crate::families::document;
use crate::quantity::{from_dynamic, radian};
use crate::table::Table;
use crate::vector::Vector;
use fodo_dynamics::{FrequencyOptions, naff_real};
use fodo_language::{Options, OrFail, Outcome, Values, script_error};
use fodo_numerics::{Complex, Window};
use fodo_units::{Quantity, Unit};
use rhai::{Array, Dynamic, Engine, FuncRegistration, INT, Map};

/// The time, length or number of turns from one entry to the next; 1 if nothing is said.
fn step(options: &Values) -> Outcome<Quantity> {
    let Some(value) = options.maybe_dynamic("step") else { return Ok(Quantity::plain(1.0)) };
    match from_dynamic(&value) {
        Some(step) if step.si > 0.0 && step.si.is_finite() => Ok(step),
        _ => Err(script_error("`step` must be a positive number or quantity, such as `2.8 * us`")),
    }
}

/// The unit of frequencies: Hz for steps in time, 1/m for steps in length, 1 for turns.
fn per_step(step: &Quantity) -> Unit {
    match step.dimension().is_none() {
        true => Unit::none(),
        false => Unit::si(step.dimension().power(-1)),
    }
}

fn with_step(owner: &str) -> Options {
    Options::new(owner)
        .any("step")
        .help("what lies between two entries, such as `2.8 * us`; without it frequencies count per entry")
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    vec![spectrum_options(), lines_options()]
}

fn spectrum_options() -> Options {
    with_step("spectrum")
        .choice("window", &["none", "hann", "blackman"])
        .default("none")
        .help("how the signal is faded in and out")
}

fn spectrum(v: &Vector, options: &Map) -> Outcome<Map> {
    let options = spectrum_options().read(options)?;
    let window = match options.text("window")? {
        "hann" => Window::Hann,
        "blackman" => Window::Blackman,
        _ => Window::None,
    };
    let step = step(&options)?;
    let lines = fodo_numerics::spectrum(v.si(), window).or_fail()?;
    let whole = v.si().len() as f64 * step.si;
    let frequency = (0..lines.len()).map(|k| k as f64 / whole).collect();
    let of = |part: &dyn Fn(&Complex<f64>) -> f64| lines.iter().map(part).collect::<Vec<f64>>();
    Ok(Map::from_iter([
        ("frequency".into(), Dynamic::from(Vector::from_si(frequency, per_step(&step)))),
        ("amplitude".into(), Dynamic::from(Vector::from_si(of(&|c| c.norm()), v.unit().clone()))),
        ("phase".into(), Dynamic::from(Vector::from_si(of(&|c| c.arg()), radian()?))),
    ]))
}

fn fft(v: &Vector) -> Outcome<Map> {
    let lines = fodo_numerics::fft(v.si()).or_fail()?;
    let part =
        |of: fn(&Complex<f64>) -> f64| Dynamic::from(Vector::from_si(lines.iter().map(of).collect(), v.unit().clone()));
    Ok(Map::from_iter([("re".into(), part(|c| c.re)), ("im".into(), part(|c| c.im))]))
}

fn inverse_fft(re: &Vector, im: &Vector, count: INT) -> Outcome<Vector> {
    if re.unit().dimension() != im.unit().dimension() {
        return Err(crate::quantity::two_units("put together", re.unit(), im.unit()));
    }
    if re.si().len() != im.si().len() {
        return Err(script_error(format!("{} real and {} imaginary parts were given", re.si().len(), im.si().len())));
    }
    let lines: Vec<_> = re.si().iter().zip(im.si()).map(|(re, im)| Complex::new(*re, *im)).collect();
    let signal = fodo_numerics::inverse_fft(&lines, usize::try_from(count).unwrap_or(0)).or_fail()?;
    Ok(Vector::from_si(signal, re.unit().clone()))
}

fn lines_options() -> Options {
    with_step("find_lines")
        .integer("count")
        .default(1)
        .range(1.0, 100.0)
        .help("how many lines at most")
        .integer("window_order")
        .default(1)
        .range(0.0, 8.0)
        .help("order of the window (1 + cos)^p; higher ones disturb lines far apart less")
}

fn find_lines(v: &Vector, options: &Map) -> Outcome<Table> {
    let options = lines_options().read(options)?;
    let step = step(&options)?;
    let search = FrequencyOptions {
        lines: options.integer("count")? as usize,
        window_order: options.integer("window_order")? as u32,
        ..FrequencyOptions::default()
    };
    let lines = naff_real(v.si(), &search).map_err(|error| script_error(error.to_string()))?;
    let column = |values: Vec<f64>, unit: Unit| Dynamic::from(Vector::from_si(values, unit));
    let columns: Array = vec![
        column(lines.iter().map(|line| line.frequency / step.si).collect(), per_step(&step)),
        column(lines.iter().map(|line| line.amplitude.norm()).collect(), v.unit().clone()),
        column(lines.iter().map(|line| line.amplitude.arg()).collect(), radian()?),
    ];
    Table::of(["frequency", "amplitude", "phase"], &columns)
}

/// Registers transforms and spectra.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "spectrum",
        ["signal: vector", "map"],
        "/// Takes the amplitude spectrum of a signal with even spacing, of any length.\n///\n\
         /// # Parameters\n/// - `signal`: a vector.\n\
         /// - `step`: what lies between two entries, a time, a length or a number [1]. Default: 1, so that frequencies count per entry.\n\
         /// - `window`: `\"none\"`, `\"hann\"` or `\"blackman\"`. Default: `\"none\"`.\n///\n\
         /// # Returns\n/// `#{ frequency, amplitude, phase }`: vectors of N/2 + 1 entries in one over the unit of `step`, in the unit of the signal, and in rad. A cosine \
         of amplitude A on a line shows A; the first line is the mean.\n///\n\
         /// # Errors\n/// - `an empty signal`: there is no entry.\n/// - `not a finite number`: an entry is missing.\n///\n\
         /// # Example\n/// ```rhai\n/// let t = linspace(0, 63, 64);\n/// let s = spectrum(cos(0.25 * 2 * PI() * t) * (3 * mm));\n/// let line = s.amplitude.index_of_max();\n/// assert_near(s.frequency[line], 0.25, 1e-12);\n/// assert_near(s.amplitude[line], 3 * mm, 1 * nm);\n/// ```",
        |v: Vector| spectrum(&v, &Map::new())
    );
    document!(
        engine,
        "spectrum",
        ["signal: vector", "options: map", "map"],
        "/// Takes the amplitude spectrum of a signal with options; see `spectrum(signal)`.",
        |v: Vector, options: Map| spectrum(&v, &options)
    );
    document!(
        engine,
        "fft",
        ["signal: vector", "map"],
        "/// Takes the discrete Fourier transform of a signal of any length: the sums of `x_n * exp(-2 pi i k n / N)`.\n///\n\
         /// # Returns\n/// `#{ re, im }`: vectors for k from 0 to N/2, in the unit of the signal; the others are their conjugates.\n///\n\
         /// # Errors\n/// - `an empty signal`: there is no entry.\n/// - `not a finite number`: an entry is missing.\n///\n\
         /// # Example\n/// ```rhai\n/// let f = fft(vector([1, 2, 3, 4], \"mm\"));\n/// assert_near(f.re[0], 10 * mm, 1 * nm);\n/// assert_near(f.im[1], 2 * mm, 1 * nm);\n/// ```",
        |v: Vector| fft(&v)
    );
    document!(
        engine,
        "inverse_fft",
        ["re: vector", "im: vector", "count: integer", "vector"],
        "/// Makes the signal whose Fourier transform is given.\n///\n\
         /// # Parameters\n/// - `re`, `im`: its real and imaginary parts as `fft` gives them, vectors of `count / 2 + 1` entries.\n/// - `count`: entries of the signal [1].\n///\n\
         /// # Returns\n/// A vector in the unit of `re`.\n///\n\
         /// # Errors\n/// - `has a transform of`: the lengths do not go together.\n///\n\
         /// # Example\n/// ```rhai\n/// let v = vector([1, 2, 4], \"mm\");\n/// let f = fft(v);\n/// assert_near(inverse_fft(f.re, f.im, 3), v, 1 * nm);\n/// ```",
        |re: Vector, im: Vector, count: INT| inverse_fft(&re, &im, count)
    );
    document!(
        engine,
        "find_lines",
        ["signal: vector", "table"],
        "/// Finds the strongest lines of a signal with even spacing, far more exactly than the grid of a Fourier transform (NAFF).\n///\n\
         /// # Parameters\n/// - `signal`: a vector of at least 16 entries, such as turns of one monitor.\n\
         /// - `step`: what lies between two entries, a time, a length or a number [1]. Default: 1, so that frequencies count per entry (tunes).\n\
         /// - `count`: how many lines at most [1], 1 to 100. Default: 1.\n\
         /// - `window_order`: order of the window (1 + cos)^p [1], 0 to 8. Default: 1.\n///\n\
         /// # Returns\n/// A table with the columns `frequency` [one over the unit of `step`], `amplitude` in the unit of the signal, `phase` [rad] at the first entry, \
         of A cos(2 pi f n + phase), the strongest first.\n///\n\
         /// # Errors\n/// - `no frequency`: the signal is too short, not finite, or 0 everywhere.\n///\n\
         /// # Example\n/// ```rhai\n/// let turns = linspace(0, 255, 256);\n/// let line = find_lines(cos(2 * PI() * 0.2137 * turns) * (1 * mm));\n/// assert_near(line.frequency[0], 0.2137, 1e-8);\n/// ```",
        |v: Vector| find_lines(&v, &Map::new())
    );
    document!(
        engine,
        "find_lines",
        ["signal: vector", "options: map", "table"],
        "/// Finds the strongest lines of a signal with options; see `find_lines(signal)`.",
        |v: Vector, options: Map| find_lines(&v, &options)
    );
}

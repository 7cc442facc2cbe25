//! A model fitted to a measured orbit response, as scripts see it.

use crate::context::{Context, here};
use crate::families::{Members, document};
use crate::matrix::Matrix;
use crate::model::{Model, Part, elements};
use crate::orbit::{Knobs, Response, Steps, columns_of, knobs, rows_of};
use crate::quantity;
use crate::table::Table;
use crate::vector::Vector;
use fodo_devices::{Device, Quantities};
use fodo_language::{Options, OrFail, Outcome, Values, script_error};
use fodo_loco::{Blocks, Column, Cut, Dispersion, Fit, Group, Kick, Measured, Method, Monitor, Outlier, Setup, Turn};
use fodo_measure::Knob;
use fodo_optics::{Effects, Plane};
use fodo_units::Unit;
use nalgebra::DMatrix;
use rhai::{Array, Dynamic, Engine, FuncRegistration, Map, NativeCallContext};

/// What a script fits to: the response, and what it says of itself.
struct Given {
    knobs: Knobs,
    monitors: Members,
    matrix: DMatrix<f64>,
    error: DMatrix<f64>,
}

/// What is fitted, with what names the parameters for the report.
struct Plan<'m> {
    model: &'m Model,
    setup: Setup,
    /// Columns of the response that are correctors.
    correctors: Vec<usize>,
    /// How many of the groups are quadrupoles, skew gradients, tilts.
    counts: [usize; 3],
    /// The knobs of the quadrupoles, if all are knobs.
    quadrupoles: Option<Knobs>,
    /// Unit of each quadrupole's parameter, and k1 of its first magnet in it.
    units: Vec<(Unit, f64)>,
}

/// The options of every builtin of this subject.
pub fn options() -> Vec<Options> {
    vec![fit_options()]
}

fn fit_options() -> Options {
    let blocks = [
        ("monitor_gains", true, "whether gains of monitors are fitted"),
        ("monitor_couplings", false, "whether what the other plane adds in a monitor is fitted"),
        ("corrector_gains", true, "whether gains of correctors are fitted"),
        ("corrector_rolls", false, "whether rolls of correctors are fitted"),
        ("energy_shifts", false, "whether a change of delta is fitted that goes with each corrector"),
        ("dispersion_step", false, "whether a factor on the step of the dispersion is fitted"),
    ];
    let options = Options::new("fit_loco")
        .any("quadrupoles")
        .help("families or devices, one parameter for each supply, or texts `\"ELEMENT.k1\"`; `[]` for none")
        .otherwise("all families of quadrupoles")
        .any("skews")
        .help("families or devices of skew quadrupoles, or texts `\"ELEMENT.k1s\"`")
        .otherwise("none")
        .any("tilts")
        .help("families or devices of quadrupoles whose rolls are fitted, each on its own")
        .otherwise("none");
    let options =
        blocks.into_iter().fold(options, |options, (name, on, help)| options.flag(name).default(on).help(help));
    options
        .choice("cross_planes", &["where_fitted", "always", "never"])
        .default("where_fitted")
        .help("readings in the plane that a corrector does not kick in: `where_fitted` if couplings, rolls, skews or tilts are")
        .any("dispersion")
        .help(
            "`#{ x, y, sigma_x, sigma_y, step }`: change of the orbit [m] by a step of the RF frequency [Hz] or of delta [1]",
        )
        .otherwise("the column of the RF, if the response has one")
        .number("dispersion_weight", "1")
        .default(1.0)
        .at_least(0.0)
        .help("how much a reading of the dispersion counts beside one of the response")
        .choice("hold", &["path_length", "momentum"])
        .default("path_length")
        .help("what a corrector leaves as it is: the RF holds the path length of a ring, else delta stays")
        .number("noise", "m")
        .at_least(0.0)
        .help("error of an orbit of the measurement")
        .otherwise("for each monitor the errors of the response, averaged over its columns")
        .choice("method", &["gauss_newton", "constrained", "levenberg_marquardt", "scaled_levenberg_marquardt"])
        .default("gauss_newton")
        .help("how steps are found")
        .number("width", "1")
        .default(1e-2)
        .at_least(0.0)
        .help(
            "with `constrained`: the spread expected of relative gradients; of skew gradients relative to the mean k1 of \
             quadrupoles, of tilts in rad",
        )
        .number("cut", "1")
        .default(1e-6)
        .range(0.0, 1.0)
        .help("singular values below this part of the largest do not count")
        .integer("count")
        .at_least(1.0)
        .help("at most so many singular values count")
        .otherwise("all")
        .number("outliers", "1")
        .default(5.0)
        .at_least(0.0)
        .help("readings further from the fit than so many times the spread are left out; 0 keeps all")
        .integer("iterations")
        .at_least(1.0)
        .default(20)
        .help("at most so many steps before the first look for outliers, and so many after it")
}

fn vector(map: &Map, name: &str, unit: &str) -> Outcome<Option<Vec<f64>>> {
    let Some(value) = map.get(name) else { return Ok(None) };
    let vector = value.read_lock::<Vector>().map(|vector| vector.clone());
    let wanted = Unit::parse(unit).or_fail()?;
    let vector = vector.filter(|vector| vector.unit().dimension() == wanted.dimension());
    let vector = vector.ok_or_else(|| script_error(format!("`{name}` must be a vector in {unit}")))?;
    Ok(Some(vector.si().to_vec()))
}

/// A response from recorded data.
fn recorded(map: &Map) -> Outcome<Given> {
    let missing = |name: &str| {
        script_error(format!(
            "recorded data are `#{{ matrix, error, knobs, monitors }}`, as a response has them; `{name}` is missing or wrong"
        ))
    };
    let matrix = |name: &str| map.get(name).and_then(|value| value.read_lock::<Matrix>().map(|m| m.si().clone()));
    let monitors = map.get("monitors").and_then(|value| value.read_lock::<Members>().map(|members| members.clone()));
    let matrix_of = matrix("matrix").ok_or_else(|| missing("matrix"))?;
    let error = matrix("error").unwrap_or_else(|| DMatrix::zeros(matrix_of.nrows(), matrix_of.ncols()));
    Ok(Given {
        knobs: Knobs(knobs(map.get("knobs").ok_or_else(|| missing("knobs"))?)?.into()),
        monitors: monitors.ok_or_else(|| missing("monitors"))?,
        matrix: matrix_of,
        error,
    })
}

impl Given {
    fn of(response: &Response) -> Given {
        let Response { knobs, monitors, measured } = response;
        let (matrix, error) = (measured.matrix.clone(), measured.error.clone());
        Given { knobs: knobs.clone(), monitors: monitors.clone(), matrix, error }
    }

    fn check(&self) -> Outcome<()> {
        let wanted = (2 * self.monitors.devices.len(), self.knobs.0.len());
        match [self.matrix.shape(), self.error.shape()] == [wanted; 2] {
            true => Ok(()),
            false => Err(script_error(format!(
                "the matrix and its errors need {} rows (x, then y, of each monitor) and {} columns (one for each knob)",
                wanted.0, wanted.1
            ))),
        }
    }

    /// Errors of the entries: of each row one error of the orbit, since single entries tell their own but badly.
    fn sigma(&self, noise: Option<f64>) -> DMatrix<f64> {
        let delta: Vec<f64> = self.knobs.0.iter().map(|knob| knob.delta.abs()).collect();
        let of_row = |row: usize| {
            let squares = delta.iter().enumerate().map(|(column, delta)| (self.error[(row, column)] * delta).powi(2));
            let squares: Vec<f64> = squares.filter(|square| square.is_finite()).collect();
            (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt()
        };
        // a response is the difference of two orbits
        let rows: Vec<f64> = (0..self.matrix.nrows())
            .map(|row| noise.map_or_else(|| of_row(row), |noise| noise * 2.0_f64.sqrt()))
            .collect();
        DMatrix::from_fn(self.matrix.nrows(), delta.len(), |row, column| rows[row] / delta[column])
    }
}

/// What a column of the response is in the lattice: the kicks of a corrector, or nothing for the RF.
fn kicks(parts: &[Part]) -> Outcome<Option<Vec<Kick>>> {
    if parts.iter().all(|part| part.quantity == Quantities::RfFrequency) {
        return Ok(None);
    }
    let kick = |part: &Part| {
        let plane = match part.quantity {
            Quantities::KickX => Plane::X,
            Quantities::KickY => Plane::Y,
            _ => return Err(script_error("LOCO is fitted to the response to correctors, and to the RF")),
        };
        Ok(Kick { element: part.element, plane, weight: part.weight })
    };
    parts.iter().map(kick).collect::<Outcome<Vec<Kick>>>().map(Some)
}

/// Groups of gradients as a script names them: knobs, or texts; the knobs if there are no texts.
fn groups(model: &Model, which: &Dynamic, skew: bool) -> Outcome<(Vec<Group>, Option<Knobs>)> {
    let texts = which.read_lock::<Array>().map(|array| array.iter().all(|item| item.is_string()) && !array.is_empty());
    if texts == Some(true) {
        let array = which.read_lock::<Array>().map(|array| array.clone()).unwrap_or_default();
        let group = |text: &Dynamic| named(model, &text.clone().into_string().unwrap_or_default(), skew);
        return Ok((array.iter().map(group).collect::<Outcome<_>>()?, None));
    }
    let knobs = knobs(which)?;
    let columns = columns_of(&Dynamic::from(Knobs(knobs.clone().into())), &model.lattice)?;
    let member = |part: &Part| match (part.quantity, skew) {
        (Quantities::Upright(1), false) => Ok((Turn::Gradient(part.element), part.weight)),
        (Quantities::Skew(1), true) => Ok((Turn::SkewGradient(part.element), part.weight)),
        _ => Err(script_error(match skew {
            false => "`quadrupoles` are families or devices with an upright gradient, or texts as in \"QF_001.k1\"",
            true => "`skews` are families or devices with a skew gradient, or texts as in \"SF_001.k1s\"",
        })),
    };
    let group = |(knob, parts): (&Knob, &Vec<Part>)| {
        let members = parts.iter().map(member).collect::<Outcome<_>>()?;
        Ok(Group { name: knob.device.shown(), members, width: None })
    };
    let groups = knobs.iter().zip(&columns).map(group).collect::<Outcome<_>>()?;
    Ok((groups, Some(Knobs(knobs.into()))))
}

/// `"QF_001.k1"` or `"SF.k1s"`: all elements of that name or definition.
fn named(model: &Model, text: &str, skew: bool) -> Outcome<Group> {
    let word = if skew { "k1s" } else { "k1" };
    let wrong = || script_error(format!("write a gradient as \"ELEMENT.{word}\", not \"{text}\""));
    let (name, _) = text.rsplit_once('.').filter(|(_, found)| *found == word).ok_or_else(wrong)?;
    let turn = if skew { Turn::SkewGradient } else { Turn::Gradient };
    let members = elements(&model.lattice, name)?.into_iter().map(|index| (turn(index), 1.0)).collect();
    Ok(Group { name: text.to_string(), members, width: None })
}

/// Roles of quadrupoles whose gradients stand upright.
const QUADRUPOLES: [&str; 3] = ["quadrupole", "focusing quadrupole", "defocusing quadrupole"];

/// All families of quadrupoles.
fn all_quadrupoles(context: &Context) -> Dynamic {
    let families = context.facility.families.iter().filter(|family| QUADRUPOLES.contains(&family.role.as_ref()));
    families.map(|family| Dynamic::from(Members::all(family))).collect::<Array>().into()
}

impl<'m> Plan<'m> {
    fn new(context: &'m Context, given: &Given, options: &Values) -> Outcome<Plan<'m>> {
        let model = context.model();
        let quadrupoles = options.maybe_dynamic("quadrupoles").unwrap_or_else(|| all_quadrupoles(context));
        let nothing = || Dynamic::from(Array::new());
        let (mut quadrupoles, knobs) = groups(model, &quadrupoles, false)?;
        let units = units(model, &quadrupoles, knobs.as_ref())?;
        let (mut skews, _) = groups(model, &options.maybe_dynamic("skews").unwrap_or_else(nothing), true)?;
        let (of_tilts, _) = groups(model, &options.maybe_dynamic("tilts").unwrap_or_else(nothing), false)?;
        let mut tilts = tilts(of_tilts);
        let width = options.number("width")?;
        let mean = units.iter().map(|(_, k1)| k1.abs()).sum::<f64>() / units.len().max(1) as f64;
        quadrupoles.iter_mut().zip(&units).for_each(|(group, (_, k1))| group.width = positive(width * k1.abs()));
        skews.iter_mut().for_each(|group| group.width = positive(width * mean));
        tilts.iter_mut().for_each(|group| group.width = positive(width));
        let counts = [quadrupoles.len(), skews.len(), tilts.len()];
        let (columns, correctors) = columns(model, given)?;
        let holds_momentum = options.text("hold")? == "momentum";
        let ring = if holds_momentum { model.ring.with_effects(Effects::NONE) } else { model.ring.clone() };
        let names = given.monitors.devices.iter().map(|device| device.shown());
        let monitors = names.zip(rows_of(&given.monitors)?).map(|(name, element)| Monitor { name, element }).collect();
        let setup = Setup {
            ring,
            line: model.line.as_ref().map(|line| *line.start()),
            monitors,
            columns,
            groups: [quadrupoles, skews, tilts].concat(),
            blocks: blocks(options),
        };
        Ok(Plan { model, setup, correctors, counts, quadrupoles: knobs, units })
    }

    fn measured(&self, given: &Given, options: &Values) -> Outcome<Measured> {
        let noise = options.maybe_number("noise");
        let sigma = given.sigma(noise);
        let chosen = |matrix: &DMatrix<f64>| matrix.select_columns(&self.correctors);
        if sigma.iter().all(|sigma| sigma.is_nan() || *sigma <= 0.0) {
            return Err(script_error(
                "the response has no errors, so nothing says how well to fit: measure it with `shots: 4` or more, or give `noise`",
            ));
        }
        let dispersion = match options.maybe_dynamic("dispersion") {
            Some(map) => Some(self.dispersion(&map, &sigma, given, options)?),
            None => self.rf_column(given, &sigma, options)?,
        };
        let mut sigma = chosen(&sigma);
        if !self.counts_cross_planes(options)? {
            self.leave_out_cross_planes(&mut sigma);
        }
        Ok(Measured { response: chosen(&given.matrix), sigma, dispersion })
    }

    fn counts_cross_planes(&self, options: &Values) -> Outcome<bool> {
        let Blocks { monitor_coupling, corrector_coupling, .. } = self.setup.blocks;
        let [_, skews, tilts] = self.counts;
        Ok(match options.text("cross_planes")? {
            "where_fitted" => monitor_coupling || corrector_coupling || skews + tilts > 0,
            word => word == "always",
        })
    }

    /// Takes the errors of readings away that are not in the plane of the kick, so that they do not count.
    fn leave_out_cross_planes(&self, sigma: &mut DMatrix<f64>) {
        let count = self.setup.monitors.len();
        for (column, kicks) in self.setup.columns.iter().enumerate() {
            let kicks_in = |plane: Plane| kicks.kicks.iter().any(|kick| kick.plane == plane);
            for (plane, start) in [(Plane::X, 0), (Plane::Y, count)] {
                if !kicks_in(plane) {
                    sigma.view_mut((start, column), (count, 1)).fill(0.0);
                }
            }
        }
    }

    /// The dispersion from the column of the RF.
    fn rf_column(&self, given: &Given, sigma: &DMatrix<f64>, options: &Values) -> Outcome<Option<Dispersion>> {
        let is_corrector = |column: &usize| self.correctors.contains(column);
        let Some(column) = (0..given.knobs.0.len()).find(|column| !is_corrector(column)) else { return Ok(None) };
        let step = given.knobs.0[column].delta;
        let orbit = given.matrix.column(column).iter().map(|slope| slope * step).collect();
        let sigma = sigma.column(column).iter().map(|sigma| sigma * step.abs()).collect();
        let step = self.step(step, "Hz")?;
        Ok(Some(Dispersion { orbit, sigma, step, weight: [options.number("dispersion_weight")?; 2] }))
    }

    fn dispersion(&self, map: &Dynamic, sigma: &DMatrix<f64>, given: &Given, options: &Values) -> Outcome<Dispersion> {
        let map = map.read_lock::<Map>().map(|map| map.clone());
        let map = map.ok_or_else(|| script_error("`dispersion` must be a map `#{ x, y, step }`"))?;
        let needed = |name: &str| {
            vector(&map, name, "m")?.ok_or_else(|| script_error(format!("`dispersion` needs `{name}`, a vector in m")))
        };
        let orbit = [needed("x")?, needed("y")?].concat();
        // an orbit has the same error whatever moved the beam
        let delta = given.knobs.0.iter().map(|knob| knob.delta.abs()).next().unwrap_or(0.0);
        let own = |rows: std::ops::Range<usize>| rows.map(|row| sigma[(row, 0)] * delta).collect::<Vec<f64>>();
        let rows = self.setup.monitors.len();
        let sigma = [
            vector(&map, "sigma_x", "m")?.unwrap_or_else(|| own(0..rows)),
            vector(&map, "sigma_y", "m")?.unwrap_or_else(|| own(rows..2 * rows)),
        ]
        .concat();
        let step = map.get("step").and_then(quantity::from_dynamic).ok_or_else(|| {
            script_error(
                "`dispersion` needs `step`: that of the RF frequency [Hz] or of delta [1] which moved the orbit",
            )
        })?;
        let unit = if step.dimension().is_none() { "1" } else { "Hz" };
        step.check(&Unit::parse(unit).or_fail()?).or_fail()?;
        let step = self.step(step.si, unit)?;
        Ok(Dispersion { orbit, sigma, step, weight: [options.number("dispersion_weight")?; 2] })
    }

    /// A step of the frequency or of delta as the model wants it: of the frequency where its cavities are on.
    fn step(&self, step: f64, unit: &str) -> Outcome<f64> {
        let ring = &self.setup.ring;
        let model_has = if ring.effects().cavity { "Hz" } else { "1" };
        if model_has == unit {
            return Ok(step);
        }
        let frequency = ring.rf_frequency().filter(|_| self.setup.line.is_none()).ok_or_else(|| {
            script_error(
                "a step of the RF frequency says nothing of delta in a lattice without a cavity: give that of delta",
            )
        })?;
        let slip = self.model.or_failed(ring.slip_factor()).or_fail()?;
        Ok(if unit == "Hz" { -step / (frequency * slip) } else { -step * frequency * slip })
    }
}

fn positive(width: f64) -> Option<f64> {
    Some(width).filter(|width| *width > 0.0)
}

fn blocks(options: &Values) -> Blocks {
    Blocks {
        monitor_gain: options.flag("monitor_gains"),
        monitor_coupling: options.flag("monitor_couplings"),
        corrector_gain: options.flag("corrector_gains"),
        corrector_coupling: options.flag("corrector_rolls"),
        energy_shift: options.flag("energy_shifts"),
        dispersion_step: options.flag("dispersion_step"),
    }
}

/// One tilt for each element of each device.
fn tilts(quadrupoles: Vec<Group>) -> Vec<Group> {
    let tilt = |group: Group| Group {
        name: format!("the roll of {}", group.name),
        members: group.members.iter().map(|(turn, _)| (Turn::Tilt(turn.element()), 1.0)).collect(),
        width: None,
    };
    quadrupoles.into_iter().map(tilt).collect()
}

/// Unit of each quadrupole's parameter, and the design value in it.
fn units(model: &Model, groups: &[Group], knobs: Option<&Knobs>) -> Outcome<Vec<(Unit, f64)>> {
    let gradient = Unit::parse("1/m^2").or_fail()?;
    let unit = |(place, group): (usize, &Group)| {
        let unit = knobs.map_or_else(|| gradient.clone(), |knobs| knobs.0[place].field.physics.clone());
        let design = group.members.first().map_or(0.0, |(turn, weight)| {
            let k1 = model.lattice.elements[turn.element()].field().map_or(0.0, |field| field.upright(1));
            k1 / weight
        });
        (unit, design)
    };
    Ok(groups.iter().enumerate().map(unit).collect())
}

/// The correctors of a response, and which columns they are.
fn columns(model: &Model, given: &Given) -> Outcome<(Vec<Column>, Vec<usize>)> {
    let parts = columns_of(&Dynamic::from(given.knobs.clone()), &model.lattice)?;
    let (mut columns, mut correctors) = (vec![], vec![]);
    for (place, (knob, parts)) in given.knobs.0.iter().zip(&parts).enumerate() {
        if let Some(kicks) = kicks(parts)? {
            columns.push(Column { name: knob.device.shown(), kicks });
            correctors.push(place);
        }
    }
    Ok((columns, correctors))
}

fn loco_options(options: &Values) -> Outcome<fodo_loco::Options> {
    let outliers = options.number("outliers")?;
    let method = match options.text("method")? {
        "constrained" => Method::Constrained,
        "levenberg_marquardt" => Method::LevenbergMarquardt,
        "scaled_levenberg_marquardt" => Method::ScaledLevenbergMarquardt,
        _ => Method::GaussNewton,
    };
    Ok(fodo_loco::Options {
        method,
        cut: Cut {
            threshold: options.number("cut")?,
            count: options.maybe_integer("count").map(|n| n.max(1) as usize),
        },
        outliers: (outliers > 0.0).then_some(outliers),
        iterations: options.integer("iterations")?.max(1) as usize,
        ..fodo_loco::Options::default()
    })
}

fn fit(context: &Context, given: &Given, options: &Values) -> Outcome<Map> {
    given.check()?;
    let plan = Plan::new(context, given, options)?;
    let measured = plan.measured(given, options)?;
    let fit = plan.model.or_failed(plan.setup.fit(&measured, loco_options(options)?)).or_fail()?;
    plan.report(given, &measured, &fit)
}

fn plain(values: &[f64]) -> Dynamic {
    Dynamic::from(Vector::from_si(values.to_vec(), Unit::none()))
}

fn texts(texts: impl Iterator<Item = String>) -> Dynamic {
    texts.map(Dynamic::from).collect::<Array>().into()
}

/// Names of knobs.
fn named_by(knobs: &[Knob], of: fn(&Device) -> &str) -> Dynamic {
    texts(knobs.iter().map(|knob| of(&knob.device).to_string()))
}

impl Plan<'_> {
    fn report(&self, given: &Given, measured: &Measured, fit: &Fit) -> Outcome<Map> {
        let mut map = Map::new();
        let mut set = |name: &str, value: Dynamic| map.insert(name.into(), value);
        set("chi2_before", fit.chi2_before.into());
        set("chi2", fit.chi2.into());
        set("readings", (fit.readings as i64).into());
        set("determined", (fit.determined as i64).into());
        set("iterations", (fit.iterations as i64).into());
        set("converged", fit.converged.into());
        set("quadrupoles", Dynamic::from(self.quadrupole_table(fit)?));
        set("skews", Dynamic::from(self.group_table(fit, 1, "k1s", "1/m^2")?));
        set("tilts", Dynamic::from(self.group_table(fit, 2, "roll", "rad")?));
        set("monitors", Dynamic::from(self.monitor_table(given, fit)?));
        set("correctors", Dynamic::from(self.corrector_table(given, fit)?));
        set("dispersion_step", fit.values.dispersion_step[0].into());
        set("sigma_dispersion_step", fit.errors.dispersion_step[0].into());
        set("degenerate", texts(fit.degenerate.iter().map(|degeneracy| degeneracy.text.clone())));
        set("outliers", Dynamic::from(self.outlier_table(given, &fit.outliers)?));
        set("model", Dynamic::from(self.model.changed("fitted to a response", &fit.ring)));
        set("correction", self.correction(fit));
        let unit = Unit::parse("m/rad").or_fail()?;
        set("expected", Dynamic::from(Matrix::from_si(fit.response.clone(), unit.clone())));
        set("measured", Dynamic::from(Matrix::from_si(measured.response.clone(), unit)));
        Ok(map)
    }

    fn quadrupole_table(&self, fit: &Fit) -> Outcome<Table> {
        let count = self.counts[0];
        let (values, errors) = (&fit.values.groups[..count], &fit.errors.groups[..count]);
        let over = |values: &[f64]| {
            plain(&values.iter().zip(&self.units).map(|(value, (_, design))| value / design).collect::<Vec<_>>())
        };
        let unit = self.units.first().map_or_else(|| Unit::parse("1/m^2").or_fail(), |(unit, _)| Ok(unit.clone()))?;
        let absolute = |values: &[f64]| Dynamic::from(Vector::from_si(values.to_vec(), unit.clone()));
        let sigma: Vec<f64> = errors.iter().zip(&self.units).map(|(error, (_, design))| error / design.abs()).collect();
        let of_knobs = |of: fn(&Device) -> &str| self.quadrupoles.as_ref().map(|knobs| named_by(&knobs.0, of));
        let of_groups = || texts(self.setup.groups[..count].iter().map(|group| group.name.clone()));
        let none = || texts((0..count).map(|_| String::new()));
        Table::of(
            ["family", "name", "relative", "sigma", "dk1", "sigma_dk1"],
            &[
                of_knobs(|device| &device.family).unwrap_or_else(none),
                of_knobs(|device| &device.name).unwrap_or_else(of_groups),
                over(values),
                plain(&sigma),
                absolute(values),
                absolute(errors),
            ],
        )
    }

    /// Skew gradients or tilts.
    fn group_table(&self, fit: &Fit, kind: usize, name: &str, unit: &str) -> Outcome<Table> {
        let start: usize = self.counts[..kind].iter().sum();
        let range = start..start + self.counts[kind];
        let unit = Unit::parse(unit).or_fail()?;
        let column = |values: &[f64]| Dynamic::from(Vector::from_si(values[range.clone()].to_vec(), unit.clone()));
        let names = texts(self.setup.groups[range.clone()].iter().map(|group| group.name.clone()));
        Table::of(["name", name, "sigma"], &[names, column(&fit.values.groups), column(&fit.errors.groups)])
    }

    fn monitor_table(&self, given: &Given, fit: &Fit) -> Outcome<Table> {
        let count = self.setup.monitors.len();
        let [x, y] = [0..count, count..2 * count];
        let of = |values: &[f64], plane: &std::ops::Range<usize>| plain(&values[plane.clone()]);
        let (values, errors) = (&fit.values, &fit.errors);
        Table::of(
            [
                "name",
                "gain_x",
                "gain_y",
                "coupling_x",
                "coupling_y",
                "sigma_gain_x",
                "sigma_gain_y",
                "sigma_coupling_x",
                "sigma_coupling_y",
            ],
            &[
                texts(given.monitors.devices.iter().map(|device| device.name.to_string())),
                of(&values.monitor_gain, &x),
                of(&values.monitor_gain, &y),
                of(&values.monitor_coupling, &x),
                of(&values.monitor_coupling, &y),
                of(&errors.monitor_gain, &x),
                of(&errors.monitor_gain, &y),
                of(&errors.monitor_coupling, &x),
                of(&errors.monitor_coupling, &y),
            ],
        )
    }

    fn corrector_table(&self, given: &Given, fit: &Fit) -> Outcome<Table> {
        let (values, errors) = (&fit.values, &fit.errors);
        // a roll turns a horizontal kick up and a vertical one inwards
        let sign = |column: &Column| match column.kicks.first().map(|kick| kick.plane) {
            Some(Plane::Y) => -1.0,
            _ => 1.0,
        };
        let couplings = values.corrector_coupling.iter().zip(&self.setup.columns);
        let rolls: Vec<f64> = couplings.map(|(coupling, column)| sign(column) * coupling.atan()).collect();
        let radian = Unit::parse("rad").or_fail()?;
        let angle = |values: &[f64]| Dynamic::from(Vector::from_si(values.to_vec(), radian.clone()));
        let per = Unit::parse("1/rad").or_fail()?;
        let shift = |values: &[f64]| Dynamic::from(Vector::from_si(values.to_vec(), per.clone()));
        let knobs: Vec<Knob> = self.correctors.iter().map(|&column| given.knobs.0[column].clone()).collect();
        Table::of(
            ["family", "name", "gain", "roll", "energy_shift", "sigma_gain", "sigma_roll", "sigma_energy_shift"],
            &[
                named_by(&knobs, |device| &device.family),
                named_by(&knobs, |device| &device.name),
                plain(&values.corrector_gain),
                angle(&rolls),
                shift(&values.energy_shift),
                plain(&errors.corrector_gain),
                angle(&errors.corrector_coupling),
                shift(&errors.energy_shift),
            ],
        )
    }

    fn outlier_table(&self, given: &Given, outliers: &[Outlier]) -> Outcome<Table> {
        let monitor = |outlier: &Outlier| given.monitors.devices[outlier.monitor].name.to_string();
        let plane = |outlier: &Outlier| if outlier.plane == Plane::X { "x" } else { "y" }.to_string();
        let knob = |outlier: &Outlier| match outlier.column {
            Some(column) => self.setup.columns[column].name.clone(),
            None => "dispersion".to_string(),
        };
        let residuals: Vec<f64> = outliers.iter().map(|outlier| outlier.residual).collect();
        let columns = [
            texts(outliers.iter().map(monitor)),
            texts(outliers.iter().map(plane)),
            texts(outliers.iter().map(knob)),
            plain(&residuals),
        ];
        Table::of(["monitor", "plane", "knob", "residual"], &columns)
    }

    /// The steps of the quadrupoles back to the design.
    fn correction(&self, fit: &Fit) -> Dynamic {
        let Some(knobs) = self.quadrupoles.clone() else { return Dynamic::UNIT };
        let back = fit.values.groups[..self.counts[0]].iter().map(|value| -value).collect();
        Dynamic::from(Steps::new(knobs, back))
    }
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "fit_loco",
        ["measured: response", "options: map", "map"],
        "/// Fits the design to a measured orbit response: gradients, gains of monitors and correctors, couplings (LOCO).\n///\n\
         /// Derivatives are exact. chi2 is the sum of ((measured - model)/sigma)^2 over the readings used, over their number less that of the\n\
         /// parameters determined; 1 where the model and the errors are right. Sigmas of parameters are multiplied with its root where it is\n\
         /// above 1. What the readings do not tell is left as it is and named. A column of the RF counts as the dispersion.\n///\n\
         /// # Parameters\n/// - `measured`: a response as `measure_response` gives it, to correctors and perhaps the RF; with errors, so several shots.\n\
         /// {options}\n///\n\
         /// # Returns\n/// A map. `chi2_before`, `chi2`, `readings`, `determined`, `iterations` [1], `converged`; tables `quadrupoles` (family, name, relative [1], sigma,\n\
         /// dk1 [knob unit], sigma_dk1), `skews`, `tilts`, `monitors` (gain_x, coupling_x: what y adds to x, ... [1]), `correctors` (gain [1], roll [rad],\n\
         /// energy_shift [1/rad]), `outliers`; `dispersion_step` [1], a factor; `degenerate`, texts; `model`, the fitted one; `correction`, the steps of\n\
         /// the quadrupoles back to the design, if they were given as families; `measured` and `expected` [m/rad].\n///\n\
         /// # On the machine\n/// Nothing.\n///\n\
         /// # Errors\n/// - `script`: columns that are no correctors, quadrupoles that are none, a response without errors.\n/// - `facility`: the design has no closed orbit.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = measure_response([HCOR, VCOR, RF], BPM, #{ shots: 4 });\n\
         /// let fit = r.fit_loco(#{ quadrupoles: [QF, QD] });\n/// assert(fit.chi2 < 1.5 && fit.quadrupoles.rows == QF.len + QD.len);\n\
         /// assert_near(fit.model.tune_x, model.tune_x, 0.01);\n/// ```",
        fit_options(),
        |c: NativeCallContext, measured: Response, options: Map| fit(
            &*here(&c)?,
            &Given::of(&measured),
            &fit_options().read(&options)?
        )
    );
    document!(
        engine,
        "fit_loco",
        ["measured: response", "map"],
        "/// Fits the design to a measured orbit response with the default options.",
        |c: NativeCallContext, measured: Response| fit(
            &*here(&c)?,
            &Given::of(&measured),
            &fit_options().read(&Map::new())?
        )
    );
    document!(
        engine,
        "fit_loco",
        ["data: map", "options: map", "map"],
        "/// Fits the design to recorded data.\n///\n\
         /// # Parameters\n/// - `data`: `#{ matrix, error, knobs, monitors }` as a response has them; the knobs are stepped as their table says.\n\
         /// {options}\n///\n\
         /// # Returns\n/// As `fit_loco(measured, options)`.\n///\n\
         /// # On the machine\n/// Nothing.\n///\n\
         /// # Errors\n/// As `fit_loco(measured, options)`.\n///\n\
         /// # Example\n/// ```rhai\n/// let r = model.orbit_response([HCOR, VCOR], BPM);\n\
         /// let data = #{ matrix: r.matrix, knobs: [HCOR, VCOR], monitors: BPM };\n\
         /// let fit = fit_loco(data, #{ noise: 1 * um });\n/// assert(fit.chi2 < 1e-9);\n/// ```",
        fit_options(),
        |c: NativeCallContext, data: Map, options: Map| fit(
            &*here(&c)?,
            &recorded(&data)?,
            &fit_options().read(&options)?
        )
    );
}

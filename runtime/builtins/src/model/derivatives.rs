//! How the orbit response of a model changes with its gradients: what LOCO fits with.

use super::matching::elements;
use super::{Model, ModelHandle};
use crate::families::{Members, document};
use crate::matrix::Matrix;
use crate::orbit::{columns_of, rows_of};
use fodo_devices::Quantities;
use fodo_language::{OrFail, Outcome, script_error};
use fodo_optics::{Plane, ResponseModel, Strength};
use fodo_units::Unit;
use nalgebra::DMatrix;
use rhai::{Array, Dynamic, Engine, FuncRegistration, NativeCallContext};

/// `"QF_001.k1"` or `"QF.k1s"`: gradients that move together, all elements of that name or definition.
fn knob(model: &Model, text: &str) -> Outcome<Vec<(Strength, f64)>> {
    let wrong = || script_error(format!("write what changes as \"ELEMENT.k1\" or \"ELEMENT.k1s\", not \"{text}\""));
    let (name, word) = text.rsplit_once('.').ok_or_else(wrong)?;
    let strength = match word {
        "k1" => Strength::Gradient,
        "k1s" => Strength::SkewGradient,
        _ => return Err(wrong()),
    };
    Ok(elements(&model.lattice, name)?.into_iter().map(|index| (strength(index), 1.0)).collect())
}

/// Derivatives for each knob: rows x of each monitor, then y; one column for each corrector.
fn derivatives(
    model: &Model,
    columns: &[(usize, Quantities)],
    monitors: &[usize],
    names: &[String],
) -> Outcome<Vec<DMatrix<f64>>> {
    let kicks = columns.iter().map(|(_, quantity)| match quantity {
        Quantities::KickX => Ok(Plane::X),
        Quantities::KickY => Ok(Plane::Y),
        _ => Err(script_error("derivatives of the response are those of correctors")),
    });
    let kicks = kicks.collect::<Outcome<Vec<Plane>>>()?;
    let correctors: Vec<usize> = columns.iter().map(|(element, _)| *element).collect();
    let response = model.or_failed(model.ring.response_model(monitors, &correctors)).or_fail()?;
    names.iter().map(|name| of_knob(model, &response, &kicks, monitors.len(), &knob(model, name)?)).collect()
}

fn of_knob(
    model: &Model,
    response: &ResponseModel,
    kicks: &[Plane],
    monitors: usize,
    knob: &[(Strength, f64)],
) -> Outcome<DMatrix<f64>> {
    let mut table = vec![0.0; response.table_length()];
    model.or_failed(response.knob_derivative(knob, &mut table)).or_fail()?;
    // the order is orbit plane, monitor, kick plane, corrector
    let entry = |row: usize, column: usize| table[(row * 2 + kicks[column] as usize) * kicks.len() + column];
    Ok(DMatrix::from_fn(2 * monitors, kicks.len(), entry))
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "orbit_response_derivatives",
        ["model: model", "knobs: family, knobs or array", "monitors: family", "gradients: array", "array"],
        "/// Computes how the orbit response of the design lattice changes with gradients, exactly: the Jacobian that LOCO fits with.\n///\n\
         /// # Parameters\n/// - `knobs`: families or devices of correctors: the columns.\n/// - `monitors`: the rows.\n\
         /// - `gradients`: `\"QF_001.k1\"`, a quadrupole; `\"QF.k1s\"`, the skew gradient of all elements made from QF.\n///\n\
         /// # Returns\n/// A matrix for each gradient: rows x of each monitor, then y; columns as the knobs [m^3 per rad].\n///\n\
         /// # Errors\n/// - `script`: knobs that are no correctors, elements that are not there.\n/// - `facility`: no closed orbit.\n///\n\
         /// # Example\n/// ```rhai\n/// let d = model.orbit_response_derivatives([HCOR, VCOR], BPM, [\"QF_001.k1\", \"QD_001.k1\"]);\n\
         /// assert(d.len == 2 && d[0].rows == 2 * BPM.len);\n/// ```",
        |c: NativeCallContext, m: ModelHandle, which: Dynamic, monitors: Members, gradients: Array| -> Outcome<Array> {
            let model = m.ring(&c, "orbit_response_derivatives")?;
            let texts = gradients
                .into_iter()
                .map(|name| name.into_string().map_err(|_| script_error("gradients are texts, as in [\"QF_001.k1\"]")));
            let names = texts.collect::<Outcome<Vec<String>>>()?;
            let all = derivatives(&model, &columns_of(&which)?, &rows_of(&monitors)?, &names)?;
            let unit = Unit::parse("m^3/rad").or_fail()?;
            Ok(all.into_iter().map(|matrix| Dynamic::from(Matrix::from_si(matrix, unit.clone()))).collect())
        }
    );
}

//! How the orbit response of a model changes with its gradients: what LOCO fits with.

use super::matching::elements;
use super::{Model, ModelHandle, Part};
use crate::families::{Members, document};
use crate::matrix::Matrix;
use crate::orbit::{columns_of, rows_of};
use fodo_devices::Quantities;
use fodo_language::{OrFail, Outcome, script_error};
use fodo_optics::{Plane, ResponseModel, Strength};
use fodo_units::Unit;
use nalgebra::DMatrix;
use rhai::{Array, Dynamic, Engine, FuncRegistration, NativeCallContext};

/// Gradients that move together: those of a supply, or by name.
fn gradient(model: &Model, which: &Dynamic) -> Outcome<Vec<Vec<(Strength, f64)>>> {
    if let Ok(text) = which.clone().into_string() {
        return named(model, &text).map(|gradients| vec![gradients]);
    }
    let strength = |part: &Part| match part.quantity {
        Quantities::Upright(1) => Ok((Strength::Gradient(part.element), part.weight)),
        Quantities::Skew(1) => Ok((Strength::SkewGradient(part.element), part.weight)),
        _ => Err(script_error("gradients are those of quadrupoles, or texts as in \"QF_001.k1\"")),
    };
    let columns = columns_of(which, &model.lattice)?;
    columns.iter().map(|parts| parts.iter().map(strength).collect()).collect()
}

/// `"QF_001.k1"` or `"QF.k1s"`: all elements of that name or definition.
fn named(model: &Model, text: &str) -> Outcome<Vec<(Strength, f64)>> {
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
    columns: &[Vec<Part>],
    monitors: &[usize],
    gradients: &[Vec<(Strength, f64)>],
) -> Outcome<Vec<DMatrix<f64>>> {
    let kick = |(column, part): (usize, &Part)| match part.quantity {
        Quantities::KickX => Ok(Kick { column, plane: Plane::X, weight: part.weight }),
        Quantities::KickY => Ok(Kick { column, plane: Plane::Y, weight: part.weight }),
        _ => Err(script_error("derivatives of the response are those of correctors")),
    };
    let parts = || columns.iter().enumerate().flat_map(|(column, parts)| parts.iter().map(move |part| (column, part)));
    let kicks = parts().map(kick).collect::<Outcome<Vec<Kick>>>()?;
    let correctors: Vec<usize> = parts().map(|(_, part)| part.element).collect();
    let response = model.or_failed(model.ring.response_model(monitors, &correctors)).or_fail()?;
    let shape = (2 * monitors.len(), columns.len());
    gradients.iter().map(|gradient| of_gradient(model, &response, &kicks, shape, gradient)).collect()
}

/// What a knob kicks at one corrector of the response model.
struct Kick {
    column: usize,
    plane: Plane,
    weight: f64,
}

fn of_gradient(
    model: &Model,
    response: &ResponseModel,
    kicks: &[Kick],
    (rows, columns): (usize, usize),
    gradient: &[(Strength, f64)],
) -> Outcome<DMatrix<f64>> {
    let mut table = vec![0.0; response.table_length()];
    model.or_failed(response.knob_derivative(gradient, &mut table)).or_fail()?;
    let mut matrix = DMatrix::zeros(rows, columns);
    for (corrector, kick) in kicks.iter().enumerate() {
        for row in 0..rows {
            // the order is orbit plane, monitor, kick plane, corrector
            let entry = table[(row * 2 + kick.plane as usize) * kicks.len() + corrector];
            matrix[(row, kick.column)] += kick.weight * entry;
        }
    }
    Ok(matrix)
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "orbit_response_derivatives",
        ["model: model", "knobs: family, knobs or array", "monitors: family", "gradients: array", "array"],
        "/// Computes how the orbit response of the design lattice changes with gradients, exactly: the Jacobian that LOCO fits with.\n///\n\
         /// # Parameters\n/// - `knobs`: families or devices of correctors: the columns.\n/// - `monitors`: the rows.\n\
         /// - `gradients`: `\"QF_001.k1\"`, a quadrupole; `\"QF.k1s\"`, the skew gradient of all elements made from QF;\n\
         /// families or devices of quadrupoles: a matrix for each supply, all of whose magnets move.\n///\n\
         /// # Returns\n/// A matrix for each gradient: rows x of each monitor, then y; columns as the knobs [m^3 per rad].\n///\n\
         /// # Errors\n/// - `script`: knobs that are no correctors, elements that are not there.\n/// - `facility`: no closed orbit.\n///\n\
         /// # Example\n/// ```rhai\n/// let d = model.orbit_response_derivatives([HCOR, VCOR], BPM, [\"QF_001.k1\", \"QD_001.k1\"]);\n\
         /// assert(d.len == 2 && d[0].rows == 2 * BPM.len);\n/// ```",
        |c: NativeCallContext, m: ModelHandle, which: Dynamic, monitors: Members, gradients: Array| -> Outcome<Array> {
            let model = m.ring(&c, "orbit_response_derivatives")?;
            let each = gradients.iter().map(|which| gradient(&model, which)).collect::<Outcome<Vec<_>>>()?;
            let columns = columns_of(&which, &model.lattice)?;
            let all = derivatives(&model, &columns, &rows_of(&monitors)?, &each.concat())?;
            let unit = Unit::parse("m^3/rad").or_fail()?;
            Ok(all.into_iter().map(|matrix| Dynamic::from(Matrix::from_si(matrix, unit.clone()))).collect())
        }
    );
}

//! Rows and images that a device has, and what its channel says of itself.

use crate::context::{Context, here, sampling};
use crate::families::{Member, Members, document, wanted};
use crate::matrix::Matrix;
use crate::vector::Vector;
use fodo_devices::{Field, Quantities};
use fodo_language::{OrFail, Outcome, fail, script_error};
use fodo_measure::rows;
use fodo_report::{Diagnostic, Kind};
use nalgebra::DMatrix;
use rhai::{Engine, FuncRegistration, Map, NativeCallContext};
use std::time::Duration;

/// A fresh row of a field.
fn row(context: &Context, member: &Member, field: &Field) -> Outcome<Vec<f64>> {
    context.connect(Members::one(member).devices.iter())?;
    let sampling = sampling(&member.family, Duration::ZERO);
    let fired = context.fired().filter(|_| field.model.is_some_and(Quantities::is_fired));
    let rows = rows(&context.session, &[(&member.device, field)], sampling, fired).or_fail()?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

fn get_row(context: &Context, member: &Member, name: &str) -> Outcome<Vector> {
    let field = named(member, name)?;
    Ok(Vector::from_si(row(context, member, field)?, field.physics.clone()))
}

/// The image of the field that has a camera.
fn get_image(context: &Context, member: &Member) -> Outcome<Matrix> {
    let camera = member.device.fields.iter().find_map(|field| Some((field, field.camera?)));
    let Some((field, camera)) = camera else {
        let what = format!("{} has no image", member.device.shown());
        let how = "the facility's table gives it a field with `width` and `height`";
        return Err(fail(Diagnostic::new(Kind::Facility, what).hint(how).into()));
    };
    let pixels = row(context, member, field)?;
    if pixels.len() != camera.width * camera.height {
        let (shown, count) = (member.device.shown(), pixels.len());
        let what =
            format!("{shown}.{} holds {count} pixels, not {} rows of {}", field.name, camera.height, camera.width);
        let how = "`width` and `height` in families.toml are those of the camera's image";
        return Err(fail(Diagnostic::new(Kind::Machine, what).hint(how).into()));
    }
    Ok(Matrix::from_si(DMatrix::from_row_slice(camera.height, camera.width, &pixels), field.physics.clone()))
}

/// What is known of a field and of its channel.
fn get_info(context: &Context, member: &Member, name: &str) -> Outcome<Map> {
    context.connect(Members::one(member).devices.iter())?;
    let field = named(member, name)?;
    let channel = field.source.as_ref().map(|source| source.channel.clone());
    let channel =
        channel.ok_or_else(|| script_error(format!("{}.{} has no channel", member.device.shown(), field.name)))?;
    let said = context.session.metadata(std::slice::from_ref(&channel)).or_fail()?.into_iter().next();
    let mut map = Map::new();
    map.insert("field".into(), field.name.to_string().into());
    map.insert("channel".into(), channel.to_string().into());
    map.insert("unit".into(), field.physics.symbol().to_string().into());
    map.insert("hardware".into(), field.hardware.symbol().to_string().into());
    let mut put = |description: String, form: String, writable: bool| {
        map.insert("description".into(), description.into());
        map.insert("holds".into(), form.into());
        map.insert("writable".into(), writable.into());
    };
    match said {
        Some(Ok(said)) => put(said.description, said.form.to_string(), said.writable),
        Some(Err(fault)) => put(String::new(), fault.reason, false),
        None => put(String::new(), String::new(), false),
    }
    Ok(map)
}

fn named<'m>(member: &'m Member, name: &str) -> Outcome<&'m Field> {
    let at = wanted(&member.device, Some(name), None)?.field;
    member.device.fields.get(at).ok_or_else(|| script_error("a device lacks this field"))
}

/// Registers everything of this subject.
pub fn register(engine: &mut Engine) {
    document!(
        engine,
        "get_row",
        ["device: device", "field: text", "vector"],
        "/// Reads a field whose channel holds a row of numbers.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"current\"` of a monitor of bunches.\n///\n\
         /// # Returns\n/// A vector in the field's physics unit.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: the channel is absent, invalid, or holds no row.\n/// - `script`: no such field.\n///\n\
         /// # Example\n/// ```rhai\n/// trigger(TIMING);\n/// let x = TURNS[0].get_row(\"x\");\n/// assert(x.len == 512);\n/// ```",
        |c: NativeCallContext, member: Member, field: &str| get_row(&*here(&c)?, &member, field)
    );
    document!(
        engine,
        "get_image",
        ["device: device", "matrix"],
        "/// Reads the image of a camera: its top row first, x from left to right.\n///\n\
         /// # Returns\n/// A matrix of what the pixels count, in the field's physics unit.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `machine`: the channel is absent or invalid, or its image has another size.\n\
         /// - `facility`: the device has no image.\n///\n\
         /// # Example\n/// ```rhai\n/// let image = SIZE[0].get_image();\n/// assert(image.rows == 32 && image.columns == 48);\n/// ```",
        |c: NativeCallContext, member: Member| get_image(&*here(&c)?, &member)
    );
    document!(
        engine,
        "get_info",
        ["device: device", "field: text", "map"],
        "/// Tells what is known of a field and of its channel.\n///\n\
         /// # Parameters\n/// - `field`: a field such as `\"emittance_x\"`.\n///\n\
         /// # Returns\n/// `#{ field, channel, unit, hardware, description, holds, writable }`; `description` is what the control system says of the\n\
         /// channel: of the twin, how the reading is computed.\n///\n\
         /// # On the machine\n/// Only reads.\n///\n\
         /// # Errors\n/// - `script`: no such field, or it has no channel.\n///\n\
         /// # Example\n/// ```rhai\n/// print(BEAM[0].get_info(\"emittance_x\").description);\n\
         /// assert(BPM[0].get_info(\"x\").description.contains(\"closed orbit\"));\n/// ```",
        |c: NativeCallContext, member: Member, field: &str| get_info(&*here(&c)?, &member, field)
    );
}

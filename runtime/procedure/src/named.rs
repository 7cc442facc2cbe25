//! Families and devices by what a parameter says.

use fodo_builtins::{Context, Member, Members};
use fodo_devices::Family;
use fodo_report::{Diagnostic, Kind, Result};
use std::sync::Arc;

/// A family by its name, or the first with that role.
pub(crate) fn family(context: &Context, name: &str) -> Result<Members> {
    match context.facility.named_or_role(name) {
        Some(family) => Ok(Members::all(family)),
        None => context.facility.family(name).map(Members::all),
    }
}

/// A device: `BPM[3]`, `BPM["BPM_004"]` (with a role, too), its name alone, or the family that has no other. Of several with one name it
/// is the one with a role among `roles`.
pub(crate) fn device(context: &Context, word: &str, roles: &[Arc<str>]) -> Result<Member> {
    if let Some((of, index)) = word.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        let family = family(context, of.trim_end())?.family;
        let name = index.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let count = family.devices.len() as i64;
        let place = |index: i64| usize::try_from(if index < 0 { index + count } else { index }).ok();
        let found = match name {
            Some(name) => family.device(name),
            None => index.trim().parse().ok().and_then(place).and_then(|place| family.devices.get(place)),
        };
        return match found.cloned() {
            Some(device) => Ok(Member { family, device }),
            None => Err(no_device(&family, index)),
        };
    }
    if let Ok(Members { family, devices }) = family(context, word) {
        return match devices.as_ref() {
            [device] => Ok(Member { device: device.clone(), family }),
            _ => {
                let count = devices.len();
                let report = Diagnostic::new(Kind::Script, format!("{word} has {count} devices, and one is needed"));
                Err(report.hint(format!("name one of them, as in `{word}[0]`")).into())
            }
        };
    }
    let families = context.facility.families.iter();
    let mut found: Vec<Member> = families
        .filter_map(|family| Some(Member { device: family.device(word)?.clone(), family: family.clone() }))
        .collect();
    if found.iter().any(|member| roles.contains(&member.family.role)) {
        found.retain(|member| roles.contains(&member.family.role));
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let families = context.facility.families.iter();
            let known = families.flat_map(|family| &family.devices).map(|device| device.name.as_ref());
            let report = Diagnostic::new(Kind::Script, format!("{} has no device `{word}`", context.facility.name));
            let report = report.near(word, known);
            Err(report.hint("a device is named as in `BPM[0]`, or by its own name").into())
        }
        several => {
            let both: Vec<String> = several.iter().map(|member| member.device.shown()).collect();
            let message = format!("`{word}` is the name of {}", both.join(" and "));
            Err(Diagnostic::new(Kind::Script, message).hint(format!("write `{}`", both[0])).into())
        }
    }
}

fn no_device(family: &Family, index: &str) -> Box<Diagnostic> {
    let names = family.devices.iter().map(|device| device.name.as_ref());
    let report = Diagnostic::new(Kind::Script, format!("{} has no device [{index}]", family.name));
    let count = family.devices.len();
    let last = count.saturating_sub(1);
    let report = report.near(index.trim_matches('"'), names);
    report.hint(format!("it has {count}, from `{0}[0]` to `{0}[{last}]`", family.name)).into()
}

//! Facilities: every folder in `facilities/` is found here and has to be whole; nothing names them one by one.
//!
//! The rings are in addition compared with the numbers their figures come from.

mod lines;
mod published;
mod pyaml;
mod reference;

use fodo_control::{Plant, Value as Held};
use fodo_devices::{Facility, Field, Folder, Place, Quantities};
use fodo_tests::{Scratch, json, project};
use fodo_twin::{Twin, TwinOptions};
use std::collections::HashMap;
use std::sync::Arc;

/// A shipped facility.
fn facility(name: &str) -> Facility {
    let folder = project().join("facilities").join(name);
    Facility::load(Arc::new(Folder(folder))).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// All of them, under the names of their folders.
fn facilities() -> Vec<(String, Facility)> {
    let folders = std::fs::read_dir(project().join("facilities")).unwrap().flatten();
    let mut names: Vec<String> =
        folders.filter(|f| f.path().is_dir()).map(|f| f.file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 2, "{names:?}");
    names.into_iter().map(|name| (name.clone(), facility(&name))).collect()
}

#[test]
fn every_facility_loads_under_the_name_of_its_folder() {
    for (name, facility) in facilities() {
        assert_eq!(facility.name.as_ref(), name);
        assert!(!facility.title.is_empty() && !facility.families.is_empty(), "{name}");
        let roles = [&facility.orbit.monitors, &facility.orbit.horizontal, &facility.orbit.vertical];
        for family in roles.into_iter().chain(&facility.orbit.rf) {
            assert!(!facility.family(family).unwrap().devices.is_empty(), "{name}: {family}");
        }
    }
}

#[test]
fn design_values_are_within_limits() {
    for (name, facility) in facilities() {
        let twin = Twin::new(&facility, TwinOptions { perfect: true, ..TwinOptions::default() }).unwrap();
        let fields =
            facility.families.iter().flat_map(|f| &f.devices).flat_map(|d| d.fields.iter().map(move |f| (d, f)));
        let mut count = 0;
        for (device, field) in fields {
            let Some(setpoint) = &field.setpoint else { continue };
            let reading = twin.sample(std::slice::from_ref(&setpoint.channel)).remove(0).unwrap();
            let Held::Number(value) = reading.value else { panic!("{}: {reading:?}", setpoint.name) };
            let (low, high) = setpoint.limits;
            let shown = format!("{name}: {}.{}", device.shown(), field.name);
            assert!(low.is_finite() && high.is_finite(), "{shown} has no limits");
            assert!(low < value && value < high, "{shown}: {value} is not within {low} and {high}");
            assert!(setpoint.tolerance > 0.0 && setpoint.tolerance < high - low, "{shown}: {}", setpoint.tolerance);
            // a response measurement from the design value stays inside
            if let Some(delta) = field.delta {
                let physics = field.to_physics(value);
                let ends = [0.5, -0.5].map(|half| field.to_channel(physics + half * delta));
                assert!(ends.iter().all(|end| (low..=high).contains(end)), "{shown}: {ends:?}");
            }
            count += 1;
        }
        eprintln!("{name}: {count} setpoints within their limits");
    }
}

#[test]
fn every_channel_belongs_to_one_field() {
    for (name, facility) in facilities() {
        let mut owners: HashMap<(Arc<str>, Place), String> = HashMap::new();
        let mut shapes: HashMap<Arc<str>, bool> = HashMap::new();
        for device in facility.families.iter().flat_map(|family| &family.devices) {
            for field in &device.fields {
                let owner = format!("{}.{}", device.shown(), field.name);
                let set = field.setpoint.iter().flat_map(|s| [Some(s.channel.clone()), s.readback.clone()]);
                let set = set.flatten().map(|channel| (channel, Place::default()));
                let read = field.source.iter().map(|source| (source.channel.clone(), source.place.clone()));
                for (channel, place) in set.chain(read) {
                    let vector = *shapes.entry(channel.clone()).or_insert(place.index.is_some());
                    assert_eq!(vector, place.index.is_some(), "{name}: {channel} is a vector here, a number there");
                    let first = owners.entry((channel.clone(), place.clone())).or_insert_with(|| owner.clone());
                    assert_eq!(first, &owner, "{name}: {channel}, {place:?}");
                }
            }
        }
        eprintln!("{name}: {} channels and entries, each of one field", owners.len());
    }
}

#[test]
fn devices_stand_in_lattice_order() {
    for (name, facility) in facilities() {
        for family in &facility.families {
            let elements: Vec<usize> = family.devices.iter().flat_map(|d| d.elements.first().copied()).collect();
            assert!(elements.is_sorted_by(|a, b| a < b), "{name}: {} {elements:?}", family.name);
            for device in &family.devices {
                assert!(device.elements.is_sorted_by(|a, b| a < b), "{name}: {}", device.shown());
                assert!((0.0..=*facility.positions.last().unwrap()).contains(&device.s), "{name}: {}", device.shown());
            }
            let mut names: Vec<&str> = family.devices.iter().map(|d| d.name.as_ref()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), family.devices.len(), "{name}: {} names a device twice", family.name);
        }
    }
}

#[test]
fn the_program_reads_every_family() {
    let scratch = Scratch::new("facilities-read");
    for (name, facility) in facilities() {
        let asked: Vec<(String, usize)> = facility
            .families
            .iter()
            .flat_map(|family| family.fields().into_iter().map(move |field| (family, field)))
            .filter(|(family, name)| {
                // rows are read by `get_turns`, `get_row`, `get_image`, `wave`; the efficiency is that of a shot
                let field = family.devices[0].fields.iter().find(|field| field.name == *name);
                let shot = |field: &Field| field.model == Some(Quantities::InjectionEfficiency);
                !field.is_some_and(|field| field.is_row() || shot(field))
            })
            .map(|(family, field)| (format!("{}.get(\"{field}\")", family.name), family.devices.len()))
            .collect();
        let expressions: Vec<&str> = asked.iter().map(|(expression, _)| expression.as_str()).collect();
        let object = json(&scratch, &["eval", &format!("[{}]", expressions.join(", ")), "--facility", &name]);
        assert_eq!(object["ok"], true, "{name}: {}", object["error"]);
        let answers = object["result"].as_array().unwrap();
        assert_eq!(answers.len(), asked.len());
        for ((expression, count), answer) in asked.iter().zip(answers) {
            let numbers = answer.as_array().unwrap_or_else(|| panic!("{name}: {expression} gave {answer}"));
            assert_eq!(numbers.len(), *count, "{name}: {expression}");
            assert!(
                numbers.iter().all(|n| n.as_f64().is_some_and(f64::is_finite)),
                "{name}: {expression} gave {answer}"
            );
        }
    }
}

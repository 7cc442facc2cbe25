//! `fodo facility check` finds what was planted in a real IOC, and nothing where all is well.

use super::machine::{Ioc, Running, epics, object, point, serve};
use super::ring::{Orbit, SIGNALS, facility, setpoints};
use crate::errors::tells;
use fodo_tests::{self as support, Scratch};
use serde_json::Value;
use std::process::{Command, Output};

/// A database of demo_ring with units and limits as its tables have them, but for what is planted.
fn planted() -> String {
    let mut text = String::new();
    for (channel, value) in setpoints() {
        if channel == "HCOR_016:Cm:set" {
            continue; // absent
        }
        let unit = match &channel {
            c if c.starts_with("master") => "kHz",
            c if c.starts_with("SF_001") => "1/mm^2", // a factor of a million
            c if c.starts_with("SF_002") => "A",      // another dimension
            c if c.starts_with("SF_003") => "",       // a remark
            c if c.starts_with("SF_004") => "m^-2",   // the same unit, written otherwise
            c if c.starts_with('S') => "1/m^2",
            _ => "1/m",
        };
        // beyond all limits of the tables, but for one family without and one supply that is narrower
        let (low, high) = match &channel {
            c if c.starts_with("VCOR_002") => (-0.5e-3, 0.5e-3),
            c if c.starts_with("QF") => (0.0, 0.0),
            _ => (-1e9, 1e9),
        };
        let read_only = if channel == "QD_001:Cm:set" { "field(ASG,\"READONLY\")" } else { "" };
        let alarm = if channel == "QD_002:Cm:set" { "field(LOW,\"-0.1\")field(LSV,\"MAJOR\")" } else { "" };
        let initial = if channel == "QD_003:Cm:set" { "" } else { "field(PINI,\"YES\")" }; // stays undefined
        let value = if initial.is_empty() { String::new() } else { format!("field(VAL,\"{value:?}\")") };
        text += &format!(
            "record(ao,\"{channel}\"){{{value}{initial}field(EGU,\"{unit}\")field(DRVL,\"{low:?}\")field(DRVH,\"{high:?}\"){read_only}{alarm}}}\n"
        );
        if let Some(stem) = channel.strip_suffix(":set") {
            text += &match stem {
                "VCOR_001:Cm" => format!("record(stringout,\"{stem}:rdbk\"){{field(VAL,\"on\")field(PINI,\"YES\")}}\n"),
                "VCOR_003:Cm" => {
                    format!(
                        "record(waveform,\"{stem}:rdbk\"){{field(NELM,\"4\")field(FTVL,\"DOUBLE\")field(EGU,\"{unit}\")}}\n"
                    )
                }
                _ => format!(
                    "record(ai,\"{stem}:rdbk\"){{field(INP,\"{channel}\")field(PINI,\"YES\")field(EGU,\"{unit}\")}}\n"
                ),
            };
        }
    }
    // the last monitor is entry 183; y is one number
    text += "record(waveform,\"beam:orbit:x\"){field(NELM,\"100\")field(FTVL,\"DOUBLE\")field(EGU,\"m\")}\n";
    text += "record(ao,\"beam:orbit:y\"){field(VAL,\"0\")field(PINI,\"YES\")field(EGU,\"m\")}\n";
    text += "record(ao,\"TUNEZR:rdH\"){field(VAL,\"800\")field(PINI,\"YES\")field(EGU,\"kHz\")}\n";
    text += "record(ao,\"TUNEZR:rdV\"){field(VAL,\"800\")field(PINI,\"YES\")field(EGU,\"Hz\")}\n";
    text + SIGNALS + &others()
}

/// Sound records for the fields that the rest of this file does not know.
fn others() -> String {
    let facility = support::project().join("facilities/demo_ring");
    let facility = fodo_devices::Facility::load(std::sync::Arc::new(fodo_devices::Folder(facility))).unwrap();
    let known = |name: &str| SIGNALS.contains(name) || name.starts_with("beam:orbit:") || name.starts_with("TUNEZR");
    let known = |name: &str| known(name) || name.contains(":Cm:") || name.starts_with("master_clock");
    let fields = facility.families.iter().flat_map(|family| &family.devices).flat_map(|device| &device.fields);
    let record = |field: &fodo_devices::Field| {
        let channel = field.source.as_ref()?.channel.to_string();
        let unit = field.hardware.symbol();
        let unit = if unit == "1" { "" } else { unit };
        let image = field.camera.map(|camera| camera.width * camera.height);
        let text = match (field.is_row(), &field.setpoint) {
            (true, _) if image.is_some() => {
                let count = image.unwrap();
                format!(
                    "record(waveform,\"{channel}\"){{field(NELM,\"{count}\")field(FTVL,\"DOUBLE\")field(INP,[1,2,3])field(PINI,\"YES\")}}\n"
                )
            }
            (true, _) => {
                format!(
                    "record(waveform,\"{channel}\"){{field(NELM,\"{}\")field(FTVL,\"DOUBLE\")field(PINI,\"YES\")field(EGU,\"{unit}\")}}\n",
                    field.turns
                )
            }
            (false, Some(_)) => format!(
                "record(ao,\"{channel}\"){{field(VAL,\"0\")field(PINI,\"YES\")field(DRVL,\"-1e9\")field(DRVH,\"1e9\")field(EGU,\"{unit}\")}}\n"
            ),
            (false, None) => {
                format!("record(ao,\"{channel}\"){{field(VAL,\"1\")field(PINI,\"YES\")field(EGU,\"{unit}\")}}\n")
            }
        };
        (!known(&channel)).then_some(text)
    };
    fields.filter_map(record).collect()
}

fn check(scratch: &Scratch, facility: &str, port: u16, more: &[&str]) -> Output {
    let mut command: Command = support::fodo(scratch, &["facility", "check", "--on", "live", "--timeout", "2"]);
    command.arg("--facility").arg(facility).args(more);
    point(&mut command, port);
    Running::start(command).output()
}

#[test]
fn what_was_planted_in_an_ioc_is_found() {
    if !epics("what_was_planted_in_an_ioc_is_found") {
        return;
    }
    let scratch = Scratch::new("facility-check");
    let ioc = Ioc::new(scratch.path().join("ioc"));
    ioc.start(&scratch.file("planted.db", &planted()));
    tells("facility_check", &check(&scratch, "demo_ring", ioc.port, &[]), &scratch);
    // reading only, whatever the command line says
    let output = check(&scratch, "demo_ring", ioc.port, &["--write", "--json"]);
    assert_eq!(output.status.code(), Some(6));
    let answer = object(&output);
    let mut wrong: Vec<String> = Vec::new();
    for channel in answer["result"]["found"].as_array().unwrap() {
        for finding in channel["findings"].as_array().unwrap().iter().filter(|f| f["wrong"] == true) {
            wrong.push(format!("{} {}", channel["channel"].as_str().unwrap(), finding["subject"].as_str().unwrap()));
        }
    }
    wrong.sort();
    let expected = [
        "HCOR_016:Cm:rdbk connection",
        "HCOR_016:Cm:set connection",
        "QD_001:Cm:set writing",
        "QD_003:Cm:set state",
        "SF_001:Cm:rdbk unit",
        "SF_001:Cm:set unit",
        "SF_002:Cm:rdbk unit",
        "SF_002:Cm:set unit",
        "TUNEZR:rdV unit",
        "VCOR_001:Cm:rdbk type",
        "VCOR_002:Cm:set limits",
        "VCOR_003:Cm:rdbk state",
        "VCOR_003:Cm:rdbk type",
        "beam:orbit:x state",
        "beam:orbit:x type",
        "beam:orbit:y type",
    ];
    assert_eq!(wrong, expected, "{answer:#}");
    assert_eq!(answer["result"]["wrong"], Value::from(expected.len()));
    assert_eq!(ioc.puts(), []);
}

#[test]
fn a_served_twin_is_as_its_facility_says() {
    let scratch = Scratch::new("facility-check-twin");
    let folder = facility(&scratch, Orbit::Vectors);
    let (_served, port) = serve(&scratch, &folder, &[]);
    let output = check(&scratch, folder.to_str().unwrap(), port, &["--json"]);
    let answer = object(&output);
    assert_eq!((output.status.code(), &answer["result"]["wrong"]), (Some(0), &Value::from(0)), "{answer:#}");
    assert_eq!(answer["result"]["found"], Value::Array(Vec::new()), "{answer:#}");
    let twin = support::json(&scratch, &["facility", "check", "--facility", "ebs_ring"]);
    assert_eq!(
        twin["result"],
        serde_json::json!({ "channels": 3532, "manual": 0, "sources": {}, "wrong": 0, "found": [], "supplies": [] })
    );
}

//! Channels that are no attributes, and attributes without events.
#![cfg(feature = "libtango")]
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use fodo_control::{Backend, Cancel, Form, Keep, Value};
use fodo_tango::Tango;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

#[test]
fn commands_are_read_and_written() {
    if !pytango() {
        return;
    }
    let port = port();
    let _server = ice(port, "dev/ice/1");
    let tango = Arc::new(Tango::at(&home(port)).unwrap());
    assert_eq!(read(&tango, "dev/ice/1/Samples()").unwrap().value, Value::Vector(vec![1.0, 4.0, 9.0].into()));
    // tango distinguishes no capitals
    let state = read(&tango, "dev/ice/1/state()").unwrap().value;
    assert!(matches!(&state, Value::Choice { label, .. } if &**label == "ON"), "{state:?}");
    // what changes the machine is never run by reading
    let fault = read(&tango, "dev/ice/1/Reset()").unwrap_err();
    assert!(fault.reason.contains("write 1 to run it"), "{fault}");
    let fault = read(&tango, "dev/ice/1/Twice()").unwrap_err();
    assert!(fault.reason.contains("takes an argument"), "{fault}");
    assert_eq!(read(&tango, "dev/ice/1/current").unwrap().value.number(), Some(1.5));
    let answers = put(&tango, &[("dev/ice/1/Reset()", 1.0), ("dev/ice/1/Twice()", 2.0), ("dev/ice/1/Nothing()", 1.0)]);
    assert!(answers[0].is_ok() && answers[1].is_ok(), "{answers:?}");
    let fault = answers[2].as_ref().unwrap_err();
    assert!(fault.absent && fault.reason.contains("no command `Nothing`"), "{fault}");
    assert_eq!(read(&tango, "dev/ice/1/current").unwrap().value.number(), Some(0.0));
    let names = channels(&["dev/ice/1/Samples()", "dev/ice/1/Reset()", "dev/ice/1/Twice()"]);
    let said = tango.metadata(&names, SECOND, &Cancel::new()).unwrap();
    let said: Vec<_> = said.into_iter().map(|one| one.unwrap()).map(|one| (one.form, one.writable)).collect();
    assert_eq!(said, [(Form::Vector, false), (Form::Number, true), (Form::Number, true)]);
    let monitor = tango.monitor(&names[..1], Keep::Newest);
    let told = seen(&monitor, "that commands are not followed", SECOND, fault_of(0));
    assert!(told.contains("only attributes can be followed"), "{told}");
}

#[test]
fn properties_are_read_and_not_written() {
    if !pytango() || !there(&packaged("tango-test", "/TangoTest")) {
        return;
    }
    let folder = Folder::new("properties");
    let (_database, host) = sqlite_database(&folder);
    let _server = tango_test(&host);
    let admin = packaged("libtango-tools", "bin/tango_admin");
    for (name, value) in [("length", "0.35"), ("names", "a\nb")] {
        let mut command = Command::new(&admin);
        let values = value.replace('\n', ",");
        assert!(well(command.args(["--add-property", "sys/tg_test/1", name, &values]).env("TANGO_HOST", &host)));
    }
    let tango = Arc::new(Tango::at(&host).unwrap());
    assert_eq!(read(&tango, "sys/tg_test/1/properties/length").unwrap().value, Value::Text("0.35".into()));
    let names = read(&tango, "sys/tg_test/1/properties/names").unwrap().value;
    assert_eq!(names, Value::Texts(["a", "b"].map(Into::into).into()));
    let fault = read(&tango, "sys/tg_test/1/properties/nothing").unwrap_err();
    assert!(fault.absent && fault.reason.contains("no such property"), "{fault}");
    let fault = put(&tango, &[("sys/tg_test/1/properties/length", 1.0)]).remove(0).unwrap_err();
    assert!(fault.reason.contains("only read"), "{fault}");
    assert_eq!(read(&tango, "sys/tg_test/1/properties/length").unwrap().value, Value::Text("0.35".into()));
}

#[test]
fn an_attribute_without_events_is_polled() {
    if !pytango() {
        return;
    }
    let port = port();
    let _server = ice(port, "dev/ice/1");
    let tango = Arc::new(Tango::at(&home(port)).unwrap());
    let monitor = tango.monitor(&channels(&["dev/ice/1/plain"]), Keep::Every(100));
    assert_eq!(seen(&monitor, "the present value", 5 * SECOND, number_of(0)), 0.5);
    let other = Arc::new(Tango::at(&home(port)).unwrap());
    put(&other, &[("dev/ice/1/plain", 1.5)]).remove(0).unwrap();
    assert_eq!(seen(&monitor, "what another client wrote", SECOND, number_of(0)), 1.5);
    // one after the other, faster than it is polled: own changes are all told
    for value in [2.5, 3.5, 4.5] {
        put(&tango, &[("dev/ice/1/plain", value)]).remove(0).unwrap();
    }
    let mut told = Vec::new();
    let end = Instant::now() + 2 * SECOND;
    while told.last() != Some(&4.5) && Instant::now() < end {
        let updates = monitor.next(SECOND / 10, &Cancel::new()).unwrap();
        told.extend(updates.iter().filter_map(number_of(0)));
    }
    assert_eq!(told, [2.5, 3.5, 4.5]);
}

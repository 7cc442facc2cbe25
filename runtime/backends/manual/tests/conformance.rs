//! The operator, played by a script, does what every control system has to.

#![allow(clippy::unwrap_used)] // a test says what failed by where

use fodo_control::conformance::{Outcome, Subject, broken, check};
use fodo_control::*;
use fodo_manual::{Ask, Manual, Note};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(1);

/// Answers from a list, then `1`; confirms what is to be set, unless it is beyond 100.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<&'static str>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn of(answers: &[&'static str]) -> Arc<Script> {
        Arc::new(Script { answers: Mutex::new(answers.iter().rev().copied().collect()), ..Script::default() })
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Ask for Script {
    fn ask(&self, question: &str, cancel: &Cancel) -> Result<Option<String>, Stopped> {
        cancel.check()?;
        self.asked.lock().unwrap().push(question.to_string());
        let usual = match question.starts_with("Set") {
            true if question.contains(" to 1000") => "it trips",
            true => "",
            false => "1",
        };
        Ok(Some(self.answers.lock().unwrap().pop().unwrap_or(usual).to_string()))
    }
}

struct Nobody;

impl Ask for Nobody {
    fn ask(&self, _: &str, _: &Cancel) -> Result<Option<String>, Stopped> {
        Ok(None)
    }
}

fn manual(ask: Arc<dyn Ask>) -> Manual {
    let note = |channel: &str, unit: &str, writable| {
        let name = format!("{channel}[\"{channel}\"].x");
        Note { channel: channel.into(), name, unit: unit.into(), writable }
    };
    Manual::new(ask, vec![note("COIL", "A", true), note("KNOB", "A", true), note("GAUGE", "mm", false)])
}

fn subject() -> Subject {
    Subject {
        number: Some("COIL".into()),
        range: (-5.0, 5.0),
        unit: Some("A"),
        many: vec!["COIL".into(), "KNOB".into()],
        read_only: Some("GAUGE".into()),
        refused: Some(("COIL".into(), 1000.0)),
        absent: Some("NOBODY:".into()),
        ..Subject::default()
    }
}

fn kept(backend: &dyn Backend) -> usize {
    let checks = check(backend, &subject());
    assert_eq!(broken(&checks), "");
    checks.iter().filter(|check| check.outcome == Outcome::Kept).count()
}

#[test]
fn promises_are_kept_also_behind_a_router() {
    let alone = kept(&manual(Arc::new(Script::default())));
    assert!(alone >= 12, "{alone}");
    // each channel from an operator of its own
    let parts: Vec<Arc<dyn Backend>> =
        (0..3).map(|_| Arc::new(manual(Arc::new(Script::default()))) as Arc<dyn Backend>).collect();
    let places: HashMap<Channel, usize> = HashMap::from([("COIL".into(), 1), ("KNOB".into(), 2)]);
    assert_eq!(kept(&Router::new(parts, places)), alone);
}

fn read(manual: &Manual, channel: &str, fresh: Fresh) -> Result<f64, Fault> {
    let answers = manual.read(&[channel.into()], fresh, WAIT, &Cancel::new());
    answers.unwrap().remove(0).map(|reading| reading.value.number().unwrap())
}

#[test]
fn an_answer_is_a_number_with_or_without_its_unit_and_counts_for_a_while() {
    let script = Script::of(&["two", "2 A", "0.2 cm", "7"]);
    let manual = manual(script.clone());
    assert_eq!(read(&manual, "GAUGE", Fresh::Latest), Ok(2.0));
    let asked = script.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[0], "GAUGE[\"GAUGE\"].x [mm]?");
    assert!(asked[1].starts_with("`two` is not a number") && asked[2].contains("`A`"), "{asked:?}");
    assert_eq!(read(&manual, "GAUGE", Fresh::Latest), Ok(2.0));
    assert_eq!(script.asked().len(), 0, "asked again for what was just answered");
    assert_eq!(read(&manual, "GAUGE", Fresh::After(Time::wall(), WAIT)), Ok(7.0));
    assert_eq!(script.asked().len(), 1, "a fresh sample has to be asked");
}

#[test]
fn nobody_to_ask_is_a_fault() {
    let fault = read(&manual(Arc::new(Nobody)), "COIL", Fresh::Latest).unwrap_err();
    assert!(fault.reason.contains("needs a terminal"), "{fault}");
}

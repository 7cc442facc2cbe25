//! Injection over a real control system: the script unchanged, the shot the same.

use super::machine::{Running, epics, object, point, serve};
use fodo_tests::{self as support, Scratch};
use serde_json::Value;

const SHOT: &str = "let c = 299792458.0 * m / s; let turn = model.length / c; \
    let middle = 1.0 - 2.0 * cos(2.0 * PI() * model.tune_x / 16.0); \
    INJ_KICKER.set(1.5 * mrad * vector([1.0, middle, middle, 1.0])); \
    KICKER_DELAY.set(INJ_KICKER.s / c + 3.0 * turn - 0.77 * us); SHOT_DELAY.set(3.0 * turn); SEPTUM.set(1.9 * mrad); \
    let before = BEAM.get(\"current\")[0]; trigger(INJECTION); let turns = get_turns(TURNS); \
    #{ efficiency: INJECTION.get(\"efficiency\")[0], gained: BEAM.get(\"current\")[0] - before, \
       x: turns.x.row(3), charge: turns.charge.row(3) }";

fn number(result: &Value, key: &str) -> f64 {
    result[key].as_f64().unwrap_or_else(|| panic!("no {key}: {result}"))
}

/// The largest difference of two rows over the largest entry.
fn apart(ours: &Value, theirs: &Value) -> f64 {
    let row = |value: &Value| value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<f64>>();
    let (ours, theirs) = (row(ours), row(theirs));
    let largest = ours.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn a_shot_over_channel_access() {
    if !epics("a_shot_over_channel_access") {
        return;
    }
    let scratch = Scratch::new("injection-served");
    let twin =
        support::json(&scratch, &["eval", SHOT, "--facility", "demo_injection", "--seed", "3"])["result"].clone();
    let facility = support::project().join("facilities/demo_injection");
    let (_serving, port) = serve(&scratch, &facility, &["--seed", "3"]);
    let mut command = support::fodo(&scratch, &["eval", SHOT, "--on", "live", "--write", "--json"]);
    point(&mut command, port);
    command.arg("--facility").arg(&facility);
    let live = object(&Running::start(command).output())["result"].clone();
    let [left, served] = [&twin, &live].map(|result| number(result, "efficiency"));
    let [gained, stored] = [&twin, &live].map(|result| number(result, "gained"));
    eprintln!("{left} of a shot is left, {served} over Channel Access; {gained:e} A and {stored:e} A");
    // a part of the shot, so that it is something to agree in; the current falls between two looks
    assert!(left == served && (0.02..0.98).contains(&left), "{twin} {live}");
    assert!((gained - stored).abs() < 1e-6 && gained > 0.0);
    let worst = ["x", "charge"].map(|key| apart(&twin[key], &live[key]));
    eprintln!("turn 3 at all monitors: {worst:?} of the largest apart");
    // the stored beam, which they see as well, has lost 2e-6 of itself in each second of real time
    assert!(worst.iter().all(|worst| *worst < 1e-4));
}

//! A booster at the prompt and over a real control system: wave forms as setpoints, and tools at a moment of the ramp.

use super::machine::{Running, epics, object, point, serve};
use fodo_tests::{self as support, Scratch, json, port};
use serde_json::{Value, json as value};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn eval(scratch: &Scratch, script: &str) -> Value {
    let answer = json(scratch, &["eval", script, "--facility", "demo_booster"]);
    assert_eq!(answer["ok"], true, "{answer}");
    answer["result"].clone()
}

#[test]
fn a_wave_form_comes_back_to_the_last_bit() {
    let scratch = Scratch::new("booster-wave");
    let script = "let held = || QF1[0].get_row(\"k1\"); let before = held.call(); let wave = QF1[0].wave(); \
                  let moved = with_restore(|| { QF1.set_wave(wave * 1.001); held.call() }); \
                  let stopped = \"\"; \
                  try { with_restore(|| { QF1.set_wave(wave * 1.002); throw \"stop\"; }); } catch (e) { stopped = `${e}`; } \
                  #{ moved: ((moved - before) / before).max(), stopped: stopped, \
                     same: (held.call() - before).max_abs() == quantity(0.0, \"1/m^2\"), knots: before.len }";
    let result = eval(&scratch, script);
    assert!((result["moved"].as_f64().unwrap() - 1e-3).abs() < 1e-9, "{result}");
    assert_eq!((&result["same"], &result["knots"]), (&Value::from(true), &Value::from(33)), "{result}");
}

#[test]
fn a_knot_is_set_and_undone_like_any_setpoint() {
    let scratch = Scratch::new("booster-knot");
    let script = "let before = QF1[0].wave(); \
                  let there = with_restore(|| { QF1.at(60.0 * ms).step(quantity(0.01, \"1/m^2\")); QF1[0].wave() - before }); \
                  #{ there: there, back: QF1[0].wave() - before }";
    let knots = eval(&scratch, script);
    let number = |row: &str, knot: usize| knots[row][knot].as_f64().unwrap();
    let moved: Vec<usize> = (0..33).filter(|knot| number("there", *knot) != 0.0).collect();
    assert!(moved.len() == 1 && (number("there", moved[0]) - 0.01).abs() < 1e-9, "{knots}");
    assert!((0..33).all(|knot| number("back", knot) == 0.0), "{knots}");
    let script = "let scale = []; for n in 0..HCOR.len { scale.push(n / 10.0); } \
                  let waves = outer(HCOR[0].wave() + quantity(5.0, \"urad\"), vector(scale)); \
                  with_restore(|| { HCOR.set_wave(waves); let held = HCOR.wave(); [held.column(0).rms(), held.column(10).rms()] })";
    let columns = eval(&scratch, script);
    let size = |place: usize| columns[place].as_f64().unwrap();
    assert!(size(0) == 0.0 && (size(1) - 5e-6).abs() < 1e-12, "{columns}");
    let few =
        json(&scratch, &["eval", "HCOR.set_wave(outer(HCOR[0].wave(), vector([1.0])))", "--facility", "demo_booster"]);
    assert!(few["error"]["message"].as_str().unwrap().starts_with("1 columns for"), "{few}");
    let refused =
        json(&scratch, &["eval", "QF1.at(60.0 * ms).set(quantity(40.0, \"1/m^2\"))", "--facility", "demo_booster"]);
    let said = refused["error"].to_string();
    assert!(refused["error"]["kind"] == "limits" && said.contains("QF1.k1 at 60 ms"), "{refused}");
    let wrong = json(&scratch, &["eval", "QF1.at(200.0 * ms)", "--facility", "demo_booster"]);
    let wrong = &wrong["error"];
    assert!(wrong["message"].as_str().unwrap().contains("there is no beam 200 ms after the start"), "{wrong}");
    let ring = json(&scratch, &["eval", "QF.at(60.0 * ms)", "--facility", "demo_ring"]);
    assert!(ring["error"]["message"].as_str().unwrap().contains("it has no cycle"), "{ring}");
}

#[test]
fn the_orbit_is_corrected_at_two_moments() {
    let scratch = Scratch::new("booster-orbit");
    let script = "let size = |t| { DELAY.set(t); get_orbit(BPM, #{ shots: 10 }).x.rms() }; \
                  let before = [size.call(20.0 * ms), size.call(150.0 * ms)]; \
                  DELAY.set(20.0 * ms); let r = model.orbit_response([HCOR.at_delay(), VCOR.at_delay()], BPM); \
                  for n in 0..3 { step_setpoints(r.solve(orbit_error(BPM, #{ shots: 20 }))); } \
                  let after = [size.call(20.0 * ms), size.call(150.0 * ms)]; \
                  DELAY.set(150.0 * ms); let r = model.orbit_response([HCOR.at_delay(), VCOR.at_delay()], BPM); \
                  for n in 0..3 { step_setpoints(r.solve(orbit_error(BPM, #{ shots: 20 }))); } \
                  #{ before: before, after: after, both: [size.call(20.0 * ms), size.call(150.0 * ms)], changed: changed_setpoints() }";
    let result = eval(&scratch, script);
    let number = |key: &str, place: usize| result[key][place].as_f64().unwrap();
    assert!(number("after", 0) < 0.3 * number("before", 0), "{result}");
    assert!((number("after", 1) / number("before", 1) - 1.0).abs() < 0.1, "{result}");
    assert!((0..2).all(|place| number("both", place) < 0.3 * number("before", place)), "{result}");
    let names: Vec<&String> = result["changed"]["HCOR"].as_object().unwrap().keys().collect();
    assert!(
        names.iter().any(|name| name.ends_with(" at 20 ms")) && names.iter().any(|name| name.ends_with(" at 150 ms")),
        "{names:?}"
    );
}

#[test]
fn a_booster_over_channel_access() {
    if !epics("a_booster_over_channel_access") {
        return;
    }
    let scratch = Scratch::new("booster-served");
    let facility = support::project().join("facilities/demo_booster");
    let (_serving, port) = serve(&scratch, &facility, &["--seed", "3"]);
    let script = "let wave = QF1[0].wave(); let held = || QF1[0].get_row(\"k1\"); let before = held.call(); let tune = TUNE.get(\"x\")[0]; \
                  let there = with_restore(|| { QF1.set_wave(wave * 1.002); TUNE.get(\"x\")[0] }); \
                  let back = TUNE.get(\"x\")[0]; let cycle = CYCLE.get(\"number\")[0]; \
                  let energy = with_restore(|| { DELAY.set(90.0 * ms); CYCLE.get(\"energy\")[0] }); \
                  #{ moved: there - tune, left: back - tune, same: (held.call() - before).max_abs() == quantity(0.0, \"1/m^2\"), \
                     energy: energy, cycles: CYCLE.get(\"number\")[0] - cycle }";
    let mut command = support::fodo(&scratch, &["eval", script, "--on", "live", "--write", "--json", "--facility"]);
    command.arg(&facility);
    point(&mut command, port);
    let answer = object(&Running::start(command).output());
    let result = &answer["result"];
    let number = |key: &str| result[key].as_f64().unwrap_or_else(|| panic!("{answer}"));
    assert!(number("moved").abs() > 1e-3 && number("left").abs() < 1e-9, "{answer}");
    assert!((number("energy") / 1.55e9 - 1.0).abs() < 1e-9 && number("cycles") >= 1.0, "{answer}");
    assert_eq!(result["same"], true, "{answer}");
}

#[test]
fn rows_are_written_by_clients_of_three_protocols() {
    const TEST: &str = "rows_are_written_by_clients_of_three_protocols";
    let scratch = Scratch::new("booster-rows");
    let (ca, pva, tango) = (port(), port(), port());
    let ports = format!("ca={ca},pva={pva},tango={tango}");
    let mut command = support::fodo(&scratch, &["serve", "twin", "--protocol", "tango,ca,pva", "--port", &ports]);
    command.args(["--facility", "demo_booster"]);
    let mut running = Running::start(command);
    let deadline = Instant::now() + Duration::from_secs(30);
    let answers = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    while ![ca, pva, tango].into_iter().all(answers) {
        if running.ended() {
            return support::skipped(TEST, "built without --features fodo/tango");
        }
        assert!(Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    let python = support::project().join(".venv/bin/python");
    let there = Command::new(&python).args(["-c", "import aioca, p4p, tango"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return support::skipped(TEST, "no aioca, p4p and PyTango in .venv");
    }
    let mut command = Command::new(python);
    command.arg(support::project().join("tests/setup/row_clients.py"));
    command.args([&tango.to_string(), "booster:qf1:wave"]);
    point(&mut command, ca);
    command.env("EPICS_PVA_ADDR_LIST", "127.0.0.1").env("EPICS_PVA_AUTO_ADDR_LIST", "NO");
    command.env("EPICS_PVA_SERVER_PORT", pva.to_string()).env("EPICS_PVA_BROADCAST_PORT", (pva + 1).to_string());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = object(&output);
    eprintln!("{told:#}");
    for (client, scale) in [("ca", 1.001), ("pva", 1.002), ("tango", 1.003)] {
        let seen = told["seen"][client].as_array().unwrap();
        assert!(
            seen.iter().all(|last| (last.as_f64().unwrap() / (136.2 * scale) - 1.0).abs() < 1e-12),
            "{client}: {told}"
        );
        let said = told["said"][client].as_str().unwrap_or_default();
        assert!(!said.is_empty() && (client == "ca" || said.contains("33 numbers")), "{client}: {told}");
    }
    assert_eq!(told["length"], value!([33, 33, 33]));
}

#[test]
fn a_wave_form_comes_back_after_a_kill() {
    if !epics("a_wave_form_comes_back_after_a_kill") {
        return;
    }
    let scratch = Scratch::new("booster-kill");
    let facility = support::project().join("facilities/demo_booster");
    let (_serving, port) = serve(&scratch, &facility, &["--seed", "3"]);
    let start = |arguments: &[&str]| {
        let mut command = support::fodo(&scratch, &[arguments, &["--json", "--facility"]].concat());
        command.arg(&facility);
        point(&mut command, port);
        Running::start(command)
    };
    let row = || object(&start(&["eval", "QF1[0].get_row(\"k1\")", "--on", "live"]).output())["result"].clone();
    let before = row();
    let script =
        "QF1.set_wave(QF1[0].wave() * 1.002); QF1.at(60.0 * ms).step(quantity(0.01, \"1/m^2\")); wait(60.0 * s)";
    let mut victim = start(&["eval", script, "--on", "live", "--write"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while row() == before {
        assert!(Instant::now() < deadline, "the wave form never moved");
    }
    victim.kill();
    assert!(!victim.output().status.success());
    let moved = row();
    let told = object(&start(&["recover"]).output());
    assert_eq!(told["result"]["runs"].as_array().map(Vec::len), Some(1), "{told}");
    assert!(row() == moved && moved != before, "looking wrote something: {told}");
    let mended = object(&start(&["recover", "--write"]).output());
    assert_eq!((&mended["ok"], row()), (&Value::from(true), before), "{mended}");
}

//! The same procedure, byte for byte, on the twin, on the served twin and on a real IOC.

use super::machine::{Running, epics, object, point, python, serve};
use super::ring::{Linear, Machine, Orbit, facility, numbers};
use fodo_tests::{self as support, Scratch};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Changes by device.
pub type Changes = BTreeMap<String, f64>;

pub fn changes(answer: &Value) -> Changes {
    assert_eq!(answer["ok"], true, "{answer}");
    let families = answer["result"]["changes"].as_object().unwrap();
    let all = families.values().flat_map(|family| family.as_object().unwrap());
    all.map(|(device, change)| (device.clone(), change.as_f64().unwrap())).collect()
}

/// The largest difference, against the largest change.
pub fn difference(a: &Changes, b: &Changes) -> f64 {
    assert!(a.keys().eq(b.keys()), "{a:?}\n{b:?}");
    let largest = a.values().fold(0.0_f64, |m, v| m.max(v.abs()));
    assert!(largest > 1e-6, "nothing was changed: {a:?}");
    a.iter().map(|(device, change)| (change - b[device]).abs()).fold(0.0, f64::max) / largest
}

pub fn on_twin(scratch: &Scratch, facility: &Path, more: &[&str]) -> Value {
    let arguments = [&["run", "correct_orbit", "--facility", facility.to_str().unwrap()], more].concat();
    support::json(scratch, &arguments)
}

fn over_ca(scratch: &Scratch, facility: &Path, port: u16, more: &[&str]) -> Value {
    let mut command = support::fodo(scratch, &["run", "correct_orbit", "--on", "live", "--write", "--json"]);
    command.args(more).arg("--facility").arg(facility);
    point(&mut command, port);
    object(&Running::start(command).output())
}

fn record(answer: &Value) -> Value {
    python("record.py", &[Path::new(answer["run"]["record"].as_str().unwrap())], &Value::Null)
}

#[test]
fn on_the_twin_and_the_served_twin() {
    if !epics("on_the_twin_and_the_served_twin") {
        return;
    }
    let scratch = Scratch::new("served");
    let facility = facility(&scratch, Orbit::Vectors);
    let mut found = Vec::new();
    let mut scripts = Vec::new();
    for seed in ["3", "4"] {
        // few enough that none of both ends by itself, which hangs on the last bits of an orbit without noise
        let steps = ["--set", "iterations=5"];
        let twin = on_twin(&scratch, &facility, &[&["--seed", seed][..], &steps].concat());
        let (_serving, port) = serve(&scratch, &facility, &["--seed", seed]);
        let served = over_ca(&scratch, &facility, port, &steps);
        let apart = difference(&changes(&twin), &changes(&served));
        eprintln!("seed {seed}: twin and served twin differ by {apart:.1e} of the largest change");
        assert!(apart < 1e-9);
        let commands = |answer: &Value| record(answer)["commands"].as_array().unwrap().len();
        assert_eq!(commands(&twin), commands(&served));
        scripts.extend([record(&twin)["script_sha256"].clone(), record(&served)["script_sha256"].clone()]);
        found.push(changes(&twin));
    }
    assert!(scripts.iter().all(|hash| *hash == scripts[0] && hash.is_string()), "{scripts:?}");
    assert!(difference(&found[0], &found[1]) > 0.1, "another hidden truth, the same result");
}

/// The adapter is another process than Fodo, and the server another one than the adapter.
#[test]
fn over_an_adapter_to_the_served_twin() {
    if !epics("over_an_adapter_to_the_served_twin") {
        return;
    }
    let scratch = Scratch::new("adapter");
    let facility = facility(&scratch, Orbit::Vectors);
    // more corrections would be decided by the last bits of the orbit
    let three = ["--set", "iterations=3"];
    let twin = on_twin(&scratch, &facility, &[&["--seed", "3"], three.as_slice()].concat());
    let (_serving, port) = serve(&scratch, &facility, &["--seed", "3"]);
    let path = facility.join("facility.toml");
    let script = support::project().join("tests/setup/adapter_to_ca.py");
    let command =
        format!("control = \"adapter\"\nadapter = {{ command = [{:?}, {script:?}] }}\n", support::python().unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    let edited = text.replacen("control = \"ca\"", &command, 1);
    assert_ne!(edited, text);
    std::fs::write(&path, edited).unwrap();
    let over = over_ca(&scratch, &facility, port, &three);
    let apart = difference(&changes(&twin), &changes(&over));
    eprintln!("twin and served twin over an adapter differ by {apart:.1e} of the largest change");
    assert!(apart < 1e-9);
    let commands = |answer: &Value| record(answer)["commands"].as_array().unwrap().len();
    assert_eq!(commands(&twin), commands(&over));
    assert_eq!(record(&twin)["script_sha256"], record(&over)["script_sha256"]);
}

#[test]
fn on_the_twin_and_the_twin_served_over_pv_access() {
    let scratch = Scratch::new("pva");
    let facility = facility(&scratch, Orbit::Vectors);
    let port = fodo_tests::port();
    let text = format!("pva={port}");
    let mut command = support::fodo(&scratch, &["serve", "twin", "--protocol", "pva", "--port", &text, "--seed", "3"]);
    command.arg("--facility").arg(&facility);
    let _serving = Running::start(command);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(std::time::Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let twin = on_twin(&scratch, &facility, &["--seed", "3"]);
    let tables = facility.join("facility.toml");
    let over_pva = std::fs::read_to_string(&tables).unwrap().replace("control = \"ca\"", "control = \"pva\"");
    std::fs::write(&tables, over_pva).unwrap();
    let mut command = support::fodo(&scratch, &["run", "correct_orbit", "--on", "live", "--write", "--json"]);
    command.arg("--facility").arg(&facility);
    command.env("EPICS_PVA_ADDR_LIST", "127.0.0.1").env("EPICS_PVA_AUTO_ADDR_LIST", "NO");
    command.env("EPICS_PVA_BROADCAST_PORT", (port + 1).to_string());
    let served = object(&Running::start(command).output());
    let apart = difference(&changes(&twin), &changes(&served));
    eprintln!("twin and twin served over PV Access differ by {apart:.1e} of the largest change");
    assert!(apart < 1e-9);
    assert_eq!(record(&twin)["script_sha256"], record(&served)["script_sha256"]);
}

/// What is written over one protocol is seen over the other, and both refuse the same.
#[test]
fn one_twin_over_two_protocols() {
    if !epics("one_twin_over_two_protocols") {
        return;
    }
    let scratch = Scratch::new("mix");
    let (ca, pva) = (fodo_tests::port(), fodo_tests::port());
    let ports = format!("ca={ca},pva={pva}");
    let arguments = ["serve", "twin", "--protocol", "ca,pva", "--port", &ports, "--facility", "demo_ring"];
    let _serving = Running::start(support::fodo(&scratch, &arguments));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, pva)).is_err() {
        assert!(std::time::Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let code = "
import epics, time
from p4p.client.thread import Context
name = 'HCOR_001:Cm:set'
def eventually(read, value):
    end = time.time() + 5
    while abs(read() - value) > 1e-12 and time.time() < end:
        time.sleep(0.02)
    return read()
with Context('pva') as pva:
    pva.put(name, 0.00025)
    print('over ca', eventually(lambda: epics.caget(name), 0.00025))
    epics.caput(name, -0.0005, wait=True)
    print('over pva', eventually(lambda: float(pva.get(name)), -0.0005))
    for put in (lambda: pva.put(name, 1e6), lambda: epics.caput(name, 1e6, wait=True)):
        try:
            print('taken', put())
        except Exception as error:
            print('refused', error)
    print('left', epics.caget(name), float(pva.get(name)))
";
    let mut command = std::process::Command::new(support::python().unwrap());
    point(&mut command, ca);
    command.env("EPICS_PVA_ADDR_LIST", "127.0.0.1").env("EPICS_PVA_AUTO_ADDR_LIST", "NO");
    command.env("EPICS_PVA_SERVER_PORT", pva.to_string()).env("EPICS_PVA_BROADCAST_PORT", (pva + 1).to_string());
    let output = command.args(["-c", code]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    for line in ["over ca 0.00025", "over pva -0.0005", "is outside its limits", "left -0.0005 -0.0005"] {
        assert!(text.contains(line), "{line} is not in\n{told}");
    }
}

#[test]
fn on_the_twin_and_the_twin_served_over_tango() {
    let scratch = Scratch::new("tango");
    let facility = facility(&scratch, Orbit::Vectors);
    let port = fodo_tests::port();
    let text = port.to_string();
    let mut command =
        support::fodo(&scratch, &["serve", "twin", "--protocol", "tango", "--port", &text, "--seed", "3"]);
    command.arg("--facility").arg(&facility);
    let mut serving = Running::start(command);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_err() {
        if serving.ended() {
            let told = String::from_utf8_lossy(&serving.output().stderr).into_owned();
            assert!(told.contains("built without TANGO"), "{told}");
            return support::skipped(
                "on_the_twin_and_the_twin_served_over_tango",
                "built without --features fodo/tango",
            );
        }
        assert!(std::time::Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let twin = on_twin(&scratch, &facility, &["--seed", "3"]);
    let tables = facility.join("facility.toml");
    let over_tango = std::fs::read_to_string(&tables).unwrap().replace("control = \"ca\"", "control = \"tango\"");
    std::fs::write(&tables, over_tango).unwrap();
    let mut command = support::fodo(&scratch, &["run", "correct_orbit", "--on", "live", "--write", "--json"]);
    command.arg("--facility").arg(&facility).env("TANGO_HOST", format!("127.0.0.1:{port}#dbase=no"));
    let served = object(&Running::start(command).output());
    let apart = difference(&changes(&twin), &changes(&served));
    eprintln!("twin and twin served over TANGO differ by {apart:.1e} of the largest change");
    assert!(apart < 1e-9);
}

#[test]
fn on_a_real_ioc() {
    if !epics("on_a_real_ioc") {
        return;
    }
    let mut machine = Machine::new("real");
    let twin = on_twin(&machine.scratch, &machine.facility, &["--set", "iterations=1"]);
    let before = machine.setpoints();
    let once = machine.json(&["run", "correct_orbit", "--write", "--set", "iterations=1"]);
    let apart = difference(&changes(&twin), &changes(&once));
    eprintln!("twin and IOC differ by {apart:.1e} of the largest change after one iteration");
    assert!(apart < 1e-9);
    assert_eq!(record(&twin)["script_sha256"], record(&once)["script_sha256"]);

    // all of it, against the same loop in numpy
    machine.client.put(&before);
    let logged = machine.ioc.puts().len();
    let whole = machine.json(&["run", "correct_orbit", "--write"]);
    let loose = by_numpy(&machine.linear);
    let apart = difference(&loose, &changes(&whole));
    eprintln!("numpy and IOC differ by {apart:.1e} of the largest change after a whole run");
    assert!(apart < 1e-9);
    let after = machine.setpoints();
    for (device, change) in changes(&whole) {
        let channel = format!("{device}:Cm:set");
        assert!((after[&channel] - before[&channel] - change).abs() < 1e-15, "{device}");
    }

    // the commands of the record are what the IOC logged, in order, to the last bit
    let commands = record(&whole)["commands"].as_array().unwrap().clone();
    let told = commands.iter().map(|c| (c[0].as_str().unwrap().to_string(), number(&c[2])));
    let logged = machine.ioc.puts().split_off(logged);
    assert!(logged.len() >= 32);
    assert_eq!(told.collect::<Vec<_>>(), logged);
}

fn number(text: &Value) -> f64 {
    text.as_str().unwrap().parse().unwrap()
}

/// What the procedure would do to a linear machine, computed without Fodo.
fn by_numpy(linear: &Linear) -> Changes {
    let question = json!({ "response": linear.response, "orbit": linear.offset, "cutoff": 1e-3, "iterations": 10 });
    let answer = python("orbit_loop.py", &[], &question);
    let name = |at: usize| format!("{}COR_{:03}", ["H", "V"][at / 16], at % 16 + 1);
    numbers(&answer["changes"]).into_iter().enumerate().map(|(at, change)| (name(at), change)).collect()
}

#[test]
fn another_truth_of_the_ioc_changes_the_result() {
    if !epics("another_truth_of_the_ioc_changes_the_result") {
        return;
    }
    let mut machine = Machine::new("truth");
    let first = changes(&machine.json(&["run", "correct_orbit", "--write"]));
    machine.ioc.kill();
    machine.linear.offset[5] += 100e-6;
    machine.restart(&super::ring::setpoints());
    let second = changes(&machine.json(&["run", "correct_orbit", "--write"]));
    assert!(difference(&first, &second) > 0.01);
    assert!(difference(&second, &by_numpy(&machine.linear)) < 1e-9);
}

#[test]
fn the_served_twin_raises_alarms() {
    if !epics("the_served_twin_raises_alarms") {
        return;
    }
    let scratch = Scratch::new("alarms");
    let (_serving, port) = serve(&scratch, Path::new("demo_ring"), &[]);
    // a kick of 0.95 mrad lies between the warning at 0.9 mrad and the limit at 1 mrad
    let code = "import epics, json, time
readback = epics.PV('VCOR_003:Cm:rdbk', form='time')
def seen(kick):
    deadline = time.monotonic() + 5
    while readback.get(use_monitor=False) != kick and time.monotonic() < deadline:
        pass  # the readback follows with the next shot
    limits = readback.get_ctrlvars()
    return [readback.severity, readback.status] + [round(limits[k + '_warning_limit'], 9) for k in ('lower', 'upper')]
states = [seen(0)]
for kick in (0.95e-3, -0.95e-3, 0.1e-3):
    epics.caput('VCOR_003:Cm:set', kick, wait=True)
    states.append(seen(kick))
print(json.dumps(states))";
    let mut command = std::process::Command::new(support::python().unwrap());
    point(&mut command, port);
    let output = command.args(["-c", code]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let states: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"));
    // severity MINOR 1, status HIGH 4 and LOW 6 (alarm.h of EPICS base)
    let state = |severity: i32, status: i32| json!([severity, status, -0.9e-3, 0.9e-3]);
    assert_eq!(states, json!([state(0, 0), state(1, 4), state(1, 6), state(0, 0)]));
}

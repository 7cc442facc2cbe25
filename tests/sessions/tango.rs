//! The twin served over Channel Access, PV Access and TANGO at once, and the end of either process.

use super::machine::{Running, object, point};
use super::ring::{Orbit, facility};
use fodo_tests::{self as support, Scratch, port};
use serde_json::json;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where the three protocols are served.
struct Ports {
    ca: u16,
    pva: u16,
    tango: u16,
}

impl Ports {
    /// Points clients of all three that the command starts at them.
    fn point(&self, command: &mut Command) {
        point(command, self.ca);
        command.env("EPICS_PVA_ADDR_LIST", "127.0.0.1").env("EPICS_PVA_AUTO_ADDR_LIST", "NO");
        command.env("EPICS_PVA_SERVER_PORT", self.pva.to_string());
        command.env("EPICS_PVA_BROADCAST_PORT", (self.pva + 1).to_string());
    }
}

/// The twin over all three; none if the program was built without TANGO.
fn serve(scratch: &Scratch, test: &str) -> Option<(Running, Ports)> {
    let ports = Ports { ca: port(), pva: port(), tango: port() };
    let said = format!("ca={},pva={},tango={}", ports.ca, ports.pva, ports.tango);
    // in this order, so that TANGO is up for good when the others answer
    let mut command = support::fodo(scratch, &["serve", "twin", "--protocol", "tango,ca,pva", "--port", &said]);
    command.args(["--facility", "demo_ring"]);
    let mut running = Running::start(command);
    let deadline = Instant::now() + Duration::from_secs(30);
    while ![ports.ca, ports.pva, ports.tango].into_iter().all(answers) {
        if running.ended() {
            let told = String::from_utf8_lossy(&running.output().stderr).into_owned();
            assert!(told.contains("built without TANGO"), "{told}");
            support::skipped(test, "built without --features fodo/tango");
            return None;
        }
        assert!(Instant::now() < deadline, "the twin is not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some((running, ports))
}

/// Processes that `fodo serve` started for TANGO.
fn servers(tango: u16) -> Vec<String> {
    let output = Command::new("ss").args(["-lntpH", &format!("sport = :{tango}")]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split("pid=").skip(1).filter_map(|rest| Some(rest.split(',').next()?.to_owned())).collect()
}

#[test]
fn three_protocols_show_one_machine_and_refuse_alike() {
    const TEST: &str = "three_protocols_show_one_machine_and_refuse_alike";
    let scratch = Scratch::new("three");
    let Some((_running, ports)) = serve(&scratch, TEST) else { return };
    let python = support::project().join(".venv/bin/python");
    let there = Command::new(&python).args(["-c", "import aioca, p4p, tango"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        let how = "no aioca, p4p and PyTango in .venv; run tests/setup/epics.sh and tests/setup/tango.sh";
        return support::skipped(TEST, how);
    }
    let mut command = Command::new(python);
    command.arg(support::project().join("tests/setup/three_clients.py"));
    command.args([&ports.tango.to_string(), "HCOR_001:Cm:set", "1e-5", "1"]);
    ports.point(&mut command);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = object(&output);
    eprintln!("{told:#}");
    for (client, value) in [("ca", 1e-5), ("pva", 2e-5), ("tango", 1e-5 * 3.0)] {
        assert_eq!(told["seen"][client], json!([value, value, value]), "written by {client}: {told}");
    }
    let last = 1e-5 * 3.0;
    assert_eq!(told["after"], json!([last, last, last]), "what was refused was taken: {told}");
    // two protocols carry our words, of Channel Access the client's library has the text
    let ours = "1 1/m is outside its limits -0.001 to 0.001 1/m";
    assert_eq!((&told["said"]["pva"], &told["said"]["tango"]), (&ours.into(), &ours.into()));
    let ca = told["said"]["ca"].as_str().unwrap_or_default();
    assert!(ca.contains("HCOR_001:Cm:set") && ca.contains("failed"), "{told}");
    // a transaction of ours, whose own limits are wider, says what the server said
    let facility = facility(&scratch, Orbit::Vectors);
    let head = facility.join("facility.toml");
    let tables = facility.join("families.toml");
    let wide =
        std::fs::read_to_string(&tables).unwrap().replacen("[\"-1 mrad\", \"1 mrad\"]", "[\"-2 rad\", \"2 rad\"]", 1);
    std::fs::write(&tables, wide).unwrap();
    let text = std::fs::read_to_string(&head).unwrap().replace("limit = \"10 mm\"", "limit = \"100 km\"");
    for (control, words) in [("pva", ours), ("tango", ours), ("ca", "")] {
        std::fs::write(&head, text.replacen("control = \"ca\"", &format!("control = \"{control}\""), 1)).unwrap();
        let line = "HCOR[0].set(1.0 * rad)";
        let mut command = support::fodo(&scratch, &["eval", line, "--on", "live", "--write", "--json", "--facility"]);
        command.arg(&facility).env("TANGO_HOST", format!("127.0.0.1:{}#dbase=no", ports.tango));
        ports.point(&mut command);
        let error = object(&Running::start(command).output())["error"].clone();
        let said = error["details"][0].as_str().unwrap_or_default();
        eprintln!("{control}: {said}");
        assert!(
            said.starts_with("HCOR_001:Cm:set: ") && said.contains("refused") && said.contains(words),
            "{control}: {error}"
        );
    }
}

#[test]
fn three_protocols_carry_images_and_say_how_a_figure_is_computed() {
    const TEST: &str = "three_protocols_carry_images_and_say_how_a_figure_is_computed";
    let scratch = Scratch::new("images");
    let Some((_running, ports)) = serve(&scratch, TEST) else { return };
    let python = support::project().join(".venv/bin/python");
    let there = Command::new(&python).args(["-c", "import aioca, p4p, tango"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return support::skipped(TEST, "no aioca, p4p and PyTango in .venv");
    }
    let mut command = Command::new(python);
    command.arg(support::project().join("tests/setup/image_clients.py"));
    command.args([&ports.tango.to_string(), "beam:size:1:image", "beam:emittance:x"]);
    ports.point(&mut command);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = object(&output);
    eprintln!("{told:#}");
    assert_eq!(told["ca"]["shape"], json!([48 * 32]));
    for client in ["pva", "tango"] {
        assert_eq!(told[client]["shape"], json!([32, 48]), "{client}: {told}");
        let said = told[client]["description"].as_str().unwrap_or_default();
        assert!(said.contains("envelope method of Ohmi"), "{client}: {told}");
    }
    for client in ["ca", "pva", "tango"] {
        // the sums of two shots differ by the noise of photons
        let sum = told[client]["sum"].as_f64().unwrap() / told["ca"]["sum"].as_f64().unwrap();
        assert!((sum - 1.0).abs() < 0.02, "{client}: {told}");
        // ten shots a second for two seconds; those that come while TANGO connects its events are not sent again
        let least = if client == "tango" { 8 } else { 12 };
        assert!((least..=24).contains(&told[client]["updates"].as_u64().unwrap()), "{client}: {told}");
    }
    // the same by a script of ours, over each
    let line = "let i = SIZE[0].get_image(); [i.rows, i.columns, i.row(9).max() > 10.0]";
    let facility = facility(&scratch, Orbit::Vectors);
    let text = std::fs::read_to_string(facility.join("facility.toml")).unwrap();
    for control in ["ca", "pva", "tango"] {
        let text = text.replacen("control = \"ca\"", &format!("control = \"{control}\""), 1);
        std::fs::write(facility.join("facility.toml"), text).unwrap();
        let mut command = support::fodo(&scratch, &["eval", line, "--on", "live", "--json", "--facility"]);
        command.arg(&facility).env("TANGO_HOST", format!("127.0.0.1:{}#dbase=no", ports.tango));
        ports.point(&mut command);
        let answer = object(&Running::start(command).output());
        assert_eq!(answer["result"], json!([32, 48, true]), "{control}: {answer}");
    }
}

#[test]
fn the_served_process_ends_with_its_parent() {
    let scratch = Scratch::new("parent");
    let Some((mut running, ports)) = serve(&scratch, "the_served_process_ends_with_its_parent") else { return };
    running.kill();
    until("the port is closed", Duration::from_secs(2), || !answers(ports.tango));
}

#[test]
fn the_parent_says_that_the_served_process_has_ended() {
    let scratch = Scratch::new("child");
    let Some((mut running, ports)) = serve(&scratch, "the_parent_says_that_the_served_process_has_ended") else {
        return;
    };
    let found = servers(ports.tango);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(Command::new("kill").args(["-9", &found[0]]).status().unwrap().success());
    until("the program ends", Duration::from_secs(2), || running.ended());
    let output = running.output();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("{told}");
    assert!(!output.status.success() && told.contains("ended by itself"), "{told}");
}

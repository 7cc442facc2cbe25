//! The trainer's door: the truth of a served twin is set and read with a token, while clients go on.

use super::machine::{Client, Running, epics, serve};
use super::ring::{Orbit, facility};
use fodo_tests::{self as support, Scratch};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// `fodo twin`: what it printed, or the error it said.
fn twin(scratch: &Scratch, door: u16, arguments: &[&str]) -> Result<String, String> {
    let door = door.to_string();
    let output = support::run(scratch, &[&["twin", "--door", &door], arguments].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A line as a program of somebody else sends it.
fn raw(door: u16, line: &str) -> Value {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, door)).unwrap();
    writeln!(stream, "{line}").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

struct Served {
    scratch: Scratch,
    _running: Running,
    port: u16,
    door: u16,
}

fn served(name: &str) -> Served {
    let scratch = Scratch::new(name);
    let facility = facility(&scratch, Orbit::Vectors);
    let door = support::port();
    let (running, port) = serve(&scratch, &facility, &["--door", &door.to_string(), "--seed", "1"]);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, door)).is_err() {
        assert!(std::time::Instant::now() < end, "there is no door");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Served { scratch, _running: running, port, door }
}

impl Served {
    fn token(&self) -> std::path::PathBuf {
        self.scratch.path().join(format!("data/doors/{}.token", self.door))
    }

    fn value(&self, channel: &str) -> f64 {
        Client::new(self.port).get([channel].into_iter())[channel]
    }

    fn tune(&self) -> f64 {
        self.value("TUNEZR:rdH")
    }
}

#[test]
fn a_trainer_comes_in_with_the_token_and_nobody_else() {
    if !epics("a_trainer_comes_in_with_the_token_and_nobody_else") {
        return;
    }
    let served = served("door");
    assert_eq!(std::fs::metadata(served.token()).unwrap().permissions().mode() & 0o777, 0o600);
    let tune = served.tune();

    // a wrong token, none, nonsense: all the same answer
    let truth = json!({ "token": "0".repeat(64), "ask": "truth" });
    for line in [truth.to_string(), json!({ "ask": "truth" }).to_string(), "open sesame".into(), "[]".into()] {
        let answer = raw(served.door, &line);
        assert_eq!(answer["error"]["kind"], "rights", "{line}: {answer}");
        assert!(answer.get("ok").is_none());
    }
    let mistaken = served.scratch.file("mistaken.token", "0123\n");
    let error = twin(&served.scratch, served.door, &["truth", "--token", mistaken.to_str().unwrap()]).unwrap_err();
    assert!(error.contains("does not open the door"), "{error}");

    // the right one, and a question that is none
    let token = std::fs::read_to_string(served.token()).unwrap();
    let answer = raw(served.door, &json!({ "token": token.trim(), "ask": "open" }).to_string());
    assert!(answer["error"]["message"].as_str().unwrap().contains("does not understand"), "{answer}");

    let before: Value = serde_json::from_str(&twin(&served.scratch, served.door, &["truth"]).unwrap()).unwrap();
    let set = |text: &str| {
        let file = served.scratch.file("exact.toml", text);
        twin(&served.scratch, served.door, &["set", file.to_str().unwrap()])
    };
    set("[QF.QF_003]\ndx = \"120 um\"\nrelative = \"2e-3\"\n").unwrap();
    let after: Value = serde_json::from_str(&twin(&served.scratch, served.door, &["truth"]).unwrap()).unwrap();
    assert_ne!(after["QF"]["QF_003"]["dx"], before["QF"]["QF_003"]["dx"]);
    assert_eq!(after["QF"]["QF_004"], before["QF"]["QF_004"]);
    let moved = served.tune();
    assert!((moved - tune).abs() > 1e-4 * tune.abs(), "{moved} {tune}");

    // mistakes: said, and the twin goes on as it was
    for (text, said) in [
        ("[QF.QF_003]\ndy = \"1 A\"\n", "line 2"),
        ("[QF.QF_333]\ndx = \"1 um\"\n", "QF_333"),
        ("[QF.QF_003]\ndx = \"9 um\"\n[QD.QD_001]\nddx = \"1 um\"\n", "ddx"),
        ("not toml", "line 1"),
    ] {
        let error = set(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
    assert!((served.tune() - moved).abs() < 1e-6, "{} {moved}", served.tune());
    let now: Value = serde_json::from_str(&twin(&served.scratch, served.door, &["truth"]).unwrap()).unwrap();
    assert_eq!(now, after, "half of a table is not taken");
    twin(&served.scratch, served.door, &["reset"]).unwrap();
    let now: Value = serde_json::from_str(&twin(&served.scratch, served.door, &["truth"]).unwrap()).unwrap();
    assert_eq!(now, before);
}

#[test]
fn anomalies_and_lattices_come_through_the_door() {
    if !epics("anomalies_and_lattices_come_through_the_door") {
        return;
    }
    let served = served("door-lattice");
    let scratch = &served.scratch;
    let ask = |arguments: &[&str]| twin(scratch, served.door, arguments);
    let tune = served.tune();
    let shown = ask(&["show"]).unwrap();
    assert!(shown.contains("beam_lost") && !shown.contains("ON"), "{shown}");
    ask(&["start", "corrector_lost", "HCOR_002"]).unwrap();
    let shown = ask(&["show"]).unwrap();
    assert!(shown.contains("ON HCOR[\"HCOR_002\"]") && shown.contains("corrector_lost began"), "{shown}");
    ask(&["stop", "corrector_lost"]).unwrap();
    assert!(ask(&["start", "corrector_lst"]).unwrap_err().contains("corrector_lost"));

    // another working point, and what is no working point
    let own = std::fs::read_to_string(support::project().join("facilities/demo_ring/lattice.toml")).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(own.contains(from));
        scratch.file("other.toml", &own.replace(from, to))
    };
    let lattice = |file: &Path| ask(&["lattice", file.to_str().unwrap()]);
    let refused = lattice(&edited("k1 = 1.2580503144087112", "k1 = 12.5")).unwrap_err();
    assert!(refused.contains("limits") && refused.contains("the twin is as it was"), "{refused}");
    let bend = "angle = 0.19634954084936207, k1 = ";
    let refused = lattice(&edited(&format!("{bend}0.0"), &format!("{bend}9.0"))).unwrap_err();
    assert!(refused.contains("there is no beam") && refused.contains("the twin is as it was"), "{refused}");
    let refused = lattice(&edited("cell * 16", "cell * 15")).unwrap_err();
    assert!(refused.contains("another machine"), "{refused}");
    assert!((served.tune() - tune).abs() < 1e-6);
    let setpoint = served.value("QF_001:Cm:set");
    lattice(&edited("k1 = 1.2580503144087112", "k1 = 1.26")).unwrap();
    let (moved, now) = (served.tune(), served.value("QF_001:Cm:set"));
    assert!((moved - tune).abs() > 1e-3 * tune, "{moved} {tune}");
    assert!((now - setpoint - 0.4 * (1.26 - 1.258_050_314_408_711_2)).abs() < 1e-12, "{now} {setpoint}");
}

//! What an archive holds, in scripts; and the twin set as the machine was.

use super::ring::{Orbit, facility, setpoints};
use fodo_tests::{self as support, Scratch};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// 2026-11-20 12:00 UTC [ns].
const NOON: i64 = 1_795_176_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// The fixture server with the ring's setpoints and an orbit, and a facility that names it.
struct Archive {
    child: Child,
    facility: PathBuf,
}

impl Drop for Archive {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Archive {
    fn start(scratch: &Scratch) -> Archive {
        let file = scratch.file("archive.json", &channels().to_string());
        let mut child = Command::new("python3")
            .arg(support::project().join("tests/setup/archiver.py"))
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let archive = Archive { child, facility: facility(scratch, Orbit::Vectors) };
        archive.says(&format!("kind = \"appliance\"\nurl = \"http://127.0.0.1:{}/retrieval\"", port.trim()));
        archive
    }

    /// Makes `lines` the table `[archive]` of the facility.
    fn says(&self, lines: &str) {
        let head = self.facility.join("facility.toml");
        let text = std::fs::read_to_string(&head).unwrap();
        let text = text.split("\n[archive]").next().unwrap();
        std::fs::write(head, format!("{}\n\n[archive]\n{lines}\n", text.trim_end())).unwrap();
    }

    fn eval(&self, scratch: &Scratch, options: &[&str], script: &str) -> Value {
        let facility = self.facility.to_str().unwrap();
        support::json(scratch, &[&["eval", script, "--facility", facility], options].concat())
    }
}

/// Setpoints as the database has them, but `HCOR_001`, `_002` and `_003`; and the orbit, with a bad sample.
fn channels() -> Value {
    let mut all = Map::new();
    for (name, value) in setpoints() {
        let samples = json!([[NOON - 3600 * SECOND, value, 0], [NOON + 60 * SECOND, 0.9 * value, 0]]);
        all.insert(name, json!({ "type": "double", "unit": "1/m", "samples": samples }));
    }
    let kick = |samples: Value| json!({ "type": "double", "unit": "1/m", "samples": samples });
    all.insert("HCOR_001:Cm:set".into(), kick(json!([[NOON - SECOND, 20e-6, 0], [NOON + SECOND, 30e-6, 0]])));
    all.insert("HCOR_002:Cm:set".into(), kick(json!([[NOON - SECOND, 1.5e-3, 0]])));
    all.remove("HCOR_003:Cm:set");
    all.insert("HCOR_004:Cm:set".into(), kick(json!([[NOON - SECOND, 10e-6, 3]])));
    all.insert("HCOR_001:Cm:rdbk".into(), kick(json!([[NOON - SECOND, 20e-6, 0], [NOON + SECOND / 2, 30e-6, 1]])));
    let orbit: Vec<Vec<f64>> = (0..3).map(|k| (0..200).map(|entry| f64::from(entry + k) * 1e-6).collect()).collect();
    let samples = json!([[NOON, orbit[0], 0], [NOON + SECOND, orbit[1], 3], [NOON + 2 * SECOND, orbit[2], 0]]);
    all.insert("beam:orbit:x".into(), json!({ "type": "double[]", "unit": "m", "samples": samples }));
    all.into()
}

#[test]
fn scripts_ask_the_archive() {
    let scratch = Scratch::new("history");
    let archive = Archive::start(&scratch);
    let script = r#"
        let h = HCOR[0].history("2026-11-20 12:00", "2026-11-20 13:00:03.5+01:00");
        assert_near(h.time[0], -1.0 * s, 1e-9 * s);
        assert_near(h.time[1], 0.5 * s, 1e-9 * s);
        assert_near(h.value[1], 30.0 * urad, 1e-9 * urad);
        assert(h.value.unit == "rad" && h.invalid == 0 && h.start == "2026-11-20 12:00:00");
        let again = HCOR[0].history("kick", h.start, "2026-11-20 12:00:01");
        assert(again.value.len == 2);
        // one vector channel holds all monitors; a sample of it was invalid
        let orbits = BPM.history("x", "2026-11-20 12:00", "2026-11-20 12:01");
        assert(orbits.len == 16 && orbits[0].invalid == 1 && orbits[0].time.len == 2);
        assert_near(orbits[0].value[1], 5.0 * um, 1e-6 * um);
        assert_near(orbits[15].value[0], 183.0 * um, 1e-6 * um);
        let bare = history("HCOR_001:Cm:set", "2026-11-20 12:00", "2026-11-20 12:00:02");
        assert(bare.unit == "1/m" && bare.value.unit == "1/m" && bare.value.len == 2);
        let texts = history("FIX:TEXT", "2026-12-31 23:55", "2026-12-31 23:58");
        assert(texts.value == ["on", "off", "Ärger"]);
        assert(history().len == 0);
        7
    "#;
    let told = archive.eval(&scratch, &[], script);
    assert_eq!((&told["ok"], &told["result"]), (&json!(true), &json!(7)), "{told}");
}

#[test]
fn what_cannot_be_asked_says_why() {
    let scratch = Scratch::new("history-errors");
    let archive = Archive::start(&scratch);
    let message = |script: &str, options: &[&str]| {
        let told = archive.eval(&scratch, options, script);
        (told["error"]["kind"].as_str().unwrap_or("none").to_string(), told["error"].to_string())
    };
    for (script, kind, what) in [
        ("history(\"NO:SUCH\", \"-1 h\", \"now\")", "machine", "the archive holds nothing"),
        ("history(\"NO:SUCH\", \"yesterday\", \"now\")", "script", "`yesterday` is not a moment"),
        ("history(\"NO:SUCH\", \"now\", \"-1 h\")", "script", "`now` is later than `-1 h`"),
        ("VCOR.history(\"-1 h\", \"now\")", "machine", "VCOR_016:Cm:rdbk"),
        ("twin.set_from_history(\"2000-01-01\")", "machine", "no setpoint to set"),
    ] {
        let (found, text) = message(script, &[]);
        assert!(found == kind && text.contains(what), "{script}: {text}");
    }
    let (kind, text) = message("twin.set_from_history(\"2026-11-20 12:00\")", &["--on", "live"]);
    assert!(kind == "rights" && text.contains("this is a live machine"), "{text}");
    for (lines, kind, line, what) in [
        ("kind = \"tape\"\nurl = \"http://x\"", "facility", true, "`tape` is no archive"),
        ("kind = \"appliance\"\nurl = \"ftp://x\"", "facility", true, "must begin with http://"),
        ("kind = \"appliance\"", "facility", true, "`url` is missing"),
        ("kind = \"appliance\"\nurl = \"http://x\"\nport = 1", "facility", true, "`port` is not a key"),
        ("kind = \"appliance\"\nurl = \"http://127.0.0.1:9/retrieval\"", "machine", false, "did not answer"),
    ] {
        archive.says(lines);
        let (found, text) = message("history(\"FIX:INT\", \"-1 h\", \"now\")", &[]);
        let placed = !line || text.contains("facility.toml");
        assert!(found == kind && placed && text.contains(what), "{lines}: {text}");
    }
    let without = support::json(&scratch, &["eval", "history(\"A\", \"-1 h\", \"now\")"]);
    assert_eq!(without["error"]["kind"], "usage", "{without}");
    assert!(without["error"].to_string().contains("names no archive"), "{without}");
}

#[test]
fn the_twin_is_set_as_the_machine_was() {
    let scratch = Scratch::new("history-twin");
    let archive = Archive::start(&scratch);
    let told = archive.eval(
        &scratch,
        &[],
        r#"let before = HCOR[0].setpoint(); let r = twin.set_from_history("2026-11-20 12:00"); assert_near(HCOR[0].setpoint(), 20.0 * urad, 1e-9 * urad); assert_near(QF[0].setpoint(), 1.25805 / m / m, 1e-9 / m / m); assert(HCOR[1].setpoint() == 0.0 * urad && before == 0.0 * urad); r"#,
    );
    let result = &told["result"];
    // 97 setpoints, kickers and trigger: one beyond its limits, four not archived, one invalid
    assert_eq!(result["set"], 94, "{told}");
    let names = |key: &str| result[key].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>();
    let (without, refused) = (names("without_data"), names("refused"));
    assert!(without.len() == 5 && without[0].contains("HCOR_003") && without[1].contains("INVALID"), "{without:?}");
    assert!(
        ["KICKER", "PINGER", "TIMING"].iter().zip(&without[2..]).all(|(name, of)| of.contains(name)),
        "{without:?}"
    );
    assert!(refused.len() == 1 && refused[0].contains("HCOR_002") && refused[0].contains("1.5 mrad"), "{refused:?}");
}

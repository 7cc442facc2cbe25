//! Two sessions do not write the same family.

use super::machine::{Running, object, point, serve};
use super::ring::{Orbit, facility};
use fodo_tests::{self as support, Scratch};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Writes HCOR, says so, and keeps its run open.
const HOLD: &str = "HCOR[0].step(5.0 * urad); let n = 0; while true { n += 1; HCOR[0].get(); }";

struct Room {
    scratch: Scratch,
    folder: PathBuf,
    port: u16,
    _served: Running,
}

impl Room {
    fn new(name: &str) -> Room {
        let scratch = Scratch::new(name);
        let folder = facility(&scratch, Orbit::Vectors);
        let (served, port) = serve(&scratch, &folder, &[]);
        Room { scratch, folder, port, _served: served }
    }

    /// A session of `who`, with a data folder of its own.
    fn fodo(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = support::fodo(&self.scratch, arguments);
        command.args(["--on", "live", "--facility"]).arg(&self.folder);
        command.env("FODO_DATA", self.scratch.path().join(who)).env("USER", who);
        command.env("FODO_LEASES", self.scratch.path().join("leases"));
        point(&mut command, self.port);
        command
    }

    fn json(&self, who: &str, arguments: &[&str]) -> Value {
        object(&Running::start(self.fodo(who, &[arguments, &["--json"]].concat())).output())
    }

    fn leases(&self) -> Value {
        self.json("eve", &["leases"])["result"]["leases"].clone()
    }

    fn holds(&self, family: &str) -> bool {
        self.leases().as_array().unwrap().iter().any(|lease| lease["family"] == family && lease["state"] == "lives")
    }

    /// A session that has written HCOR and goes on.
    fn alice(&self) -> Running {
        let mut running = Running::start(self.fodo("alice", &["eval", HOLD, "--write", "--json"]));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.holds("HCOR") || self.kick() == json!(0.0) {
            assert!(!running.ended() && Instant::now() < deadline, "HCOR is not being written");
        }
        running
    }

    fn kick(&self) -> Value {
        self.json("eve", &["eval", "HCOR[0].get().si"])["result"].clone()
    }
}

#[test]
fn a_second_session_does_not_write_the_family_of_the_first() {
    let room = Room::new("leases");
    assert_eq!(room.leases(), json!([]));
    let alice = room.alice();
    let held = room.leases();
    assert_eq!((&held[0]["user"], &held[0]["title"]), (&"alice".into(), &"eval".into()), "{held}");

    let answer = room.json("bob", &["eval", "HCOR[1].step(5.0 * urad)", "--write"]);
    let error = &answer["error"];
    assert_eq!(error["message"], "HCOR is being written by another session", "{answer}");
    assert_eq!((&error["kind"], &error["machine"]), (&"rights".into(), &"no setpoint was changed".into()), "{answer}");
    let who = error["details"][0].as_str().unwrap();
    let process = format!("process {}, since 20", held[0]["process"]);
    assert!(who.starts_with("HCOR: alice on ") && who.contains(&process) && who.ends_with("; lives"), "{who}");
    assert!(answer.to_string().contains("let alice end it"), "{answer}");
    assert_eq!(room.json("bob", &["eval", "HCOR[1].get().si"])["result"], json!(0.0));
    // what a header says it may change is asked for at the first write
    let procedure = "//! # Both\n//!\n//! Writes one of two.\n\nprocedure(#{ changes: [\"HCOR\", \"VCOR\"], reads: [], parameters: #{} });\n\n\
                     fn run(p) { VCOR[0].step(5.0 * urad); }\n";
    let both = room.scratch.file("both.rhai", procedure).display().to_string();
    let answer = room.json("bob", &["run", &both, "--write"]);
    assert_eq!(answer["error"]["message"], "HCOR is being written by another session", "{answer}");
    // other families, and looking, are free
    for arguments in
        [&["eval", "VCOR[1].step(5.0 * urad)", "--write"][..], &["eval", "HCOR[1].step(1.0 * urad)", "--rehearse"]]
    {
        let answer = room.json("bob", arguments);
        assert_eq!(answer["ok"], true, "{answer}");
    }
    let answer = room.json("bob", &["leases", "--release", "HCOR", "--write"]);
    assert_eq!(answer["error"]["kind"], "rights", "{answer}");
    assert_eq!(answer["error"]["message"], "the holder of the lease of HCOR lives; it was not released");

    alice.interrupt();
    let ended = object(&alice.output());
    assert_eq!(ended["error"]["kind"], "stopped", "{ended}");
    assert_eq!(room.leases(), json!([]));
    assert_eq!(room.json("bob", &["eval", "HCOR[1].step(5.0 * urad)", "--write"])["ok"], true);
}

fn changes(room: &Room, who: &str, more: &[&str]) -> Vec<(String, String, String)> {
    let answer = room.json(who, &[&["changes"], more].concat());
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_string();
    let lines = answer["result"]["changes"].as_array().unwrap_or_else(|| panic!("{answer}"));
    lines.iter().map(|l| (text(l, "name"), text(l, "why"), text(l, "title"))).collect()
}

#[test]
fn every_write_is_in_the_change_log() {
    let room = Room::new("changes");

    let why = |lines: &[(String, String, String)]| lines.iter().map(|l| l.1.clone()).collect::<Vec<_>>();
    // the twin of the process and a rehearsal write nothing
    room.json("alice", &["eval", "HCOR[0].step(5.0 * urad)", "--rehearse"]);
    assert_eq!(changes(&room, "alice", &[]), []);
    room.json("alice", &["eval", "HCOR[0].step(5.0 * urad)", "--write"]);
    let first = changes(&room, "alice", &[]);
    assert_eq!(first, [(first[0].0.clone(), "set".into(), "eval".into())]);
    assert!(first[0].0.starts_with("HCOR["), "{first:?}");
    // an error is put back
    room.json("alice", &["eval", "HCOR[0].step(5.0 * urad); throw \"no\"", "--write"]);
    assert_eq!(why(&changes(&room, "alice", &[])), ["set", "set", "restore"]);
    // the prompt, a line each
    let mut prompt = room.fodo("alice", &["repl", "--write"]);
    prompt.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut prompt = prompt.spawn().unwrap();
    let lines = b"HCOR[0].step(5.0 * urad)\nundo()\nredo()\n";
    std::io::Write::write_all(&mut prompt.stdin.take().unwrap(), lines).unwrap();
    assert!(prompt.wait().unwrap().success());
    let all = changes(&room, "alice", &["--since", "1 h", "--family", "HCOR"]);
    assert_eq!(why(&all)[3..], ["set", "undo", "redo"]);
    assert_eq!((all[3].2.as_str(), all[4].2.as_str()), ("HCOR[0].step(5.0 * urad)", "undo()"));
    assert_eq!(changes(&room, "alice", &["--family", "VCOR"]), []);
    assert_eq!(room.json("alice", &["changes", "--since", "2 m"])["error"]["kind"], "usage");
    // a kill
    let mut alice = Running::start(room.fodo("alice", &["eval", HOLD, "--write", "--json"]));
    let deadline = Instant::now() + Duration::from_secs(20);
    while changes(&room, "alice", &[]).len() == 6 {
        assert!(!alice.ended() && Instant::now() < deadline, "nothing was written");
    }
    alice.kill();
    alice.output();
    room.json("alice", &["recover", "--write"]);
    let all = changes(&room, "alice", &[]);
    assert_eq!(why(&all)[6..].first().map(String::as_str), Some("set"));
    // killed before the write went out, there is nothing to put back
    assert!(why(&all)[7..].iter().all(|why| why == "recover"), "{all:?}");
    let answer = room.json("alice", &["changes"]);
    let entry = &answer["result"]["changes"][0];
    assert_eq!((&entry["user"], entry["script_sha256"].as_str().map(str::len)), (&"alice".into(), Some(64)), "{entry}");
    assert!(entry["old"].is_number() && entry["new"].is_number() && entry["unit"].is_string(), "{entry}");
}

#[test]
fn without_a_change_log_nothing_is_written() {
    let room = Room::new("changes-none");
    room.scratch.file("alice/changes", "a file where the folder should be");
    let answer = room.json("alice", &["eval", "HCOR[0].step(5.0 * urad)", "--write"]);
    assert_eq!(answer["error"]["kind"], "storage", "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("keep the change log"), "{answer}");
    assert_eq!(room.kick(), json!(0.0));
}

#[test]
fn a_killed_session_frees_its_families_and_is_recovered() {
    let room = Room::new("leases-kill");
    let mut alice = room.alice();
    alice.kill();
    alice.output();
    assert_eq!(room.leases()[0]["state"], "ended");
    // another session writes it now; recovering has to wait for it
    let mut bob = Running::start(room.fodo("bob", &["eval", HOLD, "--write", "--json"]));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !room.holds("HCOR") {
        assert!(!bob.ended() && Instant::now() < deadline, "the lease was not taken over");
    }
    let recovered = room.json("alice", &["recover", "--write"]);
    assert_eq!(recovered["error"]["machine"], "nothing was put back", "{recovered}");
    bob.interrupt();
    bob.output();
    let recovered = room.json("alice", &["recover", "--write"]);
    assert_eq!(recovered["ok"], true, "{recovered}");
    assert_eq!((room.kick(), room.leases()), (json!(0.0), json!([])));
}

#[test]
fn a_lease_of_another_host_is_given_free_by_a_person() {
    let room = Room::new("leases-host");
    let lease = json!({
        "facility": "demo_ring", "family": "HCOR", "user": "carol", "host": "another-host", "process": 4711,
        "run": "r1", "title": "correct_orbit", "since": 1.79e9,
    });
    let file = room.scratch.file("leases/demo_ring.HCOR.lease", &lease.to_string());
    let step = &["eval", "HCOR[1].step(5.0 * urad)", "--write"];
    // heard of just now
    assert_eq!(room.json("bob", step)["error"]["kind"], "rights");
    assert_eq!(room.json("bob", &["leases", "--release", "HCOR", "--write"])["error"]["kind"], "rights");
    let old = std::time::SystemTime::now() - Duration::from_secs(3 * 3600);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
    let answer = room.json("bob", step);
    let said = answer["error"].to_string();
    assert!(said.contains("not heard of for 3 h: it may be dead"), "{said}");
    assert!(said.contains("see on another-host that process 4711 has ended"), "{said}");
    assert!(said.contains("`fodo leases --release HCOR --write`"), "{said}");
    assert_eq!(room.json("bob", &["leases", "--release", "HCOR"])["error"]["kind"], "rights");
    assert_eq!(room.json("bob", &["leases", "--release", "HCOR", "--write"])["ok"], true);
    assert_eq!(room.json("bob", &["leases", "--release", "HCOR", "--write"])["error"]["kind"], "usage");
    assert_eq!(room.json("bob", step)["ok"], true);
    // a holder whose lease is broken stops at its next write, and what it changed is put back
    let write = "VCOR[0].step(5.0 * urad); while true { VCOR[0].step(0.0 * urad); }";
    let mut bob = Running::start(room.fodo("bob", &["eval", write, "--write", "--json"]));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !room.holds("VCOR") {
        assert!(!bob.ended() && Instant::now() < deadline, "VCOR is not being written");
    }
    std::fs::remove_file(room.scratch.path().join("leases/demo_ring.VCOR.lease")).unwrap();
    let ended = object(&bob.output());
    assert_eq!(ended["error"]["message"], "the lease of VCOR was released by somebody else during the run", "{ended}");
    assert_eq!(room.json("bob", &["eval", "VCOR[0].get().si"])["result"], json!(0.0));
}

//! Kills at random moments, with all setpoints moved off their database values first: none stays changed.
//!
//! `FODO_TEST_SEED` chooses the moments and the values; each test prints its seed.

use super::machine::{Running, Values, epics, object, python};
use super::ring::{Machine, setpoints};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::time::Duration;

/// How often each kind of kill happens.
const KILLS: usize = 20;

/// Moves all correctors for some seconds, together and one by one; never far.
pub const STIR: &str = r#"//! # Stir
//!
//! Moves the correctors about.

procedure(#{ changes: ["HCOR", "VCOR"], reads: [], parameters: #{} });

fn run(p) {
    for round in 0..150 {
        let step = if round % 3 == 2 { -2.0 } else { 1.0 };
        HCOR.step(step * 7.0 * urad);
        VCOR.step(step * 5.0 * urad);
        with_restore(|| HCOR[round % 16].step(11.0 * urad));
    }
}
"#;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn new(test: &str) -> Random {
        let given = std::env::var("FODO_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = given.unwrap_or(clock);
        eprintln!("{test}: FODO_TEST_SEED={seed}");
        Random(seed)
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.part())
    }
}

/// A linear machine whose runs are interrupted.
struct Victim {
    machine: Machine,
    random: Random,
    /// How long a run takes that nobody interrupts, by what is run.
    spans: [Duration; 2],
    before: Values,
    /// Puts in the IOC's log before the run.
    since: usize,
    rounds: usize,
}

impl Victim {
    fn new(test: &str) -> Victim {
        let random = Random::new(test);
        let machine = Machine::new(test);
        machine.scratch.file("stir.rhai", STIR);
        let mut victim = Victim {
            machine,
            random,
            spans: [Duration::from_millis(1500); 2],
            before: Values::new(),
            since: 0,
            rounds: 0,
        };
        victim.move_all();
        let whole = victim.machine.json(&["run", "correct_orbit", "--write", "--set", "response=measured"]);
        assert_eq!(whole["ok"], true, "{whole}");
        victim.spans[0] = Duration::from_secs_f64(whole["run"]["seconds"].as_f64().unwrap());
        victim
    }

    /// Moves every setpoint off its database value.
    fn move_all(&mut self) {
        let mut values = setpoints();
        for (channel, value) in &mut values {
            let reach = match channel.split(['_', ':']).next() {
                Some("HCOR" | "VCOR") => 2e-4,
                Some("QF" | "QD" | "SF" | "SD") => 0.02,
                _ => 5.0,
            };
            *value += reach * (self.random.part() + 0.1) * if self.random.part() < 0.5 { -1.0 } else { 1.0 };
        }
        self.machine.client.put(&values);
        same(&self.machine.setpoints(), &values, "after moving");
        self.before = values;
        self.since = self.machine.ioc.puts().len();
    }

    /// Starts a run and waits for a random moment of it.
    fn run(&mut self) -> Running {
        self.rounds += 1;
        assert!(self.rounds < 4 * KILLS, "too many runs end before they are interrupted");
        let what = self.rounds % 2;
        let running = self.start(what);
        std::thread::sleep(self.random.up_to(self.spans[what]));
        running
    }

    /// Starts a correction with a measured response, or the stirring.
    fn start(&mut self, what: usize) -> Running {
        self.move_all();
        let stir = self.machine.scratch.path().join("stir.rhai").display().to_string();
        let arguments = match what {
            0 => vec!["run", "correct_orbit", "--write", "--json", "--set", "response=measured"],
            _ => vec!["run", &stir, "--write", "--json"],
        };
        Running::start(self.machine.fodo(&arguments))
    }

    /// What the IOC was told by the last run: the last two values of each channel.
    fn written(&self) -> BTreeMap<String, [f64; 2]> {
        let mut written = BTreeMap::new();
        for (channel, value) in self.machine.ioc.puts().split_off(self.since) {
            let old = self.before[&channel];
            let entry = written.entry(channel).or_insert([old; 2]);
            *entry = [value, entry[0]];
        }
        written
    }

    fn recover(&self, more: &[&str]) -> Value {
        self.machine.json(&[&["recover"], more].concat())
    }

    /// Whether the last run was committed.
    fn committed(&self) -> bool {
        self.newest_record()["transactions"].as_array().unwrap().contains(&"committed".into())
    }

    fn newest_record(&self) -> Value {
        let runs = std::fs::read_dir(self.machine.scratch.path().join("data/runs")).unwrap();
        let records = runs.map(|entry| entry.unwrap().path()).filter(|path| path.extension() == Some("h5".as_ref()));
        // names tell seconds, and two runs may begin in one
        let newest = records.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap();
        python("record.py", &[&newest], &Value::Null)
    }

    fn nothing_to_recover(&self) {
        assert_eq!(self.recover(&[])["result"]["runs"], Value::Array(vec![]));
    }
}

/// The setpoint of a channel as messages name it.
fn name(channel: &str) -> String {
    match channel.strip_suffix(":Cm:set") {
        Some(device) => format!("{}[\"{device}\"].kick", device.split('_').next().unwrap()),
        None => "RF.frequency".into(),
    }
}

/// Every setpoint holds exactly what it should; shows those that do not, and what was said.
fn same(found: &Values, wanted: &Values, said: impl std::fmt::Display) {
    let differ = wanted.iter().filter(|(channel, value)| found[*channel] != **value);
    let differ: Vec<String> = differ.map(|(c, value)| format!("{c} holds {:?}, should {value:?}", found[c])).collect();
    assert!(differ.is_empty(), "{}\n{said}", differ.join("\n"));
}

fn ended_before(output: &Output) -> bool {
    output.status.success()
}

#[test]
fn ctrl_c_leaves_no_setpoint_changed() {
    if !epics("ctrl_c_leaves_no_setpoint_changed") {
        return;
    }
    let mut victim = Victim::new("ctrl-c");
    let (mut kills, mut with_writes, mut in_flight) = (0, 0, 0);
    while kills < KILLS {
        let running = victim.run();
        let already = victim.machine.ioc.puts().len();
        running.interrupt();
        let output = running.output();
        if ended_before(&output) {
            continue;
        }
        kills += 1;
        let puts = victim.machine.ioc.puts().len();
        let mut said = String::new();
        let at_once = output.stdout.is_empty() && output.status.signal() == Some(2);
        if !at_once {
            let answer = object(&output);
            assert_eq!(output.status.code(), Some(130), "{answer}");
            assert_eq!(answer["error"]["kind"], "stopped", "{answer}");
            let stands = answer["error"]["machine"].as_str().unwrap_or_else(|| panic!("{answer}"));
            said = stands.to_string();
            let back = stands.contains("back at") && stands.contains("before the run");
            assert!(back || stands == "no setpoint was changed", "{stands}");
            with_writes += usize::from(back);
            in_flight += usize::from(puts > already);
        }
        same(&victim.machine.setpoints(), &victim.before, said);
        victim.nothing_to_recover();
    }
    eprintln!("{kills} x Ctrl-C: {with_writes} after writes, {in_flight} had something to put back");
    assert!(with_writes >= KILLS / 2);
}

#[test]
fn a_panic_stop_writes_nothing_more() {
    if !epics("a_panic_stop_writes_nothing_more") {
        return;
    }
    let mut victim = Victim::new("panic-stop");
    let (mut stops, mut changed) = (0, 0);
    while stops < KILLS / 4 {
        let running = victim.run();
        running.panic_stop();
        let before = victim.machine.ioc.puts().len();
        let output = running.output();
        if ended_before(&output) {
            continue;
        }
        stops += 1;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let held = victim.machine.setpoints();
        let differ = held.iter().filter(|(channel, value)| victim.before[*channel] != **value).count();
        // one set may have been on its way
        let late = victim.machine.ioc.puts().split_off(before).len();
        assert!(late <= 32, "{late} writes after the panic stop\n{said}");
        if output.stdout.is_empty() && output.status.signal() == Some(3) {
            continue; // it had not begun
        }
        let answer = object(&output);
        assert_eq!(output.status.code(), Some(130), "{answer}");
        assert!(said.contains("panic stop: nothing more is written"), "{said}");
        let stands = answer["error"]["machine"].as_str().unwrap_or_else(|| panic!("{answer}"));
        if differ > 0 {
            changed += 1;
            assert!(stands.contains("panic stop") && stands.contains("fodo recover"), "{stands}");
        }
        let mended = victim.recover(&["--write"]);
        assert_eq!(mended["ok"], true, "{mended}");
        same(&victim.machine.setpoints(), &victim.before, &mended);
        victim.nothing_to_recover();
    }
    eprintln!("{stops} panic stops, {changed} left setpoints changed");
    assert!(changed > 0);
}

#[test]
fn kill_9_and_recover_leave_no_setpoint_changed() {
    if !epics("kill_9_and_recover_leave_no_setpoint_changed") {
        return;
    }
    let mut victim = Victim::new("kill-9");
    let (mut kills, mut changed, mut moved_by_others) = (0, 0, 0);
    while kills < KILLS {
        let mut running = victim.run();
        running.kill();
        if ended_before(&running.output()) {
            continue;
        }
        kills += 1;
        let mut left = victim.machine.setpoints();
        let mut different: Vec<String> = left.keys().filter(|c| left[*c] != victim.before[*c]).cloned().collect();
        let somebody = if kills % 2 == 0 { different.pop() } else { None };
        if let Some(channel) = &somebody {
            let other = [(channel.clone(), 0.5 * left[channel] + 1e-5)];
            victim.machine.client.put(&other.clone().into());
            left.extend(other);
            moved_by_others += 1;
        }
        let puts = victim.machine.ioc.puts().len();

        let told = victim.recover(&[]);
        assert_eq!(told["ok"], true, "{told}");
        if told["result"]["runs"] == Value::Array(vec![]) && victim.committed() {
            kills -= 1;
            continue; // it was over, and only the program had not yet ended
        }
        assert_eq!(victim.machine.ioc.puts().len(), puts, "looking wrote something");
        same(&victim.machine.setpoints(), &left, &told);
        let rows: Vec<&Value> = told["result"]["runs"][0]["channels"].as_array().into_iter().flatten().collect();
        let verdict = |channel: &str| rows.iter().find(|row| row["name"] == name(channel)).map(|row| &row["verdict"]);
        for channel in &different {
            assert_eq!(verdict(channel), Some(&"put back".into()), "{channel}: {told}");
        }
        changed += usize::from(somebody.is_some() || !different.is_empty());
        if let Some(channel) = &somebody {
            assert_eq!(verdict(channel), Some(&"left: somebody else moved it".into()), "{told}");
        }

        let mended = victim.recover(&["--write"]);
        assert_eq!(mended["ok"], somebody.is_none(), "{mended}");
        let mut expected = victim.before.clone();
        if let Some(channel) = &somebody {
            assert!(mended["result"]["runs"][0]["machine"].as_str().unwrap().contains(&name(channel)), "{mended}");
            expected.insert(channel.clone(), left[channel]);
        }
        same(&victim.machine.setpoints(), &expected, &mended);
        victim.nothing_to_recover();
    }
    eprintln!("{kills} x kill -9: {changed} left setpoints changed, in {moved_by_others} somebody moved one after it");
    assert!(changed >= KILLS / 4 && moved_by_others > 0);
}

/// What a restarted server holds: for each channel what it held before, what the database says, the last value
/// written, or something else.
fn restarted(victim: &mut Victim, written: &BTreeMap<String, [f64; 2]>) -> Values {
    let mut values = setpoints();
    for (channel, value) in &mut values {
        let before = victim.before[channel];
        *value = match (victim.random.part(), written.get(channel)) {
            (part, _) if part < 0.4 => before,
            (part, Some(last)) if part < 0.8 => last[0],
            (part, _) if part < 0.9 => *value,
            _ => before + 1.7e-5,
        };
    }
    values
}

/// What may be put back, and what has to be left, after a restart at `values`.
fn expected(before: &Values, values: &Values, written: &BTreeMap<String, [f64; 2]>) -> Values {
    let rule = |(channel, value): (&String, &f64)| {
        let ours = written.get(channel).is_some_and(|last| last.contains(value));
        (channel.clone(), if ours { before[channel] } else { *value })
    };
    values.iter().map(rule).collect()
}

/// Setpoints of the run's families that cannot be put back are named, no others.
fn named(before: &Values, after: &Values, text: &str) {
    for (channel, value) in after {
        let in_run = ["HCOR", "VCOR"].iter().any(|family| channel.starts_with(family));
        let changed = *value != before[channel] && in_run;
        let there = text.contains(&name(channel)) && in_run;
        assert_eq!(there, changed, "{channel} was {}, is {value}: {text}", before[channel]);
    }
}

#[test]
fn a_killed_and_restarted_ioc_is_put_back_with_care() {
    if !epics("a_killed_and_restarted_ioc_is_put_back_with_care") {
        return;
    }
    let mut victim = Victim::new("ioc-kill");
    let (mut kills, mut touched, mut changed) = (0, 0, 0);
    while kills < KILLS {
        let mut running = victim.run();
        if running.ended() {
            continue;
        }
        victim.machine.ioc.kill();
        let written = victim.written();
        let puts = victim.machine.ioc.puts().len() - victim.since;
        let values = restarted(&mut victim, &written);
        victim.machine.restart(&values);
        let output = running.output();
        if ended_before(&output) {
            // it was over already, or had not begun; a run that was on does not go on as if nothing had been
            let commands = victim.newest_record()["commands"].as_array().unwrap().len();
            let run = object(&output)["run"].clone();
            assert!(
                puts == 0 || commands <= puts,
                "a run went on after a restart: {commands} commands, {puts} before, of kind {}: {run}",
                victim.rounds % 2
            );
            continue;
        }
        kills += 1;
        let answer = object(&output);
        let kind = answer["error"]["kind"].as_str().unwrap();
        assert!(matches!(kind, "machine" | "script"), "{answer}");
        let stands = answer["error"]["machine"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let after = victim.machine.setpoints();
        same(&after, &expected(&victim.before, &values, &written), format!("{stands}\n{written:?}"));
        if !written.is_empty() {
            named(&victim.before, &after, stands);
            touched += written.len();
            changed +=
                written.keys().filter(|c| values[*c] != victim.before[*c] && after[*c] == victim.before[*c]).count();
        }
        if stands.contains("fodo recover") {
            let told = victim.recover(&["--write"]);
            same(&victim.machine.setpoints(), &after, told);
        }
        victim.nothing_to_recover();
    }
    eprintln!("{kills} x restart: {touched} setpoints touched, of those {changed} put back after it");
    assert!(changed > 0);
}

#[test]
fn an_ioc_that_stays_away_is_left_to_recover() {
    if !epics("an_ioc_that_stays_away_is_left_to_recover") {
        return;
    }
    let mut victim = Victim::new("ioc-away");
    for _ in 0..2 {
        let mut running = victim.start(1);
        while victim.machine.ioc.puts().len() == victim.since {
            assert!(!running.ended());
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(victim.random.up_to(Duration::from_millis(500)));
        victim.machine.ioc.kill();
        let written = victim.written();
        let answer = object(&running.output());
        let stands = answer["error"]["machine"].as_str().unwrap_or_else(|| panic!("{answer}")).to_string();
        assert!(stands.contains("NOT put back") && stands.contains("`fodo recover`"), "{answer}");
        let values = restarted(&mut victim, &written);
        victim.machine.restart(&values);
        let told = victim.recover(&["--write"]);
        let after = victim.machine.setpoints();
        same(&after, &expected(&victim.before, &values, &written), &told);
        named(&victim.before, &after, told["result"]["runs"][0]["machine"].as_str().unwrap());
        victim.nothing_to_recover();
    }
}

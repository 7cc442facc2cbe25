//! What tests found: on the terminal as they end, as one JSON object, as JUnit.

use super::Run;
use super::cases::Test;
use crate::command::Common;
use crate::show;
use fodo_report::{Diagnostic, Kind};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// The runs of every test, and which tests have been shown.
pub struct Report<'t> {
    tests: &'t [Test],
    seeds: &'t [u64],
    /// The facility of tests that name none, and whether standard output belongs to a JSON object.
    common: &'t Common,
    runs: Vec<Vec<Run>>,
    shown: usize,
}

impl<'t> Report<'t> {
    /// Nothing has run.
    pub fn new(tests: &'t [Test], seeds: &'t [u64], common: &'t Common) -> Report<'t> {
        Report { tests, seeds, common, runs: tests.iter().map(|_| Vec::new()).collect(), shown: 0 }
    }

    /// Keeps a run, and shows every test that is finished, in the order of the files.
    pub fn add(&mut self, at: usize, run: Run) {
        self.runs[at].push(run);
        self.runs[at].sort_by_key(|run| run.seed);
        let is_whole = |at: usize, runs: &Vec<Run>| runs.len() == self.tests[at].seeds(self.seeds).len();
        while self.runs.get(self.shown).is_some_and(|runs| is_whole(self.shown, runs)) {
            if !self.common.json {
                self.show(self.shown);
            }
            self.shown += 1;
        }
    }

    fn show(&self, at: usize) {
        let (test, runs) = (&self.tests[at], &self.runs[at]);
        if at == 0 || self.tests[at - 1].file != test.file {
            show::line(&test.file);
        }
        let failed: Vec<&Run> = runs.iter().filter(|run| run.error.is_some()).collect();
        let longest = runs.iter().map(|run| run.time).max().unwrap_or_default().as_secs_f64();
        let word = if failed.is_empty() { "ok  " } else { "FAIL" };
        let seeds = match (failed.is_empty(), runs.len()) {
            (true, _) | (_, 1) => String::new(),
            (_, all) if all == failed.len() => "  with every seed".to_string(),
            _ => format!("  with seeds {} of {}", listed(failed.iter().map(|run| run.seed)), range(self.seeds)),
        };
        show::line(format!("  {word}  {longest:6.2} s  {}{seeds}", test.name));
        let mut told: Vec<(String, usize)> = Vec::new();
        for run in failed {
            let Some(error) = self.told(test, run) else { continue };
            let place =
                error.labels.first().map_or((error.message.clone(), 0), |label| (label.file.clone(), label.line));
            // what fails at the same place with another seed is told once
            if !told.contains(&place) {
                told.push(place);
                show::error(&error);
            }
        }
    }

    /// The error of a run, with what it printed and how to see it again.
    fn told(&self, test: &Test, run: &Run) -> Option<Diagnostic> {
        let mut error = (**run.error.as_ref()?).clone();
        const PRINTED: usize = 10;
        let lines: Vec<&str> = run.printed.lines().collect();
        let left_out = lines.len().saturating_sub(PRINTED);
        if left_out > 0 {
            error.details.push(format!("printed: … {left_out} lines before"));
        }
        error.details.extend(lines.iter().skip(left_out).map(|line| format!("printed: {line}")));
        let on = match &test.facility {
            Some(_) => String::new(),
            None => format!(" --facility {}", self.common.facility),
        };
        error.hints.push(format!("again: fodo test {}{on} --seed {}", test.file, run.seed));
        Some(error)
    }

    fn errors(&self) -> impl Iterator<Item = (&Test, &Run)> {
        let runs = self.tests.iter().zip(&self.runs).flat_map(|(test, runs)| runs.iter().map(move |run| (test, run)));
        runs.filter(|(_, run)| run.error.is_some())
    }

    /// How many tests failed with any seed.
    fn failed(&self) -> usize {
        self.runs.iter().filter(|runs| runs.iter().any(|run| run.error.is_some())).count()
    }

    /// The last line, or the JSON object.
    pub fn end(&self, time: Duration) {
        let (tests, failed) = (self.runs.iter().filter(|runs| !runs.is_empty()).count(), self.failed());
        let runs: usize = self.runs.iter().map(Vec::len).sum();
        if self.common.json {
            let first = self.errors().next().and_then(|(test, run)| self.told(test, run));
            let result = json!({
                "tests": self.tests.iter().zip(&self.runs).map(|(test, runs)| of_test(test, runs)).collect::<Vec<_>>(),
                "seeds": self.seeds, "passed": tests - failed, "failed": failed, "seconds": time.as_secs_f64(),
            });
            return show::json_object(failed == 0, result, Value::Null, first.as_ref());
        }
        let counted = if tests == 1 { "1 test".to_string() } else { format!("{tests} tests") };
        let seeds = match self.seeds {
            [one] => format!("with seed {one}"),
            _ => format!("with seeds {}, {runs} runs", range(self.seeds)),
        };
        show::line(format!(
            "{counted} {seeds}: {} passed, {failed} failed; {:.1} s",
            tests - failed,
            time.as_secs_f64()
        ));
    }

    /// 0, or that of a wrong script.
    pub fn exit_code(&self) -> ExitCode {
        if self.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::from(Kind::Script.exit_code()) }
    }

    /// A file as JUnit writes it: a suite for each file, a case for each run.
    pub fn junit(&self, time: Duration) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let all: usize = self.runs.iter().map(Vec::len).sum();
        text.push_str(&format!(
            "<testsuites name=\"fodo test\" tests=\"{all}\" failures=\"{}\" time=\"{:.3}\">\n",
            self.errors().count(),
            time.as_secs_f64()
        ));
        let mut at = 0;
        while let Some(test) = self.tests.get(at) {
            let count = self.tests[at..].iter().take_while(|other| other.file == test.file).count();
            let runs = || self.tests[at..at + count].iter().zip(&self.runs[at..at + count]);
            let flat = || runs().flat_map(|(_, runs)| runs);
            text.push_str(&format!(
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" time=\"{:.3}\">\n",
                escaped(&test.file),
                flat().count(),
                flat().filter(|run| run.error.is_some()).count(),
                flat().map(|run| run.time.as_secs_f64()).sum::<f64>()
            ));
            runs().for_each(|(test, runs)| runs.iter().for_each(|run| text.push_str(&self.case(test, run))));
            text.push_str("  </testsuite>\n");
            at += count;
        }
        text + "</testsuites>\n"
    }

    fn case(&self, test: &Test, run: &Run) -> String {
        let (file, name) = (escaped(&test.file), escaped(&format!("{}, seed {}", test.name, run.seed)));
        let head = format!(
            "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{}\" time=\"{:.3}\"",
            test.line,
            run.time.as_secs_f64()
        );
        match self.told(test, run) {
            None => format!("{head}/>\n"),
            Some(error) => format!(
                "{head}>\n      <failure message=\"{}\" type=\"{}\">{}</failure>\n    </testcase>\n",
                escaped(&error.message),
                error.kind.word(),
                escaped(&error.render(false))
            ),
        }
    }
}

fn of_test(test: &Test, runs: &[Run]) -> Value {
    let run = |run: &Run| {
        json!({
            "seed": run.seed, "ok": run.error.is_none(), "seconds": run.time.as_secs_f64(),
            "printed": run.printed, "error": run.error.as_ref().map(|error| error.to_json()),
        })
    };
    json!({
        "file": test.file, "line": test.line, "name": test.name,
        "ok": runs.iter().all(|run| run.error.is_none()), "runs": runs.iter().map(run).collect::<Vec<_>>(),
    })
}

/// `2, 3, 7`, the first ten.
fn listed(seeds: impl Iterator<Item = u64>) -> String {
    let all: Vec<String> = seeds.map(|seed| seed.to_string()).collect();
    if all.len() > 10 { format!("{} and {} more", all[..10].join(", "), all.len() - 10) } else { all.join(", ") }
}

/// `1 to 20`.
fn range(seeds: &[u64]) -> String {
    match seeds {
        [first, .., last] => format!("{first} to {last}"),
        few => listed(few.iter().copied()),
    }
}

/// A text inside XML; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let kept = text.chars().filter(|c| !c.is_control() || "\n\t".contains(*c));
    kept.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

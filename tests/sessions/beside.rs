//! Procedures beside the prompt, and what stands above its line.

use fodo_tests::terminal::{keys, line, typed};
use fodo_tests::{self as support, Scratch};

/// Moves a corrector and looks at the orbit until it is stopped.
const WATCH: &str = r#"//! # Watch
procedure(#{ changes: ["VCOR"], reads: ["BPM"], parameters: #{} });

fn run(p) {
    VCOR[0].step(1.0 * urad);
    every(0.3 * s, || {
        progress("looks", 3, 1000);
        get_orbit();
        true
    });
}
"#;

/// Reads and fails.
const FAILS: &str = r#"//! # Fails
procedure(#{ changes: ["QF"], reads: [], parameters: #{ by: number(0.1, "%") } });

fn run(p) {
    QF.set(QF.get() * (1.0 + p.by));
    print("scaled");
    throw "no luck";
}
"#;

/// Reads the orbit and leaves a setpoint as it is.
const LOOK: &str = r#"//! # Look
procedure(#{ changes: ["QD"], reads: ["BPM"], parameters: #{} });

fn run(p) {
    QD.set(QD.get());
    get_orbit();
}
"#;

fn scratch(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    std::fs::create_dir(scratch.path().join("own")).unwrap();
    scratch.file("own/watch.rhai", WATCH);
    scratch.file("own/fails.rhai", FAILS);
    scratch.file("own/look.rhai", LOOK);
    scratch
}

fn fodo(scratch: &Scratch, arguments: &[&str]) -> std::process::Command {
    let mut command = support::fodo(scratch, arguments);
    command.args(["--facility", "demo_ring", "--procedures"]).arg(scratch.path().join("own"));
    command
}

#[test]
fn a_task_runs_beside_the_prompt_and_keeps_its_families() {
    let scratch = scratch("beside");
    let command = fodo(&scratch, &["repl"]);
    let steps = [
        keys("", "> "),
        line("let t = start(\"watch\");", "> "),
        // it stands above the line that is being typed
        keys("t.st", "[1] watch: looks 3 of 1000"),
        line("ate", "running"),
        line("VCOR[0].step(1.0 * urad)", "task 1 (watch) works on VCOR; nothing was written"),
        line("BPM[0].get() > -1.0 * m", "true"),
        line("correct_orbit()", "cannot run beside task 1 (watch)"),
        line("start(\"watch\")", "cannot run beside task 1 (watch): both work on VCOR"),
        line("start(\"wach\")", "did you mean `watch`"),
        line("QF.set(QF.get())", "> "),
        line("t.pause(); t.state", "paused"),
        keys("1", "(paused)"),
        line("+1", "2"),
        line("t.resume(); t.state", "running"),
        line("start(\"fails\", #{ by: 0.2 * percent }).wait()", "no luck"),
        line("tasks()", "task 2 (fails): failed"),
        keys("\x04", "Ctrl-D once more"),
        line("t.stop()", "[1] watch was stopped"),
        line("t.wait()", "1 setpoint was changed and is back"),
        line("VCOR[0].step(0.0 * urad); history().len", "0"),
        keys("\x04", "record:"),
    ];
    let Some(shown) = typed("beside", &command, &steps) else { return };
    let all: String = shown.iter().map(|(text, _)| text.as_str()).collect();
    assert!(all.contains("[2] scaled") && all.contains("[2] fails has failed after"), "{all}");
}

#[test]
fn what_still_runs_is_put_back_when_the_prompt_ends() {
    let scratch = scratch("beside-end");
    let command = fodo(&scratch, &["repl"]);
    let steps = [
        keys("", "> "),
        line("start(\"watch\");", "[1] watch: looks"),
        keys("\x04", "Ctrl-D once more"),
        keys("\x04", "[1] watch was stopped"),
        keys("", "1 setpoint was changed and is back"),
        keys("", "record:"),
    ];
    typed("beside-end", &command, &steps);
}

#[test]
fn a_panic_stop_is_that_of_all() {
    let scratch = scratch("beside-panic");
    let command = fodo(&scratch, &["repl"]);
    let steps = [
        keys("", "> "),
        line("start(\"watch\");", "[1] watch: looks"),
        line("tasks()[0].wait()", "wait()"),
        keys("\x1c", "stay as the run left them"),
        line("VCOR[1].step(1.0 * urad)", "after a panic stop this session writes nothing more"),
        line("start(\"watch\")", "after a panic stop nothing is started"),
    ];
    typed("beside-panic", &command, &steps);
}

#[test]
fn a_value_is_monitored_above_the_line() {
    let scratch = scratch("monitor");
    let command = fodo(&scratch, &["repl"]);
    let steps = [
        keys("", "> "),
        line("%monitor BEAM", "BEAM: 200 mA"),
        line("let k = 3;", "> "),
        line("%monitor VCOR[0].get() * k", "VCOR[0].get() * k: "),
        line("VCOR[0].set(2.0 * urad)", "> "),
        keys("1", "VCOR[0].get() * k: 6 µrad"),
        line("", "1"),
        line("%monitor nothing", "nothing"),
        line("%monitor VCOR[0].set(1.0 * urad)", "read-only"),
        line("%monitor off", "2 monitors ended"),
        line("%monitor", "nothing is shown"),
    ];
    typed("monitor", &command, &steps);
}

#[test]
fn a_script_waits_for_its_tasks() {
    let scratch = scratch("beside-script");
    let script = scratch.file("both.rhai", "let t = start(\"fails\"); QD.set(QD.get()); print(\"on\");");
    let output = fodo(&scratch, &["run", script.to_str().unwrap()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("on\n") && text.contains("[1] fails has failed"), "{text}");
    assert!(text.contains("no luck") && text.contains("back at their values before the run"), "{text}");
    assert_eq!(output.status.code(), Some(1), "a task that fails is no success");
    // each has a record of its own
    let records = std::fs::read_dir(scratch.path().join("data/runs")).map(|files| files.count());
    assert!(records.is_ok_and(|count| count >= 2), "{text}");

    let script =
        scratch.file("inside.rhai", "procedure(#{ changes: [], parameters: #{} }); fn run(p) { start(\"fails\") }");
    let output = fodo(&scratch, &["run", script.to_str().unwrap()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("a procedure starts no tasks"), "{text}");
}

//! `fodo test`: each run on a twin of its own with its seed, planted truth, results that other programs read.

use fodo_tests::{Scratch, fodo, json, run, skipped};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Runs the tests of a folder and gives them, with their JSON.
fn tests(scratch: &Scratch, more: &[&str]) -> Vec<Value> {
    let folder = scratch.path().join("mine");
    let arguments = [&["test", folder.to_str().unwrap()], more].concat();
    json(scratch, &arguments)["result"]["tests"].as_array().unwrap().clone()
}

fn of<'t>(tests: &'t [Value], name: &str) -> &'t Value {
    tests.iter().find(|test| test["name"] == name).unwrap_or_else(|| panic!("{name} is not among {tests:?}"))
}

/// Each run has the twin that `--seed` makes anywhere else, however many run at once.
#[test]
fn a_run_has_the_twin_of_its_seed() {
    let scratch = Scratch::new("tester-seeds");
    let seeds: Vec<u64> = (3..=10).collect();
    let rms = |seed: &u64| {
        let arguments = ["eval", "get_orbit().x.rms()", "--facility", "demo_ring", "--seed", &seed.to_string()];
        json(&scratch, &arguments)["result"].as_f64().unwrap()
    };
    let sizes: Vec<f64> = seeds.iter().map(rms).collect();
    let mut sorted = sizes.clone();
    sorted.sort_by(f64::total_cmp);
    let limit = 0.5 * (sorted[3] + sorted[4]);
    let text = format!("## Small\n\n```rhai\nassert(get_orbit().x.rms() < {limit:.12} * m);\n```\n");
    scratch.file("mine/orbit.test.md", &text);
    for jobs in ["1", "4"] {
        let found = tests(&scratch, &["--facility", "demo_ring", "--seed", "3", "--seeds", "8", "--jobs", jobs]);
        let ok: Vec<bool> = found[0]["runs"].as_array().unwrap().iter().map(|run| run["ok"] == true).collect();
        assert_eq!(ok, sizes.iter().map(|size| *size < limit).collect::<Vec<_>>(), "{jobs} jobs: {sizes:?}");
    }
}

const PLANTED: &str = "# Offsets: tests\n\n- **Facility:** `demo_ring`\n\n## Planted\n\n```toml,twin\n[monitors.BPM]\noffset = \"100 um\"\n```\n\n\
    ```rhai\nlet found = get_orbit().x;\nlet sum = 0.0 * um;\n\
    for name in BPM.names { sum += abs(truth.BPM[name].offset_x); }\nassert(sum > 100.0 * um);\n\
    for (name, i) in BPM.names { assert_near(found[i], -1.0 * truth.BPM[name].offset_x, 1.0 * nm); }\n\
    assert(truth.QF.QF_001.dx == 0.0 * m && truth.HCOR.HCOR_001.gain == 1.0);\n```\n\n\
    ## As it is\n\n```rhai\nassert(truth.QF.QF_001.dx != 0.0 * m && truth.QF.QF_001.yaw == 0.0 * rad);\n\
    let hidden = truth.HCOR.HCOR_001;\nassert(hidden.kick.gain == hidden.gain && hidden.gain != 1.0 && hidden.kick.polarity == 1.0);\n```\n\n\
    ## Nothing else sees it\n\n```rhai\npeek(); // error: truth\n```\n\n```rhai\nprint(truth.len()); fn f() { truth }\nf(); // error: truth\n```\n";

const PEEK: &str = "//! # Peek\n\nprocedure(#{ changes: [] });\n\nfn run(p) { truth.BPM }\n";

#[test]
fn planted_truth_is_for_the_test_alone() {
    let scratch = Scratch::new("tester-truth");
    scratch.file("mine/peek.rhai", PEEK);
    scratch.file("mine/peek.test.md", PLANTED);
    let found = tests(&scratch, &["--seeds", "3"]);
    let failed: Vec<&Value> = found.iter().filter(|test| test["ok"] != true).collect();
    assert!(found.len() == 4 && failed.is_empty(), "{failed:?}");
}

const SCRIPT: &str = "//! # A library: tests\n//!\n//! - **Facility:** `demo_ring`\n\nimport \"doubling\" as doubling;\n\n\
    /// It doubles.\nfn test_doubles() { assert(doubling::twice(2) == 4); }\n\n\
    fn test_says_no() {\n    assert(true);\n    doubling::no(); // error: no\n}\n\n\
    /// It knows the truth.\nfn test_truth(truth) { print(\"<&>\"); assert(truth.BPM.BPM_001.noise == 0.0 * m); }\n";

#[test]
fn tests_of_a_library_are_functions() {
    let scratch = Scratch::new("tester-script");
    scratch.file(
        "mine/doubling.rhai",
        "//! # Doubling\n\n/// Doubles.\nfn twice(x) { 2 * x }\n\nfn no() { throw \"no\" }\n",
    );
    scratch.file("mine/doubling.test.rhai", SCRIPT);
    let found = tests(&scratch, &[]);
    assert!(of(&found, "It doubles.")["ok"] == true && of(&found, "says no")["ok"] == true, "{found:?}");
    let failed = of(&found, "It knows the truth.");
    assert!(failed["ok"] == false && failed["runs"][0]["printed"] == "<&>\n", "{failed}");
    assert_eq!(failed["runs"][0]["error"]["line"], 16);
    junit(&scratch);
}

/// A file that a real XML parser reads; what a script printed cannot break it.
fn junit(scratch: &Scratch) {
    let (folder, file) = (scratch.path().join("mine"), scratch.path().join("results.xml"));
    let output = run(scratch, &["test", folder.to_str().unwrap(), "--seeds", "2", "--junit", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let program = "import sys, xml.etree.ElementTree as e\nr = e.parse(sys.argv[1]).getroot()\nc = r.findall('.//testcase')\n\
                   print(r.get('tests'), r.get('failures'), len(c), len(r.findall('.//failure')), '<&>' in r.find('.//failure').text)";
    let Ok(python) = Command::new("python3").args(["-c", program]).arg(&file).output() else {
        return skipped("junit of tests_of_a_library_are_functions", "there is no python3");
    };
    assert_eq!(
        String::from_utf8_lossy(&python.stdout).trim(),
        "6 2 6 2 True",
        "{}",
        String::from_utf8_lossy(&python.stderr)
    );
}

/// An endless test ends with the program, at once.
#[test]
fn ctrl_c_stops_all_tests() {
    let scratch = Scratch::new("tester-stop");
    let file = scratch.file(
        "mine/loop.test.md",
        "## Endless\n\n```rhai\nlet n = 0;\nloop { n += 1; }\n```\n\n## After\n\n```rhai\n1\n```\n",
    );
    let arguments = ["test", file.to_str().unwrap(), "--facility", "demo_ring", "--jobs", "1"];
    let mut child = fodo(&scratch, &arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    interrupt(child.id());
    let begun = std::time::Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert!(Path::new(&file).is_file());
}

fn interrupt(process: u32) {
    assert!(Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap().success());
}

/// A test that never ends is ended, and named; the others go on.
#[test]
fn a_test_that_takes_too_long_is_ended() {
    let scratch = Scratch::new("tester-time");
    let text = "# Waiting: tests\n\n- **Facility:** `demo_ring`\n\n## It waits for ever\n\n```rhai\nHCOR[0].step(1 * urad);\n\
        while true {}\n```\n\n## It is quick\n\n```rhai\nassert(HCOR[0].setpoint() == 0 * rad);\n```\n";
    scratch.file("mine/wait.test.md", text);
    let folder = scratch.path().join("mine");
    let command = |more: &[&str]| {
        let arguments = [&["test", folder.to_str().unwrap(), "--max-time", "0.5 s", "--jobs", "1"], more].concat();
        fodo(&scratch, &arguments).output().unwrap()
    };
    let start = std::time::Instant::now();
    let output = command(&[]);
    assert!(start.elapsed().as_secs() < 60, "it went on for {:?}", start.elapsed());
    assert_eq!(output.status.code(), Some(1));
    crate::errors::tells("test_takes_too_long", &output, &scratch);
    let object: Value = serde_json::from_slice(&command(&["--json"]).stdout).unwrap();
    assert_eq!(object["error"]["kind"], "limits", "{object}");
    assert_eq!((&object["result"]["passed"], &object["result"]["failed"]), (&1.into(), &1.into()), "{object}");
}

/// The check of a test file knows what stands beside it, as the run of the test does, and the facility that it names.
#[test]
fn a_test_is_checked_with_the_procedure_beside_it() {
    let scratch = Scratch::new("tester-check");
    scratch.file("mine/peek.rhai", PEEK);
    scratch.file("mine/doubling.rhai", "/// Doubles.\nfn twice(x) { 2 * x }\n");
    let check = |name: &str, text: &str| {
        let file = scratch.file(name, text).display().to_string();
        let output = fodo(&scratch, &["check", &file, "--facility", "ebs_ring", "--json"]).output().unwrap();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        object["result"]["found"].as_array().unwrap().iter().map(|f| f["message"].to_string()).collect::<Vec<_>>()
    };
    let head = "//! - **Facility:** `demo_ring`\nimport \"doubling\" as doubling;\n\nfn test_a() {\n    ";
    let good = format!("{head}peek();\n    assert(doubling::twice(1) == 2 && QF.QF_001.s > 0 * m);\n}}\n");
    assert_eq!(check("mine/good.test.rhai", &good), Vec::<String>::new());
    let wrong = format!("{head}peeks();\n    doubling::thrice(1);\n    peek(#{{ shots: 1 }});\n}}\n");
    let found = check("mine/wrong.test.rhai", &wrong);
    assert_eq!(found.len(), 3, "{found:?}");
    // elsewhere it is not there
    assert!(check("other/good.test.rhai", &good)[0].contains("doubling"));
}

//! A transfer line over a real control system: the procedure unchanged, and a beam that is lost on the way.

use super::everywhere::{changes, difference, on_twin};
use super::machine::{Running, epics, object, point, serve};
use fodo_tests::{self as support, Scratch};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `demo_line` with shots that are all alike, read without noise and quickly, and with no limit of the trajectory.
fn still_line(scratch: &Scratch) -> PathBuf {
    for entry in std::fs::read_dir(support::project().join("facilities/demo_line")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        if name == "twin.toml" {
            let (before, rest) = text.split_once("[injection.jitter]").expect("jitter");
            let after = rest.split_once("[misalignments").expect("misalignments").1;
            text = format!("{before}[misalignments{after}").replace("noise = \"10 um\"", "noise = \"0 um\"");
        }
        text = text.replace("\"1 s\"", "\"0.1 s\"").replace("limit = \"15 mm\"", "");
        scratch.file(&format!("demo_line/{name}"), &text);
    }
    scratch.path().join("demo_line")
}

fn live(scratch: &Scratch, facility: &Path, port: u16, arguments: &[&str]) -> Value {
    let mut command = support::fodo(scratch, arguments);
    command.args(["--on", "live", "--write", "--json", "--facility"]).arg(facility);
    point(&mut command, port);
    object(&Running::start(command).output())
}

#[test]
fn a_line_over_channel_access() {
    if !epics("a_line_over_channel_access") {
        return;
    }
    let scratch = Scratch::new("line-served");
    let facility = still_line(&scratch);
    let once = ["--set", "iterations=1"];
    let twin = on_twin(&scratch, &facility, &[&["--seed", "3"], once.as_slice()].concat());
    let (_serving, port) = serve(&scratch, &facility, &["--seed", "3"]);
    let served = live(&scratch, &facility, port, &["run", "correct_orbit", once[0], once[1]]);
    let apart = difference(&changes(&twin), &changes(&served));
    eprintln!("twin and served twin of a line differ by {apart:.1e} of the largest change");
    assert!(apart < 1e-9);
    // into the wall: monitors behind the loss are invalid for every client, those before it read, and so does the charge
    let script = "HCOR[0].set(3.0 * mrad); HCOR[1].set(3.0 * mrad); \
                  let lost = \"\"; try { get_orbit(); } catch (error) { lost = error.message; } \
                  #{ lost: lost, first: get_orbit(BPM[..1]).x, charge: ICT.get() }";
    let answer = live(&scratch, &facility, port, &["eval", script]);
    let result = &answer["result"];
    assert!(result["lost"].to_string().contains("channels could not be read"), "{answer}");
    assert!(result["first"][0].as_f64().is_some_and(f64::is_finite), "{answer}");
    let charge = [0, 1].map(|place| result["charge"][place].as_f64().unwrap());
    assert!(charge[0] > 0.45e-9 && charge[1] < 0.01e-9, "{answer}");
}

//! Without `--write` a live machine is only read.

use super::machine::epics;
use super::ring::Machine;

#[test]
fn live_without_write_cannot_write() {
    if !epics("live_without_write_cannot_write") {
        return;
    }
    let mut machine = Machine::new("rights");
    let before = machine.setpoints();
    let attempts = [
        vec!["run", "correct_orbit"],
        vec!["run", "correct_orbit", "--set", "response=measured"],
        vec!["eval", "HCOR[0].step(5.0 * urad)"],
        vec!["eval", "with_restore(|| HCOR[0].step(5.0 * urad))"],
        vec!["eval", "try { HCOR[0].step(5.0 * urad) } catch { VCOR[0].step(5.0 * urad) }"],
    ];
    for attempt in attempts {
        let output = machine.run(&[&attempt[..], &["--json"]].concat());
        let answer = super::machine::object(&output);
        assert_eq!((&answer["ok"], &answer["error"]["kind"]), (&false.into(), &"rights".into()), "{answer}");
        assert_eq!(answer["error"]["machine"], "no setpoint was changed", "{answer}");
        assert_eq!(output.status.code(), Some(5));
    }
    assert_eq!(machine.ioc.puts(), []);
    assert_eq!(machine.setpoints(), before);
}

#[test]
fn a_rehearsal_shows_its_table_and_writes_nothing() {
    if !epics("a_rehearsal_shows_its_table_and_writes_nothing") {
        return;
    }
    let mut machine = Machine::new("rehearsal");
    let before = machine.setpoints();
    let output = machine.run(&["run", "correct_orbit", "--rehearse"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("nothing was written") && text.contains("HCOR_001") && text.contains("VCOR_016"), "{text}");
    let answer = machine.json(&["run", "correct_orbit", "--rehearse", "--set", "response=measured"]);
    assert_eq!((&answer["ok"], &answer["run"]["rehearsed"]), (&true.into(), &true.into()), "{answer}");
    assert_eq!(machine.ioc.puts(), []);
    assert_eq!(machine.setpoints(), before);
}

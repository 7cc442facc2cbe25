//! A role writes its families and no others, on the machine and in rehearsals.

use super::machine::{Running, object, point, serve};
use super::ring::{Orbit, facility};
use fodo_tests::{self as support, Scratch};
use serde_json::Value;
use std::path::Path;

const ROLES: &str = r#"
[roles.operator]
writes = ["HCOR", "VCOR", "RF"]

[roles.physicist]
writes = "all"
"#;

fn with_roles(scratch: &Scratch, default: &str, roles: &str) -> std::path::PathBuf {
    let folder = facility(scratch, Orbit::Vectors);
    let file = folder.join("facility.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{default}\n{text}{roles}")).unwrap();
    folder
}

fn eval(scratch: &Scratch, folder: &Path, port: u16, expression: &str, more: &[&str]) -> Value {
    let mut command = support::fodo(scratch, &["eval", expression, "--on", "live", "--json"]);
    command.arg("--facility").arg(folder).args(more).env_remove("FODO_ROLE");
    point(&mut command, port);
    object(&Running::start(command).output())
}

#[test]
fn a_role_writes_its_families_and_no_others() {
    let scratch = Scratch::new("roles");
    let folder = with_roles(&scratch, "role = \"operator\"", ROLES);
    let (_served, port) = serve(&scratch, &folder, &[]);
    let run = |expression: &str, more: &[&str]| eval(&scratch, &folder, port, expression, more);
    let value = || run("QF[0].get().si", &[])["result"].clone();
    let before = value();
    assert!(before.is_number(), "{before}");
    let strength = "let k = QF[0].get(); QF[0].set(k * 1.001)";
    for attempt in [&["--write"][..], &["--rehearse"], &["--write", "--role", "operator"]] {
        let error = run(strength, attempt)["error"].clone();
        assert_eq!(
            (&error["kind"], &error["machine"]),
            (&"rights".into(), &"no setpoint was changed".into()),
            "{error}"
        );
        assert_eq!(error["message"], "the role `operator` may not write QF; nothing was written");
        assert_eq!(error["details"][0], "QF may be written by physicist");
    }
    // what a forbidden write ends is put back, families of the role included
    let error = run("HCOR[0].step(5.0 * urad); QF[0].set(QF[0].get())", &["--write"])["error"].clone();
    assert!(error["machine"].as_str().unwrap().starts_with("1 setpoint was changed and is back"), "{error}");
    assert_eq!(value(), before);
    assert_eq!(run("HCOR[0].step(5.0 * urad)", &["--write"])["ok"], true);
    assert_eq!(run(strength, &["--write", "--role", "physicist"])["ok"], true);
    assert_ne!(value(), before);
    let unknown = run("1", &["--role", "pysicist"])["error"].clone();
    assert_eq!(
        (&unknown["kind"], &unknown["hint"][1]),
        (&"usage".into(), &"did you mean `physicist`?".into()),
        "{unknown}"
    );
}

#[test]
fn tables_of_roles_are_checked() {
    for (default, roles, what) in [
        ("role = \"oprator\"", ROLES, "there is no table [roles.oprator]"),
        ("", "[roles.a]\nwrites = [\"HCORR\"]", "has no family `HCORR`"),
        ("", "[roles.a]\nwrite = \"all\"", "`writes` is missing"),
        ("", ROLES, "demo_ring has roles; say which one with --role NAME or FODO_ROLE"),
    ] {
        let scratch = Scratch::new("roles-tables");
        let folder = with_roles(&scratch, default, roles);
        let answer = support::json(&scratch, &["eval", "1", "--facility", folder.to_str().unwrap()]);
        assert!(answer["error"]["message"].as_str().is_some_and(|m| m.contains(what)), "{what}: {answer}");
    }
}

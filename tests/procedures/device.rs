//! A parameter that is a device: given in every way, and held to roles and rights as a family is.

use fodo_tests::{Scratch, run};
use serde_json::Value;

const SCRIPT: &str = r#"//! # Move one
//!
//! Steps a corrector.
//!
//! - **Changes:** the corrector.

procedure(#{
    changes: ["corrector"],
    reads: ["monitor"],
    returns: #{ corrector: "its name", monitor: "its name" },
    parameters: #{
        corrector: device("horizontal corrector", #{
            roles: ["horizontal corrector", "vertical corrector"], help: "the corrector",
        }),
        monitor: device("beam position monitor", #{ help: "where the orbit is read" }),
        other: boolean(false, #{ help: "steps one of HCOR as well" }),
    },
});

fn run(p) {
    p.corrector.step(1.0 * urad);
    if p.other { HCOR[0].step(1.0 * urad); }
    #{ corrector: p.corrector.name, monitor: p.monitor.name }
}
"#;

struct Ring {
    scratch: Scratch,
    folder: String,
    facility: &'static str,
}

impl Ring {
    fn new(name: &str) -> Ring {
        let scratch = Scratch::new(&format!("device-{name}"));
        scratch.file("mine/move_one.rhai", SCRIPT);
        let folder = scratch.path().join("mine").to_str().unwrap().to_string();
        Ring { scratch, folder, facility: "demo_ring" }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let more = ["--facility", self.facility, "--procedures", &self.folder, "--json"];
        let output = run(&self.scratch, &[arguments, &more].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// The procedure with these settings.
    fn with(&self, settings: &[&str]) -> Value {
        let sets: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        self.json(&[&["run", "move_one"], sets.as_slice()].concat())
    }
}

#[test]
fn a_device_is_given_by_place_and_by_name() {
    let ring = Ring::new("given");
    for (settings, corrector, monitor) in [
        (&[][..], "HCOR_001", "BPM_001"),
        (&["corrector=VCOR[3]", "monitor=BPM_004"], "VCOR_004", "BPM_004"),
        (&["corrector=VCOR[\"VCOR_002\"]"], "VCOR_002", "BPM_001"),
        (&["corrector=vertical corrector[1]", "monitor=BPM[-1]"], "VCOR_002", "BPM_016"),
    ] {
        let answer = ring.with(settings);
        assert_eq!(answer["result"]["corrector"], corrector, "{settings:?}: {answer}");
        assert_eq!(answer["result"]["monitor"], monitor, "{settings:?}: {answer}");
    }
    let called = ring.json(&["eval", "move_one(#{ corrector: VCOR[2], monitor: \"BPM_003\" })"]);
    assert_eq!((&called["result"]["corrector"], &called["result"]["monitor"]), (&"VCOR_003".into(), &"BPM_003".into()));
}

#[test]
fn what_is_no_such_device_is_refused() {
    let ring = Ring::new("refused");
    for (settings, kind, said) in [
        (&["corrector=QF[0]"][..], "rights", "`corrector` of `move_one` cannot be QF[0]"),
        (&["monitor=HCOR_001"], "rights", "`monitor` of `move_one` cannot be HCOR_001"),
        (&["corrector=VCOR"], "usage", "VCOR has 16 devices, and one is needed"),
        (&["corrector=VCOR[16]"], "usage", "VCOR has no device [16]"),
        (&["corrector=VCOR_0O4"], "usage", "demo_ring has no device `VCOR_0O4`"),
        (&["corrector=VCOR[0]", "other=true"], "rights", "HCOR"),
    ] {
        let answer = ring.with(settings);
        assert_eq!((&answer["ok"], &answer["error"]["kind"]), (&false.into(), &kind.into()), "{settings:?}: {answer}");
        assert!(answer["error"].to_string().contains(said), "{settings:?}: {answer}");
    }
    for (script, said) in [
        ("move_one(#{ corrector: VCOR })", "`corrector` must be a device, found a family"),
        ("move_one(#{ corrector: 3 })", "`corrector` must be a device, found an integer"),
        ("correct_orbit(#{ monitors: BPM[0] })", "`monitors` must be a family, found a device"),
        ("correct_orbit(#{ iterations: BPM })", "`iterations` must be an integer, found a family"),
    ] {
        let answer = ring.json(&["eval", script]);
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(said)), "{script}: {answer}");
    }
}

/// In this ring a horizontal and a vertical corrector have one name.
#[test]
fn of_two_devices_with_one_name_the_role_chooses() {
    let ring = Ring { facility: "ebs_ring", ..Ring::new("names") };
    let answer = ring.with(&["corrector=C01-SH1A"]);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.ends_with("`C01-SH1A` is the name of HCOR[\"C01-SH1A\"] and VCOR[\"C01-SH1A\"]"), "{answer}");
    let of_one = SCRIPT.replace("roles: [\"horizontal corrector\", \"vertical corrector\"], ", "");
    let of_one = of_one.replace("p.corrector.name", "p.corrector.family.name");
    for (role, family) in [("horizontal corrector", "HCOR"), ("vertical corrector", "VCOR")] {
        ring.scratch.file(
            "mine/move_one.rhai",
            &of_one.replace("device(\"horizontal corrector\"", &format!("device(\"{role}\"")),
        );
        let answer = ring.with(&["corrector=C01-SH1A"]);
        assert_eq!(answer["result"]["corrector"], family, "{answer}");
    }
}

#[test]
fn the_check_knows_a_device_and_its_rights() {
    let ring = Ring::new("check");
    let check = |text: &str| {
        ring.scratch.file("mine/move_one.rhai", text);
        let file = format!("{}/move_one.rhai", ring.folder);
        let output = run(&ring.scratch, &["check", &file, "--facility", "demo_ring"]);
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let good = check(SCRIPT);
    assert!(!good.contains("error:") && !good.contains("warning:"), "{good}");
    let silent = check(&SCRIPT.replace("changes: [\"corrector\"]", "changes: []"));
    assert!(silent.contains("the header does not let it change `corrector` (HCOR)"), "{silent}");
    let nobody = check(&SCRIPT.replace("device(\"beam position monitor\"", "device(\"BMP\""));
    assert!(nobody.contains("there is no family `BMP`"), "{nobody}");
}

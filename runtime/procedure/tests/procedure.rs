//! Headers, parameters and the static check from outside.

#![allow(clippy::unwrap_used)]

use fodo_devices::{Facility, Folder};
use fodo_language::{Library, Setup, Sources, engine};
use fodo_procedure::{Finding, Known, ParameterKind, Procedures, Value, body, check, read_header};
use fodo_report::Kind;
use fodo_units::Quantity;
use rhai::{Dynamic, Map};
use std::path::Path;
use std::sync::Arc;

const FILE: &str = "procedures/orbit/correct_orbit.rhai";
const TEXT: &str = r#"//! # Correct the orbit
//!
//! Brings the orbit to the golden orbit.
//!
//! - **Method:** SVD of the response.

procedure(#{
    changes: ["horizontal", "vertical"], reads: ["monitors", "BPM"],
    watchers: ["beam"], feedbacks: #{ tune: "off" }, takes: "10 s",
    returns: #{ before: "rms before [m]", after: "rms after [m]" },
    parameters: #{
        cutoff: number(1e-3, "1", #{ min: 0.0, max: 1.0, help: "smallest singular value kept" }),
        gain: number(1.0, "1", #{ min: 0, max: 2 }),
        step: number(5.0, "urad", #{ min: 0.1, max: 100.0, help: "kick of the response" }),
        iterations: integer(3, #{ min: 1, max: 50 }),
        bumps: boolean(false),
        plane: choice(["both", "x", "y"], #{ help: "planes to correct" }),
        note: text(""),
        horizontal: family("HCOR", #{ roles: ["horizontal corrector"], help: "correctors" }),
        vertical: family("VCOR"),
        monitors: family("BPM"),
    },
});

/// The whole thing.
fn run(p) {
    let before = orbit_gauge(p.monitors);
    let all = [1, 2].map(|x| x * p.gain);
    for i in 0..p.iterations { step_setpoints(p.horizontal, before * 5 * urad); }
    if p.bumps || p.plane == p.note { step_setpoints(p.vertical, p.step * p.cutoff); }
    #{ before: before, after: all }
}

fn orbit_gauge(monitors) { monitors }
"#;

/// One script to import.
struct Scan;

impl Library for Scan {
    fn find(&self, name: &str, _from: Option<&str>) -> Option<(String, Arc<str>)> {
        (name == "scan").then(|| ("scan.rhai".to_string(), "fn over(f) { f.invoke(1) }".into()))
    }
}

struct Nothing;

impl Library for Nothing {
    fn find(&self, _name: &str, _from: Option<&str>) -> Option<(String, Arc<str>)> {
        None
    }
}

fn known() -> Known {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../facilities/demo_ring");
    let facility = Arc::new(Facility::load(Arc::new(Folder(folder))).unwrap());
    let mut engine = engine(Setup::default());
    fodo_builtins::register(&mut engine, &facility);
    Known::new(&engine, facility, &Procedures::new(Arc::new(Nothing), Sources::new()), vec![Arc::new(Scan)])
}

fn found(text: &str) -> Vec<String> {
    let show = |finding: &Finding| {
        let place = &finding.report.labels[0];
        let hint = finding.report.hints.first().map(|h| format!(" ({h})")).unwrap_or_default();
        format!("{}:{}+{} {}{hint}", place.line, place.column, place.length, finding.report.message)
    };
    check(FILE, text, &known()).iter().map(show).collect()
}

#[test]
fn reads_the_header() {
    let header = read_header(FILE, TEXT).unwrap().unwrap();
    assert_eq!((header.name.as_str(), header.title.as_str()), ("correct_orbit", "Correct the orbit"));
    assert!(header.text.starts_with("Brings the orbit") && header.text.ends_with("response."));
    let names: Vec<&str> = header.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        names,
        ["cutoff", "gain", "step", "iterations", "bumps", "plane", "note", "horizontal", "vertical", "monitors"]
    );
    assert_eq!((header.takes.as_str(), header.feedbacks["tune"].as_str()), ("10 s", "off"));
    assert_eq!(header.returns["after"], "rms after [m]");
    let step = header.parameter("step").unwrap();
    assert_eq!(step.range_text().unwrap(), "100 nrad to 100 µrad");
    assert_eq!(step.help, "kick of the response");
    assert!(
        matches!(&header.parameter("horizontal").unwrap().kind, ParameterKind::Named { permitted, .. } if permitted.len() == 1)
    );
    assert!(read_header("a.rhai", "print(1)").unwrap().is_none());
}

#[test]
fn reading_a_header_runs_nothing_else() {
    let text = "throw \"ran\";\nprocedure(#{ changes: [] });\nthrow \"ran\";\nfn run(p) {}";
    assert!(read_header("a.rhai", text).unwrap().is_some());
    let message = |text: &str| {
        let report = read_header("a.rhai", text).unwrap_err();
        format!("{}:{} {}", report.labels[0].line, report.labels[0].column, report.message)
    };
    assert_eq!(message("procedure(#{ changes: [danger()] });"), "1:24 there is no function `danger`");
    assert_eq!(message("const A = 1;\nprocedure(#{ takes: A });"), "2:21 `A` is not known in a header");
    assert_eq!(message("procedure(#{\n  chnages: [] });"), "2:3 a header has no entry `chnages`");
    assert_eq!(message("procedure(#{\n  takes: 3 });"), "2:3 `takes` of the header must be a text, found an integer");
    assert_eq!(
        message("procedure(#{ parameters: #{\n  a: number(1.0, \"1\", #{ mim: 0 }) } });"),
        "2:26 `number` has no option `mim`"
    );
    assert_eq!(message("procedure(#{ parameters: #{\n  a: number(1.0) } });"), "2:6 `number` needs a unit");
    assert_eq!(message("procedure(#{ parameters: #{\n  a: 1.0 } });"), "2:3 the parameter `a` is not declared");
    assert_eq!(
        message("procedure(#{ parameters: #{ a: number(5, \"1\", #{ max: 1 }) } });"),
        "1:32 the default does not fit: `` is 5, its range is at most 1".replace("`` ", "it ")
    );
    assert_eq!(
        message("procedure(#{ parameters: #{ a: number(5, \"furlong\") } });").split(';').next().unwrap(),
        "1:32 `furlong` is not a unit"
    );
    assert_eq!(
        message("procedure(#{ changes: [] });\nprocedure(#{ changes: [] });"),
        "2:1 a procedure has one header, this is the second"
    );
    assert_eq!(message("procedure(#{ changes: [loop { }] });"), "1:24 a header holds values only");
    assert_eq!(message("let k = 1;\nprocedure(#{ changes: [|| k] });"), "2:27 a header holds values only");
}

#[test]
fn command_line_values_are_checked() {
    let header = read_header(FILE, TEXT).unwrap().unwrap();
    let set = |name: &str, text: &str| header.from_texts(&[(name.to_string(), text.to_string())]);
    let message = |name: &str, text: &str| {
        let report = set(name, text).unwrap_err();
        assert_eq!(report.kind, Kind::Usage);
        format!("{} | {}", report.message, report.hints.join(" | "))
    };
    assert_eq!(set("cutoff", "1e-2").unwrap().number("cutoff").unwrap(), 0.01);
    assert!((set("step", "0.05 mrad").unwrap().number("step").unwrap() - 50e-6).abs() < 1e-18);
    let values = set("horizontal", "QF").unwrap();
    assert_eq!(header.effective_changes(&values), ["QF", "VCOR"]);
    assert_eq!(header.effective_reads(&values), ["BPM"]);
    assert_eq!(header.effective_changes(&header.defaults().unwrap()), ["HCOR", "VCOR"]);
    assert_eq!(message("cutof", "1"), "`correct_orbit` has no parameter `cutof` | did you mean `cutoff`?");
    assert_eq!(message("cutoff", "2"), "`cutoff` is 2, its range is 0 to 1 | `cutoff`: smallest singular value kept");
    assert_eq!(
        message("cutoff", "nan"),
        "`cutoff` must be a finite number, found NaN | `cutoff`: smallest singular value kept"
    );
    assert_eq!(message("step", "5 A"), "`step` must be a quantity in urad, found 5 A | `step`: kick of the response");
    assert_eq!(
        message("step", "5"),
        "`step` must be a quantity in urad, found the plain number 5 | write the unit, as in `5.0 urad` | `step`: kick of the response"
    );
    assert_eq!(message("iterations", "many"), "`iterations` must be an integer, found `many` | ");
    assert_eq!(message("bumps", "maybe"), "`bumps` must be a boolean, found `maybe` | ");
    assert_eq!(
        message("plane", "bth"),
        "`plane` must be one of \"both\", \"x\", \"y\", found \"bth\" | did you mean `both`? | `plane`: planes to correct"
    );
    assert!(message("horizontal", "HCOR,QF").starts_with("`horizontal` must be a family"));
}

#[test]
fn values_of_a_call_are_checked() {
    let header = read_header(FILE, TEXT).unwrap().unwrap();
    let mut map = Map::new();
    map.insert("gain".into(), Dynamic::from(1_i64));
    map.insert("step".into(), Dynamic::from(Quantity::parse("7 urad").unwrap()));
    let values = header.from_map(&map, &|_, _| None).unwrap();
    assert_eq!(values.number("gain").unwrap(), 1.0);
    let given = values.to_map();
    assert_eq!(given["cutoff"].as_float().unwrap(), 1e-3);
    assert_eq!(given["step"].clone().cast::<Quantity>().to_string(), "7 µrad");
    assert_eq!(given["horizontal"].clone().into_string().unwrap(), "HCOR");
    map.insert("horizontal".into(), Dynamic::from(vec![1_u8]));
    let report = header.from_map(&map, &|_, _| None).unwrap_err();
    assert!(report.message.starts_with("`horizontal` must be a family"), "{}", report.message);
    let values = header.from_map(&map, &|_, _| Some("QF".to_string())).unwrap();
    assert!(matches!(values.get("horizontal"), Some(Value::Named { names, given: Some(_) }) if names == &["QF"]));
    let roles = |_: &fodo_procedure::Parameter, family: &str| match family {
        "HCOR" => Some(vec!["horizontal corrector".to_string()]),
        "QF" => Some(vec!["quadrupole".to_string()]),
        _ => Some(vec![]),
    };
    let report = header.check_roles(&values, &roles).unwrap_err();
    assert_eq!((report.kind, report.message.as_str()), (Kind::Rights, "`horizontal` of `correct_orbit` cannot be QF"));
    header.check_roles(&header.defaults().unwrap(), &roles).unwrap();
}

#[test]
fn a_required_parameter_is_asked_for() {
    let text = "procedure(#{ parameters: #{ tune: number((), \"1\", #{ help: \"target\" }) } });\nfn run(p) {}";
    let header = read_header("set_tune.rhai", text).unwrap().unwrap();
    let report = header.defaults().unwrap_err();
    assert_eq!(
        (report.message.as_str(), report.hints[0].as_str()),
        ("`set_tune` needs `tune`", "`tune`: number, target")
    );
}

#[test]
fn a_good_procedure_has_nothing_to_report() {
    assert_eq!(found(TEXT), [""; 0]);
}

#[test]
fn the_check_finds_mistakes_at_their_place() {
    for (from, to, wanted) in [
        (
            "orbit_gauge(p.monitors)",
            "orbit_guage(p.monitors)",
            "27:18+11 there is no function `orbit_guage` (did you mean `orbit_gauge`?)",
        ),
        ("orbit_gauge(p.monitors)", "orbit_gauge(p.monitors, 2)", "27:18+11 `orbit_gauge` takes 1 argument, found 2"),
        (
            "p.iterations {",
            "p.iteration {",
            "29:19+9 `correct_orbit` has no parameter `iteration` (did you mean `iterations`?)",
        ),
        ("x * p.gain", "x * p.gian", "28:36+4 `correct_orbit` has no parameter `gian` (did you mean `gain`?)"),
        (
            "x * p.gain",
            "x * sqart(p.gain)",
            "28:34+5 there is no function `sqart` (did you mean one of `sqrt`, `start`?)",
        ),
        ("5 * urad", "5 * urd", "29:74+3 there is no variable `urd` (did you mean `urad`?)"),
        ("family(\"VCOR\")", "family(\"VCRO\")", "20:26+6 there is no family `VCRO` (did you mean `VCOR`?)"),
        (
            "\"vertical\"]",
            "\"vertcal\"]",
            "8:29+9 there is no family and no parameter `vertcal` (did you mean `vertical`?)",
        ),
        (
            "\"vertical\"]",
            "\"gain\"]",
            "8:29+6 the parameter `gain` is no family (`changes` and `reads` name families, or parameters made by `family`, `families` or `device`)",
        ),
        (
            "bumps || p.plane",
            "bumps || p.bumps",
            "17:9+5 the parameter `plane` is never used (take it out, or use it in `run`)",
        ),
        (
            "tune: \"off\"",
            "tune: \"of\"",
            "9:39+4 the feedback `tune` cannot be \"of\" (did you mean one of `off`, `on`?)",
        ),
        ("watchers:", "watcher:", "9:5+7 a header has no entry `watcher` (did you mean `watchers`?)"),
        ("fn run(p)", "fn rnu(p)", "7:1+9 a procedure needs `fn run(p) { … }` (`p` holds its parameters)"),
        ("let before =", "let before", "27:16+11 syntax: `;` is missing to terminate this statement"),
        (
            "orbit_gauge(p.monitors)",
            "orbit::error(p.monitors)",
            "27:18+5 no library is imported as `orbit` (`import \"…\" as orbit;`)",
        ),
    ] {
        assert!(TEXT.contains(from), "{from}");
        let reports = found(&TEXT.replacen(from, to, 1));
        assert!(reports.iter().any(|r| r == wanted), "{to}: {reports:#?}\n wanted {wanted}");
        assert_eq!(reports.len(), 1, "{to}: {reports:#?}");
    }
}

#[test]
fn raw_functions_for_libraries_are_reported() {
    let text = "import \"scan\" as s;\nlet k = 1;\ns::over(|x| x + k);\ns::over(|x| x);\ns::over(bind(|x| x));";
    let reports = found(text);
    assert_eq!(reports.len(), 2, "{reports:#?}");
    assert!(reports[0].contains("looks up its names there"));
}

#[test]
fn the_body_runs_without_the_header() {
    let engine = engine(Setup::default());
    let tree = engine.compile("procedure(#{ changes: [] });\nconst A = 3;\nfn run(p) { global::A + p.n }").unwrap();
    let mut p = Map::new();
    p.insert("n".into(), 4_i64.into());
    let result = engine.call_fn::<i64>(&mut rhai::Scope::new(), &body(&tree), "run", (p,)).unwrap();
    assert_eq!(result, 7);
}

#[test]
fn broken_texts_neither_panic_nor_hang() {
    let known = known();
    let characters: Vec<char> = TEXT.chars().collect();
    for cut in (0..characters.len()).step_by(3) {
        let head: String = characters[..cut].iter().collect();
        let tail: String = characters[cut..].iter().collect();
        let without: String =
            [&characters[..cut], &characters[(cut + 5).min(characters.len())..]].concat().iter().collect();
        for text in [head, tail, without] {
            let _ = read_header("a.rhai", &text);
            let _ = check("a.rhai", &text, &known);
        }
    }
}

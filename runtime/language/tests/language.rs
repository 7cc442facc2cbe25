//! The engine from outside: errors, callbacks, prompt, libraries.

#![allow(clippy::unwrap_used)]

use fodo_language::*;
use fodo_report::{Diagnostic, Kind};
use rhai::{Dynamic, Engine, Map, NativeCallContext};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

struct Files(Vec<(&'static str, &'static str)>);

impl Library for Files {
    fn find(&self, name: &str, _from: Option<&str>) -> Option<(String, Arc<str>)> {
        self.0.iter().find(|(n, _)| *n == name).map(|(n, text)| (format!("{n}.rhai"), (*text).into()))
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(n, _)| (*n).to_string()).collect()
    }
}

fn bench(files: Vec<(&'static str, &'static str)>) -> (Engine, Sources) {
    let sources = Sources::new();
    let mut engine = engine(Setup::default());
    engine.set_module_resolver(Resolver::new(vec![Arc::new(Files(files))], sources.clone()));
    engine.register_fn("break_down", |_: i64| -> Outcome<i64> {
        Err(fail(Box::new(
            Diagnostic::new(Kind::Machine, "the supply did not answer")
                .detail("CH1: no reading")
                .machine("no setpoint was changed")
                .hint("switch it on"),
        )))
    });
    engine.register_fn("apply", |context: NativeCallContext, f: Dynamic, x: i64| -> Outcome<Dynamic> {
        Callback::from_dynamic(&context, f, "the objective")?.call(&context, (x,))
    });
    (engine, sources)
}

fn run(engine: &Engine, sources: &Sources, text: &str) -> Result<Dynamic, Box<Diagnostic>> {
    let tree = sources.compile(engine, "main.rhai", text)?;
    engine.eval_ast::<Dynamic>(&tree).map_err(|error| diagnose(engine, error, "main.rhai", sources))
}

fn error(text: &str) -> String {
    let (engine, sources) = bench(vec![]);
    run(&engine, &sources, text).expect_err(text).render(false)
}

fn value(text: &str) -> String {
    let (engine, sources) = bench(vec![]);
    match run(&engine, &sources, text) {
        Ok(value) => value.to_string(),
        Err(report) => panic!("{}", report.render(false)),
    }
}

#[test]
fn integers_and_floats_mix() {
    for (text, wanted) in [
        ("sqrt(2) == sqrt(2.0)", "true"),
        ("sin(0)", "0.0"),
        ("max(1, 2.5)", "2.5"),
        ("min(3, 2.5)", "2.5"),
        ("hypot(3, 4.0)", "5.0"),
        ("2.0 ** -1", "0.5"),
        ("2 ** 3", "8"),
    ] {
        assert_eq!(value(text), wanted, "{text}");
    }
}

#[test]
fn absent_entries_of_a_map_have_a_way() {
    for (text, wanted) in [
        ("let o = #{ a: 1 }; o.get(\"b\") ?? 5", "5"),
        ("let o = #{ a: 1 }; \"b\" in o", "false"),
        ("let o = #{ a: 1 }; o.b = 3; o.b", "3"),
        ("let o = (); o?.b ?? 4", "4"),
    ] {
        assert_eq!(value(text), wanted, "{text}");
    }
}

#[test]
fn golden_errors() {
    let cases = [
        "let orbit = 1;\norbti + 1",
        "let v = 3;\nsqart(v)",
        "let x = \"a\" + 1;\nsqrt(x, x)",
        "fn f(a) { a + offset }\nlet offset = 2;\nf(1)",
        "let p = #{ cutoff: 1e-3 };\np.cutof",
        "let a = [1, 2];\na[5]",
        "throw \"the beam is lost\"",
        "throw #{ message: \"too far\", hint: \"lower the gain\" }",
        "let größe = (1 + 2;\n",
        "let s = \"open\nlet t = 1;",
        "if 1 { 2 }",
        "for x in 1.5 { }",
        "let a = 5 / 0;",
        "2 ** -1",
        "eval(\"1 + 1\")",
        "fn f(n) { f(n + 1) }\nf(0)",
        "import \"orbti\" as o;",
        "[1.0] + 2.0 * [1.0]",
        "let x = 1;\nx.foo",
        "let f = 3;\nsqrt",
        "break_down(1, 2)",
        "fn step(n) {\n    break_down(n)\n}\nlet s = step(4);",
    ];
    let show = || cases.iter().map(|case| format!("----\n{}", error(case))).collect::<String>();
    golden("errors", &run_on_script_thread(show).unwrap());
}

fn golden(name: &str, found: &str) {
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("FODO_GOLDEN").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, wanted, "FODO_GOLDEN=1 writes {path} anew");
}

#[test]
fn reports_survive_catch_and_throw() {
    let (engine, sources) = bench(vec![]);
    let seen = run(
        &engine,
        &sources,
        "let k = (); try { break_down(1) } catch (e) { k = e.kind + \": \" + e.message + e.hints[0]; } k",
    );
    assert_eq!(seen.unwrap().to_string(), "machine: the supply did not answerswitch it on");
    let again = run(&engine, &sources, "try { break_down(1) } catch (e) { throw e }").unwrap_err();
    assert_eq!((again.kind, again.machine.as_deref()), (Kind::Machine, Some("no setpoint was changed")));
    let seen = run(&engine, &sources, "let k = (); try { nothing_here(1) } catch (e) { k = kind_of(e); } k").unwrap();
    assert_eq!(seen.to_string(), "script");
}

#[test]
fn a_chain_over_files_names_each_place() {
    let (engine, sources) = bench(vec![
        ("a", "import \"b\" as b;\nfn outer(x) {\n    inner(x)\n}\nprivate fn inner(x) {\n    b::deep(x)\n}\n"),
        ("b", "fn deep(x) {\n    [x].map(|y| break_down(y))\n}\n"),
    ]);
    let report = run(&engine, &sources, "import \"a\" as a;\n\na::outer(1);\n").unwrap_err();
    let places: Vec<String> = report.labels.iter().map(|l| format!("{}:{}:{}", l.file, l.line, l.column)).collect();
    assert_eq!(places, ["b.rhai:2:17", "b.rhai:2:9", "a.rhai:6:8", "a.rhai:3:5", "main.rhai:3:4"]);
    assert_eq!(report.kind, Kind::Machine);
}

#[test]
fn errors_while_importing_are_found_in_their_file() {
    let (engine, sources) =
        bench(vec![("bad", "fn f( { }"), ("worse", "let x = 1;\nlet y = foo(x);"), ("me", "import \"me\" as m;")]);
    let report = run(&engine, &sources, "import \"bad\" as b;").unwrap_err();
    assert_eq!((report.labels[0].file.as_str(), report.labels[0].line), ("bad.rhai", 1), "{}", report.render(false));
    let report = run(&engine, &sources, "import \"worse\" as b;").unwrap_err();
    assert_eq!((report.labels[0].file.as_str(), report.labels[0].line), ("worse.rhai", 2), "{}", report.render(false));
    let report = run(&engine, &sources, "import \"me\" as b;").unwrap_err();
    assert!(report.message.contains("imports itself"), "{}", report.render(false));
}

#[test]
fn a_callback_stays_at_home() {
    let library = "fn helper(x) { 1000 + x }\nfn use_it(f) { f.invoke(1) }\nfn raw(f) { apply(f, 1) }";
    let other = "fn add(x) { x + 7 }";
    let (engine, sources) = bench(vec![("lib", library), ("other", other), ("wrong", "fn add(x) { x - 7 }")]);
    let main = |body: &str| format!("import \"lib\" as l;\nimport \"other\" as o;\nfn helper(x) {{ 10 + x }}\n{body}");
    let number = |body: &str| {
        run(&engine, &sources, &main(body)).unwrap_or_else(|e| panic!("{}", e.render(false))).as_int().unwrap()
    };
    assert_eq!(number("l::use_it(bind(|x| helper(x)))"), 11);
    assert_eq!(number("let k = 5; l::use_it(bind(|x| helper(x) + k))"), 16);
    assert_eq!(number("l::use_it(bind(|x| o::add(x)))"), 8, "imports of home are visible");
    assert_eq!(number("apply(|x| helper(x), 1)"), 11, "a native primitive called from the script itself");
    assert_eq!(number("bind(Fn(\"helper\")).invoke(1)"), 11);
    let report = run(&engine, &sources, &main("l::use_it(bind(|x| break_down(x)))")).unwrap_err();
    let files: Vec<&str> = report.labels.iter().map(|l| l.file.as_str()).collect();
    assert_eq!(files, ["main.rhai", "lib.rhai", "main.rhai"], "{}", report.render(false));
    let report = run(&engine, &sources, &main("apply(3, 1)")).unwrap_err();
    assert!(report.message.contains("must be a function, found an integer"), "{}", report.message);
}

#[test]
fn a_callback_runs_on_another_thread() {
    let (mut engine, sources) = bench(vec![]);
    let kept: Arc<Mutex<Option<Callback>>> = Arc::default();
    let slot = kept.clone();
    engine.register_fn("keep", move |c: NativeCallContext, f: Dynamic| -> Outcome<()> {
        *slot.lock().unwrap() = Some(Callback::from_dynamic(&c, f, "it")?);
        Ok(())
    });
    _ = run(&engine, &sources, "fn twice(x) { 2 * x } let k = 3; keep(|x| twice(x) + k);").unwrap();
    let callback = kept.lock().unwrap().take().unwrap();
    let result = run_on_script_thread(|| callback.call_with(&engine, (4_i64,)).unwrap().as_int().unwrap());
    assert_eq!(result.unwrap(), 11);
}

#[test]
fn recursion_through_callbacks_ends() {
    let (engine, sources) = bench(vec![]);
    let report =
        run_on_script_thread(|| run(&engine, &sources, "fn f(x) { apply(|y| f(y), x) } f(1)")).unwrap().unwrap_err();
    assert!(report.message.contains("too deeply"), "{}", report.message);
}

#[test]
fn a_stop_cannot_be_caught() {
    let flag = Arc::new(AtomicBool::new(false));
    let asked = flag.clone();
    let mut engine = engine(Setup { stopped: Arc::new(move || asked.load(Ordering::Relaxed)), ..Setup::default() });
    let sources = Sources::new();
    engine.register_fn("stop_now", || -> Outcome<()> {
        Err(fail(Box::new(Diagnostic::new(Kind::Stopped, "stopped by the operator"))))
    });
    let text = "loop { try { let x = 1; } catch { } }";
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            flag.store(true, Ordering::Relaxed);
        });
        run(&engine, &sources, text).unwrap_err()
    });
    assert_eq!(report.kind, Kind::Stopped);
    flag.store(false, Ordering::Relaxed);
    let report = run(&engine, &sources, "try { stop_now() } catch { print(1) }").unwrap_err();
    assert_eq!((report.kind, report.message.as_str()), (Kind::Stopped, "stopped by the operator"));
}

#[test]
fn a_panic_becomes_a_report() {
    let report = run_on_script_thread(|| panic!("no such matrix")).map(|()| 0).unwrap_err();
    assert_eq!(report.kind, Kind::Internal);
    assert!(report.message.contains("no such matrix"));
}

#[test]
fn the_prompt_remembers() {
    let (engine, sources) = bench(vec![("lib", "fn nine() { 9 }\nfn bad() { break_down(1) }")]);
    let mut prompt = Prompt::new(sources);
    let mut line = |text: &str| prompt.evaluate(&engine, text);
    _ = line("let a = 4;").unwrap();
    _ = line("fn twice(x) {\n    2 * x\n}").unwrap();
    _ = line("import \"lib\" as l;").unwrap();
    _ = line("let f = |x| x + a;").unwrap();
    assert_eq!(line("twice(a) + l::nine() + f.call(1)").unwrap().to_string(), "22");
    _ = line("fn twice(x) { 3 * x }").unwrap();
    assert_eq!(line("twice(a)").unwrap().to_string(), "12");
    _ = line("fn broken(x) {\n    x + missing\n}").unwrap();
    let report = line("broken(1)").unwrap_err();
    let shown = report.render(false);
    assert!(shown.contains("x + missing"), "{shown}");
    assert_eq!(report.labels.len(), 2, "{shown}");
    assert!(line("let b = (").is_err());
    assert_eq!(line("a").unwrap().to_string(), "4");
    assert_eq!(line("let c = 1; let d = break_down(1);").unwrap_err().kind, Kind::Machine);
    assert_eq!(line("c").unwrap().to_string(), "1");
    assert!(prompt.text().starts_with("let a = 4;\nfn twice(x) {"));
}

#[test]
fn a_long_session_forgets_what_nobody_can_see() {
    let (engine, sources) = bench(vec![("lib", "fn nine() { 9 }")]);
    let mut prompt = Prompt::new(sources);
    let line = |prompt: &mut Prompt, text: &str| prompt.evaluate(&engine, text).unwrap().to_string();
    line(&mut prompt, "fn far(x) {\n    x + missing\n}");
    line(&mut prompt, "let f = |x| x + 1; const PI = 3;");
    for n in 0..2500 {
        line(&mut prompt, "import \"lib\" as l;");
        line(&mut prompt, &format!("let r = [{n}, 0].map(|x| x + 1); let g = #{{ at: [|x| x - {n}] }};"));
        line(&mut prompt, &format!("fn last() {{ {n} }}"));
    }
    assert_eq!(line(&mut prompt, "r[0] + f.call(1) + g.at[0].call(2499) + last() + l::nine() + PI"), "5013");
    let mut names: Vec<String> = prompt.scope().iter_raw().map(|(name, ..)| name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["PI", "f", "g", "r"]);
    assert_eq!(prompt.scope().is_constant("PI"), Some(true));
    assert!(prompt.text().len() < 200_000, "{} bytes", prompt.text().len());
    // a function that was typed long ago still shows its line
    let report = prompt.evaluate(&engine, "far(1)").unwrap_err();
    assert!(report.render(false).contains("x + missing"), "{}", report.render(false));
    assert_eq!(report.labels[0].line, 2);
}

#[test]
fn lines_beyond_what_can_be_counted_are_numbered_anew() {
    let (engine, sources) = bench(vec![]);
    let mut prompt = Prompt::new(sources);
    _ = prompt.evaluate(&engine, "fn three() { 3 }").unwrap();
    for _ in 0..5 {
        let long = format!("let a = 1;{}let b = 2;", "\n".repeat(25_000));
        _ = prompt.evaluate(&engine, &long).unwrap();
        let report = prompt.evaluate(&engine, "a + b + three() +\n    missing").unwrap_err();
        assert!(report.render(false).contains("    missing"), "{}", report.render(false));
        assert!(report.labels[0].line < 65_535);
    }
}

#[test]
fn open_input_asks_for_more() {
    let (engine, _) = bench(vec![]);
    for (text, complete) in [
        ("let a = 1", true),
        ("fn f(x) {", false),
        ("foo(#{ a: 1,", false),
        ("let s = \"(\"", true),
        ("// (", true),
        ("/* more", false),
        ("`text", false),
        ("let x = 1 +", false),
        ("let x = )", true),
    ] {
        assert_eq!(Prompt::is_complete(&engine, text), complete, "{text}");
    }
}

#[test]
fn options_are_checked() {
    let options = Options::new("scan")
        .number("step", "urad")
        .default(5.0)
        .range(0.0, 100.0)
        .help("change of the kick")
        .integer("steps")
        .default(11)
        .at_least(2.0)
        .choice("plane", &["x", "y"])
        .flag("keep");
    let mut map = Map::new();
    let values = options.read(&map).unwrap();
    assert!((values.number("step").unwrap() - 5e-6).abs() < 1e-20);
    assert_eq!((values.integer("steps").unwrap(), values.flag("keep")), (11, false));
    let message = |key: &str, value: Dynamic| {
        let mut map = Map::new();
        map.insert(key.into(), value);
        let rhai::EvalAltResult::ErrorRuntime(payload, _) = *options.read(&map).unwrap_err() else { panic!() };
        let report = report_of(&payload);
        format!("{} | {}", report.message, report.hints.join(" | "))
    };
    let quantity = |text: &str| Dynamic::from(fodo_units::Quantity::parse(text).unwrap());
    assert_eq!(message("stepp", 1.into()), "`scan` has no option `stepp` | did you mean one of `step`, `steps`?");
    assert_eq!(
        message("step", quantity("5 A")),
        "`step` must be a quantity in urad, found 5 A | `step`: change of the kick"
    );
    assert_eq!(
        message("step", 5.into()),
        "`step` must be a quantity in urad, found the plain number 5 | write the unit: `5.0 * urad` | `step`: change of the kick"
    );
    assert_eq!(
        message("step", quantity("0.2 mrad")),
        "`step` is 200 µrad, its range is 0 urad to 100 µrad | `step`: change of the kick"
    );
    assert_eq!(message("plane", "z".into()), "`plane` must be one of \"x\", \"y\", found \"z\" | ");
    assert_eq!(message("steps", 1.5.into()), "`steps` must be an integer, found 1.5 | ");
    map.insert("steps".into(), 3.0.into());
    assert_eq!(options.read(&map).unwrap().integer("steps").unwrap(), 3);
}

#[test]
fn functions_describe_themselves() {
    let (engine, sources) = bench(vec![]);
    let all = functions(&engine);
    let bind = all.iter().find(|f| f.name == "bind" && !f.comment.is_empty()).unwrap();
    assert_eq!(bind.signature, "bind(function: function) -> callback");
    assert!(bind.summary().starts_with("Makes a function"));
    assert!(all.iter().any(|f| f.usage == FunctionUse::Operator && f.name == "+"));
    let tree = sources.compile(&engine, "a.rhai", "/// Doubles.\nfn twice(x) { 2 * x }").unwrap();
    let own = script_functions(&tree);
    assert_eq!((own[0].signature.as_str(), own[0].comment.as_str()), ("twice(x)", "Doubles."));
}

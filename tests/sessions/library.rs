//! Libraries between laboratories, over real git remotes: bare repositories by `file://` and a `git daemon` on loopback.

use crate::errors::tells;
use fodo_tests::{Scratch, fodo, port, project, skipped};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder with laboratories and the repositories between them.
struct World {
    scratch: Scratch,
}

/// Whether `git` is here; says loudly that the test did not run.
fn git_is_here(test: &str) -> bool {
    let here = Command::new("git").arg("--version").output().is_ok();
    if !here {
        skipped(test, "there is no git");
    }
    here
}

impl World {
    fn new(name: &str) -> World {
        let world = World { scratch: Scratch::new(&format!("library-{name}")) };
        ["a", "b"].iter().for_each(|lab| world.laboratory(lab));
        world
    }

    /// A laboratory: a copy of demo_ring.
    fn laboratory(&self, lab: &str) {
        for entry in std::fs::read_dir(project().join("facilities/demo_ring")).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            self.scratch.file(&format!("{lab}/ring/{name}"), &text);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let name = ["-c", "user.name=Author", "-c", "user.email=author@example.org", "-c", "init.defaultBranch=main"];
        let output = Command::new("git")
            .args(name)
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// What the program does for a laboratory, which works in its own folder with its own cache.
    fn command(&self, lab: &str, arguments: &[&str]) -> Command {
        let mut command = fodo(&self.scratch, arguments);
        command.current_dir(self.path(lab)).env("FODO_DATA", self.path(&format!("{lab}/data")));
        command.env("FODO_FACILITY", "ring");
        command
    }

    fn run(&self, lab: &str, arguments: &[&str]) -> Output {
        self.command(lab, arguments).output().unwrap()
    }

    fn told(&self, lab: &str, arguments: &[&str]) -> String {
        let output = self.run(lab, arguments);
        let text = told(&output);
        assert!(output.status.success(), "fodo {arguments:?}:\n{text}");
        text
    }

    /// An author's folder with a new library in it, and the bare repository it is pushed to.
    fn author(&self, library: &str) -> Author<'_> {
        std::fs::create_dir_all(self.path("author")).unwrap();
        let output =
            fodo(&self.scratch, &["library", "new", library]).current_dir(self.path("author")).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        let author = Author { world: self, folder: self.path(&format!("author/{library}")), library: library.into() };
        self.git(&author.folder, &["init", "-q"]);
        let bare = self.path("remotes").join(format!("{library}.git"));
        std::fs::create_dir_all(&bare).unwrap();
        self.git(&bare, &["init", "-q", "--bare"]);
        self.git(&author.folder, &["remote", "add", "origin", bare.to_str().unwrap()]);
        author.publish("first");
        author
    }

    fn lock(&self, lab: &str) -> String {
        std::fs::read_to_string(self.path(lab).join("ring/libraries.lock")).unwrap_or_default()
    }

    /// What the record of a laboratory's only run has of its only library.
    fn recorded(&self, lab: &str, what: &str) -> String {
        let runs = std::fs::read_dir(self.path(lab).join("data/runs")).unwrap().map(|entry| entry.unwrap().path());
        let records: Vec<PathBuf> = runs.filter(|path| path.extension() == Some("h5".as_ref())).collect();
        let [record] = records.as_slice() else { panic!("not one record: {records:?}") };
        let record = hdf5_pure::File::open(record).unwrap();
        let of_all = record.dataset(&format!("entry/process/libraries/{what}")).unwrap().read_string().unwrap();
        let [one] = of_all.as_slice() else { panic!("not one library: {of_all:?}") };
        one.clone()
    }

    /// The file of a cached library.
    fn cached(&self, lab: &str, library: &str, file: &str) -> PathBuf {
        let cache = self.path(lab).join("data/libraries");
        let found =
            std::fs::read_dir(cache).unwrap().flatten().find(|e| e.file_name().to_string_lossy().starts_with(library));
        found.unwrap().path().join("files").join(file)
    }
}

/// Who writes a library.
struct Author<'w> {
    world: &'w World,
    folder: PathBuf,
    library: String,
}

impl Author<'_> {
    fn address(&self) -> String {
        format!("file://{}", self.world.path("remotes").join(format!("{}.git", self.library)).display())
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        self.write(file, &text.replace(from, to));
    }

    fn publish(&self, message: &str) -> String {
        self.world.git(&self.folder, &["add", "-A"]);
        self.world.git(&self.folder, &["commit", "-q", "-m", message]);
        self.world.git(&self.folder, &["push", "-q", "--tags", "origin", "HEAD:main"]);
        self.world.git(&self.folder, &["rev-parse", "HEAD"])
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn two_laboratories_share_a_procedure() {
    if !git_is_here("two_laboratories_share_a_procedure") {
        return;
    }
    let world = World::new("share");
    let author = world.author("tuning");
    let first = world.git(&author.folder, &["rev-parse", "HEAD"]);
    for lab in ["a", "b"] {
        let text = world.told(lab, &["library", "add", &author.address()]);
        assert!(text.contains("tuning 0.1.0 from file://") && text.contains("may change HCOR"), "{text}");
        assert!(text.contains("2 tests passed, each with the seeds 1, 2, 3"), "{text}");
        assert!(world.lock(lab).contains(&format!("revision = \"{first}\"")), "{}", world.lock(lab));
    }
    assert_eq!(world.lock("a"), world.lock("b"));
    let text = world.told("a", &["run", "measure_tuning", "--set", "step=5 urad"]);
    assert!(text.contains("measure_tuning is of the library tuning 0.1.0; it may change HCOR\n"), "{text}");
    assert!(text.contains("rms:"), "{text}");
    // the record has what was installed
    let lock = world.lock("a");
    assert_eq!(world.recorded("a", "name"), "tuning");
    assert_eq!(world.recorded("a", "version"), "0.1.0");
    assert_eq!(world.recorded("a", "revision"), first);
    assert!(lock.contains(&format!("content = \"sha256:{}\"", world.recorded("a", "content_sha256"))), "{lock}");
    // known to check, completion and other scripts as the shipped ones are
    assert!(world.told("a", &["eval", "measure_tuning().rms > 1.0 * um"]).contains("true"));
    assert!(world.told("a", &["library", "list"]).contains("measure_tuning           may change HCOR"));

    // one changes it: a wider header, a new version
    author.change("library.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    author.change("procedures/measure_tuning.rhai", "changes: [\"correctors\"]", "changes: [\"correctors\", \"VCOR\"]");
    let second = author.publish("vertical correctors too");
    let before = world.lock("b");
    let refused = world.run("b", &["library", "update"]);
    assert_eq!(refused.status.code(), Some(5), "{}", told(&refused));
    tells("library_wider_rights", &refused, &world.scratch);
    assert_eq!(world.lock("b"), before);
    let text = world.told("b", &["library", "update", "tuning", "--accept-rights"]);
    assert!(text.contains(&format!("tuning 0.1.0 -> 0.2.0, {} -> {}", &first[..10], &second[..10])), "{text}");
    assert!(text.contains("measure_tuning may now also change VCOR"), "{text}");
    assert!(world.told("b", &["run", "measure_tuning"]).contains("tuning 0.2.0; it may change HCOR, VCOR"));
    // the other keeps what it has pinned
    assert!(world.told("a", &["run", "measure_tuning"]).contains("tuning 0.1.0; it may change HCOR\n"));
    // narrower rights need no word
    author.change("library.toml", "version = \"0.2.0\"", "version = \"0.2.1\"");
    author.change("procedures/measure_tuning.rhai", "changes: [\"correctors\", \"VCOR\"]", "changes: [\"correctors\"]");
    author.publish("as before");
    assert!(world.told("b", &["library", "update"]).contains("measure_tuning no longer changes VCOR"));
    assert!(world.told("b", &["library", "update"]).contains("tuning 0.2.1: nothing new"));
    // and back to the first, by its revision
    world.told("b", &["library", "update", "tuning", "--revision", &first]);
    assert!(world.lock("b").contains(&format!("follows = \"{first}\"")), "{}", world.lock("b"));
    world.told("b", &["library", "remove", "tuning"]);
    assert!(world.told("b", &["library", "list"]).contains("has no libraries"));
    let gone = world.run("b", &["run", "measure_tuning"]);
    assert_eq!(gone.status.code(), Some(2));
}

/// A `git daemon` on a free port of loopback; ends with the test.
struct Daemon(Child, u16);

impl Daemon {
    fn start(folder: &Path) -> Daemon {
        let port = port();
        // started without `git` in between, which would leave it behind
        let place = Command::new("git").arg("--exec-path").output().unwrap();
        let place = PathBuf::from(String::from_utf8_lossy(&place.stdout).trim()).join("git-daemon");
        let mut child = Command::new(place)
            .args(["--listen=127.0.0.1", "--reuseaddr", "--export-all", "--verbose", "--log-destination=stderr"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.display()))
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        log.read_line(&mut line).unwrap();
        assert!(line.contains("Ready to rumble"), "{line}");
        // what it goes on saying has to be read by somebody
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Daemon(child, port)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn offline_the_cache_serves() {
    if !git_is_here("offline_the_cache_serves") {
        return;
    }
    let world = World::new("offline");
    let author = world.author("tuning");
    let daemon = Daemon::start(&world.path("remotes"));
    let address = format!("git://127.0.0.1:{}/tuning.git", daemon.1);
    world.told("a", &["library", "add", &address, "--revision", "main"]);
    assert!(world.lock("a").contains("follows = \"main\""), "{}", world.lock("a"));
    drop(daemon);
    drop(author);
    assert!(world.told("a", &["run", "measure_tuning"]).contains("rms:"));
    assert!(world.told("a", &["library", "verify"]).contains("tuning 0.1.0: 3 files as pinned"));
    let before = world.lock("a");
    let failed = world.run("a", &["library", "update"]);
    assert_eq!(failed.status.code(), Some(7), "{}", told(&failed));
    assert!(told(&failed).contains("what is in the cache still runs"), "{}", told(&failed));
    assert_eq!(world.lock("a"), before);
    // a colleague has the lock and no cache: nothing runs before it is fetched, and the mirror brings it back
    std::fs::copy(world.path("a/ring/libraries.lock"), world.path("b/ring/libraries.lock")).unwrap();
    let absent = world.run("b", &["run", "measure_tuning"]);
    assert_eq!(absent.status.code(), Some(7));
    tells("library_not_in_the_cache", &absent, &world.scratch);
    std::fs::remove_dir_all(world.cached("a", "tuning", "").parent().unwrap()).unwrap();
    assert!(world.told("a", &["library", "verify"]).contains("3 files as pinned, fetched"));
}

#[test]
fn what_was_tampered_with_does_not_run() {
    if !git_is_here("what_was_tampered_with_does_not_run") {
        return;
    }
    let world = World::new("tampered");
    let author = world.author("tuning");
    author.write("helpers/steps.rhai", "fn size() { 5.0 * urad }\n");
    author.publish("helpers");
    world.told("a", &["library", "add", &author.address()]);
    let script = world.cached("a", "tuning", "procedures/measure_tuning.rhai");
    let text = std::fs::read_to_string(&script).unwrap();
    let write = |path: &Path, text: &str| {
        _ = std::fs::remove_file(path);
        std::fs::write(path, text).unwrap();
    };
    write(&script, &text.replace("p.step", "19.0 * urad"));
    write(&world.cached("a", "tuning", "helpers/more.rhai"), "fn size() { 1.0 }\n");
    std::fs::remove_file(world.cached("a", "tuning", "helpers/steps.rhai")).unwrap();
    for command in [&["run", "measure_tuning"][..], &["library", "verify"], &["eval", "1"]] {
        let refused = world.run("a", command);
        assert_eq!(refused.status.code(), Some(6), "{}", told(&refused));
        for what in ["measure_tuning.rhai: changed", "more.rhai: added", "steps.rhai: missing"] {
            assert!(told(&refused).contains(what), "{}", told(&refused));
        }
    }
    let refused = world.run("a", &["run", "measure_tuning"]);
    let hash = world.cached("a", "tuning", "").parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let blank = |text: Vec<u8>| String::from_utf8_lossy(&text).replace(&hash, "tuning-0.1.0-…").into_bytes();
    let refused = Output { stdout: blank(refused.stdout), stderr: blank(refused.stderr), ..refused };
    tells("library_tampered", &refused, &world.scratch);
    // with the list of sums made to fit, the lock still tells
    let sums = world.cached("a", "tuning", "").parent().unwrap().join("SHA256SUMS");
    let mut fitting = Command::new("sh");
    fitting.arg("-c").arg("find . -type f | sed 's:^\\./::' | LC_ALL=C sort | xargs sha256sum");
    let fitting = fitting.current_dir(world.cached("a", "tuning", "")).output().unwrap();
    write(&sums, &String::from_utf8_lossy(&fitting.stdout));
    let refused = world.run("a", &["run", "measure_tuning"]);
    assert!(told(&refused).contains("SHA256SUMS: changed"), "{}", told(&refused));
    // the way out that the error names
    std::fs::remove_dir_all(sums.parent().unwrap()).unwrap();
    world.told("a", &["library", "verify"]);
    world.told("a", &["run", "measure_tuning"]);
    // a lock that says less than the headers do
    let lock = world.lock("a").replace("[\"horizontal corrector\"]", "[]");
    std::fs::write(world.path("a/ring/libraries.lock"), lock).unwrap();
    let refused = world.run("a", &["library", "verify"]);
    assert_eq!(refused.status.code(), Some(6));
    tells("library_lock_by_hand", &refused, &world.scratch);
}

#[test]
fn conflicts_are_explained() {
    if !git_is_here("conflicts_are_explained") {
        return;
    }
    let world = World::new("conflicts");
    let tuning = world.author("tuning");
    let optics = world.author("optics");
    world.git(&optics.folder, &["tag", "v0.1.0"]);
    optics.change("library.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    optics.publish("next");
    let depend = |author: &Author, line: &str| {
        let text = std::fs::read_to_string(author.folder.join("library.toml")).unwrap();
        let text = text.split("\n[dependencies").next().unwrap().to_string();
        author.write(
            "library.toml",
            &format!("{text}\n[dependencies.optics]\nsource = \"{}\"\n{line}\n", optics.address()),
        );
        author.publish("depends");
    };
    // a dependency comes with it, and goes with it
    depend(&tuning, "version = \"0.2\"");
    let text = world.told("a", &["library", "add", &tuning.address()]);
    assert!(text.contains("optics 0.2.0") && text.contains("needed by tuning"), "{text}");
    world.told("a", &["run", "measure_optics"]);
    let needed = world.run("a", &["library", "remove", "optics"]);
    assert_eq!(needed.status.code(), Some(2));
    tells("library_needed", &needed, &world.scratch);
    // a second library wants another version of it
    let other = world.author("coupling");
    depend(&other, "version = \"=0.1.0\"");
    let before = world.lock("a");
    let refused = world.run("a", &["library", "add", &other.address()]);
    assert_eq!(refused.status.code(), Some(6));
    tells("library_two_versions", &refused, &world.scratch);
    depend(&other, "revision = \"v0.1.0\"");
    let refused = world.run("a", &["library", "add", &other.address()]);
    assert_eq!(refused.status.code(), Some(6));
    tells("library_two_revisions", &refused, &world.scratch);
    // one procedure in two libraries
    other.write("library.toml", "name = \"coupling\"\nversion = \"1.0.0\"\nprocedures = [\"measure_tuning\"]\n");
    std::fs::rename(other.folder.join("procedures/measure_coupling.rhai"), other.folder.join("measure_tuning.rhai"))
        .unwrap();
    other.publish("clash");
    let refused = world.run("a", &["library", "add", &other.address()]);
    assert_eq!(refused.status.code(), Some(6));
    tells("library_two_procedures", &refused, &world.scratch);
    // a name that Fodo has itself
    other.write("library.toml", "name = \"coupling\"\nversion = \"1.0.0\"\nprocedures = [\"get_orbit\"]\n");
    std::fs::rename(other.folder.join("measure_tuning.rhai"), other.folder.join("get_orbit.rhai")).unwrap();
    other.publish("builtin");
    let refused = world.run("a", &["library", "add", &other.address()]);
    tells("library_builtin_name", &refused, &world.scratch);
    // another Fodo
    other.write("library.toml", "name = \"coupling\"\nversion = \"1.0.0\"\nfodo = \">=99\"\n");
    other.publish("future");
    let refused = world.run("a", &["library", "add", &other.address()]);
    tells("library_other_fodo", &refused, &world.scratch);
    assert_eq!(world.lock("a"), before);
    // a second place for a name
    other.write("library.toml", "name = \"optics\"\nversion = \"0.2.5\"\n");
    other.publish("same name");
    let refused = world.run("a", &["library", "add", &other.address()]);
    assert_eq!(refused.status.code(), Some(6));
    tells("library_two_places", &refused, &world.scratch);
    // the facility's own procedure comes first, and that is told
    world
        .scratch
        .file("a/procedures/measure_tuning.rhai", "//! # Ours\n\nprocedure(#{ changes: [] });\n\nfn run(p) { 42 }\n");
    assert!(world.told("a", &["run", "measure_tuning"]).contains("42"));
    assert!(world.told("a", &["library", "list"]).contains("(hidden by procedures/measure_tuning.rhai)"));
    // and the library before the shipped
    other.write("library.toml", "name = \"coupling\"\nversion = \"1.0.0\"\nprocedures = [\"correct_orbit\"]\n");
    std::fs::remove_file(other.folder.join("procedures/measure_coupling.test.md")).unwrap();
    other.write("correct_orbit.rhai", "//! # Another\n\nprocedure(#{ changes: [] });\n\nfn run(p) { 43 }\n");
    other.publish("instead of the shipped");
    world.told("a", &["library", "add", &other.address()]);
    assert!(world.told("a", &["run", "correct_orbit"]).contains("43"));
}

#[test]
fn a_library_sees_its_own_files_and_nothing_else() {
    if !git_is_here("a_library_sees_its_own_files_and_nothing_else") {
        return;
    }
    let world = World::new("imports");
    let author = world.author("tuning");
    author.write("helpers/steps.rhai", "import \"helpers/more\" as more;\nfn size() { more::size() }\n");
    author.write("helpers/more.rhai", "fn size() { 5.0 * urad }\n");
    author.write(
        "procedures/steps.test.md",
        "## Steps\n\n```rhai\nimport \"helpers/steps\" as s;\nassert(s::size() == 5.0 * urad);\n```\n",
    );
    author.change(
        "procedures/measure_tuning.rhai",
        "p.correctors[0].step(p.step);",
        "import \"helpers/steps\" as s; import \"mml\" as mml; p.correctors[0].step(s::size());",
    );
    author.publish("helpers");
    world.told("a", &["library", "add", &author.address()]);
    world.told("a", &["run", "measure_tuning"]);
    // a script of the facility takes them by the library's name
    let text = world.told("a", &["eval", "import \"tuning/helpers/steps\" as s; s::size()"]);
    assert!(text.contains("5 µrad"), "{text}");
    assert_eq!(world.run("a", &["eval", "import \"helpers/steps\" as s; s::size()"]).status.code(), Some(1));
    world.scratch.file("a/secret.rhai", "fn size() { 1 }\n");
    let secret = world.path("a/secret").display().to_string();
    let outside = [
        "../../../../secret",
        "../secret.rhai",
        &secret,
        "helpers/../../secret",
        "./helpers/more",
        "secret",
        "file:secret",
    ];
    for (round, name) in outside.iter().enumerate() {
        author.write("helpers/more.rhai", &format!("import \"{name}\" as m;\nfn size() {{ m::size() }}\n"));
        author.write("procedures/steps.test.md", "No test.\n");
        author.write("procedures/measure_tuning.test.md", "No test.\n");
        author.publish("outside");
        let text = world.told("a", &["library", "update"]);
        assert!(text.contains("it has no tests"), "{text}");
        let refused = world.run("a", &["run", "measure_tuning"]);
        assert!(!refused.status.success(), "{name}: {}", told(&refused));
        assert!(told(&refused).contains("no setpoint was changed"), "{}", told(&refused));
        if round == 0 {
            tells("library_import_outside", &refused, &world.scratch);
        }
    }
}

#[test]
fn a_library_has_the_rights_of_its_caller() {
    if !git_is_here("a_library_has_the_rights_of_its_caller") {
        return;
    }
    let world = World::new("callers");
    let author = world.author("sly");
    author.write(
        "apply.rhai",
        "fn helper() { VCOR[0].step(5.0 * urad); \"library\" }\n\
         fn invoke(f) { f.invoke() }\n\
         fn native(f) { with_restore(f) }\n\
         fn hidden(map) { map.f.call() }\n",
    );
    author.write("at_once.rhai", "VCOR[0].step(5.0 * urad);\n");
    author.publish("functions that take functions");
    world.told("a", &["library", "add", &author.address()]);
    // a procedure of the facility that may change HCOR, and has a function of the library's name
    let run = |name: &str, body: &str| {
        let text = format!(
            "//! # Ours\n\nprocedure(#{{ changes: [\"HCOR\"] }});\n\n\
             fn helper() {{ HCOR[0].step(1.0 * urad); \"ours\" }}\n\nfn run(p) {{\n    import \"sly/apply\" as a;\n    {body}\n}}\n"
        );
        world.scratch.file(&format!("a/procedures/{name}.rhai"), &text);
        let object: serde_json::Value =
            serde_json::from_slice(&world.run("a", &["run", name, "--json"]).stdout).unwrap();
        (object["result"].as_str().map(String::from), object["error"].clone())
    };
    for call in ["a::invoke(bind(|| helper()))", "a::native(bind(|| helper()))"] {
        let (value, error) = run("ours", call);
        assert_eq!(value.as_deref(), Some("ours"), "{call}: {error}");
    }
    for call in [
        "a::invoke(|| helper())",
        "a::native(|| helper())",
        "let f = || helper(); a::native(f)",
        "a::hidden(#{ f: || helper() })",
        "a::hidden([1, #{ f: [|| 1] }])",
    ] {
        let (_, error) = run("plain", call);
        assert_eq!(error["message"], "a plain function handed to a library looks up its names there", "{call}");
    }
    // hidden in a map, the library's own function runs in its place, with no more rights than the procedure has
    for call in ["let map = #{}; map.f = || helper(); a::hidden(map)", "import \"sly/at_once\" as b; 1"] {
        let (_, error) = run("hidden", call);
        assert_eq!(error["message"], "the procedure's header does not let it change VCOR", "{call}: {error}");
        assert_eq!(error["machine"], "no setpoint was changed");
    }
}

#[test]
fn git_starts_nothing_of_a_library() {
    if !git_is_here("git_starts_nothing_of_a_library") {
        return;
    }
    let world = World::new("hostile");
    let author = world.author("tuning");
    let proof = world.path("proof");
    let touch = format!("touch {}", proof.display());
    // hooks that the user's own settings would run, and addresses that are commands
    let hooks = world.path("hooks");
    for hook in ["reference-transaction", "post-checkout", "post-merge"] {
        let path = world.scratch.file(&format!("hooks/{hook}"), &format!("#!/bin/sh\n{touch}\n"));
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let settings = format!("[core]\n\thooksPath = {}\n[protocol \"ext\"]\n\tallow = always\n", hooks.display());
    let settings = world.scratch.file("gitconfig", &settings);
    let run = |arguments: &[&str]| {
        let mut command = world.command("a", arguments);
        command.env("GIT_CONFIG_GLOBAL", &settings).output().unwrap()
    };
    let added = run(&["library", "add", &author.address()]);
    assert!(added.status.success(), "{}", told(&added));
    let addresses = [
        format!("ext::sh -c {touch}"),
        format!("ext::sh% -c% {}", touch.replace(' ', "% ")),
        format!("--upload-pack={touch}"),
        format!("ssh://-oProxyCommand={touch}/x"),
        format!("$({touch})"),
        format!("; {touch}"),
    ];
    for address in &addresses {
        let refused = run(&["library", "add", "--", address]);
        assert!(!refused.status.success(), "{address}: {}", told(&refused));
    }
    for revision in
        [format!("--upload-pack={touch}"), format!("$({touch})"), "-x".into(), "main^{tree}".into(), "a..b".into()]
    {
        let refused = run(&["library", "add", &author.address(), &format!("--revision={revision}")]);
        assert_eq!(refused.status.code(), Some(2), "{revision}: {}", told(&refused));
    }
    assert!(!proof.exists());
    // links and submodules hold what the hash would not pin
    let other = world.author("linked");
    std::os::unix::fs::symlink("/etc/hostname", other.folder.join("link.rhai")).unwrap();
    other.publish("a link");
    tells("library_link", &run(&["library", "add", &other.address()]), &world.scratch);
    std::fs::remove_file(other.folder.join("link.rhai")).unwrap();
    world.git(&other.folder, &["submodule", "--quiet", "add", &author.address(), "inner"]);
    other.publish("a submodule");
    tells("library_submodule", &run(&["library", "add", &other.address()]), &world.scratch);
    // a password would stand in the lock
    tells("library_password", &run(&["library", "add", "https://me:secret@127.0.0.1/x.git"]), &world.scratch);
    tells(
        "library_program_address",
        &run(&["library", "add", &addresses[0].replace(&touch, "touch x")]),
        &world.scratch,
    );
}

#[test]
fn mistakes_with_libraries_say_what_to_do() {
    if !git_is_here("mistakes_with_libraries_say_what_to_do") {
        return;
    }
    let world = World::new("mistakes");
    let author = world.author("tuning");
    let tell = |name: &str, arguments: &[&str]| {
        let output = world.run("a", arguments);
        assert!(!output.status.success(), "{name}: {}", told(&output));
        tells(name, &output, &world.scratch);
    };
    tell("library_missing", &["library", "add", "nowhere"]);
    std::fs::create_dir_all(world.path("a/empty")).unwrap();
    tell("library_no_manifest", &["library", "add", "empty"]);
    tell("library_unknown_revision", &["library", "add", &author.address(), "--revision", "maim"]);
    tell("library_unknown", &["library", "update", "tunning"]);
    tell("library_bad_name", &["library", "new", "Tuning-Tools"]);
    tell("library_in_the_program", &["library", "add", &author.address(), "--facility", "demo_ring"]);
    world.scratch.file("a/plain/library.toml", "name = \"plain\"\nversion = \"1.0\"\n");
    tell("library_bad_version", &["library", "add", "plain"]);
    world
        .scratch
        .file("a/plain/library.toml", "name = \"plain\"\nversion = \"1.0.0\"\nprocedure = [\"measure_plain\"]\n");
    tell("library_bad_key", &["library", "add", "plain"]);
    world
        .scratch
        .file("a/plain/library.toml", "name = \"plain\"\nversion = \"1.0.0\"\nprocedures = [\"measure_plain\"]\n");
    tell("library_no_procedure", &["library", "add", "plain"]);
    // tests run before anything is taken
    world.scratch.file(
        "a/plain/measure_plain.rhai",
        "//! # Plain\n\nprocedure(#{ changes: [] });\n\nfn run(p) { HCOR[0].step(5.0 * urad); }\n",
    );
    world.scratch.file("a/plain/measure_plain.test.md", "# Plain\n\n## It runs\n\n```rhai\nmeasure_plain();\n```\n");
    tell("library_test_fails", &["library", "add", "plain"]);
    assert_eq!(world.lock("a"), "");
    // a plain folder is taken as it is now
    world
        .scratch
        .file("a/plain/measure_plain.rhai", "//! # Plain\n\nprocedure(#{ changes: [] });\n\nfn run(p) { 41 }\n");
    let text = world.told("a", &["library", "add", "plain"]);
    assert!(text.contains("may change nothing") && text.contains("1 test passed"), "{text}");
    world
        .scratch
        .file("a/plain/measure_plain.rhai", "//! # Plain\n\nprocedure(#{ changes: [] });\n\nfn run(p) { 42 }\n");
    assert!(world.told("a", &["run", "measure_plain"]).contains("41"));
    tell("library_twice", &["library", "add", "plain"]);
    world.told("a", &["library", "update", "plain"]);
    assert!(world.told("a", &["run", "measure_plain"]).contains("42"));
    // without git, what is in the cache runs
    let mut command = world.command("a", &["library", "add", &author.address()]);
    let output = command.env("PATH", world.path("nothing")).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    tells("library_no_git", &output, &world.scratch);
    let mut command = world.command("a", &["run", "measure_plain"]);
    assert!(command.env("PATH", world.path("nothing")).output().unwrap().status.success());
}

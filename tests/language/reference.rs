//! The reference of the manual is what the program writes, and the manual leads to each of its pages.

use fodo_tests::{Scratch, project, run};
use std::collections::BTreeMap;
use std::path::Path;

/// Pages of a folder that the program has written.
fn written(folder: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let texts = files
        .map(|file| (file.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(file.path()).unwrap()));
    texts.filter(|(_, text)| text.starts_with("<!-- Written by `fodo doc --out`")).collect()
}

#[test]
fn the_reference_is_what_the_program_writes() {
    let scratch = Scratch::new("reference");
    let (kept, fresh) = (project().join("docs/reference"), scratch.path().join("reference"));
    let output = run(&scratch, &["doc", "--out", fresh.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let fresh = written(&fresh);
    assert!(fresh.len() > 10, "only {} pages", fresh.len());
    if std::env::var_os("FODO_BLESS").is_some() {
        written(&kept).keys().for_each(|name| std::fs::remove_file(kept.join(name)).unwrap());
        fresh.iter().for_each(|(name, text)| std::fs::write(kept.join(name), text).unwrap());
    }
    let kept = written(&kept);
    assert_eq!(kept.keys().collect::<Vec<_>>(), fresh.keys().collect::<Vec<_>>(), "pages of docs/reference");
    for (name, text) in &fresh {
        let line = kept[name].lines().zip(text.lines()).find(|(kept, fresh)| kept != fresh);
        assert!(
            kept[name] == *text,
            "docs/reference/{name} is not what `fodo doc` writes: {line:?}\nFODO_BLESS=1 writes it"
        );
    }
    let summary = std::fs::read_to_string(project().join("docs/SUMMARY.md")).unwrap();
    for name in fresh.keys() {
        assert!(summary.contains(&format!("(reference/{name})")), "docs/SUMMARY.md does not lead to reference/{name}");
    }
}

#[test]
fn the_help_of_run_ends_with_what_the_procedure_says() {
    let scratch = Scratch::new("help-of-run");
    let output = run(&scratch, &["run", "correct_orbit", "--help"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let (options, page) =
        (text.find("--set <NAME=VALUE>"), text.find("singular values below this part of the largest"));
    assert!(output.status.success() && options.is_some() && options < page, "{text}");
    let unknown = run(&scratch, &["run", "corect_orbit", "--help"]);
    let told = String::from_utf8_lossy(&unknown.stderr);
    assert!(unknown.status.code() == Some(2) && told.contains("`correct_orbit`"), "{told}");
}

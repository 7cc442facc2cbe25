//! What a library may hold and where it may come from.

#![allow(clippy::unwrap_used)]

use fodo_libraries::{Content, Lock, Source, is_name, is_revision};

#[test]
fn paths_that_lead_out_are_refused() {
    for path in ["../x", "/x", "a/../x", "a//x", "a\\x", "C:x", ".git/config", "a/.hidden", "a\nb", ""] {
        assert!(Content::default().add(path, Vec::new()).is_err(), "{path:?}");
    }
    assert!(Content::default().add("tune/a.rhai", Vec::new()).is_ok());
}

#[test]
fn the_hash_is_that_of_sha256sum() {
    let mut content = Content::default();
    content.add("b.rhai", b"two\n".to_vec()).unwrap();
    content.add("a.rhai", b"one\n".to_vec()).unwrap();
    // printf 'one\n' > a.rhai; printf 'two\n' > b.rhai; sha256sum a.rhai b.rhai | tee SHA256SUMS; sha256sum SHA256SUMS
    let sums = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806  a.rhai\n\
                27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a  b.rhai\n";
    assert_eq!(content.sums(), sums);
    assert_eq!(content.hash(), "a9d1c4aa5fdf0a4e16deef4f7c73fefaf53168ff5ed43a3bcf794a1660d1bf8e");
}

#[test]
fn what_git_would_run_or_take_for_an_option_is_refused() {
    let refused = [
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch /tmp/x",
        "-c",
        "fd::17",
        "ftp://host/x",
        "https://me:secret@host/x.git",
        "https://host/x\ny",
        "",
    ];
    for text in refused {
        assert!(Source::parse(text).is_err(), "{text:?}");
    }
    for text in ["https://host/x.git", "ssh://git@host/x", "git@host:optics/tuning.git"] {
        assert_eq!(Source::parse(text), Ok(Source::Git(text.to_string())));
    }
    for text in ["--all", "a..b", "a b", "main^{tree}", "$(x)", "/x", "@{u}"] {
        assert!(!is_revision(text), "{text:?}");
    }
    assert!(is_revision("release/1.2") && is_revision("v1.2.0-rc.1+3"));
}

#[test]
fn names_are_those_of_imports() {
    assert!(is_name("tuning") && is_name("optics_2"));
    for name in ["Tuning", "2optics", "tuning-tools", "a/b", "facility", ""] {
        assert!(!is_name(name), "{name:?}");
    }
}

struct Files(&'static str);

impl fodo_devices::Files for Files {
    fn text(&self, path: &str) -> Option<std::sync::Arc<str>> {
        (path == fodo_libraries::LOCK_FILE).then(|| self.0.into())
    }

    fn shown(&self, path: &str) -> String {
        path.to_string()
    }
}

#[test]
fn a_lock_that_was_written_badly_says_where() {
    let whole = "[a]\nversion = \"1.0.0\"\nsource = \"https://h/a\"\nrevision = \"0123456789012345678901234567890123456789\"\n\
                 content = \"sha256:0123456789012345678901234567890123456789012345678901234567890123\"\nwanted_by = [\"facility\"]\n\n\
                 [a.changes]\nmeasure_a = [\"HCOR\", \"q\\\"x\"]\n";
    let lock = Lock::read(&Files(whole)).unwrap();
    assert_eq!(lock.libraries["a"].changes["measure_a"], ["HCOR", "q\"x"]);
    assert!(lock.to_text().ends_with(whole), "{}", lock.to_text());
    for (text, what) in [
        ("[a]\nversion = \"1\"\n", "is no version"),
        ("[a]\nversion = \"1.0.0\"\nrevision = \"--x\"\n", "must be a whole revision"),
        ("[a]\nversion = \"1.0.0\"\ncontent = \"sha256:../../x\"\n", "64 hexadecimal digits"),
        ("[a]\nversion = \"1.0.0\"\nfoo = 1\n", "`content`"),
        ("[\"../../x\"]\nversion = \"1.0.0\"\n", "is no name of a library"),
        ("a = 1\n", "`a` is not a key"),
    ] {
        let error = Lock::read(&Files(text)).unwrap_err();
        assert!(error.message.contains(what) && !error.labels.is_empty(), "{text}: {error}");
    }
}

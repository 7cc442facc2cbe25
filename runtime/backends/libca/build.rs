//! Lets the tests find libca where they were linked to it.

fn main() {
    println!("cargo::rerun-if-env-changed=EPICS_BASE");
    let base = std::env::var("EPICS_BASE").unwrap_or_default();
    let [os, architecture] =
        ["OS", "ARCH"].map(|what| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default());
    if std::env::var_os("CARGO_FEATURE_LIBCA").is_some() && !base.is_empty() {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{base}/lib/{os}-{architecture}");
    }
}

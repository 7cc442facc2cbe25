//! Compiles the C++ side against libtango, if it is wanted.

fn main() {
    #[cfg(feature = "libtango")]
    shim();
}

#[cfg(feature = "libtango")]
fn shim() {
    let Ok(tango) = pkg_config::Config::new().cargo_metadata(true).probe("tango") else {
        println!(
            "cargo::error=libtango was not found: apt-get install libtango-dev pkg-config g++ (tests/setup/tango.sh)"
        );
        return;
    };
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(false).opt_level(2);
    // some distributions keep tango.h one level deeper
    build.includes(&tango.include_paths).includes(tango.include_paths.iter().map(|folder| folder.join("tango")));
    for file in ["client", "server"] {
        build.file(format!("cpp/{file}.cpp"));
    }
    println!("cargo::rerun-if-changed=cpp");
    build.compile("fodo_tango_shim");
}

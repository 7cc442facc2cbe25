//! The process that serves, for tests of this crate; the program `fodo` starts itself instead.

fn main() -> std::process::ExitCode {
    match fodo_tango::serve_process() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(_) => std::process::ExitCode::FAILURE,
    }
}

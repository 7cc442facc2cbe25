//! Works for `benches/pva.py`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measurement, not the product

use fodo_pva::PvAccess;

#[path = "../../epics/examples/works/mod.rs"]
mod works;

fn main() {
    works::work(|| PvAccess::new().unwrap());
}

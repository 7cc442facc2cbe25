//! Times one piece of work on a lattice: `bench LATTICE WORK` prints one line of JSON.
//!
//! The line holds `cpu_seconds` per work, `count` (how often the unit of the work was done), and `check`: numbers which
//! other codes have to agree on. A work that is not known here is answered with `"not_built": true`.

mod clock;
mod counted;
mod peak;
mod works;

use fodo_lattice::Lattice;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(work)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bench LATTICE WORK".into());
    };
    let lattice = Lattice::load(&path)?;
    let mut line = match work.as_str() {
        "peak" => peak::measure()?,
        "operations" => counted::measure(&lattice)?,
        "threads" => works::threads(&lattice),
        _ => works::measure(&lattice, &work)?.unwrap_or_else(|| json!({ "not_built": true })),
    };
    line["work"] = Value::from(work);
    println!("{line}");
    Ok(())
}

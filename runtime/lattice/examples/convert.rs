//! Writes any lattice file to standard output, in our own format or with `at_json` in that of the Accelerator Toolbox.

use fodo_lattice::{Lattice, formats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: convert LATTICE [at_json]")?;
    let lattice = Lattice::load(&path)?;
    eprintln!("{}: {} elements, {} m", lattice.name, lattice.elements.len(), lattice.length());
    match arguments.next().as_deref() {
        None => print!("{}", formats::fodo::write(&lattice)?),
        Some("at_json") => print!("{}", formats::at_json::write(&lattice)),
        Some(other) => return Err(format!("unknown format {other}; known: at_json").into()),
    }
    Ok(())
}

//! Writes any lattice file in our own format to standard output.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: convert LATTICE")?;
    let lattice = fodo_lattice::Lattice::load(&path)?;
    eprintln!("{}: {} elements, {} m", lattice.name, lattice.elements.len(), lattice.length());
    print!("{}", fodo_lattice::formats::fodo::write(&lattice)?);
    Ok(())
}

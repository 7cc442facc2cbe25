//! Physics at the command line: any lattice file, summarised and tracked through.

mod lattice;
mod numerics;
mod track;

//! Families, devices and their fields, read from a facility folder: a ring, a transfer line, a linac.
//!
//! A facility is data: `facility.toml`, `families.toml`, a lattice, curves. This crate reads and
//! checks the tables and joins them with the lattice: which device stands where, which channel is
//! which field, in which units, within which limits. It reads no machine and runs no script.

mod calibrate;
mod camera;
mod combined;
mod compare;
mod cycle;
mod facility;
mod family;
mod field;
mod files;
mod injection;
mod machine;
mod pattern;
mod place;
mod pyaml;
mod rigidity;
pub mod strength;
mod supply;
mod table;
mod watchers;

pub use camera::Camera;
pub use combined::{Combined, Given};
pub use compare::{Finding, Subject, Wanted, wanted};
pub use cycle::{Cycle, Wave};
pub use facility::{ArchiveKind, ArchivePlace, Facility, OrbitRoles};
pub use family::{Device, Family, SOURCES};
pub use field::{Field, Quantities, Source};
pub use files::{Files, Folder};
pub use injection::InjectionDesign;
pub use machine::{Entrance, MachineKind};
pub use pattern::glob;
pub use place::Place;
pub use pyaml::PyamlConfiguration;
pub use rigidity::rigidity;
pub use supply::{Fed, supplies};
pub use table::{Table, open_tables};
pub use watchers::{Feedback, Watcher};

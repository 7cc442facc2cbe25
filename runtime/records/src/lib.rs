//! A run as data.
//!
//! While a run goes on, everything that happens to the machine goes into one SQLite file with a
//! write-ahead log: it survives `kill -9` and power loss. When the run ends, or at the first use
//! after a kill, the log becomes one HDF5 file in NeXus layout that h5py reads as it is. Beside the runs:
//! the change log, snapshots of setpoints, and results kept for later.
//!
//! The crate knows channels, commands and readings. It must not know families, scripts, lattices
//! or what a run was for; whoever starts the run says so in the [`RunCard`].

mod card;
mod changes;
mod content;
mod export;
mod folder;
mod index;
mod log;
mod record;
mod results;
mod snapshot;
mod texts;

pub use card::{ChannelNote, LibraryNote, Outcome, RunCard, SetpointValue};
pub use changes::{All, ChangeLine, ChangeLog, Writer};
pub use index::{RunState, RunSummary, finish_interrupted, runs};
pub use record::Record;
pub use results::{KeptResult, Results};
pub use snapshot::{Snapshot, Snapshots};

//! What a control system is, and the only way to write to one.
//!
//! Below stands the [`Backend`]: connect, read, write, metadata, clock. Above stands the
//! [`Session`]: one machine, one operator, one transaction at a time. A backend writes only with a
//! [`Permit`], which only the transaction of this crate can make: every change is checked as a
//! whole, journalled, arrives, and is committed or put back. The crate knows channels and numbers;
//! families, magnets and scripts are above it.

mod archive;
mod backend;
mod beside;
mod branch;
mod cancel;
mod clocks;
pub mod conformance;
mod entries;
mod event;
mod history;
mod host;
mod journal;
mod lease;
mod marks;
mod moment;
mod monitor;
mod plant;
mod pulse;
mod reading;
mod recover;
mod rehearsal;
mod restore;
mod role;
mod router;
mod session;
mod setpoint;
mod transaction;
mod until;
mod watch;
mod write;

pub use archive::{Archive, Samples};
pub use backend::{Backend, Fresh, Metadata, Permit, Write};
pub use beside::Work;
pub use branch::{Branch, off_branch};
pub use cancel::{Cancel, Stopped};
pub use entries::{Entries, entry};
pub use event::{Event, Observer};
pub use history::Committed;
pub use host::{Host, Outlet, Puts, Stage};
pub use journal::JournalFolder;
pub use lease::{Holder, LeaseFolder, Leased, Life, host, user};
pub use monitor::{Counts, Feed, Keep, Monitor, Update};
pub use plant::{Alarms, ChannelInfo, Happened, Plant, Shape, Trainer, Victim};
pub use pulse::{Pulse, Pulses};
pub use reading::{Channel, Fault, Form, Reading, Time, Validity, Value, span};
pub use recover::{Interrupted, Outcome, Recovery};
pub use role::{Acting, Role};
pub use router::Router;
pub use session::{RunInfo, Session, SessionOptions, WriteMode};
pub use setpoint::{Change, Guard, Physics, Setpoint};
pub use transaction::{Putback, Savepoint, Standing};
pub use until::Until;
pub use watch::{Broken, Condition, Owner, Then};

//! TANGO: the client behind `control = "tango"`, and the server behind `fodo serve --protocol tango`.
//!
//! [`Tango`] is a [`fodo_control::Backend`] over libtango, [`TangoOutlet`] shows any
//! [`fodo_control::Plant`] as devices, from a process of its own that runs [`serve_process`]. libtango is
//! C++: all of it is behind the C interface of `cpp/shim.h`, and no exception and no type of it comes
//! through. Without the feature `libtango` this crate holds nothing but the names of channels
//! ([`Address`]) and needs nothing installed.

mod address;
#[cfg(feature = "libtango")]
mod client;
#[cfg(feature = "libtango")]
mod device;
#[cfg(feature = "libtango")]
mod ffi;
#[cfg(feature = "libtango")]
mod follow;
#[cfg(feature = "libtango")]
mod frames;
#[cfg(feature = "libtango")]
mod outlet;
#[cfg(feature = "libtango")]
mod pool;
#[cfg(feature = "libtango")]
mod process;
#[cfg(feature = "libtango")]
mod values;

pub use address::{Address, What};
#[cfg(feature = "libtango")]
pub use client::Tango;
#[cfg(feature = "libtango")]
pub use outlet::{Database, ServeOptions, TangoOutlet};
#[cfg(feature = "libtango")]
pub use process::serve_process;

//! Works for `benches/channel_access.py`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measurement, not the product

use fodo_epics::ChannelAccess;

mod works;

fn main() {
    works::work(|| ChannelAccess::new().unwrap());
}

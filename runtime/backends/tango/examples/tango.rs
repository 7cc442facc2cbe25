//! Times calls: `tango HOST:PORT#dbase=no read|write TIMES CHANNEL...`; prints microseconds a call.
#![allow(clippy::unwrap_used)]

#[path = "../../epics/tests/common/lender.rs"]
mod lender;

use fodo_control::{Backend, Cancel, Channel, Fresh, Write};
use fodo_tango::Tango;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(3);

fn timed(times: u32, call: impl Fn()) {
    call();
    let start = Instant::now();
    (0..times).for_each(|_| call());
    println!("{:.1}", start.elapsed().as_secs_f64() / f64::from(times) * 1e6);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, home, what, times, names @ ..] = &arguments[..] else { return };
    let times = times.parse().unwrap();
    let tango = Tango::at(home).unwrap();
    let channels: Vec<Channel> = names.iter().map(|name| name.as_str().into()).collect();
    if what == "read" {
        return timed(times, || {
            let read = tango.read(&channels, Fresh::Latest, WAIT, &Cancel::new()).unwrap();
            assert!(read.iter().all(Result::is_ok), "not read");
        });
    }
    lender::with_permit(move |permit| {
        let writes: Vec<Write> = channels.iter().map(|channel| Write::number(channel, 1.5)).collect();
        timed(times, || {
            let written = tango.write(permit, &writes, WAIT, &Cancel::new()).unwrap();
            assert!(written.iter().all(Result::is_ok), "not written");
        });
    });
}

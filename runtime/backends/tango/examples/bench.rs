//! Times reads and writes: `bench HOST:PORT#dbase=no DEVICE`; prints microseconds a read, one and ten attributes.
use fodo_control::{Backend, Cancel, Channel, Fresh};
use fodo_tango::Tango;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, home, device] = &arguments[..] else { return };
    let Ok(tango) = Tango::at(home) else { return };
    let time = |names: &[Channel]| {
        let read = || tango.read(names, Fresh::Latest, Duration::from_secs(3), &Cancel::new());
        assert!(read().is_ok_and(|all| all.iter().all(Result::is_ok)), "not read");
        let start = Instant::now();
        (0..2000).for_each(|_| drop(read()));
        start.elapsed().as_secs_f64() / 2000.0 * 1e6
    };
    for _ in 0..5 {
        let ten: Vec<Channel> = (0..10).map(|n| format!("{device}/many{n}").into()).collect();
        println!("{:.1} {:.1}", time(&ten[..1]), time(&ten));
    }
}

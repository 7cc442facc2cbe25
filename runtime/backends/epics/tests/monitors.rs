//! Many monitors at once: nothing lost for who keeps up, the newest for who does not.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use fodo_control::{Backend, Cancel, Channel, Fresh, Keep};
use fodo_epics::ChannelAccess;
use std::time::{Duration, Instant};

/// Counters that go up by one ten times a second; their names and their database.
fn counters(ioc: &Ioc, count: usize) -> (Vec<Channel>, String) {
    let names: Vec<Channel> = (0..count).map(|n| format!("T:M{n}").into()).collect();
    let record = |name: &Channel| {
        format!("record(calc,\"{name}\"){{field(CALC,\"A+1\")field(INPA,\"{name}\")field(SCAN,\".1 second\")}}\n")
    };
    std::fs::create_dir_all(&ioc.folder).unwrap();
    let path = ioc.folder.join("counters.db");
    std::fs::write(&path, names.iter().map(record).collect::<String>()).unwrap();
    (names, path.to_str().unwrap().to_owned())
}

#[test]
fn a_thousand_monitors_lose_nothing_and_a_slow_reader_gets_the_newest() {
    if !epics() {
        return;
    }
    let ioc = Ioc::new("monitors");
    let (names, database) = counters(&ioc, 1000);
    ioc.start_only(&[&database], "0");
    let access = ChannelAccess::at(&[address(ioc.port)]).unwrap();
    assert!(access.connect(&names, 10 * SECOND, &Cancel::new()).unwrap().is_empty());
    let (every, newest) = (access.monitor(&names, Keep::Every(1000)), access.monitor(&names, Keep::Newest));

    let mut last: Vec<Option<f64>> = vec![None; names.len()];
    let (begin, mut seen) = (Instant::now(), 0);
    while begin.elapsed() < 3 * SECOND {
        for update in every.next(Duration::from_millis(100), &Cancel::new()).unwrap() {
            let count = update.reading.unwrap().value.number().unwrap();
            let before = last[update.place].replace(count);
            // the present value at the beginning may come again as the first update
            let follows = before.is_none_or(|before| count == before + 1.0 || (count == before && seen < 4000));
            assert!(follows, "{}: {count} after {before:?}", names[update.place]);
            seen += 1;
        }
    }
    eprintln!("RATE {:.0} updates a second", f64::from(seen) / begin.elapsed().as_secs_f64());
    assert!(last.iter().all(Option::is_some) && seen > 5000, "{seen}");
    assert_eq!(every.counts().lost, 0);

    // one update of each channel has waited for the slow reader: a late one
    let now = access.read(&names, Fresh::Latest, SECOND, &Cancel::new()).unwrap();
    let updates = newest.next(SECOND, &Cancel::new()).unwrap();
    assert_eq!(updates.len(), names.len());
    for update in updates {
        let (count, known) = (update.reading.unwrap().value.number().unwrap(), number(&now[update.place]));
        assert!(count >= known, "{}: {count}, known before: {known}", names[update.place]);
    }
    let counts = newest.counts();
    assert!(counts.replaced + counts.lost + 1000 <= counts.received && counts.lost == 0, "{counts:?}");
}

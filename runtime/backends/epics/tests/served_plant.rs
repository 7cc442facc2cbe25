//! The server, seen by the tools of EPICS base, by pyepics and by our own client.
#![allow(clippy::unwrap_used)]

mod common;
mod fake_plant;

use common::*;
use fake_plant::FakePlant;
use fodo_control::{Backend, Cancel, Channel, Fresh, Time, Validity, Write};
use fodo_epics::{ChannelAccess, ServeOptions};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

fn served(plant: &Arc<FakePlant>) -> Served {
    start(plant.clone(), ServeOptions { port: 0, ..ServeOptions::default() }, Cancel::new()).unwrap()
}

fn both() -> Option<(Arc<FakePlant>, Served)> {
    if !epics() {
        return None;
    }
    let plant = Arc::new(FakePlant::new(4, 8));
    let server = served(&plant);
    Some((plant, server))
}

#[test]
fn caget_sees_value_unit_precision_and_limits() {
    let Some((_plant, server)) = both() else { return };
    let text = run(tool("caget", server.port()).args(["-d", "DBR_CTRL_DOUBLE", "SP:1", "ORBIT:X"]));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in ["Units: A", "Precision: 4", "Lo ctrl limit: -10", "Hi ctrl limit: 10", "Units: mm", "Element count: 8"]
    {
        assert!(words.contains(line), "{line} is not in\n{text}");
    }
    let text = run(tool("cainfo", server.port()).args(["SP:1", "RB:1"]));
    assert!(text.contains("read, write") && text.contains("read, no write"), "{text}");
    let text = run(tool("caget", server.port()).args(["-a", "RB:1"]));
    let year = run(std::process::Command::new("date").arg("+%Y-%m-%d"));
    assert!(text.contains(year.trim()), "{text}");
    let text = run(tool("caget", server.port()).args(["-w", "0.5", "NO:1"]));
    assert!(text.contains("not found"), "{text}");
}

#[test]
fn caput_writes_or_is_refused() {
    let Some((plant, server)) = both() else { return };
    let caput = |name: &str, value: &str| run(tool("caput", server.port()).args(["-c", name, value]));
    let text = caput("SP:1", "2.5");
    assert!(text.contains("New : SP:1") && text.contains("2.5"), "{text}");
    assert_eq!(plant.setpoint(1), 2.5);
    for (name, value) in [("SP:1", "11"), ("SP:1", "nonsense"), ("SP:1", "nan"), ("RB:1", "1"), ("SP:STUCK", "1")] {
        let text = caput(name, value);
        assert!(text.contains("ERROR") || text.contains("denied") || text.contains("failed"), "{name} {value}: {text}");
    }
    let text = run(tool("caput", server.port()).args(["SP:1", "11"]));
    assert!(text.contains("2.5"), "{text}");
    assert_eq!(plant.setpoint(1), 2.5);
    let text = run(tool("caget", server.port()).args(["-t", "SP:1", "RB:1", "SP:STUCK"]));
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["2.5", "2.5", "0"]);
}

#[test]
fn camonitor_sees_a_shot_every_period() {
    let Some((plant, server)) = both() else { return };
    let mut monitor = tool("camonitor", server.port())
        .args(["-t", "sI", "-#", "1", "ORBIT:X", "RB:2", "SP:2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let text = run(tool("caput", server.port()).args(["-c", "SP:2", "3"]));
    assert!(text.contains("New"), "{text}");
    std::thread::sleep(Duration::from_millis(500));
    monitor.kill().unwrap();
    let text = String::from_utf8(monitor.wait_with_output().unwrap().stdout).unwrap();
    let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    eprintln!("{} shots of ORBIT:X, {} of RB:2, {} of SP:2", lines("ORBIT:X"), lines("RB:2"), lines("SP:2"));
    assert!(lines("ORBIT:X") >= 15, "{text}");
    assert_eq!((lines("RB:2"), lines("SP:2")), (2, 2), "{text}");
    assert_eq!(plant.setpoint(2), 3.0);
}

/// A running camonitor and its lines as they come; dropping it is a `kill -9`.
struct Monitor {
    program: Child,
    lines: Receiver<String>,
}

impl Monitor {
    /// One that has shown the first value of each of `names`.
    fn new(port: u16, names: &[&str]) -> Monitor {
        let mut command = tool("camonitor", port);
        command.args(["-t", "sI"]).args(names).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = command.spawn().unwrap();
        let output = BufReader::new(program.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let monitor = Monitor { program, lines };
        names.iter().for_each(|_| drop(monitor.lines.recv_timeout(5 * SECOND).unwrap()));
        monitor
    }

    /// Ends it as Ctrl-C does, so that it says goodbye.
    fn interrupt(&mut self) {
        run(std::process::Command::new("kill").args(["-INT", &self.program.id().to_string()]));
        let end = Instant::now() + 10 * SECOND;
        while self.program.try_wait().unwrap().is_none() {
            // as where tests are started in the background of a shell, with SIGINT ignored
            assert!(Instant::now() < end, "the client does not hear SIGINT: start the tests in the foreground");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether `name` comes with `value` soon.
    fn shows(&self, name: &str, value: f64) -> bool {
        let end = Instant::now() + 2 * SECOND;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[0] == name && words.iter().any(|word| word.parse() == Ok(value)) {
                return true;
            }
        }
        false
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ended_already = self.program.kill();
        let _ended = self.program.wait();
    }
}

#[test]
fn what_nobody_could_see_is_there_when_it_is_opened() {
    let Some((_plant, server)) = both() else { return };
    let port = server.port();
    let write = |value: f64| {
        let writer = Arc::new(ChannelAccess::at(&[address(port)]).unwrap());
        assert!(put(&writer, &[("SP:1", value)], 3 * SECOND)[0].is_ok());
    };
    for value in [1.25, -2.5, 3.75] {
        write(value);
        let mut monitor = tool("camonitor", port).arg("RB:1").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(monitor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        monitor.kill().unwrap();
        monitor.wait().unwrap();
        assert!(line.split_whitespace().any(|word| word.parse() == Ok(value)), "{value}: {line}");
        write(value + 0.5);
        let text = run(tool("caget", port).args(["-t", "RB:1"]));
        assert_eq!(text.trim().parse(), Ok(value + 0.5), "{text}");
    }
}

#[test]
fn a_channel_with_a_filter_is_followed() {
    let Some((_plant, server)) = both() else { return };
    let name = r#"RB:1.{"dbnd":{"abs":0.5}}"#;
    let filtered = Monitor::new(server.port(), &[name]);
    let writer = Arc::new(ChannelAccess::at(&[address(server.port())]).unwrap());
    let write = |value: f64| assert!(put(&writer, &[("SP:1", value)], 3 * SECOND)[0].is_ok());
    write(2.0);
    assert!(filtered.shows(name, 2.0));
    drop(filtered);
    write(3.0);
    let again = Monitor::new(server.port(), &[name]);
    write(4.0);
    assert!(again.shows(name, 4.0));
}

#[test]
fn a_client_that_leaves_takes_only_its_own_monitors() {
    let Some((plant, server)) = both() else { return };
    let port = server.port();
    let names = ["SP:1", "RB:1"];
    let stays = Monitor::new(port, &names);
    let ours = ChannelAccess::at(&[address(port)]).unwrap();
    assert!(ours.connect(&channels(&names), 3 * SECOND, &Cancel::new()).unwrap().is_empty());
    let mut value = 0.0;
    let mut all_hear = |who: &str, others: &[&Monitor]| {
        for _ in 0..3 {
            value += 0.25;
            let writer = Arc::new(ChannelAccess::at(&[address(port)]).unwrap());
            assert!(put(&writer, &[("SP:1", value)], 3 * SECOND)[0].is_ok());
            drop(writer);
            for monitor in others.iter().chain([&&stays]) {
                assert!(monitor.shows("SP:1", value) && monitor.shows("RB:1", value), "{value} after {who}");
            }
            let latest = || ours.read(&channels(&names), Fresh::Latest, SECOND, &Cancel::new()).unwrap();
            let heard = || latest().iter().all(|reading| number(reading) == value);
            let end = Instant::now() + 2 * SECOND;
            while !heard() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(heard(), "{:?} after {who}", latest());
        }
    };
    all_hear("nobody left", &[]);
    let mut polite = Monitor::new(port, &names);
    let killed = Monitor::new(port, &names);
    all_hear("two came", &[&polite, &killed]);
    polite.interrupt();
    all_hear("one ended", &[&killed]);
    drop(killed);
    all_hear("one was killed", &[]);
    for _ in 0..3 {
        drop(Monitor::new(port, &["RB:1", "SP:1"]));
    }
    all_hear("three came and went", &[]);
    assert_eq!(plant.setpoint(1), value);
}

#[test]
fn many_clients_that_come_and_go_leave_the_others_alone() {
    let plant = Arc::new(FakePlant::new(50, 8));
    let server = served(&plant);
    let at = [address(server.port())];
    let names: Vec<Channel> = (0..50).map(|n| format!("SP:{n}").into()).collect();
    let watch = || {
        let client = ChannelAccess::at(&at).unwrap();
        assert!(client.connect(&names, 5 * SECOND, &Cancel::new()).unwrap().is_empty());
        client
    };
    // who stays comes while others go
    let (stay, writer) = std::thread::scope(|scope| {
        let guests: Vec<_> = (0..3).map(|_| scope.spawn(|| (0..8).for_each(|_| drop(watch())))).collect();
        let stay: Vec<ChannelAccess> = (0..4).map(|_| watch()).collect();
        guests.into_iter().for_each(|guest| guest.join().unwrap());
        (stay, Arc::new(watch()))
    });
    let writes: Vec<(String, f64)> = (0..50).map(|n| (format!("SP:{n}"), 0.125 + f64::from(n) / 8.0)).collect();
    let written: Vec<(&str, f64)> = writes.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert!(put(&writer, &written, 3 * SECOND).iter().all(Result::is_ok));
    std::thread::sleep(SECOND / 2);
    for client in &stay {
        let seen = client.read(&names, Fresh::Latest, SECOND, &Cancel::new()).unwrap();
        let deaf = seen.iter().zip(&written).filter(|(seen, (_, value))| number(seen) != *value).count();
        assert_eq!(deaf, 0, "monitors of 50 heard nothing");
    }
}

#[test]
fn setpoint_readback_and_shot_follow_each_other_in_time() {
    let plant = Arc::new(FakePlant::new(2, 4));
    let server = served(&plant);
    let access = Arc::new(ChannelAccess::at(&[address(server.port())]).unwrap());
    let names = channels(&["SP:1", "RB:1", "ORBIT:X"]);
    assert!(access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap().is_empty());
    let before = plant.computations.load(Ordering::Relaxed);
    for step in 1..=10 {
        let value = f64::from(step) / 4.0;
        std::thread::sleep(Duration::from_millis(37));
        let asked = Time::wall();
        assert!(put(&access, &[("SP:1", value)], SECOND)[0].is_ok());
        let done = Time::wall();
        let shot = access.read(&names[2..], Fresh::After(done, 2 * SECOND), 3 * SECOND, &Cancel::new()).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let pair = access.read(&names[..2], Fresh::Latest, SECOND, &Cancel::new()).unwrap();
        assert_eq!((number(&pair[0]), number(&pair[1])), (value, value));
        let times = [&pair[0], &pair[1], &shot[0]].map(|reading| reading.as_ref().unwrap().time);
        assert!(asked < times[0] && times[0] <= times[1] && times[1] < times[2], "{asked:?} {times:?}");
    }
    let computed = plant.computations.load(Ordering::Relaxed) - before;
    assert!(computed <= 11, "{computed} orbits for 10 puts");
}

#[test]
fn pyepics_reads_writes_and_sees_the_next_orbit() {
    let Some((_plant, server)) = both() else { return };
    let output = python(
        "import epics, time
sp, rb, orbit = epics.PV('SP:3'), epics.PV('RB:3'), epics.PV('ORBIT:X')
assert all(pv.wait_for_connection(5) for pv in (sp, rb, orbit))
before = orbit.get(); assert len(before) == 8 and orbit.count == 8
stamps = []
orbit.add_callback(lambda timestamp=None, **k: stamps.append(timestamp))
sp.put(1.25, wait=True, timeout=5)
done = time.time()
assert sp.get(use_monitor=False) == 1.25
late = lambda: [s for s in stamps if s > done]
while time.time() < done + 5 and (rb.get() != 1.25 or len(late()) < 2): time.sleep(0.05)
assert rb.get() == 1.25 and rb.severity == 0
assert abs(orbit.get()[0] - 1.25) < 1e-12, orbit.get()
assert len(late()) >= 2 and late() == sorted(set(late())), (done, stamps)
c = sp.get_ctrlvars(); assert (c['units'], c['precision'], c['lower_ctrl_limit'], c['upper_ctrl_limit']) == ('A', 4, -10.0, 10.0), c
assert not rb.write_access and sp.write_access
import numpy; assert numpy.isnan(epics.PV('LOST').get()) and epics.PV('LOST').get_timevars() is not None
assert epics.PV('LOST').severity == 3
print('fine')",
        server.port(),
    );
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("fine"), "{text}");
}

#[test]
fn our_client_closes_the_loop() {
    let plant = Arc::new(FakePlant::new(600, 64));
    let server = served(&plant);
    let access = Arc::new(ChannelAccess::at(&[address(server.port())]).unwrap());
    let names: Vec<Channel> = (0..600).map(|n| format!("SP:{n}").into()).collect();
    let start = Instant::now();
    assert!(access.connect(&names, 3 * SECOND, &Cancel::new()).unwrap().is_empty());
    eprintln!("RATE connect 600 to our server: {:?}", start.elapsed());
    let before = plant.computations.load(Ordering::Relaxed);
    let start = Instant::now();
    let writes: Vec<Write> = names[..576].iter().map(|name| Write::number(name, 0.5)).collect();
    let writer = access.clone();
    let answers = with_permit(move |permit| writer.write(permit, &writes, 3 * SECOND, &Cancel::new()).unwrap());
    let took = start.elapsed();
    assert!(answers.iter().all(Result::is_ok));
    let computed = plant.computations.load(Ordering::Relaxed) - before;
    eprintln!("RATE put 576 to our server: {took:?}, {computed} orbits computed meanwhile");
    // a series of writes is shown every 20 ms
    assert!(computed <= 2 + took.as_millis() as usize / 20, "{computed} computations in {took:?}");
    let done = Time::wall();
    let orbit =
        access.read(&channels(&["ORBIT:X"]), Fresh::After(done, 2 * SECOND), 3 * SECOND, &Cancel::new()).unwrap();
    let orbit = orbit[0].as_ref().unwrap();
    assert!(orbit.time > done && (orbit.value.entries()[0] - 288.0).abs() < 1e-9, "{:?}", orbit.value.entries()[0]);
    let lost = access.read(&channels(&["LOST"]), Fresh::Latest, SECOND, &Cancel::new()).unwrap();
    let lost = lost[0].as_ref().unwrap();
    assert!(lost.value.number().unwrap().is_nan() && matches!(lost.validity, Validity::Invalid(_)), "{lost:?}");
    let refused = put(&access, &[("SP:STUCK", 1.0), ("RB:1", 1.0), ("SP:1", 11.0), ("SP:2", 4.0)], SECOND);
    assert!(refused[..3].iter().all(|answer| answer.as_ref().is_err_and(|fault| !fault.absent)), "{refused:?}");
    assert!(refused[3].is_ok() && plant.setpoint(1) == 0.5 && plant.setpoint(2) == 4.0);
}

#[test]
fn long_rows_travel_whole() {
    if !epics() {
        return;
    }
    let plant = Arc::new(FakePlant::new(1, 65_536));
    let server = served(&plant);
    let access = Arc::new(ChannelAccess::at(&[address(server.port())]).unwrap());
    assert!(put(&access, &[("SP:0", 0.125)], SECOND)[0].is_ok());
    let fresh = Fresh::After(Time::wall(), SECOND);
    let row = access.read(&channels(&["ORBIT:X"]), fresh, 3 * SECOND, &Cancel::new()).unwrap().remove(0).unwrap();
    assert_eq!(row.value.entries(), vec![0.125; 65_536]);
    let code = "import epics; v = epics.caget('ORBIT:X'); print(len(v), v.min(), v.max())";
    assert_eq!(String::from_utf8_lossy(&python(code, server.port()).stdout).trim(), "65536 0.125 0.125");
}

#[test]
fn no_beam_is_invalid_and_not_stale() {
    let plant = Arc::new(FakePlant::new(2, 4));
    let server = served(&plant);
    let access = ChannelAccess::at(&[address(server.port())]).unwrap();
    let orbit = channels(&["ORBIT:X"]);
    let read = |after| {
        let fresh = Fresh::After(after, 2 * SECOND);
        access.read(&orbit, fresh, 3 * SECOND, &Cancel::new()).unwrap().remove(0).unwrap()
    };
    assert_eq!(read(Time::wall()).validity, Validity::Good);
    plant.beam.store(false, Ordering::Relaxed);
    let lost = read(Time::wall().after(Duration::from_millis(100)));
    assert!(matches!(lost.validity, Validity::Invalid(_)), "{lost:?}");
    plant.beam.store(true, Ordering::Relaxed);
    assert_eq!(read(Time::wall().after(Duration::from_millis(100))).validity, Validity::Good);
}

#[test]
fn it_stops_at_once_and_clients_know() {
    let plant = Arc::new(FakePlant::new(2, 4));
    let port = port();
    let cancel = Cancel::new();
    let (own, stop) = (plant.clone(), cancel.clone());
    let server = start(own, ServeOptions { port, ..ServeOptions::default() }, stop).unwrap();
    let access = ChannelAccess::at(&[address(port)]).unwrap();
    let names = channels(&["SP:1"]);
    assert!(access.connect(&names, 5 * SECOND, &Cancel::new()).unwrap().is_empty());
    let taken = start(plant.clone(), ServeOptions { port, ..ServeOptions::default() }, Cancel::new()).err().unwrap();
    assert!(taken.message.contains(&port.to_string()), "{}", taken.message);
    let start_time = Instant::now();
    cancel.stop();
    while server.is_running() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(start_time.elapsed() < Duration::from_millis(500), "{:?}", start_time.elapsed());
    std::thread::sleep(Duration::from_millis(200));
    let fault = access.read(&names, Fresh::Latest, SECOND, &Cancel::new()).unwrap().remove(0).unwrap_err();
    assert!(fault.absent, "{fault}");
    // the port is free again, and the client finds the new server by itself
    let again = start(plant, ServeOptions { port, ..ServeOptions::default() }, Cancel::new()).unwrap();
    let back = Instant::now();
    assert!(access.connect(&names, 20 * SECOND, &Cancel::new()).unwrap().is_empty());
    eprintln!("back {:?} after the restart", back.elapsed());
    drop(again);
}

#[test]
fn what_is_read_after_a_write_is_what_it_did() {
    let Some((_plant, server)) = both() else { return };
    let code = "
import asyncio, aioca
async def main():
    names = ['SP:1', 'SP:2', 'SP:3']
    for step in range(1, 30):
        await aioca.caput('SP:0', step / 4, wait=True)
        one = (await aioca.caget('ORBIT:X'))[0] - step / 4
        await aioca.caput(names, [step / 8] * 3, wait=True)
        three = (await aioca.caget('ORBIT:X'))[0] - step / 4 - 3 * step / 8
        if three != 0 or one != 3 * (step - 1) / 8:
            print('late:', step, one, three)
    print('done')
asyncio.run(main())
";
    let output = python(code, server.port());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.trim(), "done", "{}", String::from_utf8_lossy(&output.stderr));
}

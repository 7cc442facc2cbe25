//! The client: a backend of the control crate over libtango.

use crate::address::{Address, What};
use crate::device::Device;
use crate::ffi::{Failure, Proxy, Sent};
use crate::follow::Followers;
use crate::pool::{Batch, Job, Pool};
use crate::values::{self, fault, span};
use fodo_control::{
    Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Value, Write,
};
use fodo_report::Result;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two questions for a sample that is not there yet.
const AGAIN: Duration = Duration::from_millis(20);

/// A TANGO client.
///
/// The channels are attributes, commands and properties; [`Address`] says how they are written. Names
/// without a host are looked for in the database of `TANGO_HOST`, or, where that ends with `#dbase=no`,
/// on that device server. The channels of one device are read, and written, in one call; devices are
/// asked at the same time from a few threads, each call with a connection of its own. A reading asks
/// the device server, which may answer from its polling buffer; [`Fresh::After`] waits for a later
/// sample, and asks the hardware when none comes. A call that is stopped, or late, returns at once; what
/// libtango was doing goes on in its thread until its own time-out, so that a write may still arrive.
///
/// A monitor takes change events where the attribute sends them, and asks once a second whether the
/// device is still there. Where it sends none it is polled every `FODO_TANGO_POLL` milliseconds
/// (200), and read after each write of this client, so that no such change is missed.
///
/// Reading a command runs it, without argument; one that returns nothing has to be written, as everything
/// that changes the machine.
pub struct Tango {
    home: Option<String>,
    devices: Mutex<HashMap<Arc<str>, Arc<Device>>>,
    pool: Pool,
    followers: Followers,
}

/// A channel with its device.
#[derive(Clone)]
pub struct Target {
    /// Its name, as asked for.
    pub channel: Channel,
    /// The device.
    pub device: Arc<Device>,
    /// What of it.
    pub what: What,
}

/// Targets of one device with their places in the question.
type Group = Vec<(usize, Target)>;

impl Tango {
    /// A client that looks for names without host where `TANGO_HOST` says.
    ///
    /// # Errors
    /// `machine` if it gets no thread.
    pub fn new() -> Result<Tango> {
        Tango::with_home(std::env::var("TANGO_HOST").ok().filter(|home| home.contains('#')))
    }

    /// A client that looks for names without host in the database at `home`, `host:port`; with `#dbase=no`
    /// behind it, on that device server.
    ///
    /// # Errors
    /// As [`Tango::new`].
    pub fn at(home: &str) -> Result<Tango> {
        Tango::with_home(Some(home.to_owned()))
    }

    fn with_home(home: Option<String>) -> Result<Tango> {
        let pool = Pool::default();
        let followers = Followers::start(pool.clone())?;
        Ok(Tango { home, devices: Mutex::default(), pool, followers })
    }

    fn target(&self, channel: &Channel) -> std::result::Result<Target, Fault> {
        let address = Address::parse(channel, self.home.as_deref()).map_err(|why| Fault::absent(channel, why))?;
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let name = address.device;
        let device = devices.entry(name.clone()).or_insert_with(|| Arc::new(Device::new(&name))).clone();
        Ok(Target { channel: channel.clone(), device, what: address.what })
    }

    /// Does `work` for each device on a thread, and gives the answers in the order of the channels.
    fn each<T: Send + 'static>(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
        late: &str,
        work: impl Fn(i32, &[(usize, Target)]) -> Vec<std::result::Result<T, Fault>> + Send + Sync + 'static,
    ) -> std::result::Result<Vec<std::result::Result<T, Fault>>, Stopped> {
        cancel.check()?;
        let batch = Batch::new(channels.len(), Instant::now() + wait);
        let mut groups: HashMap<*const Device, Group> = HashMap::new();
        let mut order = Vec::new();
        for (place, channel) in channels.iter().enumerate() {
            match self.target(channel) {
                Ok(target) => {
                    let key = Arc::as_ptr(&target.device);
                    let group = groups.entry(key).or_insert_with(|| {
                        order.push(key);
                        Vec::new()
                    });
                    group.push((place, target));
                }
                Err(fault) => batch.set([(place, Err(fault))]),
            }
        }
        let work = Arc::new(work);
        let jobs = order.into_iter().filter_map(|key| groups.remove(&key)).map(|group| {
            let (work, batch) = (work.clone(), batch.clone());
            Box::new(move || {
                let Some(milliseconds) = batch.milliseconds() else { return };
                let answers = work(milliseconds, &group);
                batch.set(group.iter().map(|(place, _)| *place).zip(answers));
            }) as Job
        });
        self.pool.submit(jobs);
        let answers = batch.wait(&self.pool, cancel)?;
        let missing = |place: usize| Err(Fault::refused(&channels[place], late.replace("{}", &span(wait))));
        Ok(answers.into_iter().enumerate().map(|(place, one)| one.unwrap_or_else(|| missing(place))).collect())
    }

    fn read_once(
        &self,
        channels: &[Channel],
        direct: bool,
        wait: Duration,
        cancel: &Cancel,
    ) -> std::result::Result<Vec<std::result::Result<Reading, Fault>>, Stopped> {
        self.each(channels, wait, cancel, "no answer within {}", move |milliseconds, group| {
            read_group(milliseconds, group, direct)
        })
    }
}

impl Drop for Tango {
    fn drop(&mut self) {
        self.followers.close();
        self.pool.close();
    }
}

/// The same failure for all of a group.
fn all<T>(group: &[(usize, Target)], failure: &Failure, what: &str) -> Vec<std::result::Result<T, Fault>> {
    group.iter().map(|(_, target)| Err(fault(&target.channel, failure, what))).collect()
}

/// Reads what is wanted of one device: its attributes in one call, the rest one by one.
fn read_group(milliseconds: i32, group: &[(usize, Target)], direct: bool) -> Vec<std::result::Result<Reading, Fault>> {
    let device = &group[0].1.device;
    let names: Vec<String> = group.iter().filter_map(|(_, target)| attribute(target)).collect();
    let done = device.call(milliseconds, |proxy| {
        let mut attributes = if names.is_empty() { vec![] } else { device.read(proxy, &names, direct) }.into_iter();
        let one = |(_, target): &(usize, Target)| match &target.what {
            What::Attribute(_) => attributes.next().unwrap_or_else(|| Err(Failure::Refused("no answer".into()))),
            What::Command(name) => run(device, proxy, name),
            What::Property(name) => proxy.property(name).map(|sample| values::reading(sample, &[])),
        };
        group.iter().map(one).collect::<Vec<_>>()
    });
    match device.judge(done) {
        Ok(answers) => {
            let one = |((_, target), answer): (&(usize, Target), _)| {
                device.judge(answer).map_err(|failure| fault(&target.channel, &failure, ""))
            };
            group.iter().zip(answers).map(one).collect()
        }
        Err(failure) => all(group, &failure, ""),
    }
}

fn attribute(target: &Target) -> Option<String> {
    match &target.what {
        What::Attribute(name) => Some(name.clone()),
        _ => None,
    }
}

/// Reads a command by running it, if that may be.
fn run(device: &Device, proxy: &mut Proxy, name: &str) -> std::result::Result<Reading, Failure> {
    let info = device.command(proxy, name)?;
    let metadata = values::command_metadata(&info);
    if metadata.writable {
        let why = if info.kind == 0 {
            "returns nothing: it is no reading, write 1 to run it"
        } else {
            "takes an argument: write it"
        };
        return Err(Failure::Refused(format!("the command {why}")));
    }
    proxy.command(name, None).map(|sample| values::reading(sample, &[]))
}

/// Writes what is wanted of one device: its attributes in one call, or as many as a name that comes twice needs.
fn write_group(
    milliseconds: i32,
    group: &[(usize, Target)],
    values: &[Value],
    followers: &Followers,
) -> Vec<std::result::Result<(), Fault>> {
    let device = &group[0].1.device;
    let done = device.call(milliseconds, |proxy| {
        let mut answers: Vec<Option<std::result::Result<(), Fault>>> = (0..group.len()).map(|_| None).collect();
        let mut waiting: Vec<(usize, &str, Sent)> = Vec::new();
        let mut named = HashSet::new();
        for (at, (place, target)) in group.iter().enumerate() {
            let refused = |failure: &Failure| Err(fault(&target.channel, failure, "write refused: "));
            let said = |why: String| Err(Fault::refused(&target.channel, why));
            match &target.what {
                What::Property(_) => answers[at] = Some(said("write refused: properties are only read".into())),
                What::Command(name) => {
                    send(proxy, &mut waiting, group, &mut answers);
                    named.clear();
                    answers[at] = Some(match device.command(proxy, name) {
                        Err(failure) => refused(&failure),
                        Ok(info) => match values::argument(&values[*place], &info) {
                            Err(why) => said(why),
                            Ok(sent) => proxy.command(name, Some(&sent)).map(drop).or_else(|failure| refused(&failure)),
                        },
                    });
                }
                What::Attribute(name) => match device.attribute(proxy, name) {
                    Err(failure) => answers[at] = Some(refused(&failure)),
                    Ok(info) => match values::sent(&values[*place], &info) {
                        Err(why) => answers[at] = Some(said(why)),
                        Ok(sent) => {
                            if !named.insert(name.to_ascii_lowercase()) {
                                send(proxy, &mut waiting, group, &mut answers);
                                named.clear();
                                named.insert(name.to_ascii_lowercase());
                            }
                            waiting.push((at, name, sent));
                        }
                    },
                },
            }
        }
        send(proxy, &mut waiting, group, &mut answers);
        let written = group.iter().zip(&answers).filter(|(_, answer)| matches!(answer, Some(Ok(()))));
        let polled: Vec<Target> =
            written.map(|((_, target), _)| target.clone()).filter(|target| followers.polls(&target.channel)).collect();
        followers.read(proxy, &polled);
        answers
    });
    match device.judge(done) {
        Ok(answers) => {
            let answers: Vec<_> = answers
                .into_iter()
                .zip(group)
                .map(|(one, (_, target))| one.unwrap_or_else(|| Err(lost(target))))
                .collect();
            if answers
                .iter()
                .any(|answer| matches!(answer, Err(fault) if fault.absent || fault.reason.contains("IncompatibleAttr")))
            {
                device.forget();
            }
            answers
        }
        Err(failure) => all(group, &failure, ""),
    }
}

fn lost(target: &Target) -> Fault {
    Fault::refused(&target.channel, "libtango did not say whether it was written")
}

/// Sends the attributes that wait.
fn send(
    proxy: &mut Proxy,
    waiting: &mut Vec<(usize, &str, Sent)>,
    group: &[(usize, Target)],
    answers: &mut [Option<std::result::Result<(), Fault>>],
) {
    if waiting.is_empty() {
        return;
    }
    let (places, values): (Vec<usize>, Vec<(&str, Sent)>) =
        waiting.drain(..).map(|(at, name, sent)| (at, (name, sent))).unzip();
    for (at, end) in places.into_iter().zip(proxy.write(&values)) {
        let channel = &group[at].1.channel;
        answers[at] = Some(end.map_err(|failure| match &failure {
            Failure::TimedOut(_) => Fault::refused(channel, "write sent, not done in time; it may still arrive"),
            Failure::Absent(_) => fault(channel, &failure, "the write may not have arrived: "),
            other => fault(channel, other, "write refused: "),
        }));
    }
}

fn metadata_group(milliseconds: i32, group: &[(usize, Target)]) -> Vec<std::result::Result<Metadata, Fault>> {
    let device = &group[0].1.device;
    let done = device.call(milliseconds, |proxy| {
        let anew = group.iter().any(|(_, target)| matches!(target.what, What::Attribute(_)));
        let known = if anew { device.attributes(proxy, true).map(drop) } else { Ok(()) };
        let one = |(_, target): &(usize, Target)| match &target.what {
            What::Attribute(name) => {
                known.clone()?;
                device.attribute(proxy, name).map(|info| values::metadata(&info))
            }
            What::Command(name) => device.command(proxy, name).map(|info| values::command_metadata(&info)),
            What::Property(name) => proxy.property(name).map(|sample| {
                let value = values::reading(sample, &[]).value;
                Metadata { form: value.form(), length: 1, ..Metadata::default() }
            }),
        };
        group.iter().map(one).collect::<Vec<_>>()
    });
    match device.judge(done) {
        Ok(answers) => {
            let one = |((_, target), answer): (&(usize, Target), _)| {
                device.judge(answer).map_err(|failure| fault(&target.channel, &failure, ""))
            };
            group.iter().zip(answers).map(one).collect()
        }
        Err(failure) => all(group, &failure, ""),
    }
}

impl Backend for Tango {
    fn name(&self) -> String {
        "TANGO".into()
    }

    fn connect(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> std::result::Result<Vec<Fault>, Stopped> {
        let late = "no answer within {}";
        let answers = self.each(channels, wait, cancel, late, metadata_group)?;
        // who does not answer is not there, whatever stands in the way
        Ok(answers
            .into_iter()
            .filter_map(std::result::Result::err)
            .map(|fault| Fault { absent: true, ..fault })
            .collect())
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> std::result::Result<Vec<std::result::Result<Reading, Fault>>, Stopped> {
        let Fresh::After(time, silent) = fresh else { return self.read_once(channels, false, wait, cancel) };
        let start = Instant::now();
        let mut answers: Vec<Option<std::result::Result<Reading, Fault>>> = vec![None; channels.len()];
        loop {
            let open: Vec<usize> = (0..channels.len()).filter(|place| answers[*place].is_none()).collect();
            let names: Vec<Channel> = open.iter().map(|place| channels[*place].clone()).collect();
            let (passed, quiet) = (start.elapsed(), start.elapsed() >= silent);
            let left = wait.saturating_sub(passed);
            let read = self.read_once(&names, quiet, if left.is_zero() { wait } else { left }, cancel)?;
            for (place, answer) in open.into_iter().zip(read) {
                let fresh =
                    answer.as_ref().is_err() || quiet || answer.as_ref().is_ok_and(|reading| reading.time > time);
                let late = start.elapsed() >= wait;
                answers[place] = match fresh {
                    true => Some(answer),
                    false if late => Some(Err(Fault::refused(&channels[place], "no fresh sample in time"))),
                    false => None,
                };
            }
            if answers.iter().all(Option::is_some) {
                return Ok(answers.into_iter().flatten().collect());
            }
            cancel.wait(AGAIN)?;
        }
    }

    fn write(
        &self,
        _permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> std::result::Result<Vec<std::result::Result<(), Fault>>, Stopped> {
        let channels: Vec<Channel> = writes.iter().map(|write| write.channel.clone()).collect();
        let values: Vec<Value> = writes.iter().map(|write| write.value.clone()).collect();
        let followers = self.followers.clone();
        self.each(
            &channels,
            wait,
            cancel,
            "write sent, not done within {}; it may still arrive",
            move |milliseconds, group| write_group(milliseconds, group, &values, &followers),
        )
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let (monitor, feed) = Monitor::new(channels, keep);
        for (place, channel) in channels.iter().enumerate() {
            match self.target(channel) {
                Ok(target) => self.followers.follow(target, feed.clone(), place),
                Err(fault) => _ = feed.push(place, Err(fault)),
            }
        }
        monitor
    }

    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> std::result::Result<Vec<std::result::Result<Metadata, Fault>>, Stopped> {
        self.each(channels, wait, cancel, "no answer within {}", metadata_group)
    }

    fn now(&self) -> Time {
        Time::wall()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> std::result::Result<(), Stopped> {
        cancel.wait(span)
    }
}

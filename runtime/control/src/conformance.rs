//! What every control system has to do, tried on a real one.
//!
//! A [`Subject`] names channels of a server that may be written freely; [`check`] tries each promise
//! of [`Backend`] on them. Backends run it in their tests against real servers, and `fodo adapter
//! check` runs it, or the part of it that only reads, against a laboratory's own adapter.

use crate::{Backend, Cancel, Channel, Fault, Form, Fresh, Keep, Metadata, Monitor, Permit, Reading};
use crate::{Update, Validity, Value, Write};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// What is tried, and what there is to try it on: what is `None` or empty is skipped.
#[derive(Clone, Default)]
pub struct Subject {
    /// A number that may be written anywhere within `range`.
    pub number: Option<Channel>,
    /// Where `number` and `many` may go.
    pub range: (f64, f64),
    /// The unit of `number`, as its server writes it.
    pub unit: Option<&'static str>,
    /// Numbers that may be written anywhere within `range`.
    pub many: Vec<Channel>,
    /// Something that cannot be written.
    pub read_only: Option<Channel>,
    /// A number that its server refuses for a channel.
    pub refused: Option<(Channel, f64)>,
    /// A number whose writing takes this long.
    pub slow: Option<(Channel, Duration)>,
    /// A row of numbers that may be written.
    pub vector: Option<Channel>,
    /// A text that may be written.
    pub text: Option<Channel>,
    /// A row of texts.
    pub texts: Option<Channel>,
    /// A state that may be written, with the names of all.
    pub choice: Option<(Channel, Vec<&'static str>)>,
    /// Numbers in rows and columns.
    pub image: Option<Channel>,
    /// Named columns.
    pub table: Option<Channel>,
    /// Something that takes a new value by itself, at least once a second.
    pub ticking: Option<Channel>,
    /// How long a new monitor may miss changes that are followed by others.
    pub joins: Duration,
    /// Something whose value must not be used.
    pub invalid: Option<Channel>,
    /// A name that nobody has.
    pub absent: Option<Channel>,
}

/// One promise, and whether it was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The promise, as a sentence.
    pub promise: &'static str,
    /// What was seen.
    pub outcome: Outcome,
}

/// Whether a promise was kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was.
    Kept,
    /// It was not, and why.
    Broken(String),
    /// The subject has nothing to try it on: what would be needed.
    Skipped(&'static str),
    /// Not tried: it writes, which was not allowed.
    Unwritten,
    /// Not tried: it was stopped before.
    Stopped,
}

/// What may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Only what reads.
    Reading,
    /// Everything; the subject's channels are written.
    Writing,
}

/// Why a check ends before its end.
enum End {
    Broken(String),
    Skip(&'static str),
}

type Tried = Result<(), End>;

/// A promise as a sentence, what trying it takes, and how it is tried.
type Promise<'a> = (&'static str, Extent, fn(&Bench<'a>) -> Tried);

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(3);

/// The most that may pass beyond a time-out, on a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

/// Tries every promise, in order; the subject's channels are put back to what they held.
pub fn check<'a>(backend: &'a dyn Backend, subject: &'a Subject) -> Vec<Check> {
    check_within(backend, subject, Extent::Writing, &Cancel::new())
}

/// The same as far as `extent` allows and until it is stopped; what was written is put back all the same.
pub fn check_within<'a>(backend: &'a dyn Backend, subject: &'a Subject, extent: Extent, cancel: &Cancel) -> Vec<Check> {
    use Extent::{Reading, Writing};
    let on = Bench { backend, subject, extent };
    let checks: [Promise<'a>; 20] = [
        ("absent channels come in one answer, within the wait", Reading, Bench::absent),
        ("answers stand in the order of the question, and a fault hides no other answer", Reading, Bench::order),
        ("a number that was written is read back to the last bit", Writing, Bench::number),
        ("many numbers are written at once, and an absent one does not keep the others", Writing, Bench::many),
        ("a write returns when it is done, not before", Writing, Bench::slow),
        ("a write that takes longer than the wait says so", Writing, Bench::too_slow),
        ("a refused write says why and changes nothing", Writing, Bench::refused),
        ("what cannot be written says so and is not writable in its metadata", Writing, Bench::read_only),
        ("a text for a number is refused", Writing, Bench::wrong_type),
        ("a row of numbers is written and read", Writing, Bench::vector),
        ("a text is written and read", Writing, Bench::text),
        ("states are read with their names, and written by name and by number", Writing, Bench::choice),
        ("texts, images and tables are read as such", Reading, Bench::other_forms),
        ("metadata say form, unit and length", Reading, Bench::metadata),
        ("a fresh sample is later than was asked for", Reading, Bench::fresh),
        ("a silent source is asked, and its answer counts", Reading, Bench::silent),
        ("an invalid value is never good", Reading, Bench::invalid),
        ("a stopped token ends every call", Reading, Bench::stop),
        (
            "a monitor gives the present value, each change in order, and the newest to who is slow",
            Writing,
            Bench::monitor,
        ),
        ("calls from several threads do not disturb each other", Reading, Bench::threads),
    ];
    let before = if extent == Writing { on.held() } else { Vec::new() };
    let outcome = |tried: Tried| match tried {
        Ok(()) => Outcome::Kept,
        Err(End::Broken(why)) => Outcome::Broken(why),
        Err(End::Skip(what)) => Outcome::Skipped(what),
    };
    let one = |(promise, takes, tried): Promise<'a>| {
        let outcome = match (takes, extent) {
            _ if cancel.is_stopped() => Outcome::Stopped,
            (Writing, Reading) => Outcome::Unwritten,
            _ => outcome(tried(&on)),
        };
        Check { promise, outcome }
    };
    let mut done: Vec<Check> = checks.into_iter().map(one).collect();
    let back = match extent {
        Reading => Outcome::Unwritten,
        Writing => outcome(on.put_back(&before)),
    };
    done.push(Check { promise: "everything is put back", outcome: back });
    done
}

/// The broken promises, one line each; empty if there are none.
pub fn broken(checks: &[Check]) -> String {
    let line = |check: &Check| match &check.outcome {
        Outcome::Broken(why) => Some(format!("{}: {why}\n", check.promise)),
        _ => None,
    };
    checks.iter().filter_map(line).collect()
}

struct Bench<'a> {
    backend: &'a dyn Backend,
    subject: &'a Subject,
    extent: Extent,
}

fn broke<T>(why: impl Into<String>) -> Result<T, End> {
    Err(End::Broken(why.into()))
}

fn must(holds: bool, why: impl FnOnce() -> String) -> Tried {
    if holds { Ok(()) } else { broke(why()) }
}

fn need<'s, T>(what: &'s Option<T>, name: &'static str) -> Result<&'s T, End> {
    what.as_ref().ok_or(End::Skip(name))
}

impl Bench<'_> {
    fn number_channel(&self) -> Result<&Channel, End> {
        need(&self.subject.number, "a number that may be written")
    }

    fn absent_channel(&self) -> Result<&Channel, End> {
        need(&self.subject.absent, "a name that nobody has")
    }

    /// A place within the range, `part` of the way.
    fn at(&self, part: f64) -> f64 {
        let (low, high) = self.subject.range;
        low + (high - low) * part
    }

    fn read_as(&self, channels: &[Channel], fresh: Fresh) -> Result<Vec<Result<Reading, Fault>>, End> {
        let answers = self.backend.read(channels, fresh, WAIT, &Cancel::new());
        let answers = answers.or_else(|_| broke("a read was stopped though nobody stopped it"))?;
        must(answers.len() == channels.len(), || {
            format!("{} answers to a question about {} channels", answers.len(), channels.len())
        })?;
        Ok(answers)
    }

    /// What a channel holds, asked for now.
    fn now(&self, channel: &Channel) -> Result<Reading, End> {
        let answer = self.read_as(std::slice::from_ref(channel), crate::session::NOW)?.remove(0);
        answer.or_else(|fault| broke(format!("it could not be read: {fault}")))
    }

    fn try_write(&self, writes: &[Write], wait: Duration) -> Result<Vec<Result<(), Fault>>, End> {
        let answers = self.backend.write(&Permit::new(), writes, wait, &Cancel::new());
        let answers = answers.or_else(|_| broke("a write was stopped though nobody stopped it"))?;
        must(answers.len() == writes.len(), || format!("{} answers to {} writes", answers.len(), writes.len()))?;
        Ok(answers)
    }

    fn put(&self, writes: &[Write]) -> Tried {
        match self.try_write(writes, WAIT)?.into_iter().find_map(Result::err) {
            Some(fault) => broke(format!("a write was not done: {fault}")),
            None => Ok(()),
        }
    }

    fn set(&self, channel: &Channel, value: impl Into<Value>) -> Tried {
        self.put(&[Write { channel: channel.clone(), value: value.into() }])
    }

    fn metadata_of(&self, channel: &Channel) -> Result<Metadata, End> {
        let answers = self.backend.metadata(std::slice::from_ref(channel), WAIT, &Cancel::new());
        let mut answers = answers.or_else(|_| broke("metadata were stopped though nobody stopped them"))?;
        must(answers.len() == 1, || format!("{} answers about the metadata of one channel", answers.len()))?;
        answers.remove(0).or_else(|fault| broke(format!("no metadata: {fault}")))
    }

    /// What every channel that may be written to holds, as writes that put it back.
    fn held(&self) -> Vec<Write> {
        let subject = self.subject;
        let others = [&subject.number, &subject.vector, &subject.text].into_iter().flatten();
        let (refused, slow) = (subject.refused.iter().map(|(c, _)| c), subject.slow.iter().map(|(c, _)| c));
        let choice = subject.choice.iter().map(|(channel, _)| channel);
        let all = subject.many.iter().chain(others).chain(choice).chain(refused).chain(slow);
        let mut seen = HashSet::new();
        let channels: Vec<&Channel> = all.filter(|channel| seen.insert(*channel)).collect();
        channels.into_iter().filter_map(|channel| self.held_by(channel).ok()).collect()
    }

    fn held_by(&self, channel: &Channel) -> Result<Write, End> {
        let value = match self.now(channel)?.value {
            Value::Choice { index, .. } => Value::Number(f64::from(index)),
            value => value,
        };
        Ok(Write { channel: channel.clone(), value })
    }

    /// Writes what does not hold what it held; all that could not be put back in one message.
    fn put_back(&self, before: &[Write]) -> Tried {
        let changed = |held: &&Write| self.held_by(&held.channel).ok().as_ref() != Some(*held);
        let writes: Vec<Write> = before.iter().filter(changed).cloned().collect();
        let slow = self.subject.slow.as_ref().map_or(Duration::ZERO, |(_, takes)| *takes);
        let answers = if writes.is_empty() { Vec::new() } else { self.try_write(&writes, WAIT + slow)? };
        let faults: Vec<String> = answers.into_iter().filter_map(Result::err).map(|fault| fault.to_string()).collect();
        must(faults.is_empty(), || format!("these still hold what was tried: {}", faults.join("; ")))
    }

    fn absent(&self) -> Tried {
        let absent = self.absent_channel()?;
        let there = self.number_channel()?;
        let names: Vec<Channel> = (0..20).map(|n| format!("{absent}{n}").into()).collect();
        let asked: Vec<Channel> = std::iter::once(there).chain(&names).cloned().collect();
        let wait = Duration::from_secs(1);
        let start = Instant::now();
        let faults = self.backend.connect(&asked, wait, &Cancel::new()).or_else(|_| broke("connecting was stopped"))?;
        let took = start.elapsed();
        must(took < wait + SLACK, || format!("20 absent channels took {took:?} where {wait:?} were allowed"))?;
        let told: HashSet<&Channel> = faults.iter().map(|fault| &fault.channel).collect();
        let missing = names.iter().find(|name| !told.contains(*name));
        missing.map_or(Ok(()), |name| broke(format!("nothing was said about {name}")))?;
        must(!told.contains(there), || format!("{there} was called absent"))?;
        let present = faults.iter().find(|fault| !fault.absent);
        present.map_or(Ok(()), |fault| broke(format!("{fault} is not marked as absent")))
    }

    fn order(&self) -> Tried {
        let (absent, there) = (self.absent_channel()?, self.number_channel()?);
        let asked = [there.clone(), absent.clone(), there.clone()];
        let answers = self.read_as(&asked, Fresh::Latest)?;
        let kept = [true, false, true];
        let seen: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        must(seen == kept, || format!("answers to (there, absent, there): {answers:?}"))?;
        let fault = answers.into_iter().find_map(Result::err);
        must(fault.as_ref().is_some_and(|f| f.channel == *absent && f.absent), || {
            format!("the fault of an absent channel: {fault:?}")
        })
    }

    fn number(&self) -> Tried {
        let channel = self.number_channel()?;
        for part in [1.0 / 3.0, 0.7, std::f64::consts::FRAC_1_PI] {
            let value = self.at(part);
            self.set(channel, value)?;
            let read = self.now(channel)?.value;
            must(read == Value::Number(value), || format!("wrote {value:?}, read {read:?}"))?;
            let latest = self.eventually(channel, |reading| reading.value == Value::Number(value))?;
            must(latest, || format!("the newest known value of {channel} never became {value:?}"))?;
        }
        Ok(())
    }

    /// Whether the newest known sample comes to hold something, within the wait.
    fn eventually(&self, channel: &Channel, holds: impl Fn(&Reading) -> bool) -> Result<bool, End> {
        let end = Instant::now() + WAIT;
        while Instant::now() < end {
            let answer = self.read_as(std::slice::from_ref(channel), Fresh::Latest)?.remove(0);
            if answer.is_ok_and(|reading| holds(&reading)) {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }

    fn many(&self) -> Tried {
        let channels = &self.subject.many;
        if channels.is_empty() {
            return Err(End::Skip("many numbers that may be written"));
        }
        let absent = self.absent_channel()?;
        let value = |place: usize| self.at((place + 1) as f64 / (channels.len() + 2) as f64);
        let mut writes: Vec<Write> =
            channels.iter().enumerate().map(|(place, channel)| Write::number(channel, value(place))).collect();
        self.put(&writes)?;
        let read = self.read_as(channels, crate::session::NOW)?;
        for (place, (answer, channel)) in read.iter().zip(channels).enumerate() {
            let number = answer.as_ref().ok().and_then(|reading| reading.value.number());
            must(number == Some(value(place)), || format!("{channel} holds {answer:?}, not {}", value(place)))?;
        }
        writes.insert(1, Write::number(absent, 0.0));
        let answers = self.try_write(&writes, Duration::from_secs(2))?;
        let faults: Vec<&Fault> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        must(faults.len() == 1 && answers[1].is_err(), || {
            format!("an absent channel among {} writes gave the faults {faults:?}", writes.len())
        })
    }

    fn slow(&self) -> Tried {
        let (channel, takes) = need(&self.subject.slow, "a number whose writing takes a known time")?;
        let start = Instant::now();
        self.set(channel, self.at(0.5))?;
        let took = start.elapsed();
        must(took >= takes.mul_f64(0.9), || format!("it returned after {took:?} of {takes:?}"))
    }

    fn too_slow(&self) -> Tried {
        let (channel, takes) = need(&self.subject.slow, "a number whose writing takes a known time")?;
        let wait = *takes / 4;
        let start = Instant::now();
        let answer = self.try_write(&[Write::number(channel, self.at(0.4))], wait)?.remove(0);
        let took = start.elapsed();
        std::thread::sleep(*takes);
        must(answer.is_err(), || format!("it was called done within {wait:?}, though it takes {takes:?}"))?;
        must(took < wait + SLACK, || format!("it returned after {took:?} where {wait:?} were allowed"))
    }

    fn refused(&self) -> Tried {
        let (channel, value) = need(&self.subject.refused, "a number that its server refuses")?;
        let before = self.now(channel)?.value;
        let answer = self.try_write(&[Write::number(channel, *value)], WAIT)?.remove(0);
        let Err(fault) = answer else { return broke(format!("{channel} took {value}")) };
        must(!fault.absent && fault.reason.len() > 8, || format!("the fault says little: {fault:?}"))?;
        let after = self.now(channel)?.value;
        must(after == before, || format!("{channel} was {before:?} and is {after:?} after a refused write"))
    }

    fn read_only(&self) -> Tried {
        let channel = need(&self.subject.read_only, "something that cannot be written")?;
        let before = self.now(channel)?.value;
        let wanted = self.at(0.6);
        let answer = self.try_write(&[Write::number(channel, wanted)], WAIT)?.remove(0);
        let after = self.now(channel)?.value;
        // a readback may still follow what was set before
        if answer.is_ok() || (after != before && after.number() == Some(wanted)) {
            let back = self.set(channel, before.clone()).is_ok();
            let back = if back { "is back" } else { "could not be put back" };
            return broke(format!("{channel} was written: it held {before}, then {after}, and {back}"));
        }
        let metadata = self.metadata_of(channel)?;
        must(!metadata.writable, || "its metadata call it writable".into())
    }

    fn wrong_type(&self) -> Tried {
        let channel = self.number_channel()?;
        let before = self.now(channel)?.value;
        let write = Write { channel: channel.clone(), value: "no number".into() };
        let answer = self.try_write(&[write], WAIT)?.remove(0);
        must(answer.is_err(), || format!("{channel} took a text"))?;
        let after = self.now(channel)?.value;
        must(after == before, || format!("{channel} was {before:?} and is {after:?}"))
    }

    fn vector(&self) -> Tried {
        let channel = need(&self.subject.vector, "a row of numbers that may be written")?;
        let length = self.now(channel)?.value.entries().len().max(2);
        for shift in [0.25, -1.5] {
            let entries: Vec<f64> = (0..length).map(|n| n as f64 / 3.0 + shift).collect();
            self.set(channel, Value::Vector(entries.clone().into()))?;
            let read = self.now(channel)?.value;
            must(read == Value::Vector(entries.into()), || format!("a row of {length} came back as {read:?}"))?;
        }
        Ok(())
    }

    fn text(&self) -> Tried {
        let channel = need(&self.subject.text, "a text that may be written")?;
        for text in ["conformance", "a second text"] {
            self.set(channel, text)?;
            let read = self.now(channel)?.value;
            must(read == Value::from(text), || format!("wrote {text:?}, read {read:?}"))?;
        }
        Ok(())
    }

    fn choice(&self) -> Tried {
        let (channel, names) = need(&self.subject.choice, "a state that may be written")?;
        for (index, name) in names.iter().enumerate() {
            let state = Value::Choice { index: index as u32, label: (*name).into() };
            for value in [Value::from(*name), Value::Number(index as f64)] {
                self.set(channel, Value::Number(((index + 1) % names.len()) as f64))?;
                self.set(channel, value.clone())?;
                let read = self.now(channel)?.value;
                must(read == state, || format!("wrote {value:?}, read {read:?}"))?;
            }
        }
        let write = Write { channel: channel.clone(), value: "no such state".into() };
        let answer = self.try_write(&[write], WAIT)?.remove(0);
        must(answer.is_err(), || format!("{channel} took a state that it does not have"))?;
        let metadata = self.metadata_of(channel)?;
        let choices: Vec<&str> = metadata.choices.iter().map(AsRef::as_ref).collect();
        must(choices == *names && metadata.form == Form::Choice, || format!("its metadata: {metadata:?}"))
    }

    fn other_forms(&self) -> Tried {
        let subject = self.subject;
        let forms = [(&subject.texts, Form::Texts), (&subject.image, Form::Image), (&subject.table, Form::Table)];
        let there: Vec<(&Channel, Form)> =
            forms.into_iter().filter_map(|(channel, form)| Some((channel.as_ref()?, form))).collect();
        if there.is_empty() {
            return Err(End::Skip("texts, an image or a table"));
        }
        for (channel, form) in there {
            let value = self.now(channel)?.value;
            must(value.form() == form, || format!("{channel} should hold {form} and holds {value:?}"))?;
            let metadata = self.metadata_of(channel)?;
            must(metadata.form == form, || format!("the metadata of {channel}: {metadata:?}"))?;
            match value {
                Value::Image { width, pixels } => must(width > 0 && pixels.len() % width == 0, || {
                    format!("an image of {} numbers in rows of {width}", pixels.len())
                })?,
                Value::Table(columns) => must(!columns.is_empty(), || "a table without columns".into())?,
                _ => {}
            }
        }
        Ok(())
    }

    fn metadata(&self) -> Tried {
        let channel = self.number_channel()?;
        let metadata = self.metadata_of(channel)?;
        must(metadata.form == Form::Number && metadata.length == 1 && metadata.writable, || {
            format!("those of a number that may be written: {metadata:?}")
        })?;
        let wanted = self.subject.unit.unwrap_or(&metadata.unit);
        must(metadata.unit == wanted, || format!("its unit is `{}`, not `{wanted}`", metadata.unit))?;
        let Some(vector) = &self.subject.vector else { return Ok(()) };
        let metadata = self.metadata_of(vector)?;
        must(metadata.form == Form::Vector && metadata.length > 1, || format!("those of a row: {metadata:?}"))
    }

    fn fresh(&self) -> Tried {
        let channel = need(&self.subject.ticking, "something that takes new values by itself")?;
        let mut after = self.now(channel)?.time;
        for _ in 0..3 {
            let answer = self.read_as(std::slice::from_ref(channel), Fresh::After(after, WAIT))?.remove(0);
            let reading = answer.or_else(|fault| broke(format!("no fresh sample: {fault}")))?;
            must(reading.time > after, || {
                format!("a sample of {:?} when one after {after:?} was wanted", reading.time)
            })?;
            after = reading.time;
        }
        Ok(())
    }

    fn silent(&self) -> Tried {
        let channel = self.number_channel()?;
        let later = self.now(channel)?.time.after(Duration::from_secs(1000));
        let silent = Duration::from_millis(200);
        let start = Instant::now();
        let answer = self.read_as(std::slice::from_ref(channel), Fresh::After(later, silent))?.remove(0);
        let took = start.elapsed();
        let reading = answer.or_else(|fault| broke(format!("the source was not asked: {fault}")))?;
        must(reading.value.number().is_some(), || format!("it answered {reading:?}"))?;
        must(took < silent + SLACK, || format!("it took {took:?} to ask a source silent for {silent:?}"))
    }

    fn invalid(&self) -> Tried {
        let channel = need(&self.subject.invalid, "something whose value must not be used")?;
        match self.read_as(std::slice::from_ref(channel), Fresh::Latest)?.remove(0) {
            Ok(Reading { validity: Validity::Invalid(why), .. }) if !why.is_empty() => Ok(()),
            other => broke(format!("{channel} gave {other:?}")),
        }
    }

    fn stop(&self) -> Tried {
        let channel = std::slice::from_ref(self.number_channel()?);
        let stopped = Cancel::new();
        stopped.stop();
        let unwritten = [Write::number(&channel[0], self.at(0.9))];
        let before = self.now(&channel[0])?.value;
        // a backend that writes all the same must not be found out where writing is not allowed
        let write = || self.backend.write(&Permit::new(), &unwritten, WAIT, &stopped).is_err();
        let ended = [
            self.backend.connect(channel, WAIT, &stopped).is_err(),
            self.backend.read(channel, Fresh::Latest, WAIT, &stopped).is_err(),
            self.extent == Extent::Reading || write(),
            self.backend.metadata(channel, WAIT, &stopped).is_err(),
            self.backend.wait(WAIT, &stopped).is_err(),
        ];
        must(ended == [true; 5], || format!("connect, read, write, metadata, wait ended: {ended:?}"))?;
        let after = self.now(&channel[0])?.value;
        must(after == before, || format!("a stopped write changed {before:?} to {after:?}"))
    }

    fn monitor(&self) -> Tried {
        let channel = self.number_channel()?;
        let first = self.at(0.1);
        self.set(channel, first)?;
        let followed = [channel.clone()];
        let every = self.backend.monitor(&followed, Keep::Every(1000));
        let newest = self.backend.monitor(&followed, Keep::Newest);
        until(&every, |seen| seen.contains(&first), "the present value")?;
        until(&newest, |seen| seen.contains(&first), "the present value")?;
        std::thread::sleep(self.subject.joins);
        let steps: Vec<f64> = (1..=50).map(|step| self.at(0.1 + f64::from(step) / 100.0)).collect();
        steps.iter().try_for_each(|step| self.set(channel, *step))?;
        let last = steps[steps.len() - 1];
        let mut seen = until(&every, |seen| seen.last() == Some(&last), "the last of 50 changes")?;
        seen.dedup();
        seen.retain(|value| *value != first);
        must(seen == steps, || format!("of 50 changes, {} came: {seen:?}", seen.len()))?;
        let slow = until(&newest, |seen| seen.last() == Some(&last), "the newest value")?;
        must(slow.len() <= 2, || format!("who was slow got {} values instead of the newest", slow.len()))
    }

    fn threads(&self) -> Tried {
        let channels =
            if self.subject.many.is_empty() { vec![self.number_channel()?.clone()] } else { self.subject.many.clone() };
        let one = |place: usize| -> Tried {
            for turn in 0..20 {
                let channel = &channels[(place + turn) % channels.len()];
                let reading = self.now(channel)?;
                must(reading.value.number().is_some(), || format!("{channel} gave {reading:?}"))?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|place| scope.spawn(move || one(place))).collect();
            let ended = |thread: std::thread::ScopedJoinHandle<Tried>| {
                thread.join().unwrap_or_else(|_| broke("a thread of the backend panicked"))
            };
            threads.into_iter().try_for_each(ended)
        })
    }
}

/// Takes updates until what was seen in them is enough; the numbers seen, in order.
fn until(monitor: &Monitor, enough: impl Fn(&[f64]) -> bool, what: &str) -> Result<Vec<f64>, End> {
    let end = Instant::now() + WAIT;
    let mut seen = Vec::new();
    while Instant::now() < end {
        let updates = monitor.next(Duration::from_millis(100), &Cancel::new()).unwrap_or_default();
        let number = |update: &Update| update.reading.as_ref().ok()?.value.number();
        seen.extend(updates.iter().filter_map(number));
        if enough(&seen) {
            return Ok(seen);
        }
    }
    broke(format!("the monitor did not give {what} within {WAIT:?}: {seen:?}"))
}

//! The backend over an adapter.

use crate::ask::{Answered, span};
use crate::board::{Board, Link};
use crate::keeper;
use crate::values;
use crate::wire::{Ask, Put, TestChannels};
use fodo_control::{
    Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Write,
};
use fodo_report::{Diagnostic, Kind, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a call that waits looks at its cancel token.
const STOP_LATENCY: Duration = Duration::from_millis(30);

/// How often a source is asked where the adapter has no subscriptions.
const POLL: Duration = Duration::from_millis(50);

/// An adapter's command, and the times it is given.
#[derive(Clone, Debug)]
pub struct AdapterOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// The folder in which it is started; ours if none.
    pub folder: Option<PathBuf>,
    /// How long it may take to say hello.
    pub hello: Duration,
    /// Silence after which a sign of life is asked for.
    pub quiet: Duration,
    /// How long that may take before the adapter counts as hanging.
    pub hangs: Duration,
    /// How long that may take before it is killed and started again.
    pub killed: Duration,
}

impl AdapterOptions {
    /// A command with the times of the protocol's page.
    pub fn new(command: &[impl AsRef<str>]) -> AdapterOptions {
        AdapterOptions {
            command: command.iter().map(|word| word.as_ref().to_string()).collect(),
            folder: None,
            hello: Duration::from_secs(10),
            quiet: Duration::from_secs(2),
            hangs: Duration::from_secs(5),
            killed: Duration::from_secs(30),
        }
    }

    /// The command for people.
    pub fn shown(&self) -> String {
        self.command.join(" ")
    }
}

/// A control system behind an adapter process.
///
/// Every channel that was ever named is subscribed, and subscribed again after the adapter was started anew. An
/// adapter that dies, hangs or sends what is not of the protocol makes faults that say so.
pub struct Adapter {
    board: Arc<Board>,
    name: String,
    keeper: Option<JoinHandle<()>>,
}

impl Adapter {
    /// Starts an adapter and waits for its hello.
    ///
    /// # Errors
    /// `machine` if it cannot be started, ends, says nothing, or speaks another version of the protocol.
    pub fn start(options: AdapterOptions) -> Result<Adapter> {
        let board = Arc::new(Board::default());
        let shown = options.shown();
        let keeping = (board.clone(), options);
        let spawned = std::thread::Builder::new().name("adapter".into());
        let keeper = spawned.spawn(move || keeper::keep(&keeping.0, &keeping.1));
        let keeper = keeper.map_err(|error| Diagnostic::new(Kind::Machine, format!("no thread: {error}")))?;
        let mut adapter = Adapter { board, name: String::new(), keeper: Some(keeper) };
        let came = {
            let mut state = adapter.board.state();
            loop {
                match &state.link {
                    Link::Starting => {}
                    Link::Up(up) => break Ok(up.name.clone()),
                    Link::Down { why, for_good } => break Err((why.clone(), *for_good)),
                }
                state = adapter.board.pause(state, STOP_LATENCY);
            }
        };
        adapter.name = came.map_err(|(why, version)| {
            let hint = match version {
                true => "take an adapter and a Fodo that speak the same version of docs/reference/adapter_protocol.md",
                false => "type the command at a shell, in the facility's folder: it has to start there and to wait for its input",
            };
            Diagnostic::new(Kind::Machine, format!("the adapter `{shown}` does not work: {why}")).hint(hint)
        })?;
        Ok(adapter)
    }

    /// The channels on which it lets everything be tried.
    pub fn test_channels(&self) -> Option<TestChannels> {
        self.board.state().up().ok().and_then(|up| up.test.as_deref().cloned())
    }

    /// What came from it that is not of the protocol: how many lines since its start, and the last.
    pub fn garbage(&self) -> (u64, String) {
        self.board.state().garbage.clone()
    }

    /// The number of the present process, if it is up.
    pub fn process(&self) -> Option<u32> {
        match &self.board.state().link {
            Link::Up(up) => Some(up.process),
            _ => None,
        }
    }

    /// Names that match a pattern (`*` any text, `?` any character); at most 10 000.
    ///
    /// # Errors
    /// `machine` if the adapter cannot tell names, or does not answer within `wait`.
    pub fn names(&self, pattern: &str, wait: Duration, cancel: &Cancel) -> Result<Vec<String>> {
        let failed = |why: String| Diagnostic::new(Kind::Machine, format!("{} tells no names: {why}", self.name()));
        let end = Instant::now() + wait;
        let id = {
            let mut state = self.board.state();
            let able = state.up().and_then(|up| up.can.names.then_some(()).ok_or_else(|| "it has no `names`".into()));
            let ask = Ask { r#do: "names", pattern: Some(pattern), ..Ask::default() };
            able.and_then(|()| state.ask(ask, 0, end)).map_err(failed)?
        };
        let pending = self.board.wait_for(id, end, cancel);
        let pending = pending.map_err(|_| Diagnostic::new(Kind::Stopped, "stopped by the operator"))?;
        match (pending.rest, pending.line.and_then(|line| line.names)) {
            (Some(problem), _) => Err(failed(problem.text).into()),
            (None, Some(names)) => Ok(names),
            (None, None) => Err(failed(format!("no answer within {}", span(wait))).into()),
        }
    }

    /// Reads channels now.
    fn ask(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        let names = channels.iter().map(AsRef::as_ref).collect();
        let ask = Ask { r#do: "read", names: Some(names), ..Ask::default() };
        let answers = self.board.question(ask, channels, wait, cancel)?;
        let read = |(channel, answer): (&Channel, Result<_, Fault>)| values::reading(channel, answer?);
        Ok(channels.iter().zip(answers).map(read).collect())
    }

    /// Reads those of `channels` that stand at `open` now, into their places.
    fn ask_open(
        &self,
        channels: &[Channel],
        open: &[usize],
        into: &mut [Option<Result<Reading, Fault>>],
        end: Instant,
        cancel: &Cancel,
    ) -> Result<(), Stopped> {
        let names: Vec<Channel> = open.iter().map(|&at| channels[at].clone()).collect();
        let answers = self.ask(&names, end.saturating_duration_since(Instant::now()), cancel)?;
        let mut there = Vec::new();
        for (&at, answer) in open.iter().zip(answers) {
            there.extend(answer.is_ok().then(|| channels[at].clone()));
            into[at] = Some(answer);
        }
        // what answers need not be waited for until it is looked for again
        let mut state = self.board.state();
        let places = state.places(&there);
        state.hurry(&places);
        Ok(())
    }

    fn subscribes(&self) -> bool {
        self.board.state().up().is_ok_and(|up| up.can.subscribe)
    }

    /// Samples after a time: from subscriptions; who is silent for too long, or lost, is asked.
    fn fresh(
        &self,
        channels: &[Channel],
        after: Time,
        silent: Duration,
        end: Instant,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        let quiet = Instant::now() + silent;
        let mut found: Vec<Option<Result<Reading, Fault>>> = vec![None; channels.len()];
        loop {
            cancel.check()?;
            let now = Instant::now();
            let (mut open, mut lost) = (Vec::new(), Vec::new());
            {
                let mut state = self.board.state();
                let places = state.places(channels);
                for (at, &place) in places.iter().enumerate() {
                    if found[at].is_some() {
                        continue;
                    }
                    let known = &state.known[place];
                    match &known.newest {
                        Some(reading) if reading.time > after => found[at] = Some(Ok(reading.clone())),
                        _ if known.lost.is_some() => lost.push(at),
                        _ => open.push(at),
                    }
                }
                if open.is_empty() && lost.is_empty() {
                    break;
                }
                if now < quiet && now < end && lost.is_empty() {
                    let next = quiet.min(end).saturating_duration_since(now).min(STOP_LATENCY);
                    drop(self.board.pause(state, next));
                    continue;
                }
            }
            if lost.is_empty() && now >= end {
                let late = |at: usize| Fault::refused(&channels[at], "no fresh sample in time");
                open.into_iter().for_each(|at| found[at] = Some(Err(late(at))));
                break;
            }
            let asked = if lost.is_empty() { open } else { lost };
            self.ask_open(channels, &asked, &mut found, end.max(now + STOP_LATENCY), cancel)?;
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The same where the adapter has no subscriptions: it is asked again and again.
    fn fresh_by_asking(
        &self,
        channels: &[Channel],
        after: Time,
        silent: Duration,
        end: Instant,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        let quiet = Instant::now() + silent;
        let mut found: Vec<Option<Result<Reading, Fault>>> = vec![None; channels.len()];
        let mut open: Vec<usize> = (0..channels.len()).collect();
        loop {
            self.ask_open(channels, &open, &mut found, end, cancel)?;
            let now = Instant::now();
            open.retain(|&at| matches!(&found[at], Some(Ok(reading)) if reading.time <= after));
            if open.is_empty() || now >= quiet || now >= end {
                return Ok(found.into_iter().flatten().collect());
            }
            cancel.wait(POLL)?;
        }
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.board.state().closing = true;
        self.board.wake();
        if let Some(keeper) = self.keeper.take() {
            _ = keeper.join();
        }
    }
}

impl Backend for Adapter {
    fn name(&self) -> String {
        format!("the adapter of {}", self.name)
    }

    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        let end = Instant::now() + wait;
        let mut hurried = false;
        loop {
            cancel.check()?;
            let mut state = self.board.state();
            let places = state.places(channels);
            let late = Instant::now() >= end;
            match state.up().map(|up| up.can.subscribe) {
                Ok(false) => {
                    drop(state);
                    let answers = self.ask(channels, end.saturating_duration_since(Instant::now()), cancel)?;
                    return Ok(answers.into_iter().filter_map(Result::err).filter(|fault| fault.absent).collect());
                }
                Ok(true) if !hurried => {
                    state.hurry(&places);
                    state.subscribe();
                    hurried = true;
                }
                Ok(true) => {
                    if late || places.iter().all(|&place| state.known[place].is_settled()) {
                        let fault = |&place: &usize| {
                            let known = &state.known[place];
                            let silent = || Fault::absent(&known.name, format!("no answer within {}", span(wait)));
                            known.newest.is_none().then(|| known.lost.clone().unwrap_or_else(silent))
                        };
                        return Ok(places.iter().filter_map(fault).filter(|fault| fault.absent).collect());
                    }
                }
                Err(why) if late => {
                    return Ok(channels.iter().map(|channel| Fault::absent(channel, &why)).collect());
                }
                // it may come up
                Err(_) => hurried = false,
            }
            let left = end.saturating_duration_since(Instant::now());
            drop(self.board.pause(state, left.min(STOP_LATENCY)));
        }
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        cancel.check()?;
        let end = Instant::now() + wait;
        match fresh {
            Fresh::After(_, Duration::ZERO) => self.ask(channels, wait, cancel),
            Fresh::After(time, silent) if self.subscribes() => {
                self.board.state().places(channels);
                self.board.state().subscribe();
                self.fresh(channels, time, silent, end, cancel)
            }
            Fresh::After(time, silent) => self.fresh_by_asking(channels, time, silent, end, cancel),
            Fresh::Latest => {
                let mut found: Vec<Option<Result<Reading, Fault>>> = vec![None; channels.len()];
                let open: Vec<usize> = {
                    let mut state = self.board.state();
                    let places = state.places(channels);
                    state.subscribe();
                    let subscribes = state.up().is_ok_and(|up| up.can.subscribe);
                    for (&place, found) in places.iter().zip(&mut found).filter(|_| subscribes) {
                        *found = state.known[place].newest.clone().map(Ok);
                    }
                    (0..channels.len()).filter(|&at| found[at].is_none()).collect()
                };
                if !open.is_empty() {
                    self.ask_open(channels, &open, &mut found, end, cancel)?;
                }
                Ok(found.into_iter().flatten().collect())
            }
        }
    }

    fn write(
        &self,
        _permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        cancel.check()?;
        let channels: Vec<Channel> = writes.iter().map(|write| write.channel.clone()).collect();
        if self.board.state().up().is_ok_and(|up| !up.can.write) {
            let refused = |channel| Err(Fault::refused(channel, "write refused: this adapter cannot write"));
            return Ok(channels.iter().map(refused).collect());
        }
        let ask = Ask { r#do: "write", writes: Some(writes.iter().map(put).collect()), ..Ask::default() };
        let answers: Answered = self.board.question(ask, &channels, wait, cancel)?;
        let done = |(channel, answer): (&Channel, Result<_, Fault>)| values::done(channel, &answer?);
        Ok(channels.iter().zip(answers).map(done).collect())
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let (monitor, feed) = Monitor::new(channels, keep);
        let every = matches!(keep, Keep::Every(_));
        let mut state = self.board.state();
        for (at, place) in state.places(channels).into_iter().enumerate() {
            state.follow(place, feed.clone(), at, every);
        }
        state.subscribe();
        monitor
    }

    fn metadata(
        &self,
        channels: &[Channel],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        cancel.check()?;
        let (told, can_write) = self.board.state().up().map_or((true, true), |up| (up.can.meta, up.can.write));
        if !told {
            let readings = self.ask(channels, wait, cancel)?;
            let guess = |reading: Result<Reading, Fault>| reading.map(|reading| values::guessed(&reading, can_write));
            return Ok(readings.into_iter().map(guess).collect());
        }
        let names = channels.iter().map(AsRef::as_ref).collect();
        let ask = Ask { r#do: "meta", names: Some(names), ..Ask::default() };
        let answers = self.board.question(ask, channels, wait, cancel)?;
        let known = |(channel, answer): (&Channel, Result<_, Fault>)| values::metadata(channel, answer?, can_write);
        Ok(channels.iter().zip(answers).map(known).collect())
    }

    fn now(&self) -> Time {
        Time::wall()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.wait(span)
    }
}

fn put(write: &Write) -> Put<'_> {
    Put { name: &write.channel, value: values::to_wire(&write.value) }
}

//! Keeps the adapter alive: starts it, asks for a sign of life, starts it again, has lost channels asked for.

use crate::board::{Abilities, Board, Link, Outgoing, Pending, State, Up, WINDOW};
use crate::client::AdapterOptions;
use crate::process::Process;
use crate::values;
use crate::wire::{Ask, VERSION};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// How often it looks.
const TICK: Duration = Duration::from_millis(20);

/// How often followed channels are read where the adapter has no subscriptions.
const POLL: Duration = Duration::from_millis(100);

/// Pauses before an adapter that ended is started again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));

/// An adapter that has lived so long has its next end forgiven at once.
const HEALTHY: Duration = Duration::from_secs(10);

/// Why an adapter did not come up.
struct Failure {
    why: String,
    for_good: bool,
}

/// Works until the board closes.
pub fn keep(board: &Arc<Board>, options: &AdapterOptions) {
    let mut pause = PAUSES.0;
    while !board.state().closing {
        let born = Instant::now();
        let failure = match up(board, options) {
            Ok(mut process) => {
                let why = live(board, options, &mut process);
                // its way in is closed before its end is waited for
                set_down(board, &why, false);
                process.end();
                Failure { why, for_good: false }
            }
            Err(failure) => failure,
        };
        set_down(board, &failure.why, failure.for_good);
        if born.elapsed() > HEALTHY {
            pause = PAUSES.0;
        }
        let end = Instant::now() + pause;
        pause = (pause * 2).min(PAUSES.1);
        let mut state = board.state();
        while !state.closing && (failure.for_good || Instant::now() < end) {
            state = board.pause(state, TICK);
        }
    }
}

fn set_down(board: &Board, why: &str, for_good: bool) {
    let mut state = board.state();
    state.link = Link::Down { why: why.to_string(), for_good };
    state.lose(why);
    state.fail(why);
    drop(state);
    board.wake();
}

/// Starts it and waits for its hello.
fn up(board: &Arc<Board>, options: &AdapterOptions) -> Result<Process, Failure> {
    let failed = |why: String| Failure { why, for_good: false };
    let mut process = Process::start(&options.command, options.folder.as_deref(), board)
        .map_err(|error| failed(format!("`{}` cannot be started: {error}", options.shown())))?;
    let Some(sender) = process.sender.clone() else { return Err(failed("it has no input".into())) };
    let id = {
        let mut state = board.state();
        state.pending.clear();
        state.garbage = Default::default();
        // not yet for others: the link is not up
        let program = concat!("fodo ", env!("CARGO_PKG_VERSION"));
        let hello = Ask {
            r#do: "hello",
            versions: Some([VERSION]),
            program: Some(program),
            window: Some(WINDOW),
            ..Ask::default()
        };
        let old = std::mem::replace(&mut state.link, Link::Up(greeted(&sender, process.id())));
        let asked = state.ask(hello, 0, Instant::now() + options.hello);
        state.link = old;
        asked.map_err(failed)?
    };
    let end = Instant::now() + options.hello;
    let mut state = board.state();
    loop {
        if state.pending.get(&id).is_some_and(|pending| pending.over) {
            break;
        }
        drop(state);
        if let Some(why) = process.ended() {
            return Err(failed(format!("{why}, before it said hello")));
        }
        state = board.state();
        if state.closing || Instant::now() > end {
            let garbage = told(&state);
            let words = process.last_words();
            return Err(failed(format!("it did not say hello within {:.0?}{words}{garbage}", options.hello)));
        }
        state = board.pause(state, TICK);
    }
    let pending = state.take(id);
    let mut greeted = hello(pending, &sender)?;
    greeted.process = process.id();
    state.heard = Some(Instant::now());
    state.link = Link::Up(greeted);
    state.subscribe();
    drop(state);
    board.wake();
    Ok(process)
}

fn greeted(sender: &SyncSender<Outgoing>, process: u32) -> Up {
    Up { name: String::new(), can: Abilities::default(), test: None, sender: sender.clone(), process, hangs: false }
}

/// What its answer to hello says.
fn hello(pending: Pending, sender: &SyncSender<Outgoing>) -> Result<Up, Failure> {
    if let Some(problem) = pending.rest {
        return Err(Failure {
            for_good: problem.code == "version",
            why: format!("it refuses to work: {}", problem.text),
        });
    }
    let line = pending.line.unwrap_or_default();
    match line.version {
        Some(VERSION) => {}
        Some(other) => {
            let why = format!("it speaks version {other} of the adapter protocol, this Fodo speaks version {VERSION}");
            return Err(Failure { why, for_good: true });
        }
        None => return Err(Failure { why: "its hello does not say a version".into(), for_good: true }),
    }
    let words = line.capabilities.unwrap_or_default();
    let has = |word: &str| words.iter().any(|known| known == word);
    let can = Abilities { write: has("write"), subscribe: has("subscribe"), meta: has("meta"), names: has("names") };
    let name = line.name.unwrap_or_else(|| "an adapter".into());
    Ok(Up { name, can, test: line.test, ..greeted(sender, 0) })
}

/// What came that is not of the protocol, as the end of a sentence.
pub fn told(state: &State) -> String {
    match &state.garbage {
        (0, _) => String::new(),
        (1, last) => format!("; a line came from it that is not of the protocol: {last}"),
        (count, last) => format!("; {count} lines came from it that are not of the protocol, the last: {last}"),
    }
}

/// Watches it until it ends, or is to end; says why.
fn live(board: &Arc<Board>, options: &AdapterOptions, process: &mut Process) -> String {
    let mut asked: Option<(u64, Instant)> = None;
    let mut polled = Instant::now();
    let mut poll: Option<(u64, Vec<usize>)> = None;
    loop {
        if let Some(why) = process.ended() {
            return why;
        }
        let mut state = board.state();
        if state.closing {
            return "the adapter is closed".into();
        }
        let silent = state.heard.map(|heard| heard.elapsed()).unwrap_or_default();
        match asked {
            Some((id, _)) if silent < options.quiet => {
                state.pending.remove(&id);
                asked = None;
            }
            None if silent >= options.quiet => {
                let ping = Ask { r#do: "ping", ..Ask::default() };
                let now = Instant::now();
                asked = Some((state.ask(ping, 0, now + options.killed).unwrap_or_default(), now));
            }
            Some((_, since)) if since.elapsed() > options.killed => {
                drop(state);
                process.kill();
                return format!("the adapter (process {}) hung for {:.0?} and was killed", process.id(), silent);
            }
            _ => {}
        }
        let frozen = asked.is_some_and(|(_, since)| since.elapsed() > options.hangs);
        hang(&mut state, frozen);
        state.subscribe();
        state.give_up();
        if !frozen {
            poll_followed(&mut state, &mut poll, &mut polled);
        }
        drop(board.pause(state, TICK));
    }
}

/// Takes note that it hangs, or no longer does.
fn hang(state: &mut State, hangs: bool) {
    let Link::Up(up) = &mut state.link else { return };
    if up.hangs == hangs {
        return;
    }
    up.hangs = hangs;
    let why = state.up().err().unwrap_or_default();
    state.lose(&why);
    if hangs {
        state.fail(&why);
    }
}

/// Reads what is followed, where the adapter has no subscriptions.
fn poll_followed(state: &mut State, poll: &mut Option<(u64, Vec<usize>)>, polled: &mut Instant) {
    if state.up().is_ok_and(|up| up.can.subscribe) {
        return;
    }
    if let Some((id, places)) = poll {
        if !state.pending.get(id).is_none_or(|pending| pending.over) && polled.elapsed() < Duration::from_secs(5) {
            return;
        }
        let pending = state.take(*id);
        for (&place, answer) in places.iter().zip(pending.answers) {
            let Some(answer) = answer else { continue };
            let known = &mut state.known[place];
            let reading = values::reading(&known.name, answer);
            let old = match (&reading, &known.newest) {
                (Ok(reading), Some(newest)) => reading == newest,
                (Err(fault), None) => known.lost.as_ref() == Some(fault),
                _ => false,
            };
            if !old {
                known.tell(reading);
            }
        }
        *poll = None;
    }
    if polled.elapsed() < POLL {
        return;
    }
    let places = state.followed();
    if places.is_empty() {
        return;
    }
    let names: Vec<_> = places.iter().map(|&place| state.known[place].name.clone()).collect();
    let ask = Ask { r#do: "read", names: Some(names.iter().map(AsRef::as_ref).collect()), ..Ask::default() };
    *polled = Instant::now();
    *poll = state.ask(ask, places.len(), *polled + Duration::from_secs(5)).ok().map(|id| (id, places));
}

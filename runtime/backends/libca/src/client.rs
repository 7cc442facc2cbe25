//! The client: a backend of the control crate over libca.

use crate::keeper::{Lines, keep};
use crate::line::{Line, News};
use crate::task::{STOP_LATENCY, Task, drive};
use epics_ca::Context;
use fodo_control::{
    Backend, Cancel, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, Stopped, Time, Write, span,
};
use fodo_report::{Diagnostic, Kind, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An EPICS Channel Access client on libca of EPICS base.
///
/// It finds servers by the standard variables `EPICS_CA_ADDR_LIST`, `EPICS_CA_AUTO_ADDR_LIST`, `EPICS_CA_SERVER_PORT`
/// and so on. A server that hangs without closing its connection is found out by libca, after `EPICS_CA_CONN_TMO` (30 s);
/// until then calls run into their time-out, and the newest known values are given. Connections and monitors stay until
/// the process ends: make one client for a process.
pub struct LibCa {
    context: Mutex<Context>,
    news: Arc<News>,
    lines: Arc<Lines>,
}

impl LibCa {
    /// A client that looks for servers where the environment says.
    ///
    /// # Errors
    /// `machine` if libca cannot be started.
    pub fn new() -> Result<LibCa> {
        let failed = |error: &dyn std::fmt::Debug| {
            let what = format!("libca could not be started: {error:?}");
            Box::new(Diagnostic::new(Kind::Machine, what).hint("check the EPICS_CA_* environment variables"))
        };
        let context = Context::new().map_err(|error| failed(&error.kind))?;
        quiet(&context);
        let lines: Arc<Lines> = Arc::default();
        let kept = Arc::downgrade(&lines);
        let keeper = std::thread::Builder::new().name("libca".into()).spawn(move || keep(&kept));
        keeper.map_err(|error| failed(&error))?;
        Ok(LibCa { context: Mutex::new(context), news: Arc::default(), lines })
    }

    fn line(&self, name: &Channel) -> Result<Arc<Line>, Fault> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(name) {
            return Ok(line.clone());
        }
        let context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Arc::new(Line::open(&context, &self.news, name)?);
        lines.insert(name.clone(), line.clone());
        Ok(line)
    }

    fn lines<'a>(&self, channels: impl Iterator<Item = &'a Channel>) -> Vec<Result<Arc<Line>, Fault>> {
        channels.map(|name| self.line(name)).collect()
    }

    /// Waits, at most until `deadline`, until each channel is there or is known to be lost; the places of those that are
    /// not there have faults.
    fn present<'a>(
        &self,
        channels: impl Iterator<Item = &'a Channel>,
        wait: Duration,
        patient: bool,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Arc<Line>, Fault>>, Stopped> {
        let deadline = Instant::now() + wait;
        let lines = self.lines(channels);
        let settled = |line: &Result<Arc<Line>, Fault>| match line {
            Ok(line) => line.is_up() || !patient && line.is_lost(),
            Err(_) => true,
        };
        self.until(deadline, cancel, || lines.iter().all(settled))?;
        let there = |line: Arc<Line>| match (line.is_up(), line.is_lost()) {
            (true, _) => Ok(line),
            (false, true) => Err(Fault::absent(&line.name, "disconnected")),
            (false, false) => Err(Fault::absent(&line.name, format!("no answer within {}", span(wait)))),
        };
        Ok(lines.into_iter().map(|line| line.and_then(there)).collect())
    }

    /// Waits until something holds, or time is over.
    fn until(&self, deadline: Instant, cancel: &Cancel, holds: impl Fn() -> bool) -> Result<(), Stopped> {
        loop {
            cancel.check()?;
            let seen = self.news.count();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || holds() {
                return Ok(());
            }
            self.news.wait(seen, left.min(STOP_LATENCY));
        }
    }
}

/// Losses are faults of the channels; libca would print them too.
fn quiet(context: &Context) {
    extern "C" fn nothing(_: epics_ca_sys::exception_handler_args) {}
    // SAFETY: called inside the context, with a function that lives for ever and takes nothing
    #[allow(unsafe_code)]
    let _ = context.with(|| unsafe { epics_ca_sys::ca_add_exception_event(Some(nothing), std::ptr::null_mut()) });
}

/// Asks all that are present at once; those that are there and do not answer by `deadline` have the fault `late`.
fn ask<'a, T: 'a, F: Future<Output = Result<T, Fault>> + 'a>(
    lines: &'a [Result<Arc<Line>, Fault>],
    question: impl Fn(usize, &'a Line) -> F,
    late: &str,
    (deadline, wait): (Instant, Duration),
    cancel: &Cancel,
) -> Result<Vec<Result<T, Fault>>, Stopped> {
    let task = |(place, line): (usize, &'a Result<Arc<Line>, Fault>)| -> Task<'a, Result<T, Fault>> {
        match line {
            Ok(line) => Box::pin(question(place, line)),
            Err(fault) => Box::pin(std::future::ready(Err(fault.clone()))),
        }
    };
    let answers = drive(lines.iter().enumerate().map(task).collect(), deadline, cancel)?;
    let answer = |(answer, line): (Option<_>, &Result<Arc<Line>, Fault>)| match (answer, line) {
        (Some(answer), _) => answer,
        (None, Ok(line)) if !line.is_up() => Err(Fault::absent(&line.name, format!("no answer within {}", span(wait)))),
        (None, Ok(line)) => Err(Fault::refused(&line.name, late)),
        (None, Err(fault)) => Err(fault.clone()),
    };
    Ok(answers.into_iter().zip(lines).map(answer).collect())
}

impl Backend for LibCa {
    fn name(&self) -> String {
        "EPICS Channel Access (libca)".into()
    }

    fn connect(&self, channels: &[Channel], wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        let lines = self.present(channels.iter(), wait, true, cancel)?;
        Ok(lines.into_iter().filter_map(Result::err).collect())
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        let (begin, deadline) = (Instant::now(), Instant::now() + wait);
        let lines = self.lines(channels.iter());
        let after = if let Fresh::After(after, _) = fresh { Some(after) } else { None };
        let known = |line: &Line| line.newest().filter(|newest| after.is_none_or(|after| newest.time > after));
        if let Fresh::After(_, silent) = fresh {
            let settled = |line: &Result<Arc<Line>, Fault>| {
                line.as_ref().map_or(true, |line| known(line).is_some() || line.is_lost())
            };
            self.until(deadline.min(begin + silent), cancel, || lines.iter().all(settled))?;
        }
        let question = async |_, line: &Line| {
            line.present().await?;
            match known(line) {
                Some(newest) => Ok(newest),
                None => line.get().await,
            }
        };
        ask(&lines, question, "the server did not answer a read in time", (deadline, wait), cancel)
    }

    fn write(
        &self,
        _permit: &Permit,
        writes: &[Write],
        wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        let deadline = Instant::now() + wait;
        // nothing is sent before it is known which channels are there
        let lines = self.present(writes.iter().map(|write| &write.channel), wait / 2, false, cancel)?;
        let late = format!("write sent, not done within {}", span(wait));
        ask(&lines, |place, line| line.put(&writes[place].value), &late, (deadline, wait), cancel)
    }

    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        let (monitor, feed) = Monitor::new(channels, keep);
        for (place, name) in channels.iter().enumerate() {
            match self.line(name) {
                Ok(line) => line.follow(feed.clone(), place),
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
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        let deadline = Instant::now() + wait;
        let lines = self.lines(channels.iter());
        let question = async |_, line: &Line| {
            line.present().await?;
            line.metadata().await
        };
        ask(&lines, question, "the server did not say what the channel is in time", (deadline, wait), cancel)
    }

    fn now(&self) -> Time {
        Time::wall()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.wait(span)
    }
}

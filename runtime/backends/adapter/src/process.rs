//! The adapter's process, and the threads at its three streams.

use crate::board::{Board, Outgoing};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest line that is read.
const LONGEST: usize = 64 << 20;

/// Lines of standard error that are kept, and characters of each.
const WORDS: (usize, usize) = (20, 500);

/// Lines that wait for an adapter which takes nothing in.
const WAITING: usize = 10_000;

/// How long an adapter that was asked to end may take.
const PARTING: Duration = Duration::from_secs(2);

/// How long what a dead adapter has still said is waited for.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A running adapter; dropping it ends it.
pub struct Process {
    child: Child,
    /// The way to its standard input; the end of all senders closes it.
    pub sender: Option<SyncSender<Outgoing>>,
    words: Arc<Mutex<VecDeque<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a command in a folder, as the head of a process group: Ctrl-C at the terminal does not reach it.
    pub fn start(command: &[String], folder: Option<&Path>, board: &Arc<Board>) -> io::Result<Process> {
        let program = command.first().ok_or_else(|| io::Error::other("the command is empty"))?;
        let mut start = Command::new(program);
        start.args(&command[1..]).process_group(0);
        start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
            start.current_dir(folder);
        }
        let mut child = start.spawn()?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = streams else { return Err(io::Error::other("no streams")) };
        let (sender, lines) = sync_channel(WAITING);
        let words = Arc::new(Mutex::new(VecDeque::new()));
        let (writing, reading, kept) = (board.clone(), board.clone(), words.clone());
        let named = |name: &str| std::thread::Builder::new().name(format!("adapter {name}"));
        let threads = vec![
            named("input").spawn(move || write_lines(input, lines, &writing))?,
            named("output").spawn(move || read_lines(output, &reading))?,
            named("errors").spawn(move || keep_words(errors, &kept))?,
        ];
        Ok(Process { child, sender: Some(sender), words, threads })
    }

    /// How it ended, if it did, with its last words.
    pub fn ended(&mut self) -> Option<String> {
        let status = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let end = Instant::now() + LAST_WORDS;
        while !self.threads[1..].iter().all(JoinHandle::is_finished) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(format!("the adapter ended ({status}){}", self.last_words()))
    }

    /// The last line of its standard error, as the end of a sentence.
    pub fn last_words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.back().map_or_else(|| " and said nothing".into(), |line| format!("; its last words: {line}"))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // it may have ended by itself
        _ = self.child.kill();
        _ = self.child.wait();
    }

    /// Closes its standard input, which is the order to end; kills it if it does not.
    pub fn end(&mut self) {
        self.sender = None;
        let end = Instant::now() + PARTING;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends lines on; those of requests that nobody waits for any more are left out.
fn write_lines(mut input: ChildStdin, lines: Receiver<Outgoing>, board: &Board) {
    for line in lines {
        if let Some(id) = line.id {
            let mut state = board.state();
            let Some(pending) = state.pending.get_mut(&id) else { continue };
            pending.sent = true;
        }
        if input.write_all(&line.text).is_err() {
            // its end is seen by the keeper
            return;
        }
    }
}

fn read_lines(output: impl Read, board: &Board) {
    let mut output = BufReader::with_capacity(1 << 16, output);
    let mut line = Vec::new();
    while let Ok(true) = next_line(&mut output, &mut line) {
        // parsed before the others have to wait
        let parsed = serde_json::from_slice(&line);
        let mut state = board.state();
        state.heard = Some(Instant::now());
        let heard = parsed.map_err(|error| error.to_string()).and_then(|parsed| state.hear(parsed));
        if let Err(why) = heard {
            let start: String = String::from_utf8_lossy(&line[..line.len().min(240)]).chars().take(60).collect();
            let dots = if line.len() > start.len() { "…" } else { "" };
            state.garbage = (state.garbage.0 + 1, format!("`{start}{dots}`: {why}"));
        }
        drop(state);
        board.wake();
    }
    board.wake();
}

/// A line without its end; false at the end of all. What is too long is cut.
fn next_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if from.take(LONGEST as u64).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() == LONGEST {
        let mut rest = Vec::new();
        while rest.last() != Some(&b'\n') {
            rest.clear();
            if from.take(1 << 16).read_until(b'\n', &mut rest)? == 0 {
                break;
            }
        }
    }
    Ok(true)
}

fn keep_words(errors: impl Read, words: &Mutex<VecDeque<String>>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    while let Ok(true) = next_line(&mut errors, &mut line) {
        let text: String = String::from_utf8_lossy(&line).trim().chars().take(WORDS.1).collect();
        if text.is_empty() {
            continue;
        }
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == WORDS.0 {
            words.pop_front();
        }
        words.push_back(text);
    }
}

//! What stands above the prompt's line: how tasks and monitors stand, and what they say.

use crate::show;
use fodo_builtins::Task;
use fodo_language::Output;
use rustyline::ExternalPrinter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How often what stands there is drawn anew, if it has changed.
const PACE: Duration = Duration::from_millis(500);

/// Tasks that have ended and are still listed.
const KEPT: usize = 100;

/// Moves up a line and down again: the line editor draws its line anew.
const REDRAW: &str = "\x1b[A\n";

/// The board of this process.
#[derive(Default)]
pub struct Board {
    tasks: Mutex<Vec<Task>>,
    monitors: Mutex<Vec<Monitor>>,
    /// To who prints above the line that is being typed.
    above: OnceLock<Sender<String>>,
    /// Whether a line is being typed.
    typing: AtomicBool,
    /// Whether standard output belongs to a JSON object.
    json: AtomicBool,
}

/// A value that is shown.
struct Monitor {
    number: u64,
    text: String,
    value: String,
}

/// The one board.
pub fn board() -> &'static Board {
    static BOARD: OnceLock<Board> = OnceLock::new();
    BOARD.get_or_init(Board::default)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// The tasks of the session, the oldest first.
    pub fn tasks(&self) -> Vec<Task> {
        locked(&self.tasks).clone()
    }

    /// One more task.
    pub fn list(&self, task: &Task) {
        let mut tasks = locked(&self.tasks);
        tasks.push(task.clone());
        let mut over = tasks.len().saturating_sub(KEPT);
        tasks.retain(|task| {
            let goes = over > 0 && !task.is_running();
            over -= usize::from(goes);
            !goes
        });
    }

    /// Begins to show a value under its text, in the place of one with the same text; the number to show more with.
    pub fn begin(&self, text: &str, value: String) -> u64 {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        self.end(Some(text));
        locked(&self.monitors).push(Monitor { number, text: text.to_string(), value });
        number
    }

    /// Shows a new value; whether anybody still wants it.
    pub fn show(&self, number: u64, value: String) -> bool {
        let mut monitors = locked(&self.monitors);
        let shown = monitors.iter_mut().find(|monitor| monitor.number == number);
        shown.map(|shown| shown.value = value).is_some()
    }

    /// Shows values no longer: those with this text, or all.
    pub fn end(&self, text: Option<&str>) -> usize {
        let mut monitors = locked(&self.monitors);
        let before = monitors.len();
        monitors.retain(|monitor| text.is_some_and(|text| monitor.text != text));
        before - monitors.len()
    }

    /// Tells something above the line; waits for nobody.
    pub fn say(&self, text: &str) {
        match self.above.get() {
            Some(above) if self.typing.load(Ordering::Relaxed) => _ = above.send(format!("{text}\n")),
            _ => show::Printer { json: self.json.load(Ordering::Relaxed) }.print(text),
        }
    }

    /// Leaves standard output to a JSON object.
    pub fn leave_output(&self) {
        self.json.store(true, Ordering::Relaxed);
    }

    /// How tasks that run and monitors stand, in one line; nothing if there are none.
    pub fn status(&self) -> Option<String> {
        let task = |task: &Task| {
            let how = match (task.progress(), task.state()) {
                (Some(progress), "running") => progress,
                (Some(progress), state) => format!("{progress} ({state})"),
                (None, state) => state.to_string(),
            };
            format!("[{}] {}: {how}", task.number(), task.name())
        };
        let tasks = self.tasks().iter().filter(|task| task.is_running()).map(task).collect::<Vec<_>>();
        let monitor = |monitor: &Monitor| format!("{}: {}", monitor.text, monitor.value);
        let monitors = locked(&self.monitors).iter().map(monitor).collect::<Vec<_>>();
        let all = [monitors, tasks].concat();
        (!all.is_empty()).then(|| all.join("   "))
    }

    /// Lets the board print above the line, and draw it anew when something changes.
    pub fn print_with(&'static self, mut printer: impl ExternalPrinter + Send + 'static) {
        let (above, said) = channel();
        if self.above.set(above).is_err() {
            return;
        }
        std::thread::spawn(move || {
            let mut drawn = None;
            loop {
                let text = said.recv_timeout(PACE).unwrap_or_default();
                let status = self.status();
                let changed = status != drawn && self.typing.load(Ordering::Relaxed);
                if changed || !text.is_empty() {
                    // a terminal that is gone is told nothing
                    _ = printer.print(if text.is_empty() { REDRAW.to_string() } else { text });
                    drawn = status;
                }
            }
        });
    }

    /// Whether a line is typed from now on.
    pub fn typing(&self, typing: bool) {
        self.typing.store(typing, Ordering::Relaxed);
    }
}

/// What a task prints, with its number before every line.
pub struct Tagged(pub usize);

impl Output for Tagged {
    fn print(&self, text: &str) {
        let lines: Vec<String> = text.lines().map(|line| format!("[{}] {line}", self.0)).collect();
        board().say(&lines.join("\n"));
    }
}

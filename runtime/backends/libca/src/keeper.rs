//! Looks after connections: libca tells epics-ca of a loss, and epics-ca tells nobody.

use crate::line::Line;
use crate::task::{Task, drive};
use crate::values::Shape;
use epics_ca::types::FieldId;
use fodo_control::{Cancel, Channel};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often connections are looked at.
const PERIOD: Duration = Duration::from_millis(10);

/// How long a server may take to name the states of its channels.
const PATIENCE: Duration = Duration::from_secs(1);

/// All channels of a client.
pub type Lines = Mutex<HashMap<Channel, Arc<Line>>>;

/// Looks after `lines` until the client is dropped.
pub fn keep(lines: &Weak<Lines>) {
    while let Some(lines) = lines.upgrade() {
        let all: Vec<Arc<Line>> = lines.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        drop(lines);
        let mut risen = Vec::new();
        for line in all {
            match (line.is_up(), line.seen()) {
                (true, None) => line.fall(),
                (false, Some(shape)) => risen.push((line, shape)),
                _ => {}
            }
        }
        rise(risen);
        std::thread::sleep(PERIOD);
    }
}

/// What has just been connected: its states are asked for, then its monitor begins.
fn rise(mut risen: Vec<(Arc<Line>, Shape)>) {
    let states = |(_, shape): &&mut (Arc<Line>, Shape)| shape.kind == FieldId::Enum;
    let asked: Vec<Arc<Line>> = risen.iter_mut().filter(states).map(|(line, _)| line.clone()).collect();
    let tasks: Vec<Task<'_, _>> = asked.iter().map(|line| Box::pin(line.labels()) as Task<'_, _>).collect();
    let answers = drive(tasks, Instant::now() + PATIENCE, &Cancel::new()).unwrap_or_default();
    for ((_, shape), labels) in risen.iter_mut().filter(states).zip(answers) {
        shape.choices = labels.and_then(Result::ok).unwrap_or_default();
    }
    for (line, shape) in risen {
        let known = line.rise(shape);
        if !known && line.monitor().is_err() {
            // lost again meanwhile: a channel without a monitor is asked each time
        }
    }
}

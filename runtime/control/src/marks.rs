//! Named places in a session that it can return to, over many runs.

use crate::setpoint::same;
use crate::transaction::{Putback, Standing, Written};
use crate::{Change, Channel, Session, Setpoint, WriteMode};
use fodo_report::{Diagnostic, Kind, Result, did_you_mean};
use std::collections::HashMap;
use std::sync::Arc;

/// Marks that a session keeps; the oldest is forgotten.
const KEPT: usize = 100;

/// What was changed since a mark: what each setpoint held then, and what Fodo wrote to it last.
#[derive(Clone, Debug)]
struct Mark {
    name: String,
    first: Vec<(Arc<Setpoint>, f64)>,
    written: HashMap<Channel, Written>,
}

/// The marks of a session, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks(Vec<Mark>);

impl Marks {
    fn set(&mut self, name: &str) {
        self.0.retain(|mark| mark.name != name);
        self.0.push(Mark { name: name.to_string(), first: Vec::new(), written: HashMap::new() });
        self.0.drain(..self.0.len().saturating_sub(KEPT));
    }

    fn find(&self, name: &str) -> Result<&Mark> {
        self.0.iter().find(|mark| mark.name == name).ok_or_else(|| {
            let message = format!("this session has no mark \"{name}\"");
            let names = self.0.iter().map(|mark| mark.name.as_str());
            let near = did_you_mean(name, names).unwrap_or(format!("set it first: mark(\"{name}\")"));
            Diagnostic::new(Kind::Script, message).hint(near).into()
        })
    }

    /// Puts on record what goes out.
    pub fn record(&mut self, changes: &[Change], olds: &[f64]) {
        for mark in &mut self.0 {
            for (change, &old) in changes.iter().zip(olds) {
                let channel = &change.setpoint.channel;
                let known = mark.written.get(channel);
                if known.is_none() {
                    mark.first.push((change.setpoint.clone(), old));
                }
                let previous = known.map_or(old, |written| written[0]);
                mark.written.insert(channel.clone(), [change.value, previous]);
            }
        }
    }
}

impl Mark {
    /// Setpoints that stand changed, as they were and as they are; first changed first.
    fn standing(&self) -> impl DoubleEndedIterator<Item = Standing> + '_ {
        let standing = |(setpoint, first): &(Arc<Setpoint>, f64)| {
            let now = self.written.get(&setpoint.channel)?[0];
            (!same(now, *first)).then(|| (setpoint.clone(), *first, now))
        };
        self.first.iter().filter_map(standing)
    }
}

impl Session {
    /// Names the present setpoints, so that [`Session::revert`] can return to them; an older mark of that name is forgotten.
    pub fn set_mark(&self, name: &str) {
        self.state().past().marks.set(name);
    }

    /// What this session has changed since a mark: setpoint, hardware value then and now; first changed first.
    ///
    /// # Errors
    /// Kind `script`: no such mark.
    pub fn since(&self, name: &str) -> Result<Vec<Standing>> {
        Ok(self.state().past().marks.find(name)?.standing().collect())
    }

    /// Puts back everything that this session has changed since a mark, last changed first.
    ///
    /// It is part of the present run, so that an error or a stop takes it back, and undo does. Setpoints
    /// that somebody else has moved are left alone and named.
    ///
    /// # Errors
    /// Kind `script`: no such mark. `rights`, `limits`: as for any change; nothing is written.
    pub fn revert(&self, name: &str) -> Result<Putback> {
        let mark = self.state().past().marks.find(name)?.clone();
        let back: Vec<Change> = mark.standing().rev().map(|(setpoint, value, _)| Change { setpoint, value }).collect();
        if back.is_empty() {
            return Ok(Putback::default());
        }
        if self.mode() == WriteMode::Rehearse {
            self.write(&back)?;
            return Ok(Putback { restored: back.len(), ..Putback::default() });
        }
        self.cancel.check().map_err(crate::session::stopped)?;
        self.allowed(&back)?;
        Ok(self.put_back(&back, &mark.written, "revert"))
    }
}

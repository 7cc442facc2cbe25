//! The twin as a control system in this process, in virtual time.
//!
//! Waiting costs nothing: asking for a later sample moves the plant's clock to its next shot. The
//! crate knows a [`Plant`], not how it computes.

use fodo_control::{
    Backend, Cancel, Channel, Fault, Fresh, Metadata, Permit, Plant, Reading, Shape, Stopped, Time, Write,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A plant in this process, seen as a control system.
pub struct Simulator {
    plant: Arc<dyn Plant>,
    metadata: HashMap<Channel, Metadata>,
}

impl Simulator {
    /// Wraps a plant.
    pub fn new(plant: Arc<dyn Plant>) -> Simulator {
        let describe = |info: fodo_control::ChannelInfo| {
            let length = match info.shape {
                Shape::Scalar => 1,
                Shape::Vector(length) => length,
            };
            let metadata = Metadata { unit: info.unit, limits: info.limits, length, writable: info.writable };
            (info.channel, metadata)
        };
        let metadata = plant.channels().into_iter().map(describe).collect();
        Simulator { plant, metadata }
    }

    fn fault(&self, channel: &Channel) -> Option<Fault> {
        (!self.metadata.contains_key(channel)).then(|| Fault::absent(channel, "the twin has no such channel"))
    }
}

impl Backend for Simulator {
    fn name(&self) -> String {
        "the twin".into()
    }

    fn connect(&self, channels: &[Channel], _wait: Duration, cancel: &Cancel) -> Result<Vec<Fault>, Stopped> {
        cancel.check()?;
        Ok(channels.iter().filter_map(|channel| self.fault(channel)).collect())
    }

    fn read(
        &self,
        channels: &[Channel],
        fresh: Fresh,
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        cancel.check()?;
        if let Fresh::After(time, silent) = fresh
            && !silent.is_zero()
            && self.plant.now() <= time
        {
            self.plant.advance(time.after(self.plant.period()));
        }
        Ok(self.plant.sample(channels))
    }

    fn write(
        &self,
        _permit: &Permit,
        writes: &[Write],
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        cancel.check()?;
        let faults = self.plant.apply(writes).err().unwrap_or_default();
        let answer = |write: &Write| match faults.iter().find(|fault| fault.channel == write.channel) {
            Some(fault) => Err(fault.clone()),
            None if faults.is_empty() => Ok(()),
            None => Err(Fault::refused(&write.channel, "not written, because another of the set was refused")),
        };
        Ok(writes.iter().map(answer).collect())
    }

    fn metadata(
        &self,
        channels: &[Channel],
        _wait: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        cancel.check()?;
        let absent = |channel| Fault::absent(channel, "the twin has no such channel");
        Ok(channels.iter().map(|c| self.metadata.get(c).cloned().ok_or_else(|| absent(c))).collect())
    }

    fn now(&self) -> Time {
        self.plant.now()
    }

    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.check()?;
        self.plant.advance(self.plant.now().after(span));
        Ok(())
    }
}

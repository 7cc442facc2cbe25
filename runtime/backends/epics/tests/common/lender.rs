//! Writes without a run around them: lends the permit of a real transaction.

use fodo_control::{
    Backend, Cancel, Change, Channel, Fault, Fresh, Keep, Metadata, Monitor, Permit, Reading, RunInfo, Session,
    SessionOptions, Setpoint, Stopped, Time, Value, Write, WriteMode,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A backend whose only use is to be lent the transaction's permit.
struct Lender<F, T>(Mutex<(Option<F>, Option<T>)>);

impl<F: FnOnce(&Permit) -> T + Send, T: Send> Backend for Lender<F, T> {
    fn name(&self) -> String {
        "lender".into()
    }
    fn connect(&self, _: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Fault>, Stopped> {
        Ok(Vec::new())
    }
    fn read(
        &self,
        channels: &[Channel],
        _: Fresh,
        _: Duration,
        _: &Cancel,
    ) -> Result<Vec<Result<Reading, Fault>>, Stopped> {
        Ok(channels.iter().map(|_| Ok(Reading::good(Value::Number(0.0), Time::wall()))).collect())
    }
    fn write(
        &self,
        permit: &Permit,
        writes: &[Write],
        _: Duration,
        _: &Cancel,
    ) -> Result<Vec<Result<(), Fault>>, Stopped> {
        let mut state = self.0.lock().unwrap();
        if let Some(task) = state.0.take() {
            state.1 = Some(task(permit));
        }
        Ok(writes.iter().map(|_| Ok(())).collect())
    }
    fn monitor(&self, channels: &[Channel], keep: Keep) -> Monitor {
        Monitor::new(channels, keep).0
    }
    fn metadata(&self, channels: &[Channel], _: Duration, _: &Cancel) -> Result<Vec<Result<Metadata, Fault>>, Stopped> {
        Ok(channels.iter().map(|_| Ok(Metadata::default())).collect())
    }
    fn now(&self) -> Time {
        Time::wall()
    }
    fn wait(&self, span: Duration, cancel: &Cancel) -> Result<(), Stopped> {
        cancel.wait(span)
    }
}

/// Runs `task` with a permit, inside a real transaction on a machine of no consequence.
pub fn with_permit<T: Send + 'static>(task: impl FnOnce(&Permit) -> T + Send + 'static) -> T {
    let lender = Arc::new(Lender(Mutex::new((Some(task), None))));
    let session = Session::new(lender.clone(), WriteMode::Write, Cancel::new(), SessionOptions::default());
    let setpoint = Setpoint {
        name: "nothing".into(),
        family: "nothing".into(),
        channel: "nothing".into(),
        readback: None,
        unit: "".into(),
        limits: (-10.0, 10.0),
        tolerance: 1.0,
        arrival: Duration::from_secs(1),
        rate: None,
        physics: None,
    };
    session.begin(RunInfo::default(), &[]).unwrap();
    session.write(&[Change { setpoint: Arc::new(setpoint), value: 1.0 }]).unwrap();
    lender.0.lock().unwrap().1.take().unwrap()
}

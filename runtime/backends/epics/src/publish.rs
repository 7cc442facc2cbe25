//! A plant's channels as process variables.

use crate::values;
use epics_base_rs::error::{CaError, CaResult};
use epics_base_rs::server::database::PvDatabase;
use epics_base_rs::server::pv::{AccessDecision, AccessHook, ProcessVariable, PvMetadata, WriteHook};
use epics_base_rs::server::snapshot::{ControlInfo, DisplayInfo, Snapshot};
use epics_base_rs::types::EpicsValue;
use fodo_control::{Channel, ChannelInfo, Fault, Reading, Shape, Time, Value, Write};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use tokio::sync::oneshot;

/// A client's wish to write, with the place for the answer.
pub struct Put {
    /// What to write.
    pub write: Write,
    /// Answered after the plant took it, or with the reason why it did not.
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// One channel on the network.
pub struct Published {
    /// What the plant says about it.
    pub info: ChannelInfo,
    variable: Arc<ProcessVariable>,
    last: Reading,
}

impl Published {
    /// Makes the process variable, with `first` as its value.
    pub async fn new(
        database: &PvDatabase,
        info: ChannelInfo,
        first: Result<Reading, Fault>,
        now: Time,
        puts: &Sender<Put>,
    ) -> CaResult<Published> {
        let first = first.unwrap_or_else(|fault| unread(&info, fault, now));
        let initial = values::to_wire(&first.value);
        database.add_pv_with_hooks(&info.channel, initial, on_write(&info, puts.clone()), Some(access(&info))).await?;
        let variable = database.find_pv(&info.channel).await;
        let variable = variable.ok_or_else(|| CaError::ChannelNotFound(info.channel.to_string()))?;
        variable.set_metadata(metadata(&info));
        let published = Published { info, variable, last: first };
        published.post(published.last.time);
        Ok(published)
    }

    /// The variable and its name.
    pub fn named(&self) -> (String, Arc<ProcessVariable>) {
        (self.info.channel.to_string(), self.variable.clone())
    }

    /// Posts a reading if it says something new: another value or validity, or, for what clients
    /// cannot write, a later time.
    pub fn update(&mut self, reading: Result<Reading, Fault>, now: Time) {
        let reading = reading.unwrap_or_else(|fault| unread(&self.info, fault, now));
        let later = !self.info.writable && reading.time != self.last.time;
        if later || reading.value != self.last.value || reading.validity != self.last.validity {
            self.last = reading;
            self.post(self.last.time);
        }
    }

    /// Posts what a client has written at `now`.
    pub fn written(&mut self, reading: Result<Reading, Fault>, now: Time) {
        self.last = reading.unwrap_or_else(|fault| unread(&self.info, fault, now));
        self.post(now);
    }

    fn post(&self, time: Time) {
        let (severity, status) = values::alarm(&self.last, &self.info.alarms);
        let value = values::to_wire(&self.last.value);
        self.variable.set_snapshot(Snapshot::new(value, status, severity, values::stamp(time)));
    }
}

/// What is served for a channel that the plant could not read.
fn unread(info: &ChannelInfo, fault: Fault, now: Time) -> Reading {
    let value = match info.shape {
        Shape::Scalar => Value::Number(f64::NAN),
        Shape::Vector(length) => Value::Vector(vec![f64::NAN; length].into()),
    };
    Reading::invalid(value, now, fault.reason)
}

/// Unit, precision and limits; an alarm limit that is not there is NaN in EPICS.
fn metadata(info: &ChannelInfo) -> PvMetadata {
    let (low, high) = info.limits.unwrap_or_default();
    let (low_warning, high_warning) = info.alarms.warning.unwrap_or((f64::NAN, f64::NAN));
    let (low_alarm, high_alarm) = info.alarms.alarm.unwrap_or((f64::NAN, f64::NAN));
    let display = DisplayInfo {
        units: info.unit.as_str().into(),
        precision: info.precision,
        upper_disp_limit: high,
        lower_disp_limit: low,
        upper_alarm_limit: high_alarm,
        upper_warning_limit: high_warning,
        lower_warning_limit: low_warning,
        lower_alarm_limit: low_alarm,
        ..DisplayInfo::default()
    };
    let control = ControlInfo { upper_ctrl_limit: high, lower_ctrl_limit: low };
    PvMetadata { display: Some(display), control: Some(control), enums: None }
}

fn access(info: &ChannelInfo) -> AccessHook {
    let decision = AccessDecision { read: true, write: info.writable };
    Arc::new(move |_user, _host| decision)
}

/// Takes a client's value to the plant and answers when the plant has it.
fn on_write(info: &ChannelInfo, puts: Sender<Put>) -> WriteHook {
    let (channel, limits) = (info.channel.clone(), info.limits);
    Arc::new(move |value, _client| {
        let asked = ask(&channel, limits, &value, &puts);
        Box::pin(async move {
            let answer = asked?.await.unwrap_or_else(|_| Err("the server stops".into()));
            answer.map_err(CaError::InvalidValue)
        })
    })
}

fn ask(
    channel: &Channel,
    limits: Option<(f64, f64)>,
    value: &EpicsValue,
    puts: &Sender<Put>,
) -> CaResult<oneshot::Receiver<Result<(), String>>> {
    let value = values::number(value).filter(|number| number.is_finite());
    let value = value.ok_or_else(|| CaError::InvalidValue("not a number".into()))?;
    if limits.is_some_and(|(low, high)| value < low || value > high) {
        return Err(CaError::InvalidValue(format!("{value} is outside the limits")));
    }
    let (answer, answered) = oneshot::channel();
    let put = Put { write: Write { channel: channel.clone(), value }, answer };
    puts.send(put).map_err(|_| CaError::Shutdown)?;
    Ok(answered)
}

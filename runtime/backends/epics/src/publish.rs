//! A plant's channels as process variables.

use crate::board::Board;
use crate::values;
use epics_base_rs::error::{CaError, CaResult};
use epics_base_rs::server::database::PvDatabase;
use epics_base_rs::server::pv::{AccessDecision, AccessHook, ProcessVariable, PvMetadata, ReadHook, WriteHook};
use epics_base_rs::server::snapshot::{ControlInfo, DisplayInfo, Snapshot};
use fodo_control::{Alarms, Channel, ChannelInfo, Puts, Reading};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// One channel on the network.
pub struct Published {
    alarms: Alarms,
    name: Channel,
    variable: Arc<ProcessVariable>,
    state: Mutex<State>,
}

/// Whether somebody can see a variable.
#[derive(Default)]
struct State {
    /// How often clients have opened it.
    open: usize,
    /// What it does not hold yet, because nobody can see it.
    newest: Option<Reading>,
}

impl Published {
    /// Makes the process variable, with `first` as its value.
    pub async fn new(
        database: &PvDatabase,
        info: &ChannelInfo,
        first: &Reading,
        puts: &Puts,
        board: &Arc<Board>,
    ) -> CaResult<Published> {
        let initial = values::to_wire(&first.value);
        let write = on_write(info, puts.clone(), board);
        database.add_pv_with_hooks(&info.channel, initial, write, Some(access(info))).await?;
        let variable = database.find_pv(&info.channel).await;
        let variable = variable.ok_or_else(|| CaError::ChannelNotFound(info.channel.to_string()))?;
        variable.set_metadata(metadata(info));
        variable.set_read_hook(on_read(&variable, puts.clone(), board));
        let published =
            Published { alarms: info.alarms, name: info.channel.clone(), variable, state: Mutex::default() };
        published.post(first);
        Ok(published)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The library's own.
    pub fn variable(&self) -> &Arc<ProcessVariable> {
        &self.variable
    }

    /// Posts a reading if somebody can see it, or `always`.
    pub fn show(&self, reading: Reading, always: bool) {
        let mut state = self.state();
        if state.open == 0 && !always {
            state.newest = Some(reading);
            return;
        }
        state.newest = None;
        self.post(&reading);
    }

    /// A client has opened it.
    pub fn opened(&self) {
        self.state().open += 1;
        self.refresh();
    }

    /// A client has closed it.
    pub fn closed(&self) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
    }

    /// Posts what was not posted because nobody could see it.
    pub fn refresh(&self) {
        if let Some(reading) = self.state().newest.take() {
            self.post(&reading);
        }
    }

    fn post(&self, reading: &Reading) {
        let (severity, status) = values::alarm(reading, &self.alarms);
        let value = values::to_wire(&reading.value);
        self.variable.set_snapshot(Snapshot::new(value, status, severity, values::stamp(reading.time)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Gives what the variable holds when all that was written before is shown.
fn on_read(variable: &Arc<ProcessVariable>, puts: Puts, board: &Arc<Board>) -> ReadHook {
    let (variable, board) = (Arc::downgrade(variable), Arc::downgrade(board));
    Arc::new(move || {
        let (variable, puts, board) = (variable.clone(), puts.clone(), board.clone());
        Box::pin(async move {
            if !puts.are_shown() {
                let (shown, is_shown) = oneshot::channel();
                puts.when_shown(move || _ = shown.send(()));
                _ = is_shown.await;
            }
            board.upgrade().ok_or(CaError::Disconnected)?.catch_up();
            variable.upgrade().map(|variable| variable.snapshot()).ok_or(CaError::Disconnected)
        })
    })
}

/// Takes a client's value to the plant and answers when the plant has it: the library takes a client's next write, or
/// its next reading, only then.
fn on_write(info: &ChannelInfo, puts: Puts, board: &Arc<Board>) -> WriteHook {
    let (channel, board) = (info.channel.clone(), Arc::downgrade(board));
    Arc::new(move |value, _client| {
        let (answer, answered) = oneshot::channel();
        puts.ask_in_series(&channel, values::asked(&value), |done| drop(answer.send(done)));
        let board = board.clone();
        Box::pin(async move {
            let answer = answered.await.unwrap_or_else(|_| Err("the server stops".into()));
            if let Some(board) = board.upgrade() {
                board.catch_up();
            }
            answer.map_err(CaError::InvalidValue)
        })
    })
}

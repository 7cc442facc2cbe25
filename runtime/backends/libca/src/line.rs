//! One channel: its connection, the newest sample, and who follows it.

use crate::values::{self, Item, Shape, States};
use epics_ca::channel::get::Callback;
use epics_ca::channel::subscribe::Queue;
use epics_ca::request::{CtrlFloat, Time as Sample};
use epics_ca::types::{EpicsEnum, EpicsString, FieldId};
use epics_ca::{Channel as Wire, Context, Error};
use fodo_control::{Channel, Fault, Feed, Metadata, Reading, Value};
use std::ffi::CString;
use std::marker::PhantomData;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Tells those who wait that some channel has changed.
#[derive(Default)]
pub struct News {
    count: Mutex<u64>,
    more: Condvar,
}

impl News {
    pub fn count(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.more.notify_all();
    }

    /// Waits for something after `seen`.
    pub fn wait(&self, seen: u64, span: std::time::Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        _ = self.more.wait_timeout_while(count, span, |count| *count == seen);
    }
}

#[derive(Default)]
struct State {
    up: bool,
    known: bool,
    shape: Option<Arc<Shape>>,
    newest: Option<Reading>,
    feeds: Vec<(Feed, usize)>,
    /// Requests that wait for the connection.
    waiting: Vec<Waker>,
}

impl State {
    /// Tells the followers, and forgets those that are gone.
    fn tell(&mut self, reading: &Result<Reading, Fault>) {
        self.feeds.retain(|(feed, place)| feed.push(*place, reading.clone()));
    }
}

/// A channel. epics-ca does one thing at a time on a connection of its own, so each request borrows one of several.
pub struct Line {
    pub name: Channel,
    context: Mutex<Context>,
    news: Arc<News>,
    spelled: CString,
    probe: Mutex<Wire>,
    idle: Mutex<Vec<Wire>>,
    state: Mutex<State>,
}

/// A connection borrowed for one request.
struct Lent<'a> {
    line: &'a Line,
    wire: Option<Wire>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.line.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.wire.take());
    }
}

impl Line {
    pub fn open(context: &Context, news: &Arc<News>, name: &Channel) -> Result<Line, Fault> {
        let spelled = CString::new(name.as_bytes()).map_err(|_| Fault::absent(name, "no name: it has a zero in it"))?;
        let probe = Wire::new(context, &spelled).map_err(|error| Fault::absent(name, values::reason(error).0))?;
        let (context, news, name) = (Mutex::new(context.clone()), news.clone(), name.clone());
        Ok(Line {
            name,
            context,
            news,
            spelled,
            probe: Mutex::new(probe),
            idle: Mutex::default(),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wire(&self) -> Result<Wire, Error> {
        Wire::new(&self.context.lock().unwrap_or_else(PoisonError::into_inner), &self.spelled)
    }

    fn probe(&self) -> MutexGuard<'_, Wire> {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_up(&self) -> bool {
        self.state().up
    }

    /// Connected before, and no longer.
    pub fn is_lost(&self) -> bool {
        let state = self.state();
        state.known && !state.up
    }

    /// Fails at once for a channel that was lost; waits for one that was never there.
    pub async fn present(&self) -> Result<(), Fault> {
        std::future::poll_fn(|request| {
            let mut state = self.state();
            match (state.up, state.known) {
                (true, _) => Poll::Ready(Ok(())),
                (false, true) => Poll::Ready(Err(Fault::absent(&self.name, "disconnected"))),
                (false, false) => {
                    state.waiting.push(request.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    pub fn newest(&self) -> Option<Reading> {
        let state = self.state();
        state.newest.clone().filter(|_| state.up)
    }

    /// Kind and length as the server says now; none if it is not connected.
    pub fn seen(&self) -> Option<Shape> {
        let probe = self.probe();
        let (kind, length) = (probe.field_type().ok()?, probe.element_count().ok()?);
        Some(Shape { kind, length, choices: Vec::new() })
    }

    pub fn may_write(&self) -> bool {
        let probe = self.probe();
        // SAFETY: the channel lives, and libca locks it itself
        #[allow(unsafe_code)]
        let may = unsafe { epics_ca_sys::ca_write_access(probe.raw()) };
        may != 0
    }

    /// Connected: from now on it counts as there. Whether it ever was before.
    pub fn rise(&self, shape: Shape) -> bool {
        let mut state = self.state();
        let known = std::mem::replace(&mut state.known, true);
        (state.up, state.shape) = (true, Some(Arc::new(shape)));
        state.waiting.drain(..).for_each(Waker::wake);
        drop(state);
        self.news.tell();
        known
    }

    /// Disconnected.
    pub fn fall(&self) {
        let mut state = self.state();
        (state.up, state.newest) = (false, None);
        state.tell(&Err(Fault::absent(&self.name, "disconnected")));
        drop(state);
        self.news.tell();
    }

    fn hear<T: Item>(&self, sample: Result<&Sample<[T]>, Error>) {
        let mut state = self.state();
        let Some(shape) = state.shape.clone() else { return };
        let reading = match sample {
            Ok(sample) => Ok(values::reading(sample, &shape)),
            Err(error) => Err(self.fault("", error)),
        };
        state.newest = reading.as_ref().ok().cloned();
        state.tell(&reading);
        drop(state);
        self.news.tell();
    }

    pub fn follow(&self, feed: Feed, place: usize) {
        let mut state = self.state();
        if let Some(newest) = &state.newest {
            _ = feed.push(place, Ok(newest.clone()));
        }
        state.feeds.push((feed, place));
    }

    /// Begins the monitor, which lives as long as the process: epics-ca may lock up when one is ended.
    pub fn monitor(self: &Arc<Line>) -> Result<(), Error> {
        match self.asked_as() {
            FieldId::Enum => self.listen::<EpicsEnum>(),
            FieldId::String => self.listen::<EpicsString>(),
            FieldId::Char => self.listen::<u8>(),
            _ => self.listen::<f64>(),
        }
    }

    fn listen<T: Item>(self: &Arc<Line>) -> Result<(), Error> {
        let wire = Box::leak(Box::new(self.wire()?));
        let ear = Ear { line: self.clone(), _item: PhantomData::<T> };
        let monitor = Box::leak(Box::new(wire.subscribe_with(ear)));
        std::pin::Pin::static_mut(monitor).start()
    }

    fn shape(&self) -> Result<Arc<Shape>, Fault> {
        self.state().shape.clone().ok_or_else(|| Fault::absent(&self.name, "disconnected"))
    }

    /// The type that samples are asked for in.
    fn asked_as(&self) -> FieldId {
        match self.state().shape.as_ref().map(|shape| (shape.kind, shape.length)) {
            Some((FieldId::Char, length)) if length > 1 => FieldId::Char,
            Some((kind @ (FieldId::Enum | FieldId::String), _)) => kind,
            _ => FieldId::Double,
        }
    }

    async fn lend(&self) -> Result<Lent<'_>, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let wire = match idle {
            Some(wire) => wire,
            None => self.wire().map_err(|error| self.fault("", error))?,
        };
        let mut lent = Lent { line: self, wire: Some(wire) };
        if let Some(wire) = &mut lent.wire {
            wire.connected().await;
        }
        Ok(lent)
    }

    async fn ask<C: Callback>(&self, question: C) -> Result<C::Output, Fault> {
        let mut lent = self.lend().await?;
        let Some(wire) = &mut lent.wire else { return Err(Fault::absent(&self.name, "disconnected")) };
        wire.get_with(question).await.map_err(|error| self.fault("", error))
    }

    /// Asks the server now.
    pub async fn get(&self) -> Result<Reading, Fault> {
        let shape = self.shape()?;
        match self.asked_as() {
            FieldId::Enum => self.ask(Look::<EpicsEnum>(shape, PhantomData)).await,
            FieldId::String => self.ask(Look::<EpicsString>(shape, PhantomData)).await,
            FieldId::Char => self.ask(Look::<u8>(shape, PhantomData)).await,
            _ => self.ask(Look::<f64>(shape, PhantomData)).await,
        }
    }

    /// The names of its states.
    pub async fn labels(&self) -> Result<Vec<Arc<str>>, Fault> {
        self.ask(Labels).await
    }

    /// Unit, limits, length and rights.
    pub async fn metadata(&self) -> Result<Metadata, Fault> {
        let shape = self.shape()?;
        let (unit, limits) = match shape.kind {
            FieldId::Enum | FieldId::String => (String::new(), None),
            _ => self.ask(Display).await?,
        };
        Ok(Metadata {
            // the protocol carries none
            description: String::new(),
            form: shape.form(),
            unit,
            limits: limits.filter(|(low, high)| low < high),
            length: shape.length,
            choices: shape.choices.clone(),
            writable: self.may_write(),
        })
    }

    /// Writes, and waits until the server says that it is done.
    pub async fn put(&self, value: &Value) -> Result<(), Fault> {
        if !self.may_write() {
            return Err(Fault::refused(&self.name, "write refused: the server gives this client no right to write"));
        }
        let kind = self.shape()?.kind;
        let mut lent = self.lend().await?;
        let Some(wire) = &mut lent.wire else { return Err(Fault::absent(&self.name, "disconnected")) };
        let refused = |why: String| Fault::refused(&self.name, why);
        let sent = match value {
            Value::Number(number) => wire.put_ref(number),
            Value::Choice { index, .. } => wire.put_ref(&f64::from(*index)),
            Value::Vector(entries) => wire.put_ref(entries.as_ref()),
            Value::Text(text) if kind == FieldId::Char => {
                let bytes: Vec<u8> = text.bytes().chain([0]).collect();
                wire.put_ref(bytes.as_slice())
            }
            Value::Text(text) if matches!(kind, FieldId::String | FieldId::Enum) => {
                wire.put_ref(&values::short(text).map_err(refused)?)
            }
            Value::Texts(texts) if kind == FieldId::String => {
                let texts: Result<Vec<_>, _> = texts.iter().map(|text| values::short(text)).collect();
                wire.put_ref(texts.map_err(refused)?.as_slice())
            }
            Value::Text(_) | Value::Texts(_) => {
                return Err(refused(format!("write refused: it takes numbers, not {}", value.form())));
            }
            Value::Image { .. } | Value::Table(_) => {
                return Err(refused(format!("write refused: Channel Access cannot carry {}", value.form())));
            }
        };
        let done = sent.map_err(|error| self.fault("write refused: ", error))?.await;
        done.map_err(|error| match values::reason(error).1 {
            true => Fault::absent(&self.name, "disconnected; the write may have arrived"),
            false => self.fault("write refused: ", error),
        })
    }

    fn fault(&self, what: &str, error: Error) -> Fault {
        let (reason, absent) = values::reason(error);
        Fault { channel: self.name.clone(), reason: format!("{what}{reason}"), absent }
    }
}

/// Hears the monitor; called on a thread of libca, and calls nothing of it.
struct Ear<T> {
    line: Arc<Line>,
    _item: PhantomData<T>,
}

impl<T: Item> Queue for Ear<T> {
    type Request = Sample<[T]>;
    type Output = ();

    fn push(&mut self, sample: Result<&Sample<[T]>, Error>) {
        self.line.hear(sample);
    }

    fn pop(&mut self) -> Option<Result<(), Error>> {
        None
    }
}

struct Look<T>(Arc<Shape>, PhantomData<T>);

impl<T: Item> Callback for Look<T> {
    type Request = Sample<[T]>;
    type Output = Reading;

    fn apply(self, sample: Result<&Sample<[T]>, Error>) -> Result<Reading, Error> {
        sample.map(|sample| values::reading(sample, &self.0))
    }
}

struct Labels;

impl Callback for Labels {
    type Request = States;
    type Output = Vec<Arc<str>>;

    fn apply(self, states: Result<&States, Error>) -> Result<Vec<Arc<str>>, Error> {
        states.map(States::labels)
    }
}

struct Display;

impl Callback for Display {
    type Request = CtrlFloat<[f64]>;
    type Output = (String, Option<(f64, f64)>);

    fn apply(self, sent: Result<&CtrlFloat<[f64]>, Error>) -> Result<Self::Output, Error> {
        sent.map(|sent| {
            let unit = values::text(&sent.units.0).to_string();
            (unit, Some((sent.lower_ctrl_limit, sent.upper_ctrl_limit)))
        })
    }
}

//! A device: its connections, and what it says of its attributes and commands.

use crate::ffi::{Failure, Info, Proxy, Sample, kind};
use crate::values;
use fodo_control::Reading;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By name in small letters: TANGO does not distinguish.
type Book = Arc<HashMap<String, Arc<Info>>>;

/// A device by its name.
pub struct Device {
    name: Arc<str>,
    /// Connections that nobody uses at the moment: each call has one of its own.
    idle: Mutex<Vec<Proxy>>,
    attributes: Mutex<Option<Book>>,
    commands: Mutex<Option<Book>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    pub fn new(name: &Arc<str>) -> Device {
        Device { name: name.clone(), idle: Mutex::default(), attributes: Mutex::default(), commands: Mutex::default() }
    }

    /// Its name, as libtango takes it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Uses a connection for at most `milliseconds` a call.
    pub fn call<T>(&self, milliseconds: i32, work: impl FnOnce(&mut Proxy) -> T) -> Result<T, Failure> {
        let idle = lock(&self.idle).pop();
        let mut proxy = match idle {
            Some(proxy) => proxy,
            None => Proxy::open(&self.name)?,
        };
        proxy.timeout(milliseconds);
        let done = work(&mut proxy);
        lock(&self.idle).push(proxy);
        Ok(done)
    }

    /// Forgets its connections and what it said: a server that was lost may come back as another.
    ///
    /// A connection of libtango that was lost is not tried again within a second; a new one is at once.
    pub fn forget(&self) {
        let proxies = std::mem::take(&mut *lock(&self.idle));
        drop(proxies);
        *lock(&self.attributes) = None;
        *lock(&self.commands) = None;
    }

    /// Forgets them if this tells that it is lost.
    pub fn judge<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(Failure::Absent(_)) = answer {
            self.forget();
        }
        answer
    }

    /// What it says of its attributes; asked again if `anew`.
    pub fn attributes(&self, proxy: &mut Proxy, anew: bool) -> Result<Book, Failure> {
        book(&self.attributes, anew, || proxy.attributes())
    }

    /// What it says of one attribute.
    pub fn attribute(&self, proxy: &mut Proxy, name: &str) -> Result<Arc<Info>, Failure> {
        let key = name.to_ascii_lowercase();
        let known = lock(&self.attributes).as_ref().and_then(|book| book.get(&key).cloned());
        if let Some(info) = known {
            return Ok(info);
        }
        let book = self.attributes(proxy, true)?;
        book.get(&key).cloned().ok_or_else(|| Failure::Absent(format!("the device has no attribute `{name}`")))
    }

    /// What it says of one command.
    pub fn command(&self, proxy: &mut Proxy, name: &str) -> Result<Arc<Info>, Failure> {
        let book = book(&self.commands, false, || proxy.commands())?;
        let found = book.get(&name.to_ascii_lowercase()).cloned();
        found.ok_or_else(|| Failure::Absent(format!("the device has no command `{name}`")))
    }

    /// A sample as a reading, with the names of its states.
    pub fn reading(&self, proxy: &mut Proxy, name: &str, sample: Sample) -> Result<Reading, Failure> {
        let labels = match sample.kind {
            kind::ENUM => values::labels(&*self.attribute(proxy, name)?),
            _ => Vec::new(),
        };
        Ok(values::reading(sample, &labels))
    }

    /// A sample as a reading, with the names of states that are known.
    pub fn known_reading(&self, name: &str, sample: Sample) -> Reading {
        let key = name.to_ascii_lowercase();
        let info = lock(&self.attributes).as_ref().and_then(|book| book.get(&key).cloned());
        values::reading(sample, &info.map(|info| values::labels(&info)).unwrap_or_default())
    }

    /// Reads attributes in one call; a server takes each name only once.
    pub fn read(&self, proxy: &mut Proxy, names: &[String], direct: bool) -> Vec<Result<Reading, Failure>> {
        let mut places = HashMap::with_capacity(names.len());
        let mut once = Vec::with_capacity(names.len());
        let place = |name: &String| {
            *places.entry(name.to_ascii_lowercase()).or_insert_with(|| {
                once.push(name.clone());
                once.len() - 1
            })
        };
        let wanted: Vec<usize> = names.iter().map(place).collect();
        let samples = proxy.read(&once, direct);
        let reading = |(name, sample): (&String, Result<Sample, Failure>)| self.reading(proxy, name, sample?);
        let readings: Vec<_> = once.iter().zip(samples).map(reading).collect();
        match once.len() == names.len() {
            true => readings,
            false => wanted.into_iter().map(|place| readings[place].clone()).collect(),
        }
    }
}

fn book(
    kept: &Mutex<Option<Book>>,
    anew: bool,
    ask: impl FnOnce() -> Result<Vec<Info>, Failure>,
) -> Result<Book, Failure> {
    if let (false, Some(known)) = (anew, lock(kept).clone()) {
        return Ok(known);
    }
    let infos = ask()?;
    let book: Book = Arc::new(infos.into_iter().map(|info| (info.name.to_ascii_lowercase(), Arc::new(info))).collect());
    *lock(kept) = Some(book.clone());
    Ok(book)
}

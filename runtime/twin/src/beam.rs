//! The stored beam of a ring as it stands: what is known of it, found when it is asked for.

use crate::current::{BeamTable, Rates};
use crate::element::Change;
use crate::figures::{ELLIPSES, Figure, LOSSES, PLACES, WORKS, Work, squares};
use crate::losses::near;
use fodo_optics::{Effects, Orbit, Ring};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was found, or why there is nothing.
pub(crate) type Found<T> = Result<T, String>;

type Numbers = Found<Arc<[f64]>>;

/// How long nothing may have changed before slow figures are looked for.
const QUIET: Duration = Duration::from_millis(50);

/// What is said of numbers that another thread looks for.
const BEING_CALCULATED: &str = "is being calculated";

/// The rings and what is known of their beam.
pub(crate) struct Beam {
    ring: Ring,
    /// The same with cavities and radiation, where the ring has not both; made when it is first asked for.
    full: Option<Ring>,
    /// Counts the changes.
    revision: u64,
    orbit: Option<Found<Arc<Orbit>>>,
    tunes: Option<Found<[f64; 2]>>,
    known: [Option<Numbers>; WORKS.len()],
    table: Arc<BeamTable>,
    background: Option<Background>,
}

impl Beam {
    /// The beam of a ring; slow figures among those shown are found beside, if there is somebody else to do it.
    pub fn new(ring: Ring, table: BeamTable, beside: Option<&[usize]>) -> Beam {
        let table = Arc::new(table);
        let slow = |works: &[usize]| works.iter().copied().filter(|&work| WORKS[work].slow).collect();
        Beam {
            ring,
            full: None,
            revision: 0,
            orbit: None,
            tunes: None,
            known: [const { None }; WORKS.len()],
            background: beside
                .map(slow)
                .filter(|works: &Vec<usize>| !works.is_empty())
                .map(|works| Background::start(works, table.clone())),
            table,
        }
    }

    /// That of another ring, of which the same is asked.
    pub fn again(before: &Beam, ring: Ring) -> Beam {
        let works = before.background.as_ref().map(|background| &background.works[..]);
        Beam::new(ring, BeamTable::clone(&before.table), works)
    }

    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Counts the changes of its elements.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Changes elements; what was known of the beam is not known any more.
    pub fn change(&mut self, work: impl FnOnce(Change<'_>)) {
        let Beam { ring, full, .. } = self;
        work(&mut |index, built| {
            for ring in std::iter::once(&mut *ring).chain(full.as_mut()) {
                ring.change(index, |element| element.clone_from(built));
            }
        });
        self.revision += 1;
        self.orbit = None;
        self.tunes = None;
        self.known = [const { None }; WORKS.len()];
    }

    pub fn orbit(&mut self) -> Found<Arc<Orbit>> {
        let Beam { ring, orbit, .. } = self;
        orbit.get_or_insert_with(|| ring.closed_orbit().map(Arc::new).map_err(|e| e.to_string())).clone()
    }

    /// Fractional betatron tunes.
    pub fn tunes(&mut self) -> Found<[f64; 2]> {
        if self.tunes.is_none() {
            self.tunes = Some(self.orbit().and_then(|orbit| tunes(&self.ring, &orbit)));
        }
        self.tunes.clone().unwrap_or_else(|| Err("no tune".into()))
    }

    /// A number of the beam, at an element where it is different from place to place.
    pub fn figure(&mut self, figure: &Figure, element: usize) -> Found<f64> {
        Ok(figure.pick(&self.now_or_beside(figure.work)?, element))
    }

    /// `<x x>`, `<y y>` and `<x y>` at an element [m^2].
    pub fn squares(&mut self, element: usize) -> Found<[f64; 3]> {
        Ok(squares(&self.now_or_beside(ELLIPSES)?, element))
    }

    /// How it is lost.
    pub fn rates(&mut self) -> Found<Rates> {
        let numbers = self.now_or_beside(LOSSES)?;
        Ok(Rates { touschek: numbers[0], gas: numbers[1], tails: numbers[2] })
    }

    /// The part of it that is lost within a distance of an element [1].
    pub fn lost_near(&mut self, element: usize, reach: f64) -> Found<f64> {
        let shares = self.now_or_beside(PLACES)?;
        let place = self.ring.positions().get(element).copied().unwrap_or(0.0);
        Ok(near(&self.ring, &shares, place, reach))
    }

    fn now_or_beside(&mut self, work: usize) -> Numbers {
        match &mut self.background {
            Some(background) if WORKS[work].slow => {
                background.numbers(work, self.revision, self.full.as_ref().unwrap_or(&self.ring))
            }
            _ => self.numbers(work),
        }
    }

    /// Whether nothing is being looked for.
    pub fn is_calculated(&mut self) -> bool {
        let Beam { background: Some(background), ring, full, revision, .. } = self else { return true };
        background.is_done(*revision, full.as_ref().unwrap_or(ring))
    }

    fn numbers(&mut self, work: usize) -> Numbers {
        if let Some(known) = &self.known[work] {
            return known.clone();
        }
        let table = self.table.clone();
        let found = WORKS[work].find(self.full(), &table).map(Into::into);
        self.known[work] = Some(found.clone());
        found
    }

    fn full(&mut self) -> &mut Ring {
        match self.ring.effects() == Effects::ALL {
            true => &mut self.ring,
            false => self.full.get_or_insert_with(|| self.ring.with_effects(Effects::ALL)),
        }
    }
}

fn tunes(ring: &Ring, orbit: &Orbit) -> Found<[f64; 2]> {
    let modes = ring.modes_at(&orbit.start()).map_err(|e| e.to_string())?;
    match modes.as_slice() {
        [x, y, ..] => Ok([x.tune, y.tune]),
        _ => Err("the motion is not stable".into()),
    }
}

/// A ring whose beam is to be looked at, and which one it is.
struct Job {
    revision: u64,
    ring: Ring,
}

/// What another thread has found last, by work.
#[derive(Default)]
struct Results {
    /// Whether it looks at another ring now.
    busy: bool,
    /// The ring that they belong to.
    revision: Option<u64>,
    numbers: Vec<(usize, Numbers)>,
}

/// A thread that finds what takes long, for the ring as it was when it began.
struct Background {
    works: Arc<[usize]>,
    table: Arc<BeamTable>,
    /// The ring that is asked for, and since when: in a series of changes none is looked at.
    asked: (u64, Instant),
    jobs: Sender<Job>,
    results: Arc<Mutex<Results>>,
}

impl Background {
    fn start(works: Vec<usize>, table: Arc<BeamTable>) -> Background {
        let (jobs, receiver) = channel();
        let works: Arc<[usize]> = works.into();
        let results = Arc::<Mutex<Results>>::default();
        let (found, wanted, known) = (results.clone(), works.clone(), table.clone());
        std::thread::spawn(move || work(&receiver, &wanted, &table, &found));
        Background { works, table: known, asked: (0, Instant::now()), jobs, results }
    }

    /// Whether all is found for this ring; begins to look for it if nothing else is looked for.
    fn is_done(&mut self, revision: u64, ring: &Ring) -> bool {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.revision.is_none() {
            // the first time it is waited for, so that what is shown first is whole
            *results = look(ring.clone(), revision, &self.works, &self.table);
        }
        if results.revision == Some(revision) {
            return true;
        }
        if self.asked.0 != revision {
            self.asked = (revision, Instant::now());
        }
        let is_still = self.asked.1.elapsed() >= QUIET;
        if is_still && !results.busy {
            results.busy = self.jobs.send(Job { revision, ring: ring.clone() }).is_ok();
        }
        false
    }

    fn numbers(&mut self, work: usize, revision: u64, ring: &Ring) -> Numbers {
        if !self.is_done(revision, ring) {
            return Err(BEING_CALCULATED.into());
        }
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let found = results.numbers.iter().find(|(known, _)| *known == work);
        found.map_or_else(|| Err(BEING_CALCULATED.into()), |(_, numbers)| numbers.clone())
    }
}

fn work(jobs: &Receiver<Job>, works: &[usize], table: &BeamTable, results: &Mutex<Results>) {
    while let Ok(Job { revision, ring }) = jobs.recv() {
        let found = look(ring, revision, works, table);
        *results.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// All that takes long of one ring.
fn look(mut ring: Ring, revision: u64, works: &[usize], table: &BeamTable) -> Results {
    ring.set_effects(Effects::ALL);
    let find = |&place: &usize| {
        let work: &Work = &WORKS[place];
        (place, work.find(&mut ring, table).map(Into::into))
    };
    Results { busy: false, revision: Some(revision), numbers: works.iter().map(find).collect() }
}

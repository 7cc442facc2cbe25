//! What can go wrong: a line for each kind, and what it does to the machine while it lasts.

use crate::present::Present;
use crate::truth::ElementTruth;

/// What something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A supply, by knob.
    Supply,
    /// A kicker, by knob.
    Kicker,
    /// A monitor.
    Monitor,
    /// A cavity of the lattice, by element.
    Cavity,
    /// A place of the chamber, by element.
    Place,
    /// The beam, or the machine as a whole.
    Beam,
}

/// How bad it is: a number with a unit, or nothing to say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    None,
    Unit(&'static str),
    /// In the unit of the field of the supply, in an hour.
    OfFieldPerHour,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// Knob, monitor or element.
    pub target: usize,
    /// In SI.
    pub size: f64,
    /// What the supply gave when it began, physics value in SI.
    pub held: f64,
    /// How long it lasts already [s].
    pub lasts: f64,
}

/// A kind of things that go wrong.
#[derive(Debug)]
pub(crate) struct Kind {
    pub word: &'static str,
    pub sort: Sort,
    pub size: Size,
    /// Goes on changing while it lasts.
    pub grows: bool,
    pub happens: fn(&Case, &mut Present),
}

const fn kind(word: &'static str, sort: Sort, size: Size, happens: fn(&Case, &mut Present)) -> Kind {
    Kind { word, sort, size, grows: false, happens }
}

fn element(case: &Case, present: &mut Present, spoil: impl FnOnce(&mut ElementTruth)) {
    spoil(present.element(case.target));
}

pub(crate) static KINDS: [Kind; 18] = [
    // a supply that is off, a lost corrector
    kind("supply_off", Sort::Supply, Size::None, |case, now| now.supplies[case.target].off = true),
    // keeps giving what it gave
    kind("supply_stuck", Sort::Supply, Size::None, |case, now| {
        now.supplies[case.target].held = Some(case.held);
    }),
    Kind {
        grows: true,
        ..kind("supply_drift", Sort::Supply, Size::OfFieldPerHour, |case, now| {
            now.supplies[case.target].truth.offset += case.size * case.lasts / 3600.0;
        })
    },
    kind("readback_wrong", Sort::Supply, Size::Unit("1"), |case, now| {
        now.supplies[case.target].readback += case.size;
    }),
    // does not fire when it is triggered
    kind("kicker_misfire", Sort::Kicker, Size::None, |case, now| now.supplies[case.target].late = f64::INFINITY),
    kind("kicker_late", Sort::Kicker, Size::Unit("s"), |case, now| now.supplies[case.target].late += case.size),
    kind("monitor_dead", Sort::Monitor, Size::None, |case, now| now.monitors[case.target].dead = true),
    kind("monitor_noisy", Sort::Monitor, Size::Unit("m"), |case, now| {
        let noise = &mut now.monitors[case.target].truth.noise;
        *noise = noise.hypot(case.size);
    }),
    kind("monitor_jump", Sort::Monitor, Size::Unit("m"), |case, now| {
        let truth = &mut now.monitors[case.target].truth;
        truth.offset = truth.offset.map(|offset| offset + case.size);
    }),
    // its cables and those of the next monitor are exchanged
    kind("monitors_swapped", Sort::Monitor, Size::None, |case, now| {
        let next = (case.target + 1) % now.monitors.len();
        let (a, b) = (now.monitors[case.target].wired_to, now.monitors[next].wired_to);
        (now.monitors[case.target].wired_to, now.monitors[next].wired_to) = (b, a);
    }),
    kind("rf_trip", Sort::Cavity, Size::None, |case, now| element(case, now, |cavity| cavity.voltage = -1.0)),
    kind("rf_phase_jump", Sort::Cavity, Size::Unit("rad"), |case, now| {
        element(case, now, |cavity| cavity.phase += case.size);
    }),
    // the cavity no longer follows the master: a loss of synchronisation
    kind("rf_unlocked", Sort::Cavity, Size::Unit("Hz"), |case, now| {
        element(case, now, |cavity| cavity.frequency += case.size);
    }),
    // so many times the pressure, all along the ring
    kind("vacuum_leak", Sort::Beam, Size::Unit("1"), |case, now| now.gas *= case.size),
    // a lifetime accident: this part of the beam is lost in a second besides
    kind("lifetime_drop", Sort::Beam, Size::Unit("1/s"), |case, now| now.loss += case.size),
    kind("beam_loss", Sort::Beam, Size::None, |_, now| now.beamless = true),
    // something stands in the chamber, so far from its middle: a folded liner, a melted RF finger, a blocked scraper
    kind("obstacle", Sort::Place, Size::Unit("m"), |case, now| {
        let room = now.obstacles.entry(case.target).or_insert(f64::INFINITY);
        *room = room.min(case.size);
    }),
    // an element that moves at once, such as a girder that is touched
    kind("displaced", Sort::Place, Size::Unit("m"), |case, now| {
        element(case, now, |element| {
            element.placement.dx += case.size;
            element.placement.dy += case.size;
        });
    }),
];

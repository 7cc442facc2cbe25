//! A machine made ready: every element as a [`Step`], cheap to change one at a time.

use fodo_lattice::{Body, Cavity, Element, Lattice, LatticeProblems, Reference};

use crate::maps::{Coefficient, Point, Step};
use crate::number::{Number, Over};
use crate::orbit::Warm;
use crate::prepare::{Settings, Strengths, prepare, prepare_with, reference_gain};

/// A ring or a line made ready for tracking.
///
/// Its elements have the indices they have in the lattice. After a change only the changed element is made ready
/// again; the next closed orbit starts from the last one.
#[derive(Clone, Debug)]
pub struct Ring {
    pub(crate) elements: Vec<Element>,
    pub(crate) steps: Vec<Step>,
    pub(crate) settings: Settings,
    pub(crate) warm: Option<Warm>,
    /// Reference energy at each element and at the end [eV]; empty where it is the same everywhere.
    energies: Vec<f64>,
    /// What each element gives to the reference particle whatever its cavity does [eV]; empty where that is its own.
    pub(crate) held_gains: Vec<f64>,
    delta: f64,
    length: f64,
    harmonic_number: Option<u32>,
    periodicity: u32,
}

/// Which effects a machine is tracked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Cavities are on; closed orbits are then 6D. Without: 4D at a given delta.
    pub cavity: bool,
    /// Bends and quadrupoles radiate classically.
    pub radiation: bool,
}

impl Effects {
    /// No cavity, no radiation.
    pub const NONE: Self = Self { cavity: false, radiation: false };
    /// Cavities on, no radiation.
    pub const CAVITY: Self = Self { cavity: true, radiation: false };
    /// Cavities on, bends and quadrupoles radiate.
    pub const ALL: Self = Self { cavity: true, radiation: true };
}

/// Where a particle was lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Turn, counted from 0.
    pub turn: u64,
    /// Index of the element after which it was found lost.
    pub element: usize,
    /// Its coordinates there.
    pub at: Point<f64>,
}

impl Ring {
    /// Makes a lattice ready, if nothing in it makes tracking impossible.
    ///
    /// # Errors
    /// Everything that [`Lattice::check`] finds, with index and name of the element.
    pub fn try_new(lattice: &Lattice, effects: Effects) -> Result<Self, LatticeProblems> {
        lattice.check()?;
        Ok(Self::new(lattice, effects))
    }

    /// Makes a lattice ready. It is taken to be sound: see [`Ring::try_new`].
    #[must_use]
    pub fn new(lattice: &Lattice, effects: Effects) -> Self {
        let length = lattice.length();
        let mut settings = Settings {
            energy: lattice.energy,
            rest_energy: lattice.rest_energy,
            reference: lattice.reference,
            revolution_time: 0.0,
            cavity: effects.cavity,
            radiation: effects.radiation,
            held_gain: None,
        };
        settings.revolution_time = length / settings.speed();
        let mut ring = Self {
            elements: lattice.elements.clone(),
            steps: vec![],
            settings,
            warm: None,
            energies: vec![],
            held_gains: vec![],
            delta: 0.0,
            length,
            harmonic_number: lattice.harmonic_number,
            periodicity: lattice.periodicity,
        };
        ring.prepare_all();
        ring
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Summed length of the elements [m].
    #[must_use]
    pub fn length(&self) -> f64 {
        self.length
    }

    /// Time that the reference particle takes for the elements [s].
    #[must_use]
    pub fn revolution_time(&self) -> f64 {
        self.settings.revolution_time
    }

    /// Total energy of the reference particle [eV].
    #[must_use]
    pub fn energy(&self) -> f64 {
        self.settings.energy
    }

    /// Rest energy of the particle [eV]; 0 means "relativistic".
    #[must_use]
    pub fn rest_energy(&self) -> f64 {
        self.settings.rest_energy
    }

    /// How the reference particle moves.
    #[must_use]
    pub fn reference(&self) -> Reference {
        self.settings.reference
    }

    /// How many times the elements are repeated around the machine [1].
    #[must_use]
    pub fn periodicity(&self) -> u32 {
        self.periodicity
    }

    /// Harmonic number stated by the lattice [1].
    #[must_use]
    pub fn harmonic_number(&self) -> Option<u32> {
        self.harmonic_number
    }

    /// The elements as they stand now.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// One element as it stands now.
    #[must_use]
    pub fn element(&self, index: usize) -> &Element {
        &self.elements[index]
    }

    /// Which effects are on.
    #[must_use]
    pub fn effects(&self) -> Effects {
        Effects { cavity: self.settings.cavity, radiation: self.settings.radiation }
    }

    /// Switches effects; the next closed orbit is a cold start.
    pub fn set_effects(&mut self, effects: Effects) {
        if effects != self.effects() {
            (self.settings.cavity, self.settings.radiation) = (effects.cavity, effects.radiation);
            self.prepare_all();
        }
    }

    /// The same machine with other effects.
    #[must_use]
    pub fn with_effects(&self, effects: Effects) -> Self {
        let mut other = Self { warm: None, ..self.clone() };
        other.set_effects(effects);
        other
    }

    /// Momentum deviation of 4D closed orbits [1].
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// Sets the momentum deviation of 4D closed orbits [1].
    pub fn set_delta(&mut self, delta: f64) {
        self.delta = delta;
    }

    /// Changes an element in any way but its length, and makes it ready again.
    pub fn change(&mut self, index: usize, how: impl FnOnce(&mut Element)) {
        how(&mut self.elements[index]);
        if self.settings.reference.accelerates && self.held_gains.is_empty() && self.cavity(index).is_some() {
            return self.prepare_all();
        }
        self.steps[index] = prepare(&self.elements[index], &self.settings_at(index));
        if let Some(warm) = &mut self.warm {
            warm.forget(index);
        }
    }

    /// Sets the length of an element [m]; the revolution time and what depends on it follow.
    pub fn set_length(&mut self, index: usize, length: f64) {
        self.elements[index].length = length;
        self.length = self.elements.iter().map(|element| element.length).sum();
        self.settings.revolution_time = self.length / self.settings.speed();
        if self.settings.cavity {
            self.prepare_all();
        } else {
            self.steps[index] = prepare(&self.elements[index], &self.settings_at(index));
            self.warm = None;
        }
    }

    /// Sets the corrector kick of an element, horizontal and vertical [rad].
    pub fn set_kick(&mut self, index: usize, kick_x: f64, kick_y: f64) {
        self.change(index, |element| element.kick = [kick_x, kick_y]);
    }

    /// Sets an upright field coefficient without factorials (`order` 1: k1 [1/m²]; 2: k2/2 [1/m³]) of a magnet.
    pub fn set_upright(&mut self, index: usize, order: usize, value: f64) {
        self.change(index, |element| {
            if let Some(field) = element.field_mut() {
                field.set_upright(order, value);
            }
        });
    }

    /// Sets a skew field coefficient without factorials of a magnet.
    pub fn set_skew(&mut self, index: usize, order: usize, value: f64) {
        self.change(index, |element| {
            if let Some(field) = element.field_mut() {
                field.set_skew(order, value);
            }
        });
    }

    /// Puts an element off by `dx`, `dy` [m] and turns it by `roll` about the beam [rad].
    pub fn set_misalignment(&mut self, index: usize, dx: f64, dy: f64, roll: f64) {
        self.change(index, |element| element.set_misalignment(dx, dy, roll));
    }

    /// Sets the dipole field error of a bend relative to its design field [1].
    pub fn set_bend_error(&mut self, index: usize, relative: f64) {
        self.change(index, |element| {
            let length = element.length;
            if let Body::Bend(bend) = &mut element.body {
                let value = relative * bend.angle / length;
                bend.magnet.field.set_upright(0, value);
            }
        });
    }

    /// Scales all fields of an element [1].
    pub fn set_field_scaling(&mut self, index: usize, factor: f64) {
        self.change(index, |element| element.field_scaling = factor);
    }

    /// Sets all cavities to a frequency [Hz] and their summed voltage [V], shared out as it is now (evenly if it is 0).
    pub fn set_rf(&mut self, frequency: f64, voltage: f64) {
        let cavities = self.cavity_indices();
        let total = self.rf_voltage();
        let even = 1.0 / cavities.len().max(1) as f64;
        for index in cavities {
            let share =
                self.cavity(index).map_or(0.0, |cavity| if total == 0.0 { even } else { cavity.voltage / total });
            self.set_cavity(index, frequency, voltage * share);
        }
    }

    /// Sets one cavity: frequency [Hz], voltage [V].
    pub fn set_cavity(&mut self, index: usize, frequency: f64, voltage: f64) {
        self.change(index, |element| {
            if let Body::Cavity(cavity) = &mut element.body {
                (cavity.frequency, cavity.voltage) = (frequency, voltage);
            }
        });
    }

    /// Frequency of the first cavity [Hz].
    #[must_use]
    pub fn rf_frequency(&self) -> Option<f64> {
        self.first_cavity().map(|cavity| cavity.frequency)
    }

    /// Summed voltage of the cavities [V].
    #[must_use]
    pub fn rf_voltage(&self) -> f64 {
        self.cavities().map(|cavity| cavity.voltage).sum()
    }

    /// Indices of the cavities.
    #[must_use]
    pub fn cavity_indices(&self) -> Vec<usize> {
        (0..self.len()).filter(|&index| self.cavity(index).is_some()).collect()
    }

    fn cavity(&self, index: usize) -> Option<&Cavity> {
        match &self.elements[index].body {
            Body::Cavity(cavity) => Some(cavity),
            _ => None,
        }
    }

    fn cavities(&self) -> impl Iterator<Item = &Cavity> {
        (0..self.len()).filter_map(|index| self.cavity(index))
    }

    pub(crate) fn first_cavity(&self) -> Option<&Cavity> {
        self.cavities().next()
    }

    /// By how much the path of a closed orbit has to exceed the length so that it stays with the cavity [m].
    pub(crate) fn path_mismatch(&self) -> f64 {
        let Some(cavity) = self.first_cavity().filter(|_| self.settings.cavity) else { return 0.0 };
        if !cavity.counts_turns || cavity.frequency == 0.0 {
            return 0.0;
        }
        self.path_lengthening(cavity.frequency)
    }

    pub(crate) fn prepare_all(&mut self) {
        self.energies = self.reference_energies();
        let steps = self.elements.iter().enumerate();
        self.steps = steps.map(|(index, element)| prepare(element, &self.settings_at(index))).collect();
        self.warm = None;
    }

    /// Keeps the reference particle as it is now: cavities that are changed from here on accelerate the beam and not the
    /// reference, so that magnets keep their fields and the beam is off the energy they were set for.
    ///
    /// Without it the reference of an accelerating line follows its cavities, and all magnets with it.
    pub fn hold_reference(&mut self) {
        let gain = |index: usize| reference_gain(&self.elements[index], &self.settings_at(index));
        self.held_gains = (0..self.len()).map(gain).collect();
        self.prepare_all();
    }

    /// Reference energies where cavities change them; empty where they do not.
    fn reference_energies(&self) -> Vec<f64> {
        if !(self.settings.reference.accelerates && self.settings.cavity) {
            return vec![];
        }
        let mut settings = self.settings;
        let mut energies = vec![settings.energy];
        for (index, element) in self.elements.iter().enumerate() {
            settings.held_gain = self.held_gains.get(index).copied();
            settings = settings.after_gain(reference_gain(element, &settings));
            energies.push(settings.energy);
        }
        energies
    }

    /// Settings with the reference energy an element is entered with; the end is element N.
    pub(crate) fn settings_at(&self, index: usize) -> Settings {
        let energy = self.energies.get(index).copied().unwrap_or(self.settings.energy);
        Settings { energy, held_gain: self.held_gains.get(index).copied(), ..self.settings }
    }

    /// Total energy of the reference particle at the entrance of each element and at the end: N + 1 values [eV].
    ///
    /// The same everywhere unless the lattice accelerates and cavities are on. Strengths of all elements are
    /// normalised to the momentum there.
    #[must_use]
    pub fn energies(&self) -> Vec<f64> {
        (0..=self.len()).map(|index| self.settings_at(index).energy).collect()
    }

    /// Momentum of the reference particle at the start over that at each element and at the end: N + 1 values [1].
    #[must_use]
    pub fn momentum_ratios(&self) -> Vec<f64> {
        let start = self.settings.momentum();
        (0..=self.len()).map(|index| start / self.settings_at(index).momentum()).collect()
    }

    /// By how much slower than the reference a particle of higher momentum comes round: `(dT/T)/delta` [1].
    ///
    /// That is momentum compaction minus 1/gamma², positive above transition; 1/gamma² counts only where particles
    /// fly with their own speed.
    ///
    /// # Errors
    /// No stable optics.
    pub fn slip_factor(&self) -> Result<f64, crate::NoOptics> {
        Ok(self.optics()?.momentum_compaction - self.settings.inverse_gamma_squared())
    }

    /// One element with strengths that carry derivatives, as `how` makes them of those it has.
    pub(crate) fn step_with<C: Number + Coefficient>(
        &self,
        index: usize,
        how: impl FnOnce(&mut Strengths<C>),
    ) -> Step<C> {
        let mut strengths = Strengths::of(&self.elements[index]);
        how(&mut strengths);
        prepare_with(&self.elements[index], &self.settings_at(index), strengths)
    }

    /// Takes a particle from the start to the end once, or says after which element it was lost.
    ///
    /// # Errors
    /// The place of the loss.
    pub fn pass<N: Over<f64>>(&self, z: &mut Point<N>, turn: f64) -> Result<(), usize> {
        for (index, step) in self.steps.iter().enumerate() {
            step.apply(z, turn);
            if is_lost(z) {
                return Err(index);
            }
        }
        Ok(())
    }

    /// Takes a particle through one element.
    pub fn pass_element<N: Over<f64>>(&self, index: usize, z: &mut Point<N>) {
        self.steps[index].apply(z, 0.0);
    }

    /// Coordinates at the entrance of each element and at the end: N + 1 points.
    ///
    /// # Errors
    /// The index of the element after which the particle was lost.
    pub fn trajectory<N: Over<f64>>(&self, start: &Point<N>) -> Result<Vec<Point<N>>, usize> {
        let mut z = *start;
        let mut points = Vec::with_capacity(self.len() + 1);
        points.push(z);
        for (index, step) in self.steps.iter().enumerate() {
            step.apply(&mut z, 0.0);
            if is_lost(&z) {
                return Err(index);
            }
            points.push(z);
        }
        Ok(points)
    }
}

/// Whether a particle is lost: not finite, or beyond 1 in any coordinate but ct.
#[inline(always)]
pub(crate) fn is_lost<N: Number>(z: &Point<N>) -> bool {
    let at = z.map(|coordinate| coordinate.lane(0));
    let inside = at[..5].iter().fold(true, |inside, coordinate| inside & (coordinate.abs() <= 1.0));
    !(inside & at[5].is_finite())
}

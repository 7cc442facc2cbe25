//! Resonance driving terms of first and second order.
//!
//! Every slice of a magnet is a kick with the potential `V = L Re sum (b_k + i a_k) (x + i y)^(k+1) / (k+1) / (1+delta)`.
//! With `x = sqrt(beta_x)/2 (hx+ e^(i phi_x) + hx- e^(-i phi_x)) + eta_x delta`, and y likewise, it is a polynomial in
//! the resonance basis; the coefficients summed over the magnets are the first-order driving terms h_jklmp. The second
//! order is `1/2 sum_(a > b) [V_a, V_b]` over all pairs (a later than b), of the terms of third degree (delta
//! included): sextupoles, and the chromatic effect of quadrupoles and sextupoles.
//!
//! The signs are those of the Accelerator Toolbox (and elegant): h = + V; J. Bengtsson's h_jklmp have the same size.
//! The f_jklm of other authors are h_jklm / (1 - exp(2 pi i ((j-k) Q_x + (l-m) Q_y))).
//!
//! Sources: J. Bengtsson, SLS Note 9/97 (1997); C. X. Wang, ANL/APS/LS-330 (2012) for the second order;
//! A. Franchi et al., Phys. Rev. Accel. Beams 17 (2014) 074001.
//!
//! Quadrupole fringes (E. Forest, J. Milutinovic, Nucl. Instrum. Meth. A 269 (1988) 474) act in first order, with the
//! potential `± k1 / 12 ((x³ + 3 x y²) px - (y³ + 3 x² y) py) / (1 + delta)` where a magnet has them; the Accelerator
//! Toolbox leaves them out of its driving terms.
//!
//! Not included: wigglers, second-order bends, and what curvature does beyond linear optics.

use std::f64::consts::TAU;

use fodo_lattice::{Body, Element, Field, Lattice};
use fodo_optics::{Effects, NoOptics, Optics, Ring};
use nalgebra::Complex;

use crate::resonance::{Polynomial, Powers, TABLE, degree};

/// How driving terms are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrivingTermOptions {
    /// Kicks each thick magnet is cut into [1]; one kick in its middle is good to about a part in a hundred.
    pub slices: u32,
    /// Element at whose entrance the phases begin.
    pub at: usize,
}

impl Default for DrivingTermOptions {
    fn default() -> Self {
        Self { slices: 8, at: 0 }
    }
}

/// Driving terms h_jklmp of the whole ring (all periods). Their unit is m^(1 - (j+k+l+m)/2).
#[derive(Clone, Debug)]
pub struct DrivingTerms {
    first: Polynomial,
    second: Polynomial,
    tunes: [f64; 2],
}

/// The driving terms of a ring about its closed orbit at [`Ring::delta`], without cavities and radiation.
///
/// # Errors
/// No closed orbit, or unstable motion.
pub fn driving_terms(ring: &Ring, options: &DrivingTermOptions) -> Result<DrivingTerms, NoOptics> {
    let sliced = Sliced::new(ring, options.slices)?;
    let turn = [sliced.optics.tune_x() * TAU, sliced.optics.tune_y() * TAU];
    let one_period = sliced.kicks(options.at, turn);
    let (mut first, mut second) = (Polynomial::zero(), Polynomial::zero());
    for period in 0..ring.periodicity().max(1) {
        for kick in &one_period {
            let potential = kick.potential(turn.map(|phase| phase * f64::from(period)));
            second.add_bracket(&potential, &first, 0.5);
            first.add(&potential, 1.0);
        }
    }
    let tunes = turn.map(|phase| phase / TAU * f64::from(ring.periodicity().max(1)));
    Ok(DrivingTerms { first, second, tunes })
}

impl DrivingTerms {
    /// First-order term h_jklmp, all magnets to order k = 4 (degree j+k+l+m+p of 2 to 5); 0 for other degrees.
    #[must_use]
    pub fn first(&self, powers: Powers) -> Complex<f64> {
        coefficient(&self.first, &powers)
    }

    /// Second-order term h_jklmp (degree 4); 0 for other degrees.
    #[must_use]
    pub fn second(&self, powers: Powers) -> Complex<f64> {
        coefficient(&self.second, &powers)
    }

    /// First and second order.
    #[must_use]
    pub fn total(&self, powers: Powers) -> Complex<f64> {
        self.first(powers) + self.second(powers)
    }

    /// Coefficient f_jklm = h_jklm / (1 - exp(2 pi i ((j-k) Q_x + (l-m) Q_y))) of the generating function, of first
    /// order; `None` for terms that drive no resonance (j = k and l = m).
    #[must_use]
    pub fn generating(&self, powers: Powers) -> Option<Complex<f64>> {
        let [j, k, l, m] = [0, 1, 2, 3].map(|variable| f64::from(powers[variable]));
        let phase = TAU * ((j - k) * self.tunes[0] + (l - m) * self.tunes[1]);
        (j != k || l != m).then(|| self.first(powers) / (1.0 - Complex::cis(phase)))
    }

    /// Tunes of the whole ring with their integer parts, x and y [1].
    #[must_use]
    pub fn tunes(&self) -> [f64; 2] {
        self.tunes
    }

    /// All terms of degree 2 to 5, first and second order, those that are not 0 in either.
    pub fn iter(&self) -> impl Iterator<Item = (Powers, Complex<f64>, Complex<f64>)> {
        let all = TABLE.powers.iter().zip(&self.first.0).zip(&self.second.0);
        all.map(|((powers, first), second)| (*powers, *first, *second))
            .filter(|(powers, first, second)| degree(powers) >= 2 && (first.norm() > 0.0 || second.norm() > 0.0))
    }

    /// Terms that only depend on the actions, after a transformation that takes all others away to second order:
    /// the tune as a function of amplitude (and momentum).
    pub(crate) fn normal_form(&self) -> Polynomial {
        let mut generator = Polynomial::zero();
        for (place, powers) in TABLE.powers.iter().enumerate() {
            if degree(powers) == 3
                && let Some(value) = self.generating(*powers)
            {
                generator.0[place] = -value;
            }
        }
        let mut kept = self.first.clone();
        kept.add(&self.second, 1.0);
        kept.add_bracket(&self.first, &generator, 0.5);
        for (value, [j, k, l, m, _]) in kept.0.iter_mut().zip(&TABLE.powers) {
            if j != k || l != m {
                *value = Complex::new(0.0, 0.0);
            }
        }
        kept
    }
}

pub(crate) fn coefficient(polynomial: &Polynomial, powers: &Powers) -> Complex<f64> {
    TABLE.place(powers).map_or(Complex::new(0.0, 0.0), |place| polynomial.0[place])
}

/// A machine whose magnets are cut, with its optics.
struct Sliced {
    elements: Vec<Element>,
    optics: Optics,
    /// First piece of each element of the uncut machine.
    first: Vec<usize>,
}

/// One slice or fringe of a magnet, with the optics there.
struct Kick {
    action: Action,
    root_beta: [f64; 2],
    alpha: [f64; 2],
    phase: [f64; 2],
    dispersion: [f64; 4],
}

/// What a kick comes from.
enum Action {
    /// Integrated field about the orbit.
    Field(Vec<Complex<f64>>),
    /// Quadrupole fringe: the gradient over 12, positive at an entrance [1/m²].
    Fringe(f64),
}

/// Coefficients of a linear polynomial.
type Linear = [Complex<f64>; 5];

impl Sliced {
    /// Cuts every magnet into pieces, and each piece in the middle.
    fn new(ring: &Ring, slices: u32) -> Result<Self, NoOptics> {
        let (mut elements, mut first) = (vec![], vec![]);
        for element in ring.elements() {
            first.push(elements.len());
            let pieces = if cuttable(element) { 2 * slices.max(1) } else { 1 };
            elements.extend((0..pieces).map(|piece| cut(element, piece, pieces)));
        }
        let lattice = Lattice {
            name: String::new(),
            energy: ring.energy(),
            periodicity: ring.periodicity(),
            harmonic_number: ring.harmonic_number(),
            rest_energy: ring.rest_energy(),
            reference: ring.reference(),
            elements,
        };
        let mut cut = Ring::new(&lattice, Effects::NONE);
        cut.set_delta(ring.delta());
        let optics = cut.optics()?;
        Ok(Self { elements: lattice.elements, optics, first })
    }

    /// The kicks of one period in the order in which they are met from element `at`, the phases counted from there.
    fn kicks(&self, at: usize, turn: [f64; 2]) -> Vec<Kick> {
        let start = self.first.get(at).copied().unwrap_or(0);
        let origin = [self.optics.phase_x[start], self.optics.phase_y[start]];
        let whole: Vec<(usize, Kick)> =
            (0..self.elements.len()).flat_map(|piece| self.kicks_of(piece).map(move |kick| (piece, kick))).collect();
        let (before, after): (Vec<_>, Vec<_>) = whole.into_iter().partition(|(piece, _)| *piece < start);
        let counted = |(mut kick, turns): (Kick, f64)| {
            kick.phase = std::array::from_fn(|plane| kick.phase[plane] - origin[plane] + turns * turn[plane]);
            kick
        };
        let later = before.into_iter().map(|(_, kick)| (kick, 1.0));
        after.into_iter().map(|(_, kick)| (kick, 0.0)).chain(later).map(counted).collect()
    }

    /// What a piece contributes: fringes at its ends, and the kick in the middle of its pair (or of a thin magnet).
    fn kicks_of(&self, piece: usize) -> impl Iterator<Item = Kick> {
        let element = &self.elements[piece];
        let fringe = |side: usize| {
            let magnet = element.magnet().filter(|magnet| magnet.fringe[side])?;
            let sign = if side == 0 { 1.0 } else { -1.0 };
            Some(self.kick_at(piece + side, Action::Fringe(sign * magnet.field.upright(1) / 12.0)))
        };
        let body = self.field(piece).map(|field| self.kick_at(piece, Action::Field(field)));
        [fringe(0), body, fringe(1)].into_iter().flatten()
    }

    /// Integrated field that acts at the entrance of a piece.
    fn field(&self, piece: usize) -> Option<Vec<Complex<f64>>> {
        let element = &self.elements[piece];
        let field = element.field()?;
        let thick = element.length != 0.0;
        if thick && !self.is_second_half(piece) {
            return None;
        }
        let length = if thick { 2.0 * element.length } else { 1.0 };
        let orbit = &self.optics.orbit[piece];
        let field: Vec<_> = about_orbit(element, field, orbit).into_iter().map(|value| value * length).collect();
        field.iter().skip(1).any(|value| value.norm() > 0.0).then_some(field)
    }

    fn kick_at(&self, point: usize, action: Action) -> Kick {
        let optics = &self.optics;
        Kick {
            action,
            root_beta: [optics.beta_x[point].sqrt(), optics.beta_y[point].sqrt()],
            alpha: [optics.alpha_x[point], optics.alpha_y[point]],
            phase: [optics.phase_x[point], optics.phase_y[point]],
            dispersion: optics.dispersion[point],
        }
    }

    /// Whether a piece is the second of a pair: its entrance is the middle of a slice.
    fn is_second_half(&self, piece: usize) -> bool {
        let element = self.first.partition_point(|&first| first <= piece) - 1;
        (piece - self.first[element]) % 2 == 1
    }
}

fn cuttable(element: &Element) -> bool {
    element.length != 0.0 && element.magnet().is_some()
}

/// A piece of a thick magnet; edges and fringes stay at its ends.
fn cut(element: &Element, piece: u32, pieces: u32) -> Element {
    let mut part = element.clone();
    if pieces == 1 {
        return part;
    }
    let share = 1.0 / f64::from(pieces);
    part.length *= share;
    part.kick = element.kick.map(|kick| kick * share);
    let ends = [piece == 0, piece == pieces - 1];
    match &mut part.body {
        Body::Bend(bend) => {
            bend.angle *= share;
            if !ends[0] {
                bend.entrance = fodo_lattice::Edge::default();
            }
            if !ends[1] {
                bend.exit = fodo_lattice::Edge::default();
            }
            shorten(&mut bend.magnet, ends, pieces);
            // a bend without pole-face angle and fringe still has edges with this method number: nothing happens there
        }
        Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
            shorten(magnet, ends, pieces);
        }
        _ => {}
    }
    part
}

fn shorten(magnet: &mut fodo_lattice::Magnet, ends: [bool; 2], pieces: u32) {
    magnet.slices = magnet.slices.div_ceil(pieces);
    magnet.fringe = std::array::from_fn(|side| magnet.fringe[side] && ends[side]);
}

/// The field expanded about the orbit in the axes of the machine: misalignment, roll and feed-down are in it.
fn about_orbit(element: &Element, field: &Field, orbit: &[f64; 6]) -> Vec<Complex<f64>> {
    let (mut offset, mut roll) = (Complex::new(0.0, 0.0), 0.0);
    if let Some(alignment) = element.alignment.as_deref() {
        offset = alignment.t1.map_or(offset, |t1| Complex::new(t1[0], t1[2]));
        roll = alignment.r1.map_or(0.0, |r1| r1[0][2].atan2(r1[0][0]));
    }
    let turn = Complex::cis(-roll);
    let at = (Complex::new(orbit[0], orbit[2]) + offset) * turn;
    let count = field.max_order + 1;
    let own: Vec<_> = (0..count).map(|order| Complex::new(field.upright(order), field.skew(order))).collect();
    let moved = |order: usize| {
        let mut binomial = 1.0;
        let mut sum = Complex::new(0.0, 0.0);
        for (higher, own) in own.iter().enumerate().skip(order) {
            sum += own * at.powu((higher - order) as u32) * binomial;
            binomial *= (higher + 1) as f64 / (higher + 1 - order) as f64;
        }
        sum * turn.powu(order as u32 + 1) * element.field_scaling
    };
    (0..count).map(moved).collect()
}

impl Kick {
    /// The kick as a polynomial, with more phase added to it.
    fn potential(&self, more: [f64; 2]) -> Polynomial {
        let mut sum = match &self.action {
            Action::Field(field) => field_potential(field, self.position(0, more), self.position(1, more)),
            Action::Fringe(strength) => self.fringe_potential(*strength, more),
        };
        sum.over_one_plus_delta();
        sum
    }

    /// x or y.
    fn position(&self, plane: usize, more: [f64; 2]) -> Linear {
        let turned = Complex::cis(self.phase[plane] + more[plane]);
        linear(plane, turned * (0.5 * self.root_beta[plane]), self.dispersion[2 * plane])
    }

    /// px or py.
    fn momentum(&self, plane: usize, more: [f64; 2]) -> Linear {
        let turned = Complex::cis(self.phase[plane] + more[plane]);
        let size = Complex::new(-self.alpha[plane], 1.0) * (0.5 / self.root_beta[plane]);
        linear(plane, turned * size, self.dispersion[2 * plane + 1])
    }

    fn fringe_potential(&self, strength: f64, more: [f64; 2]) -> Polynomial {
        let [x, y] = [0, 1].map(|plane| self.position(plane, more));
        let [px, py] = [0, 1].map(|plane| self.momentum(plane, more));
        let mut sum = Polynomial::zero();
        let products = [([x, x, x, px], 1.0), ([x, y, y, px], 3.0), ([y, y, y, py], -1.0), ([x, x, y, py], -3.0)];
        for (factors, weight) in products {
            let product = factors.iter().fold(Polynomial::one(), |product, factor| {
                let mut next = Polynomial::zero();
                next.add_times_linear(&product, factor, 1.0);
                next
            });
            sum.add(&product, weight * strength);
        }
        sum
    }
}

/// A coordinate of one plane: its coefficient of h+, and that of delta.
fn linear(plane: usize, plus: Complex<f64>, delta: f64) -> Linear {
    let mut linear = [Complex::new(0.0, 0.0); 5];
    (linear[2 * plane], linear[2 * plane + 1]) = (plus, plus.conj());
    linear[4] = Complex::new(delta, 0.0);
    linear
}

/// Re sum C_k (x + i y)^(k+1) / (k+1), without the dipole field.
fn field_potential(field: &[Complex<f64>], x: Linear, y: Linear) -> Polynomial {
    let (mut re, mut im) = (Polynomial::one(), Polynomial::zero());
    let mut sum = Polynomial::zero();
    for (order, value) in field.iter().take(5).enumerate() {
        let (mut next_re, mut next_im) = (Polynomial::zero(), Polynomial::zero());
        next_re.add_times_linear(&re, &x, 1.0);
        next_re.add_times_linear(&im, &y, -1.0);
        next_im.add_times_linear(&re, &y, 1.0);
        next_im.add_times_linear(&im, &x, 1.0);
        (re, im) = (next_re, next_im);
        if order > 0 {
            let share = 1.0 / (order + 1) as f64;
            sum.add(&re, value.re * share);
            sum.add(&im, -value.im * share);
        }
    }
    sum
}

//! Polynomials in the resonance basis.
//!
//! A monomial j k l m p stands for `hx+^j hx-^k hy+^l hy-^m delta^p` with `h± = sqrt(2 J) exp(± i phi)`, so that
//! `x = sqrt(beta_x) / 2 (hx+ + hx-)`. The Poisson bracket follows from `{h+, h-} = 2 i` in each plane.

use std::collections::HashMap;
use std::sync::LazyLock;

use nalgebra::Complex;

/// Powers of hx+, hx-, hy+, hy- and delta.
pub type Powers = [u8; 5];

/// Polynomials are cut above this degree, delta included.
pub(crate) const DEGREE: u8 = 5;

/// A polynomial: one coefficient for each of the monomials.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Polynomial(pub Vec<Complex<f64>>);

/// All monomials and how they combine.
pub(crate) struct Table {
    /// Powers of each monomial, by rising degree.
    pub powers: Vec<Powers>,
    index: HashMap<Powers, usize>,
    /// Monomial times one of the five variables.
    raised: Vec<[Option<usize>; 5]>,
    /// Brackets of two monomials of degree three: `(left, right, result, factor)`.
    brackets: Vec<(usize, usize, usize, Complex<f64>)>,
}

/// The one table.
pub(crate) static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Self {
        let powers: Vec<Powers> = (0..=DEGREE).flat_map(of_degree).collect();
        let index: HashMap<Powers, usize> = powers.iter().enumerate().map(|(place, powers)| (*powers, place)).collect();
        let raise = |powers: &Powers| {
            std::array::from_fn(|variable| {
                let mut raised = *powers;
                raised[variable] += 1;
                index.get(&raised).copied()
            })
        };
        let raised = powers.iter().map(raise).collect();
        let brackets = brackets(&powers, &index);
        Self { powers, index, raised, brackets }
    }

    /// Place of a monomial; `None` above the highest degree.
    pub(crate) fn place(&self, powers: &Powers) -> Option<usize> {
        self.index.get(powers).copied()
    }
}

fn of_degree(degree: u8) -> Vec<Powers> {
    let mut all = vec![];
    for j in (0..=degree).rev() {
        for k in (0..=degree - j).rev() {
            for l in (0..=degree - j - k).rev() {
                for m in (0..=degree - j - k - l).rev() {
                    all.push([j, k, l, m, degree - j - k - l - m]);
                }
            }
        }
    }
    all
}

/// Degree of a monomial, delta included.
pub(crate) fn degree(powers: &Powers) -> u8 {
    powers.iter().sum()
}

fn brackets(powers: &[Powers], index: &HashMap<Powers, usize>) -> Vec<(usize, usize, usize, Complex<f64>)> {
    let cubic: Vec<usize> = (0..powers.len()).filter(|&place| degree(&powers[place]) == 3).collect();
    let mut all = vec![];
    for (&left, &right) in cubic.iter().flat_map(|left| cubic.iter().map(move |right| (left, right))) {
        let (a, b) = (powers[left], powers[right]);
        for plus in [0, 2] {
            let minus = plus + 1;
            let factor = f64::from(a[plus]) * f64::from(b[minus]) - f64::from(a[minus]) * f64::from(b[plus]);
            if factor != 0.0 {
                let mut product: Powers = std::array::from_fn(|variable| a[variable] + b[variable]);
                product[plus] -= 1;
                product[minus] -= 1;
                all.push((left, right, index[&product], Complex::new(0.0, 2.0 * factor)));
            }
        }
    }
    all
}

impl Polynomial {
    pub(crate) fn zero() -> Self {
        Self(vec![Complex::new(0.0, 0.0); TABLE.powers.len()])
    }

    /// The polynomial 1.
    pub(crate) fn one() -> Self {
        let mut one = Self::zero();
        one.0[0] = Complex::new(1.0, 0.0);
        one
    }

    pub(crate) fn add(&mut self, other: &Self, factor: f64) {
        self.0.iter_mut().zip(&other.0).for_each(|(to, from)| *to += from * factor);
    }

    /// Adds this polynomial times a linear one, given by its coefficients.
    pub(crate) fn add_times_linear(&mut self, of: &Self, linear: &[Complex<f64>; 5], factor: f64) {
        for (value, raised) in of.0.iter().zip(&TABLE.raised) {
            if *value == Complex::new(0.0, 0.0) {
                continue;
            }
            for (coefficient, place) in linear.iter().zip(raised) {
                if let Some(place) = place {
                    self.0[*place] += value * coefficient * factor;
                }
            }
        }
    }

    /// Divides by 1 + delta.
    pub(crate) fn over_one_plus_delta(&mut self) {
        // f / (1 + delta) = g means g = f - delta g, from the lowest power of delta on
        for place in 0..self.0.len() {
            if let Some(raised) = TABLE.raised[place][4] {
                let below = self.0[place];
                self.0[raised] -= below;
            }
        }
    }

    /// Adds the Poisson bracket of the cubic parts of two polynomials times a factor.
    pub(crate) fn add_bracket(&mut self, left: &Self, right: &Self, factor: f64) {
        for &(a, b, to, constant) in &TABLE.brackets {
            self.0[to] += left.0[a] * right.0[b] * constant * factor;
        }
    }
}

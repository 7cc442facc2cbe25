//! Iron that remembers: what a magnet gives beside its calibration, by the way it came to its setpoint.
//!
//! Rayleigh's law with Madelung's rules: from a reversal at u0 the irreversible part of the field goes on by
//! ± (eta/2) (u - u0)²; a branch that comes back to where it began closes a loop and is forgotten (Lord Rayleigh,
//! Phil. Mag. 23, 225 (1887); E. Madelung, Ann. Phys. 322, 861 (1905)). This is the Prandtl-Ishlinskii model with an even
//! density of thresholds.
//!
//! A magnet is cycled to its highest setpoint and comes down from there: on that branch it gives what its calibration
//! says, and what it gives beside is zero.

/// The way of one magnet, in units of its setpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Iron {
    /// Where branches began that are not closed, and the irreversible part of the field there; the first is the top.
    turns: Vec<(f64, f64)>,
    /// Where it is now.
    at: f64,
    eta: f64,
    /// -1 where it is cycled to the lowest setpoint: everything is turned round.
    sign: f64,
}

impl Iron {
    /// A cycled magnet at a setpoint: between `low` and `high` both branches are `width` apart in the middle. `sign` is 1
    /// where it comes down from the highest setpoint, -1 where it comes up from the lowest.
    pub fn new(at: f64, [low, high]: [f64; 2], width: f64, sign: f64) -> Iron {
        let (span, top) = (high - low, if sign < 0.0 { -low } else { high });
        Iron { turns: vec![(top, 0.0)], at: sign * at, eta: 4.0 * width / (span * span), sign }
    }

    /// The irreversible part at a setpoint on the present branch.
    fn on_branch(&self, at: f64) -> f64 {
        let &(from, value) = self.turns.last().unwrap_or(&(self.at, 0.0));
        let way = at - from;
        value + 0.5 * self.eta * way * way.abs()
    }

    /// Whether the present branch goes up.
    fn rises(&self) -> bool {
        self.turns.len().is_multiple_of(2)
    }

    /// Goes to a setpoint without turning on the way.
    pub fn go_to(&mut self, to: f64) {
        let to = self.sign * to;
        if to == self.at {
            return;
        }
        if (to > self.at) != self.rises() {
            let value = self.on_branch(self.at);
            self.turns.push((self.at, value));
        }
        // past the reversal before the last one the loop is closed
        while self.turns.len() > 2 {
            let closes = self.turns[self.turns.len() - 2].0;
            if (self.rises() && to < closes) || (!self.rises() && to > closes) {
                break;
            }
            self.turns.truncate(self.turns.len() - 2);
        }
        // above the top, and below the bottom, it is cycled anew from there
        if self.turns.len() == 2 && to >= self.turns[0].0 {
            self.turns = vec![(to.max(self.turns[0].0), 0.0)];
        }
        self.at = to;
    }

    /// What the magnet gives beside its calibration, in units of its setpoint.
    pub fn beside(&self) -> f64 {
        if self.turns.len() == 1 {
            return 0.0;
        }
        let top = self.turns[0].0;
        let cycled = -0.5 * self.eta * (top - self.at).powi(2);
        self.sign * (self.on_branch(self.at) - cycled)
    }

    /// Whether it is on the branch that its calibration is for.
    #[cfg(test)]
    pub fn is_on_its_branch(&self) -> bool {
        self.turns.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETA: f64 = 0.02;

    /// Iron with this eta between -1 and 1.
    fn iron(at: f64) -> Iron {
        Iron::new(at, [-1.0, 1.0], ETA, 1.0)
    }

    /// The irreversible part, counted from the middle of the loop between -1 and 1.
    fn irreversible(iron: &Iron) -> f64 {
        iron.on_branch(iron.at) + 0.5 * ETA * 2.0
    }

    /// Rayleigh's loop: M = eta Hm H ± (eta/2) (Hm² - H²), its remanence eta Hm²/2 and its area (4/3) eta Hm³.
    #[test]
    fn a_loop_is_that_of_rayleigh() {
        let mut iron = iron(1.0);
        let steps = 20_000;
        let mut area = 0.0;
        let mut last = (1.0, irreversible(&iron));
        let path = (0..2 * steps).map(|n| {
            let part = f64::from(n + 1) / f64::from(steps);
            if n < steps { 1.0 - 2.0 * part } else { -1.0 + 2.0 * (part - 1.0) }
        });
        for (n, h) in path.enumerate() {
            iron.go_to(h);
            let m = irreversible(&iron);
            let sign = if n < steps as usize { 1.0 } else { -1.0 };
            let wanted = ETA * h + sign * 0.5 * ETA * (1.0 - h * h);
            assert!((m - wanted).abs() < 1e-14, "{h}: {m} {wanted}");
            area += 0.5 * (m + last.1) * (h - last.0);
            last = (h, m);
        }
        assert!((area.abs() / (4.0 / 3.0 * ETA) - 1.0).abs() < 1e-6, "{area}");
        assert!(iron.is_on_its_branch(), "at the top it is cycled");
    }

    /// A closed loop is forgotten; loops between the same setpoints have the same shape wherever they are.
    #[test]
    fn madelungs_rules() {
        let mut there = iron(0.5);
        let mut straight = there.clone();
        there.go_to(0.1);
        there.go_to(0.3);
        there.go_to(0.2);
        there.go_to(0.35);
        there.go_to(-0.4);
        straight.go_to(-0.4);
        assert_eq!(there, straight, "what is wiped out leaves nothing");
        let height = |iron: &mut Iron| {
            iron.go_to(0.0);
            let before = iron.on_branch(0.0);
            iron.go_to(0.2);
            iron.on_branch(0.2) - before
        };
        let (mut high, mut low) = (iron(0.5), iron(0.5));
        low.go_to(-1.0);
        low.go_to(0.0);
        low.go_to(-0.3);
        let (a, b) = (height(&mut high), 0.5 * ETA * 0.04);
        assert!((a - b).abs() < 1e-16, "{a} {b}");
        let before = low.on_branch(-0.3);
        low.go_to(-0.1);
        assert!((low.on_branch(-0.1) - before - b).abs() < 1e-16);
    }

    #[test]
    fn a_cycled_magnet_gives_its_calibration() {
        let mut iron = iron(0.4);
        assert_eq!(iron.beside(), 0.0);
        iron.go_to(0.3);
        assert_eq!((iron.beside(), iron.is_on_its_branch()), (0.0, true));
        iron.go_to(0.4);
        assert!(!iron.is_on_its_branch());
        // from 0.3 up by 0.1, where the calibration is that of coming down
        let wanted = -0.5 * ETA * 0.7 * 0.7 + 0.5 * ETA * 0.01 + 0.5 * ETA * 0.6 * 0.6;
        assert!((iron.beside() - wanted).abs() < 1e-16);
        for to in [1.0, -1.0, 1.0, 0.4] {
            iron.go_to(to);
        }
        assert_eq!((iron.beside(), iron.is_on_its_branch()), (0.0, true));
        // a magnet of the other sign is the same, turned round
        let mut other = Iron::new(-0.4, [-1.0, 1.0], ETA, -1.0);
        other.go_to(-0.3);
        other.go_to(-0.4);
        assert!((other.beside() + wanted).abs() < 1e-16);
        // both branches between the ends are as far apart as was said
        iron.go_to(-1.0);
        iron.go_to(0.0);
        assert!((iron.beside().abs() - ETA).abs() < 1e-16, "{}", iron.beside());
    }
}

//! Supplies that take time: what one holds on the way to what it was asked for.

/// How a supply goes to a new value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Pace {
    /// At once.
    #[default]
    AtOnce,
    /// So much in a second, in channel units.
    Slew(f64),
    /// Exponentially, with this time constant [s].
    Lag(f64),
}

impl Pace {
    /// The time constant with which a supply follows a wave form [s].
    pub fn lag(self) -> f64 {
        if let Pace::Lag(constant) = self { constant } else { 0.0 }
    }
}

/// After so many time constants it has arrived.
const ARRIVED: f64 = 40.0;

/// The way of a supply to its setpoint, in channel units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ramp {
    from: f64,
    to: f64,
    /// When it set out [s].
    since: f64,
}

impl Ramp {
    pub fn at(value: f64) -> Ramp {
        Ramp { from: value, to: value, since: 0.0 }
    }

    /// Sets out for a value, from where it is.
    pub fn set_out(&mut self, to: f64, pace: Pace, now: f64) {
        *self = Ramp { from: self.holds(pace, now), to, since: now };
    }

    /// What it holds now.
    pub fn holds(&self, pace: Pace, now: f64) -> f64 {
        if self.has_arrived(pace, now) {
            return self.to;
        }
        let (way, passed) = (self.to - self.from, now - self.since);
        match pace {
            Pace::AtOnce => self.to,
            Pace::Slew(rate) => self.from + way.signum() * rate * passed,
            Pace::Lag(constant) => self.to - way * (-passed / constant).exp(),
        }
    }

    pub fn has_arrived(&self, pace: Pace, now: f64) -> bool {
        let passed = now - self.since;
        self.from == self.to
            || match pace {
                Pace::AtOnce => true,
                Pace::Slew(rate) => rate * passed >= (self.to - self.from).abs(),
                Pace::Lag(constant) => passed >= ARRIVED * constant,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supply_is_on_its_way_and_then_there() {
        let mut ramp = Ramp::at(1.0);
        ramp.set_out(3.0, Pace::Slew(0.5), 10.0);
        let slew = |now| ramp.holds(Pace::Slew(0.5), now);
        assert_eq!([slew(10.0), slew(12.0), slew(14.0), slew(20.0)], [1.0, 2.0, 3.0, 3.0]);
        assert!(!ramp.has_arrived(Pace::Slew(0.5), 13.9) && ramp.has_arrived(Pace::Slew(0.5), 14.0));
        // turned round on its way
        ramp.set_out(0.0, Pace::Slew(0.5), 12.0);
        assert_eq!(ramp.holds(Pace::Slew(0.5), 14.0), 1.0);
        let mut ramp = Ramp::at(1.0);
        ramp.set_out(2.0, Pace::Lag(0.1), 0.0);
        assert!((ramp.holds(Pace::Lag(0.1), 0.1) - (2.0 - (-1.0_f64).exp())).abs() < 1e-15);
        assert_eq!(ramp.holds(Pace::Lag(0.1), 5.0), 2.0);
    }
}

//! Magnets that remember: whether each is on the branch of its hysteresis that it was cycled onto.
//!
//! A cycle ends with a way from its larger end to the setpoint. A magnet stays on that branch as long as it is only moved on in the same
//! direction; a way back leaves it, and a setpoint that is put back does not bring it back. What is told here is what the session
//! knows of its own writes, never what the field is.

use crate::setpoint::same;
use crate::{Change, Channel, Session, Setpoint, WriteMode};
use fodo_report::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// Where a magnet is, as far as the session knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Branch {
    /// It was cycled, and only moved on since.
    On,
    /// It was cycled and moved back since; how.
    Left(String),
    /// Why that is not known.
    Unknown(String),
}

impl std::fmt::Display for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Branch::On => f.write_str("on its branch"),
            Branch::Left(how) => write!(f, "left it: {how}"),
            Branch::Unknown(why) => write!(f, "not known: {why}"),
        }
    }
}

/// The magnets that the session has cycled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branches(HashMap<Channel, Cycled>);

/// A magnet after its cycle.
#[derive(Clone, Debug)]
struct Cycled {
    /// 1 where the branch goes up, -1 where it comes down.
    direction: f64,
    /// What its setpoint holds as far as Fodo knows.
    at: f64,
    branch: Branch,
}

impl Cycled {
    /// It goes from `from` to the value of a change.
    fn go(&mut self, Change { setpoint, value }: &Change, from: f64) {
        if !same(self.at, from) {
            self.branch = disturbed(setpoint, self.at, from);
        }
        self.at = *value;
        if self.branch == Branch::On && !same(from, *value) && (value - from) * self.direction < 0.0 {
            self.branch = Branch::Left(format!("went from {} to {}", setpoint.shown(from), setpoint.shown(*value)));
        }
    }
}

fn disturbed(setpoint: &Setpoint, left: f64, found: f64) -> Branch {
    let (left, found) = (setpoint.shown(left), setpoint.shown(found));
    Branch::Unknown(format!("somebody else moved it from {left} to {found}"))
}

impl Branches {
    /// Puts on record what goes out; the setpoints that leave their branch by that.
    pub fn moved<'c>(&mut self, changes: &'c [Change], olds: &[f64]) -> Vec<&'c Arc<Setpoint>> {
        let mut left = Vec::new();
        for (change, &old) in changes.iter().zip(olds) {
            let Some(cycled) = self.0.get_mut(&change.setpoint.channel) else { continue };
            let before = cycled.branch == Branch::On;
            cycled.go(change, old);
            if before && matches!(cycled.branch, Branch::Left(_)) {
                left.push(&change.setpoint);
            }
        }
        left
    }

    /// Of these, those that are known to be off their branch, each once.
    pub fn off<'s>(&self, setpoints: impl Iterator<Item = &'s Arc<Setpoint>>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for setpoint in setpoints {
            let known = self.0.get(&setpoint.channel);
            let is_off = known.is_some_and(|cycled| matches!(cycled.branch, Branch::Left(_)));
            if is_off && !names.iter().any(|name| *name == *setpoint.name) {
                names.push(setpoint.name.to_string());
            }
        }
        names
    }

    fn of(&self, setpoint: &Setpoint, present: f64) -> Branch {
        match self.0.get(&setpoint.channel) {
            None => Branch::Unknown("not cycled in this session".into()),
            Some(cycled) if !same(cycled.at, present) && !matches!(cycled.branch, Branch::Unknown(_)) => {
                disturbed(setpoint, cycled.at, present)
            }
            Some(cycled) => cycled.branch.clone(),
        }
    }
}

impl Session {
    /// Setpoints that were just cycled, with the direction of the last way (1 up, -1 down) and what they hold now.
    pub fn cycled<'s>(&self, magnets: impl IntoIterator<Item = (&'s Arc<Setpoint>, f64, f64)>) {
        if self.mode() != WriteMode::Write {
            return;
        }
        let state = self.state();
        let mut past = state.past();
        for (setpoint, direction, at) in magnets {
            past.branches.0.insert(setpoint.channel.clone(), Cycled { direction, at, branch: Branch::On });
        }
    }

    /// Whether magnets are on the branch that they were cycled onto, by what their setpoints hold now.
    ///
    /// # Errors
    /// Kind `machine`: setpoints that are absent or not a number.
    pub fn branches(&self, setpoints: &[Arc<Setpoint>]) -> Result<Vec<Branch>> {
        let present = self.present(setpoints, &self.cancel)?;
        let state = self.state();
        let past = state.past();
        Ok(setpoints.iter().zip(present).map(|(setpoint, present)| past.branches.of(setpoint, present)).collect())
    }

    /// The setpoints of magnets that the present run took off the branch they were cycled onto, and did not cycle again.
    pub(crate) fn off_branch(&self) -> Vec<String> {
        let state = self.state();
        let left = state.transaction.as_ref().map(|transaction| transaction.left.as_slice()).unwrap_or_default();
        state.past().branches.off(left.iter())
    }

    /// Puts on record where changes that go out take magnets.
    pub(crate) fn note_branches(&self, changes: &[Change], olds: &[f64]) {
        let mut state = self.state();
        let left: Vec<Arc<Setpoint>> = state.past().branches.moved(changes, olds).into_iter().cloned().collect();
        if let Some(transaction) = &mut state.transaction {
            transaction.left.extend(left);
        }
    }
}

/// What is said of setpoints whose magnets are off their branch; nothing if there are none.
pub fn off_branch(names: &[String]) -> Option<String> {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let list = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let list = if more > 0 { format!("{list} and {more} more") } else { list };
    (!names.is_empty()).then(|| format!("off the branch they were cycled onto: {list}; `cycle` brings them back"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn setpoint() -> Arc<Setpoint> {
        Arc::new(Setpoint {
            name: "Q".into(),
            family: "Q".into(),
            channel: "Q:SP".into(),
            readback: None,
            unit: "A".into(),
            limits: (0.0, 200.0),
            tolerance: 0.1,
            arrival: Duration::from_secs(1),
            rate: None,
            physics: None,
        })
    }

    /// A magnet that was cycled and came down to 100 A.
    fn cycled() -> Branches {
        let cycled = Cycled { direction: -1.0, at: 100.0, branch: Branch::On };
        Branches(HashMap::from([("Q:SP".into(), cycled)]))
    }

    /// Goes along these values; how often it left its branch on the way, and where it is then.
    fn along(branches: &mut Branches, values: &[f64]) -> (usize, Branch) {
        let left = values.windows(2).map(|step| {
            let change = Change { setpoint: setpoint(), value: step[1] };
            branches.moved(&[change], &[step[0]]).len()
        });
        let left = left.sum();
        (left, branches.of(&setpoint(), values[values.len() - 1]))
    }

    #[test]
    fn a_magnet_that_is_moved_on_stays_on_its_branch() {
        assert_eq!(along(&mut cycled(), &[100.0, 90.0, 90.0, 40.0]), (0, Branch::On));
        // a rounding is no way back
        assert_eq!(along(&mut cycled(), &[100.0, 100.0 * (1.0 + 1e-15)]), (0, Branch::On));
    }

    #[test]
    fn a_way_back_leaves_it_until_the_next_cycle() {
        let mut branches = cycled();
        let left = Branch::Left("went from 90 A to 95 A".into());
        assert_eq!(along(&mut branches, &[100.0, 90.0, 95.0, 40.0, 100.0]), (1, left));
        assert_eq!(branches.off([&setpoint(), &setpoint()].into_iter()), ["Q"]);
        assert_eq!(cycled().off([&setpoint()].into_iter()), [""; 0]);
    }

    #[test]
    fn what_somebody_else_moved_is_not_known() {
        let of = |present| cycled().of(&setpoint(), present).to_string();
        assert_eq!(of(99.0), "not known: somebody else moved it from 100 A to 99 A");
        let mut branches = cycled();
        let (left, branch) = along(&mut branches, &[99.0, 100.0, 90.0]);
        assert_eq!((left, branch.to_string().starts_with("not known")), (0, true));
        assert_eq!(Branches::default().of(&setpoint(), 1.0).to_string(), "not known: not cycled in this session");
    }
}

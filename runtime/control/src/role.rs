//! Who may write which families.

use fodo_report::{Diagnostic, Kind, Result};
use std::sync::Arc;

/// A role and the families it may write.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// Its name: `operator`.
    pub name: Arc<str>,
    /// The families; none means all.
    pub writes: Option<Vec<Arc<str>>>,
}

impl Role {
    /// Whether it may write a family.
    pub fn may_write(&self, family: &str) -> bool {
        self.writes.as_ref().is_none_or(|families| families.iter().any(|known| known.as_ref() == family))
    }
}

/// The role of a session among those of its facility.
#[derive(Clone, Debug, PartialEq)]
pub struct Acting {
    /// The session's own.
    pub role: Role,
    /// All of the facility, to say who may do what this one may not.
    pub all: Vec<Role>,
}

impl Acting {
    /// An error of kind `rights` if the role may not write one of the families (sorted, each once).
    pub(crate) fn check(&self, families: &[&str]) -> Result<()> {
        let forbidden: Vec<&str> = families.iter().copied().filter(|family| !self.role.may_write(family)).collect();
        if forbidden.is_empty() {
            return Ok(());
        }
        let may = |family: &&str| {
            let who: Vec<&str> = self.all.iter().filter(|r| r.may_write(family)).map(|r| r.name.as_ref()).collect();
            match who.as_slice() {
                [] => format!("{family} may be written by no role"),
                who => format!("{family} may be written by {}", who.join(", ")),
            }
        };
        let message =
            format!("the role `{}` may not write {}; nothing was written", self.role.name, forbidden.join(", "));
        Err(Diagnostic::new(Kind::Rights, message)
            .details(forbidden.iter().map(may))
            .hint("roles stand in facility.toml under [roles]; --role NAME or FODO_ROLE chooses another one")
            .into())
    }
}

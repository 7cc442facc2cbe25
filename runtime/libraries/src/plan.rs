//! Which libraries at which revisions: what is wanted, brought together, or why that cannot be.

use crate::git::Mirror;
use crate::store::folder_content;
use crate::{Content, FACILITY, Lock, Locked, Manifest, Source, Store, Wanted, storage, wrong};
use fodo_report::{Diagnostic, Result};
use semver::{Version, VersionReq};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Which of the locked libraries may be taken anew.
#[derive(Clone, Debug, PartialEq)]
pub enum Refresh {
    /// None: what is locked stays as it is.
    Nothing,
    /// One, by name.
    One(String),
    /// All.
    All,
}

impl Refresh {
    fn takes(&self, name: &str) -> bool {
        match self {
            Refresh::Nothing => false,
            Refresh::One(one) => one == name,
            Refresh::All => true,
        }
    }
}

/// What a facility would take.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The lock that says so.
    pub lock: Lock,
    /// What each library says of itself, by name.
    pub manifests: BTreeMap<String, Manifest>,
    /// The files of each.
    pub contents: BTreeMap<String, Content>,
}

impl Plan {
    /// Puts all contents into the cache.
    pub fn keep(&self, store: &Store) -> Result<()> {
        self.lock.libraries.iter().try_for_each(|(name, locked)| store.keep(name, locked, &self.contents[name]))
    }
}

/// Brings together what is wanted directly and what that wants in turn. Nothing is written but the cache's copies of
/// repositories.
///
/// `fodo` is the version of this program; `taken` says of what kind something else of a name is (`"builtin"`).
///
/// # Errors
/// What cannot be fetched or read, and conflicts: one library in two versions or from two places, one procedure in two
/// libraries, another version of Fodo needed.
pub fn plan(
    direct: Vec<Wanted>,
    store: &Store,
    lock: &Lock,
    refresh: &Refresh,
    fodo: &str,
    taken: &dyn Fn(&str) -> Option<&'static str>,
) -> Result<Plan> {
    let mut planner = Planner { store, lock, refresh, chosen: BTreeMap::new(), fetched: BTreeSet::new() };
    let mut open: VecDeque<Wanted> = direct.into();
    while let Some(wanted) = open.pop_front() {
        open.extend(planner.take(wanted)?);
    }
    planner.check_versions(fodo)?;
    planner.check_procedures(taken)?;
    Ok(planner.finish())
}

struct Planner<'p> {
    store: &'p Store,
    lock: &'p Lock,
    refresh: &'p Refresh,
    chosen: BTreeMap<String, Chosen>,
    /// Repositories that were fetched for this plan.
    fetched: BTreeSet<String>,
}

struct Chosen {
    wanted: Vec<Wanted>,
    revision: Option<String>,
    content: Content,
    manifest: Manifest,
}

impl Planner<'_> {
    /// Takes a library, or finds that it has been taken; gives what it wants in turn.
    fn take(&mut self, wanted: Wanted) -> Result<Vec<Wanted>> {
        let same = |(name, chosen): (&String, &Chosen)| {
            (wanted.name.as_ref() == Some(name) || chosen.wanted[0].source == wanted.source).then(|| name.clone())
        };
        if let Some(name) = self.chosen.iter().find_map(same) {
            self.again(&name, wanted)?;
            return Ok(Vec::new());
        }
        let (revision, content) = self.fetch(&wanted)?;
        let manifest = Manifest::of(&content, &shown(&wanted.source))?;
        let name = manifest.name.clone();
        if let Some(asked) = wanted.name.as_ref().filter(|asked| **asked != name) {
            return Err(wrong(format!("{} is the library `{name}`, not `{asked}`", wanted.source))
                .detail(format!("{} asks for it as `{asked}`", who(&wanted.by)))
                .into());
        }
        if self.chosen.contains_key(&name) {
            self.again(&name, wanted)?;
            return Ok(Vec::new());
        }
        let more = manifest.dependencies.clone();
        self.chosen.insert(name, Chosen { wanted: vec![wanted], revision, content, manifest });
        Ok(more)
    }

    /// One more who wants a library that is taken.
    fn again(&mut self, name: &str, wanted: Wanted) -> Result<()> {
        let Some(chosen) = self.chosen.get_mut(name) else { return Ok(()) };
        let first = &chosen.wanted[0];
        if first.source != wanted.source {
            return Err(wrong(format!("the library {name} is wanted from two places"))
                .details([place(first), place(&wanted)])
                .hint("a facility has one library of a name: agree on one place, or leave one of them out")
                .into());
        }
        if first.follows != wanted.follows {
            return Err(wrong(format!("the library {name} is wanted in two versions"))
                .details([place(first), place(&wanted)])
                .hint("a facility has one version of a library: let both ask for the same revision, or for a range of versions instead")
                .into());
        }
        chosen.wanted.push(wanted);
        Ok(())
    }

    /// Revision and content: those of the lock, unless the library is to be taken anew.
    fn fetch(&mut self, wanted: &Wanted) -> Result<(Option<String>, Content)> {
        let of_lock =
            |(_, locked): &(&String, &Locked)| locked.source == wanted.source && locked.follows == wanted.follows;
        let locked = self.lock.libraries.iter().find(of_lock).filter(|(name, _)| !self.refresh.takes(name));
        if let Some((name, locked)) = locked {
            self.store.fetch(name, locked)?;
            return Ok((locked.revision.clone(), self.store.load(name, locked)?));
        }
        match &wanted.source {
            Source::Folder(_) if wanted.follows.is_some() => {
                Err(storage(format!("{} is a plain folder: it has no revisions", wanted.source)).into())
            }
            Source::Folder(_) => Ok((None, folder_content(&wanted.source)?)),
            Source::Git(address) => {
                let mirror: Mirror = self.store.mirror(address);
                if self.fetched.insert(address.clone()) {
                    mirror.fetch()?;
                }
                let revision = mirror.find(wanted.follows.as_deref())?;
                let content = mirror.content(&revision)?;
                Ok((Some(revision), content))
            }
        }
    }

    fn check_versions(&self, fodo: &str) -> Result<()> {
        let program = Version::parse(fodo).map_err(|e| Diagnostic::new(fodo_report::Kind::Internal, e.to_string()))?;
        for (name, chosen) in &self.chosen {
            let version = &chosen.manifest.version;
            let fits = |range: &VersionReq| range.matches(version);
            if chosen.wanted.iter().any(|w| w.version.as_ref().is_some_and(|range| !fits(range))) {
                return Err(self.no_version(name, chosen));
            }
            if let Some(needs) = chosen.manifest.fodo.as_ref().filter(|needs| !needs.matches(&program)) {
                return Err(wrong(format!("{name} {version} needs Fodo {needs}, this is {fodo}"))
                    .hint("update Fodo, or take an earlier revision of the library with --revision")
                    .into());
            }
        }
        Ok(())
    }

    fn no_version(&self, name: &str, chosen: &Chosen) -> Box<Diagnostic> {
        let version = &chosen.manifest.version;
        let asks = |wanted: &Wanted| {
            let range = wanted.version.as_ref().map_or("any version".to_string(), |range| format!("version {range}"));
            let verdict = wanted.version.as_ref().is_none_or(|range| range.matches(version));
            format!("{} takes {range}: {}", who(&wanted.by), if verdict { "fits" } else { "does not fit" })
        };
        let what = if chosen.wanted.len() > 1 { "is wanted in two versions" } else { "does not fit" };
        wrong(format!("the library {name} {what}; at {} it is {version}", chosen.wanted[0].source))
            .details(chosen.wanted.iter().map(asks))
            .hint("update the library that asks for the other version, or pin one that both take: `--revision` on add or update")
            .into()
    }

    fn check_procedures(&self, taken: &dyn Fn(&str) -> Option<&'static str>) -> Result<()> {
        let mut known: BTreeMap<&str, String> = BTreeMap::new();
        for (name, chosen) in &self.chosen {
            for (procedure, (path, _)) in &chosen.manifest.procedures {
                let here = format!("{name} {}: {path}", chosen.manifest.version);
                if let Some(what) = taken(procedure) {
                    return Err(wrong(format!("the procedure `{procedure}` of {name} has the name of a {what}"))
                        .detail(here)
                        .hint("a library cannot replace what comes with Fodo but for procedures; its author has to rename it")
                        .into());
                }
                if let Some(other) = known.insert(procedure, here.clone()) {
                    return Err(wrong(format!("two libraries have a procedure `{procedure}`"))
                        .details([other, here])
                        .hint("a facility has one procedure of a name: leave one library out, or ask one author to rename it")
                        .into());
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Plan {
        let mut plan = Plan { lock: Lock::default(), manifests: BTreeMap::new(), contents: BTreeMap::new() };
        for (name, chosen) in self.chosen {
            let mut wanted_by: Vec<String> = chosen.wanted.iter().map(|wanted| wanted.by.clone()).collect();
            wanted_by.sort();
            wanted_by.dedup();
            let procedures = &chosen.manifest.procedures;
            let locked = Locked {
                version: chosen.manifest.version.clone(),
                source: chosen.wanted[0].source.clone(),
                follows: chosen.wanted[0].follows.clone(),
                revision: chosen.revision,
                content: chosen.content.hash(),
                wanted_by,
                changes: procedures.iter().map(|(name, (_, header))| (name.clone(), header.may_change())).collect(),
            };
            plan.lock.libraries.insert(name.clone(), locked);
            plan.manifests.insert(name.clone(), chosen.manifest);
            plan.contents.insert(name, chosen.content);
        }
        plan
    }
}

fn who(by: &str) -> &str {
    if by == FACILITY { "this facility" } else { by }
}

fn place(wanted: &Wanted) -> String {
    let at = wanted.follows.as_deref().map_or(String::new(), |follows| format!(" at {follows}"));
    format!("{} takes {}{at}", who(&wanted.by), wanted.source)
}

/// How files of a library that is not installed yet are called in messages.
fn shown(source: &Source) -> String {
    source.to_string().trim_end_matches('/').to_string()
}

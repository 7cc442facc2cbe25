//! A facility: its tables and its lattice, checked and joined.

use crate::cycle::Cycle;
use crate::family::{Device, Family, unknown_device};
use crate::field::{Field, Quantities};
use crate::files::{Based, Files};
use crate::injection;
use crate::injection::InjectionDesign;
use crate::machine::{Entrance, MachineKind};
use crate::rigidity::rigidity;
use crate::table::{Table, open_tables};
use crate::watchers::{self, Feedback, Watcher};
use fodo_control::{Acting, Channel, Condition, Role, Setpoint};
use fodo_lattice::Lattice;
use fodo_report::{Diagnostic, Kind, Label, Result};
use fodo_units::Unit;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which families orbit tools use by default.
#[derive(Clone, Debug)]
pub struct OrbitRoles {
    /// Beam position monitors.
    pub monitors: Arc<str>,
    /// Horizontal correctors.
    pub horizontal: Arc<str>,
    /// Vertical correctors.
    pub vertical: Arc<str>,
    /// The RF family, if the ring has one.
    pub rf: Option<Arc<str>>,
    /// Orbit beyond which the model's prediction refuses a change [m].
    pub limit: Option<f64>,
}

/// What sort of archive a facility has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// The EPICS Archiver Appliance.
    Appliance,
    /// TANGO's HDB++ in PostgreSQL.
    Hdbpp,
}

/// Where what channels held is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivePlace {
    /// What sort of archive.
    pub kind: ArchiveKind,
    /// Its address: `http://host:17668/retrieval`, `postgres://user@host/hdb`.
    pub url: String,
}

/// A machine as its tables describe it.
pub struct Facility {
    /// Short name, shown in every prompt.
    pub name: Arc<str>,
    /// Full name.
    pub title: Arc<str>,
    /// Ring, transfer line or linac.
    pub kind: MachineKind,
    /// The cycle of a booster.
    pub cycle: Option<Cycle>,
    /// What the design says enters a line; a ring has none.
    pub entrance: Option<Entrance>,
    /// What the design says is injected into a ring, if its tables have that.
    pub injection: Option<InjectionDesign>,
    /// Control system of the live machine: `ca`, `adapter`.
    pub control: Arc<str>,
    /// Program and arguments of the adapter (`[adapter] command = […]`); empty without.
    pub adapter: Vec<String>,
    /// What channels held (`[archive]`), if the facility keeps it.
    pub archive: Option<ArchivePlace>,
    /// The design lattice of the present optics.
    pub lattice: Arc<Lattice>,
    /// Entrance of each element, then the end [m].
    pub positions: Vec<f64>,
    /// Families for orbit tools.
    pub orbit: OrbitRoles,
    /// Who may write which families; without roles, everybody everything.
    pub roles: Vec<Role>,
    /// Families in the order of the table.
    pub families: Vec<Arc<Family>>,
    /// Conditions that procedures name in their headers.
    pub watchers: Vec<Watcher>,
    /// Feedback loops beside Fodo.
    pub feedbacks: Vec<Feedback>,
    /// Golden orbit at monitors [m] (x, y); a monitor that is not named has zero.
    pub golden: HashMap<Arc<str>, (f64, f64)>,
    default_role: Option<Arc<str>>,
    /// Folder of leases that all sessions share, if facility.toml names one.
    pub leases: Option<PathBuf>,
    files: Arc<dyn Files>,
    lattice_file: String,
    by_name: HashMap<Arc<str>, usize>,
}

impl Facility {
    /// Reads and checks a facility.
    ///
    /// # Errors
    /// Kind `facility`, with file, line and column: syntax, unknown keys, wrong units, patterns
    /// that match nothing, two families on one name, two fields on one setpoint channel.
    pub fn load(files: Arc<dyn Files>) -> Result<Facility> {
        let files = with_base(files, &mut Vec::new())?;
        let head = open_tables(files.as_ref(), "facility.toml", Head::read)?;
        let lattice = Arc::new(read_lattice(files.as_ref(), &head.lattice, &head.places[0])?);
        if head.kind == MachineKind::Linac && !lattice.reference.accelerates {
            let what = "`kind`: a linac accelerates, and its lattice does not say `accelerates = true`";
            return Err(Diagnostic::new(Kind::Facility, what).label(head.places[0].clone()).into());
        }
        let positions = lattice.positions();
        let (injection, cycle) = open_tables(files.as_ref(), "facility.toml", |top| {
            Ok((InjectionDesign::read(top, head.kind, &lattice)?, Cycle::read(top, head.kind, &lattice)?))
        })?;
        let rigidity = rigidity(&lattice);
        let csv = |path: &str| files.text(path);
        let families = open_tables(files.as_ref(), "families.toml", |top| {
            let mut families = Vec::new();
            let (mut owners, mut sources) = (HashMap::new(), HashMap::new());
            for (name, table) in top.alike()? {
                let family = Family::read(name, &table, &lattice, &positions, rigidity, &csv)?;
                fields_fit(&family, &table, &head)?;
                injection::fits(&family, &table, injection.is_some())?;
                one_setpoint_each(&family, &mut owners).map_err(|what| table.mistake(name, what))?;
                one_source_each(&family, &mut sources).map_err(|what| table.mistake("source", what))?;
                families.push(Arc::new(family));
            }
            top.no_other_keys()?;
            Ok(families)
        })?;
        let (watchers, feedbacks) = open_tables(files.as_ref(), "facility.toml", |top| watchers::read(top, &families))?;
        let by_name = families.iter().enumerate().map(|(at, family)| (family.name.clone(), at)).collect();
        let golden = match &head.golden {
            Some(path) => read_golden(files.as_ref(), path)?,
            None => HashMap::new(),
        };
        let facility = Facility {
            name: head.name,
            title: head.title,
            kind: head.kind,
            cycle,
            entrance: head.entrance,
            injection,
            control: head.control,
            adapter: head.adapter,
            archive: head.archive,
            lattice,
            positions,
            orbit: head.orbit,
            roles: head.roles.iter().map(|(role, _)| role.clone()).collect(),
            default_role: head.default_role,
            leases: head.leases,
            families,
            watchers,
            feedbacks,
            golden,
            files,
            lattice_file: head.lattice,
            by_name,
        };
        facility.check(&head.places)?;
        facility.check_roles(&head.roles)?;
        Ok(facility)
    }

    /// Its files, for tables read elsewhere (`twin.toml`).
    pub fn files(&self) -> &dyn Files {
        self.files.as_ref()
    }

    /// The tables it was read from, for a fingerprint: path and text of each that exists.
    pub fn tables(&self) -> Vec<(String, Arc<str>)> {
        let paths = ["facility.toml", "families.toml", "twin.toml", "truth.toml", self.lattice_file.as_str()];
        let layers = |path: &str| {
            let path = path.to_string();
            self.files.layers(&path).into_iter().enumerate().map(move |(depth, (_, text))| {
                // that of the facility it is based on
                (format!("{}{path}", "base/".repeat(depth)), text)
            })
        };
        paths.into_iter().flat_map(layers).collect()
    }

    /// A family by name.
    pub fn family(&self, name: &str) -> Result<&Arc<Family>> {
        match self.by_name.get(name) {
            Some(&at) => Ok(&self.families[at]),
            None => Err(Diagnostic::new(Kind::Script, format!("{} has no family `{name}`", self.name))
                .near(name, self.by_name.keys().map(AsRef::as_ref))
                .hint(format!(
                    "families: {}",
                    self.families.iter().map(|f| f.name.as_ref()).collect::<Vec<_>>().join(", ")
                ))
                .into()),
        }
    }

    /// A family by its name, or the first with that role.
    pub fn named_or_role(&self, word: &str) -> Option<&Arc<Family>> {
        let named = self.by_name.get(word).map(|&at| &self.families[at]);
        named.or_else(|| self.families.iter().find(|family| family.role.as_ref() == word))
    }

    /// A device by family and name.
    pub fn device(&self, family: &str, name: &str) -> Result<&Arc<Device>> {
        let family = self.family(family)?;
        family.device(name).ok_or_else(|| unknown_device(family, name))
    }

    /// What must hold while a procedure runs: watchers by name, and feedbacks with the state that each must be in.
    ///
    /// # Errors
    /// Kind `facility`: there is no such watcher or feedback here.
    pub fn conditions<'n>(
        &self,
        watchers: impl IntoIterator<Item = &'n String>,
        feedbacks: impl IntoIterator<Item = (&'n String, &'n String)>,
    ) -> Result<Vec<Condition>> {
        let watcher = |name: &String| {
            watchers::find(&self.watchers, "watcher", name, &self.name, |one| &one.name).map(Watcher::condition)
        };
        let feedback = |(name, state): (&String, &String)| {
            let found = watchers::find(&self.feedbacks, "feedback", name, &self.name, |one| &one.name);
            found.map(|feedback| feedback.wanted(state))
        };
        // a feedback that the facility does not have is off
        let is_there = |(name, state): &(&String, &String)| {
            *state == "on" || self.feedbacks.iter().any(|feedback| *feedback.name == **name)
        };
        let feedbacks = feedbacks.into_iter().filter(is_there).map(feedback);
        watchers.into_iter().map(watcher).chain(feedbacks).collect()
    }

    /// Channels of watchers and feedbacks that belong to no device, with what they hold while all is well.
    pub fn signals(&self) -> impl Iterator<Item = (&Channel, f64)> {
        let watchers = self.watchers.iter().filter_map(|watcher| Some((&watcher.channel, watcher.well()?)));
        watchers.chain(self.feedbacks.iter().map(|feedback| (&feedback.channel, feedback.off())))
    }

    /// All setpoints of a family; one that several devices share comes once.
    pub fn setpoints(&self, family: &str) -> Result<Vec<Arc<Setpoint>>> {
        let family = self.family(family)?;
        let all = family.devices.iter().flat_map(|device| &device.fields).flat_map(|field| self.setpoints_of(field));
        let mut seen = HashSet::new();
        Ok(all.filter(|setpoint| seen.insert(setpoint.channel.clone())).collect())
    }

    /// The setpoint of a field, or those of all knots of its wave form.
    pub fn setpoints_of(&self, field: &Field) -> Vec<Arc<Setpoint>> {
        match (&field.wave, &self.cycle) {
            (Some(wave), Some(cycle)) => {
                (0..wave.knots).filter_map(|knot| cycle.knot(field, wave, knot).setpoint).collect()
            }
            _ => field.setpoint.iter().cloned().collect(),
        }
    }

    /// The rights of a role: the one named, or the facility's default; none where the facility has no roles.
    ///
    /// # Errors
    /// Kind `usage`: there is no such role; roles without a default, and none named.
    pub fn acting(&self, name: Option<&str>) -> Result<Option<Acting>> {
        let known = || self.roles.iter().map(|role| role.name.as_ref());
        let listed = || match self.roles.is_empty() {
            true => "facility.toml has no [roles]".to_string(),
            false => format!("roles: {}", known().collect::<Vec<_>>().join(", ")),
        };
        let wrong = |what: String| Diagnostic::new(Kind::Usage, what).hint(listed());
        let Some(name) = name.or(self.default_role.as_deref()) else {
            if self.roles.is_empty() {
                return Ok(None);
            }
            return Err(wrong(format!("{} has roles; say which one with --role NAME or FODO_ROLE", self.name)).into());
        };
        match self.roles.iter().find(|role| role.name.as_ref() == name) {
            Some(role) => Ok(Some(Acting { role: role.clone(), all: self.roles.clone() })),
            None => Err(wrong(format!("{} has no role `{name}`", self.name)).near(name, known()).into()),
        }
    }

    /// The families that roles may write are there.
    fn check_roles(&self, roles: &[(Role, Label)]) -> Result<()> {
        for (role, place) in roles {
            for name in role.writes.iter().flatten() {
                self.family(name)
                    .map_err(|error| Box::new(Diagnostic { kind: Kind::Facility, ..*error }.label(place.clone())))?;
            }
        }
        Ok(())
    }

    /// The families for orbit tools are there.
    fn check(&self, places: &[Label]) -> Result<()> {
        let orbit = [&self.orbit.monitors, &self.orbit.horizontal, &self.orbit.vertical];
        for (name, place) in orbit.into_iter().chain(&self.orbit.rf).zip(&places[1..]) {
            self.family(name)
                .map_err(|error| Box::new(Diagnostic { kind: Kind::Facility, ..*error }.label(place.clone())))?;
        }
        Ok(())
    }
}

/// No field is one that such a machine has not.
fn fields_fit(family: &Family, table: &Table, head: &Head) -> Result<()> {
    let first = family.devices.first().map(|device| device.fields.as_slice()).unwrap_or_default();
    for field in first {
        let Some(inner) = table.table(&field.name)? else { continue };
        if field.wave.is_some() && head.kind != MachineKind::Booster {
            return Err(inner.mistake("points", format!("{} is a {}: it has no wave forms", head.name, head.kind)));
        }
        if let Some(why) = head.kind.refuses(&head.name, field) {
            return Err(inner.mistake("model", why));
        }
        let nowhere = family.devices.iter().find(|device| device.elements.is_empty());
        if field.model == Some(Quantities::Charge) && head.entrance.as_ref().is_none_or(|beam| beam.charge.is_none()) {
            return Err(inner.mistake("model", "facility.toml does not say what enters: `charge` under [beam]"));
        }
        if let Some(device) = nowhere.filter(|_| field.model.is_some_and(Quantities::has_place)) {
            let what = format!("{} stands nowhere in the lattice: the family needs `elements`", device.shown());
            return Err(inner.mistake("model", what));
        }
    }
    Ok(())
}

/// No two fields are set by one channel, but the same field of devices on one supply; `owners` are the setpoints of the
/// families before.
fn one_setpoint_each(family: &Family, owners: &mut HashMap<Channel, Arc<Setpoint>>) -> Result<(), String> {
    let whole = |field: &'_ Field| field.setpoint.clone().or(field.wave.as_ref().map(|wave| wave.whole.clone()));
    for setpoint in &family.devices.iter().flat_map(|d| &d.fields).filter_map(whole).collect::<Vec<_>>() {
        let first = owners.entry(setpoint.channel.clone()).or_insert_with(|| setpoint.clone());
        if !Arc::ptr_eq(first, setpoint) {
            return Err(format!(
                "{} and {} are set by the same channel {}; devices on one supply are of one family and set by one field",
                first.name, setpoint.name, setpoint.channel
            ));
        }
    }
    Ok(())
}

/// No channel has two sources; `sources` are those of the families before.
fn one_source_each(family: &Family, sources: &mut HashMap<Arc<str>, (Arc<str>, Arc<str>)>) -> Result<(), String> {
    for channel in family.channels() {
        let own = || (family.name.clone(), family.source.clone());
        let (first, source) = sources.entry(channel.clone()).or_insert_with(own);
        if *source != family.source {
            let (name, own) = (&family.name, &family.source);
            return Err(format!(
                "{name} has the source {own} and {first} {source}, and both use the channel {channel}"
            ));
        }
    }
    Ok(())
}

/// The files of a facility, with those of the one it is based on (`base = "NAME"`, which stands beside it).
///
/// # Errors
/// Kind `facility`: there is no such facility, or it is based on itself.
fn with_base(files: Arc<dyn Files>, seen: &mut Vec<String>) -> Result<Arc<dyn Files>> {
    let base = open_tables(files.as_ref(), "facility.toml", |top| {
        let Some(name) = top.text("base")? else { return Ok(None) };
        let wrong = |what: String| Err(top.mistake("base", what));
        if seen.iter().any(|known| known == name) {
            return wrong(format!("`{name}` is based on itself"));
        }
        seen.push(name.to_string());
        match files.beside(name) {
            Some(base) => Ok(Some(base)),
            None => wrong(format!("there is no facility `{name}` beside this one")),
        }
    })?;
    match base {
        None => Ok(files),
        Some(base) => Ok(Arc::new(Based { own: files, base: with_base(base, seen)? })),
    }
}

struct Head {
    name: Arc<str>,
    title: Arc<str>,
    kind: MachineKind,
    entrance: Option<Entrance>,
    control: Arc<str>,
    adapter: Vec<String>,
    archive: Option<ArchivePlace>,
    lattice: String,
    golden: Option<String>,
    orbit: OrbitRoles,
    /// With where its families are named.
    roles: Vec<(Role, Label)>,
    default_role: Option<Arc<str>>,
    leases: Option<PathBuf>,
    /// Where the lattice and the families for orbit tools are named: monitors, horizontal, vertical, rf.
    places: Vec<Label>,
}

impl Head {
    fn read(top: &Table) -> Result<Head> {
        let orbit = top
            .table("orbit")?
            .ok_or_else(|| top.mistake("orbit", "is missing: the table of the families that orbit tools use"))?;
        let name: Arc<str> = top.needed_text("name")?.into();
        let orbit_places = ["monitors", "horizontal", "vertical", "rf"].map(|key| orbit.label(key));
        let metre = Unit::parse("m").map_err(|e| top.mistake("orbit", e.to_string()))?;
        let adapter = read_adapter(top)?;
        let archive = read_archive(top)?;
        let kind = MachineKind::read(top)?;
        let roles = read_roles(top)?;
        let default_role: Option<Arc<str>> = top.text("role")?.map(Arc::from);
        if let Some(name) = default_role.as_ref().filter(|name| !roles.iter().any(|(role, _)| role.name == **name)) {
            return Err(top.mistake("role", format!("there is no table [roles.{name}]")));
        }
        let head = Head {
            roles,
            default_role,
            leases: top.text("leases")?.map(PathBuf::from),
            adapter,
            archive,
            places: [top.label("lattice")].into_iter().chain(orbit_places).collect(),
            title: top.text("title")?.unwrap_or(&name).into(),
            kind,
            entrance: Entrance::read(top, kind)?,
            control: top.text("control")?.unwrap_or("ca").into(),
            lattice: top.needed_text("lattice")?.to_string(),
            golden: orbit.text("golden")?.map(String::from),
            orbit: OrbitRoles {
                monitors: orbit.needed_text("monitors")?.into(),
                horizontal: orbit.needed_text("horizontal")?.into(),
                vertical: orbit.needed_text("vertical")?.into(),
                rf: orbit.text("rf")?.map(Arc::from),
                limit: orbit.quantity("limit", &metre)?,
            },
            name,
        };
        orbit.no_other_keys()?;
        // read before, and when the families are known
        _ = (top.has("base"), top.has("cycle"));
        _ = (top.has("watchers"), top.has("feedbacks"), top.has("injection"));
        top.no_other_keys()?;
        Ok(head)
    }
}

/// The command of the adapter.
fn read_adapter(top: &Table) -> Result<Vec<String>> {
    let Some(table) = top.table("adapter")? else {
        return match top.text("control")? {
            Some("adapter") => Err(top.mistake("control", "an adapter needs a table `[adapter]` with its `command`")),
            _ => Ok(Vec::new()),
        };
    };
    let command = table.texts("command")?;
    if command.iter().all(|word| word.trim().is_empty()) {
        return Err(table.mistake("command", "is missing: a list of the adapter's program and its arguments"));
    }
    table.no_other_keys()?;
    Ok(command)
}

/// `[archive] kind = "appliance", url = "http://…"`.
fn read_archive(top: &Table) -> Result<Option<ArchivePlace>> {
    const KINDS: [(&str, ArchiveKind, &str); 2] =
        [("appliance", ArchiveKind::Appliance, "http"), ("hdbpp", ArchiveKind::Hdbpp, "postgres")];
    let Some(table) = top.table("archive")? else { return Ok(None) };
    let word = table.needed_text("kind")?;
    let Some((_, kind, scheme)) = KINDS.into_iter().find(|(known, ..)| *known == word) else {
        return Err(table.mistake("kind", format!("`{word}` is no archive that is known: appliance, hdbpp")));
    };
    let url = table.needed_text("url")?.to_string();
    if !url.starts_with(&format!("{scheme}://")) {
        return Err(table.mistake("url", format!("must begin with {scheme}:// for `{word}`")));
    }
    table.no_other_keys()?;
    Ok(Some(ArchivePlace { kind, url }))
}

/// `[roles.operator] writes = ["HCOR"]`, or `writes = "all"`.
fn read_roles(top: &Table) -> Result<Vec<(Role, Label)>> {
    let Some(table) = top.table("roles")? else { return Ok(Vec::new()) };
    let mut roles = Vec::new();
    for (name, inner) in table.tables() {
        let families = inner.texts("writes")?;
        if !inner.has("writes") {
            return Err(inner.mistake("writes", "is missing: a list of families, or \"all\""));
        }
        let all = families.iter().any(|family| family == "all");
        let writes = (!all).then(|| families.iter().map(|family| family.as_str().into()).collect());
        roles.push((Role { name: name.into(), writes }, inner.label("writes")));
        inner.no_other_keys()?;
    }
    table.no_other_keys()?;
    Ok(roles)
}

fn read_lattice(files: &dyn Files, path: &str, place: &Label) -> Result<Lattice> {
    let shown = files.shown(path);
    let text = files.text(path);
    if text.is_none() && !Path::new(&shown).is_file() {
        return Err(Diagnostic::new(Kind::Facility, format!("there is no lattice file {shown}"))
            .label(place.clone())
            .into());
    }
    let lattice = match &text {
        Some(text) if path.ends_with(".toml") => fodo_lattice::formats::fodo::parse(text),
        _ => Lattice::load(&shown),
    };
    let sound = lattice.and_then(|lattice| {
        lattice.check()?;
        Ok(lattice)
    });
    sound.map_err(|error| error.in_file(Path::new(&shown)).diagnostic(text).into())
}

/// Lines `monitor, x, y` with a first line `device, x [mm], y [mm]`.
fn read_golden(files: &dyn Files, path: &str) -> Result<HashMap<Arc<str>, (f64, f64)>> {
    let shown = files.shown(path);
    let text =
        files.text(path).ok_or_else(|| Diagnostic::new(Kind::Facility, format!("there is no golden orbit {shown}")))?;
    let wrong = |line: usize, what: String| {
        let label = Label::new(&shown, line, 1).in_text(text.clone());
        Box::new(Diagnostic::new(Kind::Facility, what).label(label))
    };
    let mut units = None;
    let mut golden = HashMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
        let columns: Vec<&str> = line.split(',').map(str::trim).collect();
        let [name, x, y] = columns.as_slice() else {
            return Err(wrong(number + 1, "three columns are needed: device, x, y".into()));
        };
        let Some((unit_x, unit_y)) = &units else {
            units = Some((
                header_unit(x).map_err(|e| wrong(number + 1, e))?,
                header_unit(y).map_err(|e| wrong(number + 1, e))?,
            ));
            continue;
        };
        match (x.parse::<f64>(), y.parse::<f64>()) {
            (Ok(x), Ok(y)) => golden.insert(Arc::from(*name), (x * unit_x, y * unit_y)),
            _ => return Err(wrong(number + 1, format!("`{x}` and `{y}` must be numbers"))),
        };
    }
    Ok(golden)
}

/// `x [mm]` as the scale of its unit to metres.
fn header_unit(column: &str) -> Result<f64, String> {
    let symbol = column.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
    let symbol = symbol.ok_or_else(|| format!("the first line must say units, like `x [mm]`; found `{column}`"))?;
    let unit = Unit::parse(symbol).map_err(|e| e.to_string())?;
    if unit.dimension() == Unit::parse("m").map_err(|e| e.to_string())?.dimension() {
        Ok(unit.scale())
    } else {
        Err(format!("`{symbol}` is not a length"))
    }
}

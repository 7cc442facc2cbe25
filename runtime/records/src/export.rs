//! From the log of a run to its HDF5 file.
//!
//! NeXus layout: an `NXentry` with the card, `NXprocess` for program and script, `NXcollection`s for
//! commands, events and setpoints as columns, and an `NXdata` for each vector channel or set of
//! scalar channels that were read together. Strings have variable length, which h5py reads as `str`.

use crate::content::{Content, ReadingRow, ReadingSet};
use crate::folder::{RunFiles, iso};
use crate::{ChannelNote, Outcome, SetpointValue};
use fodo_control::Time;
use fodo_report::Result;
use hdf5_pure::{AttrValue, DatasetBuilder, FileBuilder, FinishedGroup, GroupBuilder};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Version of the layout; programs that read records check it.
const DEFINITION: &str = "fodo_run_1";
/// Datasets above this many numbers are compressed.
const LARGE: usize = 4096;

/// Writes `<run id>.h5` from the log, then removes the log.
pub(crate) fn convert(files: &RunFiles) -> Result<PathBuf> {
    let what = "write the record of the run";
    let content = Content::read(&files.log()).map_err(|e| files.error("read the log of the run", e))?;
    let written = build(&content).write(files.part()).map_err(|e| files.error(what, e));
    let published = written.and_then(|()| publish(&files.part(), &files.record()).map_err(|e| files.error(what, e)));
    published.inspect_err(|_| _ = fs::remove_file(files.part()))?;
    files.remove_log()?;
    Ok(files.record())
}

/// Under its final name a file is whole, also after power loss.
fn publish(part: &Path, record: &Path) -> std::io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::rename(part, record)?;
    record.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn build(content: &Content) -> FileBuilder {
    let mut file = FileBuilder::new();
    file.set_attr("NX_class", text("NXroot"));
    file.set_attr("default", text("entry"));
    file.set_attr("creator", text(&format!("fodo {}", content.card.version)));
    file.add_group(entry(content));
    file
}

fn entry(content: &Content) -> FinishedGroup {
    let interrupted = Outcome::interrupted();
    let (card, outcome) = (&content.card, content.outcome.as_ref().unwrap_or(&interrupted));
    let mut entry = group("entry", "NXentry");
    string(&mut entry, "definition", DEFINITION);
    string(&mut entry, "entry_identifier", &card.id);
    string(&mut entry, "title", &card.procedure);
    string(&mut entry, "start_time", &iso(card.start));
    if outcome.seconds.is_finite() {
        let nanos = (outcome.seconds * 1e9) as i64;
        string(&mut entry, "end_time", &iso(Time(card.start.0.saturating_add(nanos))));
    }
    number(&mut entry, "duration", outcome.seconds, "s");
    entry.create_dataset("ok").with_u8_data(&[outcome.ok.into()]).with_shape(&[]);
    string(&mut entry, "result", &outcome.result.to_string());
    string(&mut entry, "error", &outcome.error.to_string());
    string(&mut entry, "state", if content.outcome.is_some() { "finished" } else { "interrupted" });
    entry.add_group(process(content));
    entry.add_group(machine(content));
    entry.add_group(user(&card.operator));
    entry.add_group(setpoints("setpoints_before", &outcome.before));
    entry.add_group(setpoints("setpoints_after", &outcome.after));
    entry.add_group(commands(content));
    entry.add_group(events(content));
    entry.add_group(readings(content));
    entry.finish()
}

fn process(content: &Content) -> FinishedGroup {
    let card = &content.card;
    let mut process = group("process", "NXprocess");
    string(&mut process, "program", "fodo");
    string(&mut process, "version", &card.version);
    string(&mut process, "procedure", &card.procedure);
    string(&mut process, "script_path", &card.script_path);
    string(&mut process, "script", &card.script_text);
    string(&mut process, "script_sha256", &card.script_sha256);
    string(&mut process, "parameters", &card.parameters.to_string());
    let libraries = &card.libraries;
    let mut columns = group("libraries", "NXcollection");
    strings(&mut columns, "name", libraries.iter().map(|l| l.name.as_str()));
    strings(&mut columns, "version", libraries.iter().map(|l| l.version.as_str()));
    strings(&mut columns, "revision", libraries.iter().map(|l| l.revision.as_deref().unwrap_or_default()));
    strings(&mut columns, "content_sha256", libraries.iter().map(|l| l.content_sha256.as_str()));
    process.add_group(columns.finish());
    if let Some(seed) = card.seed {
        process.create_dataset("seed").with_u64_data(&[seed]).with_shape(&[]);
    }
    process.finish()
}

fn machine(content: &Content) -> FinishedGroup {
    let card = &content.card;
    let mut machine = group("instrument", "NXinstrument");
    string(&mut machine, "name", &card.facility);
    string(&mut machine, "facility_sha256", &card.facility_sha256);
    string(&mut machine, "machine", &card.machine);
    let sources = &card.sources;
    let mut others = group("sources", "NXcollection");
    strings(&mut others, "family", sources.keys().map(String::as_str));
    strings(&mut others, "source", sources.values().map(String::as_str));
    machine.add_group(others.finish());
    string(&mut machine, "optics", &card.optics);
    string(&mut machine, "rights", &card.rights);
    machine.finish()
}

fn user(operator: &str) -> FinishedGroup {
    let mut user = group("user", "NXuser");
    string(&mut user, "name", operator);
    user.finish()
}

fn setpoints(name: &str, values: &[SetpointValue]) -> FinishedGroup {
    let mut columns = group(name, "NXcollection");
    strings(&mut columns, "name", values.iter().map(|v| v.name.as_str()));
    strings(&mut columns, "channel", values.iter().map(|v| &*v.channel));
    columns.create_dataset("value").with_f64_data(&column(values, |v| v.value));
    strings(&mut columns, "unit", values.iter().map(|v| v.unit.as_str()));
    columns.finish()
}

fn commands(content: &Content) -> FinishedGroup {
    let commands = &content.commands;
    let mut columns = group("commands", "NXcollection");
    columns.create_dataset("sequence").with_i64_data(&column(commands, |c| c.sequence));
    clock(columns.create_dataset("time").with_i64_data(&column(commands, |c| c.time)));
    strings(&mut columns, "name", commands.iter().map(|c| c.name.as_str()));
    strings(&mut columns, "channel", commands.iter().map(|c| c.channel.as_str()));
    columns.create_dataset("old").with_f64_data(&column(commands, |c| c.old));
    columns.create_dataset("new").with_f64_data(&column(commands, |c| c.new));
    strings(&mut columns, "unit", commands.iter().map(|c| c.unit.as_str()));
    strings(&mut columns, "why", commands.iter().map(|c| c.why.as_str()));
    columns.finish()
}

fn events(content: &Content) -> FinishedGroup {
    let events = &content.events;
    let mut columns = group("events", "NXcollection");
    columns.create_dataset("sequence").with_i64_data(&column(events, |e| e.sequence));
    clock(columns.create_dataset("time").with_i64_data(&column(events, |e| e.time)));
    strings(&mut columns, "kind", events.iter().map(|e| e.kind.as_str()));
    strings(&mut columns, "json", events.iter().map(|e| e.json.as_str()));
    columns.finish()
}

fn readings(content: &Content) -> FinishedGroup {
    let mut all = group("readings", "NXcollection");
    let mut taken = HashSet::new();
    for set in content.sets.iter().filter(|set| !set.rows.is_empty()) {
        let name = free_name(&mut taken, &set_name(set));
        all.add_group(match set.kind.as_str() {
            "vector" => vector(&name, set, &content.notes),
            "text" => words(&name, set),
            _ => scalars(&name, set, &content.notes),
        });
    }
    all.finish()
}

/// One vector channel: times by entries.
fn vector(name: &str, set: &ReadingSet, notes: &HashMap<String, ChannelNote>) -> FinishedGroup {
    let mut data = rows(name, "NXdata", set, |row| row.times.first().copied().into_iter().collect());
    let values: Vec<Vec<f64>> = set.rows.iter().map(ReadingRow::numbers).collect();
    let width = values.iter().map(Vec::len).max().unwrap_or(0);
    if values.iter().any(|v| v.len() != width) {
        // rows shorter than the longest end in NaN
        data.create_dataset("length").with_u64_data(&column(&values, |v| v.len() as u64));
    }
    let padded = |v: &Vec<f64>| v.iter().copied().chain(std::iter::repeat(f64::NAN)).take(width).collect::<Vec<f64>>();
    let flat: Vec<f64> = values.iter().flat_map(padded).collect();
    let value = matrix(&mut data, &flat, set.rows.len(), width);
    for note in set.channels.iter().filter_map(|c| notes.get(c)) {
        value.set_attr("units", text(&note.unit));
        value.set_attr("long_name", text(&note.name));
    }
    data.finish()
}

/// Scalar channels that were read together: times by channels.
fn scalars(name: &str, set: &ReadingSet, notes: &HashMap<String, ChannelNote>) -> FinishedGroup {
    let mut data = rows(name, "NXdata", set, |row| row.times.clone());
    let flat: Vec<f64> = set.rows.iter().flat_map(ReadingRow::numbers).collect();
    let known: Vec<Option<&ChannelNote>> = set.channels.iter().map(|c| notes.get(c)).collect();
    let unit = |n: &Option<&ChannelNote>| n.map_or(String::new(), |n| n.unit.clone());
    let units: HashSet<String> = known.iter().map(unit).collect();
    let value = matrix(&mut data, &flat, set.rows.len(), set.channels.len());
    if let (1, Some(unit)) = (units.len(), units.iter().next()) {
        value.set_attr("units", text(unit));
    }
    strings(&mut data, "unit", known.iter().map(|n| n.map_or("", |n| n.unit.as_str())));
    strings(&mut data, "name", known.iter().map(|n| n.map_or("", |n| n.name.as_str())));
    data.finish()
}

/// A text channel.
fn words(name: &str, set: &ReadingSet) -> FinishedGroup {
    let mut data = rows(name, "NXcollection", set, |row| row.times.clone());
    let texts: Vec<String> = set.rows.iter().map(|r| String::from_utf8_lossy(&r.value).into_owned()).collect();
    strings(&mut data, "value", texts.iter().map(String::as_str));
    data.finish()
}

/// What every set of readings has: channels, sequence, time stamps, validity and its reasons.
fn rows(name: &str, class: &str, set: &ReadingSet, times: fn(&ReadingRow) -> Vec<i64>) -> GroupBuilder {
    let mut data = group(name, class);
    data.set_attr("signal", text("value"));
    data.set_attr("axes", AttrValue::VarLenStringArray(vec!["sequence".into(), ".".into()]));
    strings(&mut data, "channel", set.channels.iter().map(String::as_str));
    data.create_dataset("sequence").with_i64_data(&column(&set.rows, |r| r.sequence));
    let shape = [set.rows.len() as u64, set.channels.len() as u64];
    let stamps: Vec<i64> = set.rows.iter().flat_map(times).collect();
    clock(data.create_dataset("time").with_i64_data(&stamps).with_shape(&shape));
    let validity: Vec<u8> = set.rows.iter().flat_map(|r| r.validity.iter().copied()).collect();
    let grades = data.create_dataset("validity").with_u8_data(&validity).with_shape(&shape);
    grades.set_attr("meaning", text("0 good, 1 alarm, 2 invalid: not to be used"));
    reasons(&mut data, set);
    data
}

/// Why readings are not good: row, column and text of each.
fn reasons(data: &mut GroupBuilder, set: &ReadingSet) {
    let of_row = |(n, row): (usize, &ReadingRow)| -> Vec<(i64, i64, String)> {
        row.whys.iter().map(|(at, why)| (n as i64, *at as i64, why.clone())).collect()
    };
    let found: Vec<(i64, i64, String)> = set.rows.iter().enumerate().flat_map(of_row).collect();
    if found.is_empty() {
        return;
    }
    let mut reasons = group("reasons", "NXcollection");
    reasons.create_dataset("row").with_i64_data(&column(&found, |f| f.0));
    reasons.create_dataset("column").with_i64_data(&column(&found, |f| f.1));
    strings(&mut reasons, "text", found.iter().map(|f| f.2.as_str()));
    data.add_group(reasons.finish());
}

fn set_name(set: &ReadingSet) -> String {
    match set.channels.as_slice() {
        [one] => one.replace('/', "."),
        many => format!("{}_and_{}_more", many.first().map_or("", |c| c).replace('/', "."), many.len().max(1) - 1),
    }
}

fn free_name(taken: &mut HashSet<String>, name: &str) -> String {
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let free = std::iter::once(name.to_string()).chain(numbered).find(|n| !taken.contains(n));
    let free = free.unwrap_or_default();
    taken.insert(free.clone());
    free
}

fn group(name: &str, class: &str) -> GroupBuilder {
    let mut group = FileBuilder::new().create_group(name);
    group.set_attr("NX_class", text(class));
    group
}

fn text(value: &str) -> AttrValue {
    AttrValue::VarLenString(value.into())
}

fn string(group: &mut GroupBuilder, name: &str, value: &str) {
    group.create_dataset(name).with_vlen_strings(&[value]).with_shape(&[]);
}

fn strings<'a>(group: &mut GroupBuilder, name: &str, values: impl Iterator<Item = &'a str>) {
    group.create_dataset(name).with_vlen_strings(&values.collect::<Vec<_>>());
}

fn number(group: &mut GroupBuilder, name: &str, value: f64, unit: &str) {
    group.create_dataset(name).with_f64_data(&[value]).with_shape(&[]).set_attr("units", text(unit));
}

fn clock(times: &mut DatasetBuilder) {
    times.set_attr("units", text("ns")).set_attr("start", text("1970-01-01T00:00:00Z"));
}

fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

fn matrix<'a>(group: &'a mut GroupBuilder, flat: &[f64], rows: usize, width: usize) -> &'a mut DatasetBuilder {
    let value = group.create_dataset("value").with_f64_data(flat).with_shape(&[rows as u64, width as u64]);
    if flat.len() > LARGE {
        let chunk = (LARGE * 8 / width.max(1)).clamp(1, rows) as u64;
        value.with_chunks(&[chunk, width as u64]).with_shuffle().with_deflate(1);
    }
    value
}

//! `demo_ring` in a scratch folder, without noise, and as a database for a real IOC.

use super::machine::{Client, Ioc, Running, Values, object, point};
use fodo_tests::{self as support, Scratch};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Families of setpoints with what their channels hold in the database.
const SETPOINTS: [(&str, usize, f64); 6] = [
    ("HCOR", 16, 0.0),
    ("VCOR", 16, 0.0),
    ("QF", 16, 0.50322),
    ("QD", 16, -0.52377),
    ("SF", 16, 0.2115),
    ("SD", 16, -0.34138),
];
const RF: &str = "master_clock:freq";
const CELLS: usize = 16;

/// All setpoint channels of the ring with the values of the database.
pub fn setpoints() -> Values {
    let family = |(name, count, value): &(&str, usize, f64)| {
        let (name, value) = (name.to_string(), *value);
        (1..=*count).map(move |number| (format!("{name}_{number:03}:Cm:set"), value))
    };
    SETPOINTS.iter().flat_map(family).chain([(RF.to_string(), 351_319.286_718_75)]).collect()
}

/// What is in a family table for the orbit: one vector for each plane, a channel for each monitor, or one table.
#[derive(Clone, Copy, PartialEq)]
pub enum Orbit {
    Vectors,
    Scalars,
    Table,
}

/// A copy of `demo_ring` without monitor noise.
pub fn facility(scratch: &Scratch, orbit: Orbit) -> PathBuf {
    let shipped = support::project().join("facilities/demo_ring");
    let folder = match orbit {
        Orbit::Vectors => "vectors/demo_ring",
        Orbit::Scalars => "scalars/demo_ring",
        Orbit::Table => "table/demo_ring",
    };
    for entry in std::fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        let Ok(mut text) = std::fs::read_to_string(&path) else { continue };
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "twin.toml" {
            text = replaced(&text, "noise = \"0.1 um\"", "noise = \"0 um\"");
        }
        for plane in if name == "families.toml" { ["x", "y"].as_slice() } else { &[] } {
            let vector = format!("read = \"beam:orbit:{plane}\", index = \"{{position}}\"");
            text = match orbit {
                Orbit::Vectors => text,
                Orbit::Scalars => replaced(&text, &vector, &format!("read = \"{{name}}:{plane}\"")),
                Orbit::Table => {
                    let column = format!("read = \"beam:orbit\", column = \"{plane}\", index = \"{{row}}\"");
                    replaced(&text, &vector, &column)
                }
            };
        }
        if name == "facility.toml" && orbit == Orbit::Table {
            // no other control system has tables
            text = replaced(&text, "control = \"ca\"", "control = \"pva\"");
        }
        scratch.file(&format!("{folder}/{name}"), &text);
    }
    scratch.path().join(folder)
}

fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "`{old}` is no longer in the facility's tables");
    text.replace(old, new)
}

/// An orbit that answers linearly: offset and response, x of all monitors and then y.
#[derive(Clone)]
pub struct Linear {
    pub offset: Vec<f64>,
    pub response: Vec<Vec<f64>>,
}

impl Linear {
    /// The model's response, on the orbit of the facility's twin.
    pub fn of_twin(scratch: &Scratch, facility: &Path) -> Linear {
        let script = "let o = get_orbit(); \
            #{ x: o.x, y: o.y, matrix: model.orbit_response([HCOR, VCOR], BPM).matrix }";
        let answer = support::json(scratch, &["eval", script, "--facility", facility.to_str().unwrap()]);
        let result = &answer["result"];
        let offset = [numbers(&result["x"]), numbers(&result["y"])].concat();
        let response: Vec<Vec<f64>> = result["matrix"].as_array().unwrap().iter().map(numbers).collect();
        assert_eq!((offset.len(), response.len(), response[0].len()), (2 * CELLS, 2 * CELLS, 2 * CELLS));
        Linear { offset, response }
    }
}

pub fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Records of a beam, and of an orbit feedback that does not run.
pub const SIGNALS: &str = "record(ao,\"beam:current\"){field(VAL,\"200\")field(PINI,\"YES\")field(EGU,\"mA\")}
record(ao,\"beam:orbit:feedback\"){field(VAL,\"0\")field(PINI,\"YES\")}
";

/// Output records for the setpoints at `values`, with readbacks.
fn setpoint_records(values: &Values, next: &str) -> String {
    let mut text = SIGNALS.to_string();
    for (channel, value) in values {
        let out =
            |link: &str| format!("record(ao,\"{channel}\"){{field(VAL,\"{value:?}\")field(PINI,\"YES\"){link}}}\n");
        match channel.strip_suffix(":set") {
            None => text += &out(""),
            Some(stem) => {
                text += &out(&format!("field(FLNK,\"{stem}:rdbk\")"));
                _ = writeln!(
                    text,
                    "record(calc,\"{stem}:rdbk\"){{field(INPA,\"{channel}\")field(CALC,\"A\")field(MDEL,\"-1\"){next}}}"
                );
            }
        }
    }
    text
}

/// The database of a linear machine: each put recalculates all monitors before it is done.
pub fn database(values: &Values, linear: &Linear) -> String {
    let mut text = setpoint_records(values, "field(FLNK,\"ORBIT\")");
    let knob = |column: usize| format!("{}COR_{:03}:Cm:set", ["H", "V"][column / CELLS], column % CELLS + 1);
    let mut heads = Vec::new();
    for (row, (offset, line)) in linear.offset.iter().zip(&linear.response).enumerate() {
        let name = format!("BPM_{:03}:{}", row % CELLS + 1, ["x", "y"][row / CELLS]);
        let terms: Vec<(usize, f64)> = line.iter().copied().enumerate().filter(|(_, r)| *r != 0.0).collect();
        let parts: Vec<&[(usize, f64)]> = terms.chunks(5).collect();
        let record = |part: usize| if part + 1 == parts.len() { name.clone() } else { format!("{name}:{part}") };
        for (number, part) in parts.iter().enumerate() {
            let before = if number == 0 { format!("{offset:?}") } else { record(number - 1) };
            let link = if number == 0 { String::new() } else { format!("field(FLNK,\"{}\")", record(number)) };
            if number > 0 {
                _ = writeln!(text, "record(calc,\"{}\"){{{link}}}", record(number - 1));
            }
            let inputs = part.iter().zip([('B', 'C'), ('D', 'E'), ('F', 'G'), ('H', 'I'), ('J', 'K')]);
            let mut fields = format!("field(INPA,\"{before}\")field(MDEL,\"-1\")");
            let mut sum = "A".to_string();
            for ((column, factor), (a, b)) in inputs {
                _ = write!(fields, "field(INP{a},\"{factor:?}\")field(INP{b},\"{}\")", knob(*column));
                _ = write!(sum, "+{a}*{b}");
            }
            _ = writeln!(
                text,
                "record(calc,\"{}\"){{{fields}field(CALC,\"{sum}\")field(PINI,\"YES\")}}",
                record(number)
            );
        }
        heads.push(record(0));
    }
    text + &fan_out("ORBIT", &heads)
}

/// Fanout records with six links each: a tree, so that the chain of processing stays short.
fn fan_out(name: &str, heads: &[String]) -> String {
    let mut text = String::new();
    let groups: Vec<&[String]> = heads.chunks(6).collect();
    let fan = |name: &str, links: &[String]| {
        let fields: String = links.iter().zip(1..).map(|(l, n)| format!("field(LNK{n},\"{l}\")")).collect();
        format!("record(fanout,\"{name}\"){{field(SELM,\"All\"){fields}}}\n")
    };
    if groups.len() == 1 {
        return fan(name, heads);
    }
    let names: Vec<String> = (0..groups.len()).map(|group| format!("{name}:{group}")).collect();
    for (group, name) in groups.iter().zip(&names) {
        text += &fan(name, group);
    }
    text + &fan_out(name, &names)
}

/// The database of a machine whose orbit is one vector for each plane, and stands still.
pub fn still_database(values: &Values) -> String {
    let waveform = |plane| {
        let zeros = vec!["0"; 193].join(",");
        format!(
            "record(waveform,\"beam:orbit:{plane}\"){{field(FTVL,\"DOUBLE\")field(NELM,\"193\")\
             field(INP,[{zeros}])field(PINI,\"YES\")}}\n"
        )
    };
    setpoint_records(values, "") + &waveform("x") + &waveform("y")
}

/// A linear machine behind a real IOC, with a facility for it and a client beside it.
pub struct Machine {
    pub ioc: Ioc,
    pub client: Client,
    pub facility: PathBuf,
    pub linear: Linear,
    pub scratch: Scratch,
}

impl Machine {
    /// The machine, up, its setpoints at the values of the database.
    pub fn new(name: &str) -> Machine {
        Machine::with_clock(name, 0)
    }

    /// The same, its IOC with a clock that is off by so many seconds.
    pub fn with_clock(name: &str, clock: i64) -> Machine {
        let scratch = Scratch::new(name);
        let facility = facility(&scratch, Orbit::Scalars);
        let linear = Linear::of_twin(&scratch, &facility);
        let ioc = Ioc::new(scratch.path().join("ioc")).with_clock(clock);
        let database = scratch.file("machine.db", &database(&setpoints(), &linear));
        ioc.start(&database);
        let client = Client::new(ioc.port);
        Machine { ioc, client, facility, linear, scratch }
    }

    /// Starts the killed IOC again, its setpoints at `values`.
    pub fn restart(&mut self, values: &Values) {
        let text = database(values, &self.linear);
        self.ioc.start(&self.scratch.file("restart.db", &text));
        self.client = Client::new(self.ioc.port);
    }

    /// A command of the program on this machine.
    pub fn fodo(&self, arguments: &[&str]) -> Command {
        let mut command = support::fodo(&self.scratch, arguments);
        command.args(["--on", "live", "--facility"]).arg(&self.facility);
        point(&mut command, self.ioc.port);
        command
    }

    /// Runs it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Running::start(self.fodo(arguments)).output()
    }

    /// Runs it with `--json` and gives the object.
    pub fn json(&self, arguments: &[&str]) -> Value {
        object(&self.run(&[arguments, &["--json"]].concat()))
    }

    /// What all setpoints hold.
    pub fn setpoints(&mut self) -> Values {
        let names: Vec<String> = setpoints().into_keys().collect();
        self.client.get(names.iter().map(String::as_str))
    }
}

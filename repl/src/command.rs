//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Scripts for accelerators: one procedure, the same on the twin and on the machine.
#[derive(Parser)]
#[command(name = "fodo", version, disable_help_subcommand = true)]
pub struct Line {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Args, Clone)]
pub struct Common {
    /// Facility: a shipped name, or a folder with facility.toml
    #[arg(long, global = true, env = "FODO_FACILITY", default_value = "ebs_ring")]
    pub facility: String,
    /// Which machine answers
    #[arg(long, global = true, value_enum, default_value = "twin")]
    pub on: Machine,
    /// Let setpoints of a live machine be written
    #[arg(long, global = true)]
    pub write: bool,
    /// Whose rights to write: a role of the facility [default: as facility.toml says]
    #[arg(long, global = true, env = "FODO_ROLE", value_name = "NAME")]
    pub role: Option<String>,
    /// Write nothing; show what would be written
    #[arg(long, global = true, conflicts_with = "write")]
    pub rehearse: bool,
    /// Seed of the twin's errors and noise [default: as twin.toml says]
    #[arg(long, global = true)]
    pub seed: Option<u64>,
    /// Folder for records and journals [default: ~/.local/share/fodo]
    #[arg(long, global = true, env = "FODO_DATA")]
    pub data: Option<PathBuf>,
    /// Folder of leases, the same for all sessions of a machine [default: as facility.toml says, else `leases` in the data folder]
    #[arg(long, global = true, env = "FODO_LEASES", value_name = "DIR")]
    pub leases: Option<PathBuf>,
    /// Folder with procedures that override the shipped ones
    #[arg(long, global = true, default_value = "procedures")]
    pub procedures: PathBuf,
    /// Seconds to wait for channels to answer
    #[arg(long, global = true, default_value_t = 3.0)]
    pub timeout: f64,
    /// How long a run, or a line at the prompt, may take before it is ended and put back [default: 8 h; a test 10 min]
    #[arg(long, global = true, env = "FODO_MAX_TIME", value_name = "TIME")]
    pub max_time: Option<String>,
    /// Memory that scripts may take [GB]
    #[arg(long, global = true, env = "FODO_MAX_MEMORY", value_name = "GB", default_value_t = 4.0)]
    pub max_memory: f64,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

/// Which machine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Machine {
    /// The lattice model with hidden errors, in this process
    Twin,
    /// The facility's control system
    Live,
}

impl Machine {
    pub fn word(self) -> &'static str {
        match self {
            Machine::Twin => "twin",
            Machine::Live => "live",
        }
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a procedure by name, or a script file
    Run(RunArguments),
    /// Evaluate one expression
    Eval(EvalArguments),
    /// The prompt (also without any command)
    Repl,
    /// Serve the twin as a control system, until stopped
    Serve(ServeArguments),
    /// What a trainer does to a served twin, through its door: let things go wrong, set and read the truth
    Twin(TwinArguments),
    /// Say what is wrong with scripts before they run
    Check(CheckArguments),
    /// The language server for editors, over standard input and output
    Lsp,
    /// Run the tests beside procedures and libraries, each on a twin of its own
    Test(TestArguments),
    /// Explain a name, or list all by subject; with --out, write the pages of the reference
    Doc(DocArguments),
    /// Compare a facility's tables with its control system
    Facility(FacilityArguments),
    /// Take procedures of other laboratories: add, update, list, verify
    Library(LibraryArguments),
    /// Show optical functions: of the design, of the machine as it is set, as measured, one beside another
    Optics(OpticsArguments),
    /// Summarise a lattice file: optics, radiation, equilibrium
    Lattice(LatticeArguments),
    /// Track particles through a lattice file
    Track(TrackArguments),
    /// Try out an adapter: the program that stands between Fodo and a control system
    Adapter(AdapterArguments),
    /// Show what interrupted runs left changed; with --write, put it back
    Recover,
    /// List who wrote what, when, from which script
    Changes(ChangesArguments),
    /// Show which sessions hold the leases of families; with --release and --write, free one
    Leases(LeasesArguments),
    /// The process behind `serve --protocol tango`
    #[command(hide = true)]
    TangoServer,
}

#[derive(Args)]
pub struct RunArguments {
    /// Name of a procedure, or path of a .rhai file
    pub what: String,
    /// A parameter: name=value, with its unit (step="5 urad")
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
}

#[derive(Args)]
pub struct OpticsArguments {
    /// `design`, `machine`, or a result that is kept: `measure_loco`, `measure_beta`, … or its id
    #[arg(default_value = "design")]
    pub of: String,
    /// The same: what the difference is taken from
    #[arg(long, value_name = "OF")]
    pub beside: Option<String>,
    /// Where to begin, as "12 m"
    #[arg(long)]
    pub from: Option<String>,
    /// Where to end
    #[arg(long)]
    pub to: Option<String>,
    /// Families whose devices are listed
    #[arg(long, value_name = "FAMILIES")]
    pub at: Option<String>,
    /// Longest step inside an element [default: 0.1 m]
    #[arg(long, value_name = "LENGTH")]
    pub longest: Option<String>,
}

impl OpticsArguments {
    /// The procedure that shows them.
    pub fn into_run(self) -> RunArguments {
        let OpticsArguments { of, beside, from, to, at, longest } = self;
        let given =
            [("of", Some(of)), ("beside", beside), ("from", from), ("to", to), ("at", at), ("longest", longest)];
        let set = given.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))).collect();
        RunArguments { what: "optics".into(), set }
    }
}

#[derive(Args)]
pub struct EvalArguments {
    /// The expression
    #[arg(allow_hyphen_values = true)]
    pub expression: String,
}

#[derive(Args)]
pub struct ServeArguments {
    /// What to serve
    #[arg(value_parser = ["twin"], default_value = "twin")]
    pub what: String,
    /// Protocols, all showing one machine: ca (EPICS Channel Access), pva (EPICS PV Access), tango
    #[arg(long, value_delimiter = ',', value_parser = crate::backends::PROTOCOLS, default_value = "ca")]
    pub protocol: Vec<String>,
    /// Port of the first protocol, or PROTOCOL=PORT [default: as the protocol's environment variable says, else its usual one]
    #[arg(long, value_delimiter = ',', value_name = "PORT")]
    pub port: Vec<String>,
    /// Address of the interface to serve on
    #[arg(long, default_value = "127.0.0.1")]
    pub interface: std::net::Ipv4Addr,
    /// The TANGO database that the devices are entered in while they are served [default: served without database]
    #[arg(long, value_name = "HOST:PORT")]
    pub tango_host: Option<String>,
    /// Leave out all errors and noise
    #[arg(long)]
    pub perfect: bool,
    /// Port of the trainer's door, where `fodo twin` comes in with a token; 0 is any that is free [default: no door]
    #[arg(long, value_name = "PORT")]
    pub door: Option<u16>,
}

#[derive(Args)]
pub struct TwinArguments {
    /// The door of the twin: a port of this computer, or HOST:PORT
    #[arg(long, value_name = "PORT", global = true, env = "FODO_DOOR", default_value = "7010")]
    pub door: String,
    /// File of its token [default: where `fodo serve twin --door` keeps it]
    #[arg(long, value_name = "FILE", global = true)]
    pub token: Option<PathBuf>,
    #[command(subcommand)]
    pub action: TwinAction,
}

#[derive(Subcommand)]
pub enum TwinAction {
    /// What can go wrong, what does, and what did
    Show,
    /// Everything that is wrong with the machine, by family and device, as JSON
    Truth,
    /// Set values that are known, in the form of `exact` of twin.toml; what the file does not name stays
    Set {
        /// The tables
        file: PathBuf,
    },
    /// Go back to what was drawn at the start
    Reset,
    /// Let something go wrong, as [anomalies] of twin.toml names it
    Start {
        /// Its name
        name: String,
        /// The device or element it happens to [default: the first]
        device: Option<String>,
    },
    /// End what goes wrong
    Stop {
        /// Its name
        name: String,
    },
    /// Exchange the lattice for another one with the same elements; setpoints move with it
    Lattice {
        /// A lattice file, which the server reads
        file: PathBuf,
    },
}

#[derive(Args)]
pub struct AdapterArguments {
    #[command(subcommand)]
    pub action: AdapterAction,
}

#[derive(Subcommand)]
pub enum AdapterAction {
    /// Try every promise of a control system; with --write also those that write to the test channels, which are put back
    Check {
        /// Test channels [default: those that the adapter offers]
        #[arg(long, value_name = "FILE.toml")]
        channels: Option<PathBuf>,
        /// The adapter's command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// List the names that match a pattern
    Names {
        /// The pattern: * any text, ? any one character
        pattern: String,
        /// The adapter's command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

#[derive(Args)]
pub struct ChangesArguments {
    /// Not older than this: "2 h"
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Writes to one family
    #[arg(long, value_name = "FAMILY")]
    pub family: Option<String>,
    /// Writes of one run
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
}

#[derive(Args)]
pub struct LeasesArguments {
    /// Free the lease of this family, if its holder does not live; needs --write
    #[arg(long, value_name = "FAMILY")]
    pub release: Option<String>,
}

#[derive(Args)]
pub struct CheckArguments {
    /// Script files, or folders with scripts
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
}

#[derive(Args)]
pub struct TestArguments {
    /// Files `*.test.md` or `*.test.rhai`, scripts with such files beside them, or folders [default: the procedures]
    pub paths: Vec<PathBuf>,
    /// Run each test with this many seeds, counted from --seed or 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub seeds: u64,
    /// Runs at once [default: one per core]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Write the results as JUnit, for a build server
    #[arg(long, value_name = "FILE.xml")]
    pub junit: Option<PathBuf>,
}

#[derive(Args)]
pub struct DocArguments {
    /// A function, procedure, family, device, unit or subject
    pub name: Option<String>,
    /// Write the pages, in Markdown, into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    pub out: Option<PathBuf>,
}

#[derive(Args)]
pub struct FacilityArguments {
    #[command(subcommand)]
    pub action: FacilityAction,
}

#[derive(Subcommand)]
pub enum FacilityAction {
    /// Say which channels are not there, or have another type, unit or limits; writes nothing
    Check,
    /// Write the facility's tables for another program
    Export {
        /// As a configuration of pyAML, with the model's lattice, into a folder
        #[arg(long, value_name = "FOLDER")]
        pyaml: std::path::PathBuf,
    },
}

#[derive(Args)]
pub struct LibraryArguments {
    #[command(subcommand)]
    pub action: LibraryAction,
}

#[derive(Subcommand)]
pub enum LibraryAction {
    /// Make a folder for a new library, with a procedure and its test to begin with
    New {
        /// Name of the library and of its folder
        name: String,
    },
    /// Take a library: show what it may change, run its tests, pin it in the facility's lock file
    Add {
        /// Address of a git repository, or a folder
        source: String,
        /// Branch, tag or revision [default: the repository's main branch]
        #[arg(long, value_name = "NAME")]
        revision: Option<String>,
    },
    /// Take what is new in libraries, if their tests pass and they may not change more than before
    Update {
        /// Which library [default: all]
        name: Option<String>,
        /// Branch, tag or revision to follow from now on
        #[arg(long, value_name = "NAME", requires = "name")]
        revision: Option<String>,
        /// Take it although it may change more than before
        #[arg(long)]
        accept_rights: bool,
    },
    /// Leave a library out, with what only it needs
    Remove {
        /// Which library
        name: String,
    },
    /// Show libraries, their procedures and what these may change
    List,
    /// Compare the cache with the lock file; fetch what is not there
    Verify,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// With it
    On,
    /// Without it
    Off,
}

impl Switch {
    pub fn is_on(self) -> bool {
        self == Switch::On
    }
}

/// Which effects a lattice is computed with.
#[derive(Args)]
pub struct EffectArguments {
    /// Cavities on: six dimensions [default: as --radiation]
    #[arg(long, value_enum, value_name = "ON|OFF", num_args = 0..=1, require_equals = false, default_missing_value = "on")]
    pub rf: Option<Switch>,
    /// Bends and quadrupoles radiate
    #[arg(long, value_enum, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", default_value = "off")]
    pub radiation: Switch,
}

#[derive(Args)]
pub struct LatticeArguments {
    /// Lattice file: .toml (Fodo), .json, .mat or .m (Accelerator Toolbox)
    pub file: PathBuf,
    #[command(flatten)]
    pub effects: EffectArguments,
    /// Say how far slices and model choices move each figure
    #[arg(long)]
    pub converge: bool,
    /// A line, with its optics at the start: BETA_X,ALPHA_X,BETA_Y,ALPHA_Y[,DISPERSION_X,PX,Y,PY] (m, 1)
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', num_args = 1, allow_hyphen_values = true)]
    pub start: Option<Vec<f64>>,
}

#[derive(Args)]
pub struct TrackArguments {
    /// Lattice file: .toml (Fodo), .json, .mat or .m (Accelerator Toolbox)
    pub file: PathBuf,
    /// How many, or a CSV file with columns x, px, y, py, delta, ct (m, 1)
    #[arg(long, value_name = "N|FILE.csv")]
    pub particles: String,
    /// Turns; passages of a line
    #[arg(long, default_value_t = 1)]
    pub turns: u64,
    #[command(flatten)]
    pub effects: EffectArguments,
    /// Threads [default: one per core]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Sizes of the matched bunch that N particles make: emittance x, y [m rad], energy spread [1], length [m]
    #[arg(long, value_name = "X,Y,SPREAD,LENGTH", value_delimiter = ',', default_value = "1e-9,1e-11,1e-3,3e-3")]
    pub bunch: Vec<f64>,
    /// Write the final coordinates to a CSV file
    #[arg(long, value_name = "FILE.csv")]
    pub output: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.trim().to_string(), value.to_string()))
}

//! `fodo track`: particles through a lattice file.

use crate::command::{Common, EffectArguments, TrackArguments};
use crate::show;
use cpu_time::ProcessTime;
use fodo_dynamics::{LossMap, Lost, Moments, Shape, Sizes, beam_matrix_at, distribution};
use fodo_lattice::Lattice;
use fodo_optics::{Effects, Point, Ring};
use fodo_report::{Diagnostic, Kind, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// The coordinates, as they are called in CSV files.
const COORDINATES: [&str; 6] = ["x", "px", "y", "py", "delta", "ct"];
/// Lines of a table on the terminal.
const SHOWN: usize = 12;

/// What a tracking gave.
struct Tracked {
    ring: Ring,
    particles: Vec<Point<f64>>,
    losses: LossMap,
    turns: u64,
    threads: usize,
    wall_seconds: f64,
    cpu_seconds: f64,
}

/// Tracks and reports.
pub fn track(common: &Common, arguments: &TrackArguments) -> Result<ExitCode> {
    let lattice = fodo_builtins::read_lattice(&arguments.file)?;
    let ring = Ring::new(&lattice, effects(&arguments.effects));
    let particles = particles(&ring, common, arguments)?;
    let tracked = run(ring, particles, arguments)?;
    if let Some(path) = &arguments.output {
        write(path, &tracked.particles)?;
    }
    if common.json {
        show::line(tracked.to_json().to_string());
    } else {
        tracked.show(&lattice);
    }
    Ok(ExitCode::SUCCESS)
}

/// Which effects the options ask for; radiation needs cavities unless they are switched off by name.
pub fn effects(arguments: &EffectArguments) -> Effects {
    let radiation = arguments.radiation.is_on();
    Effects { cavity: arguments.rf.map_or(radiation, |rf| rf.is_on()), radiation }
}

/// A matched bunch of so many particles, or those of a file.
fn particles(ring: &Ring, common: &Common, arguments: &TrackArguments) -> Result<Vec<Point<f64>>> {
    match arguments.particles.parse::<usize>() {
        Ok(0) => Err(Diagnostic::new(Kind::Usage, "there are no particles to track").into()),
        Ok(count) => bunch(ring, count, &arguments.bunch, common.seed.unwrap_or(1)),
        Err(_) => read(Path::new(&arguments.particles)),
    }
}

fn bunch(ring: &Ring, count: usize, sizes: &[f64], seed: u64) -> Result<Vec<Point<f64>>> {
    let &[emittance_x, emittance_y, energy_spread, length] = sizes else {
        let message = format!("--bunch takes four numbers, not {}", sizes.len());
        return Err(Diagnostic::new(Kind::Usage, message)
            .hint("emittance x, emittance y, energy spread, length")
            .into());
    };
    let unmatched = |reason: String| {
        let report = Diagnostic::new(Kind::Facility, format!("no matched bunch can be made: {reason}"));
        Box::new(report.hint("give the particles as a CSV file with columns x, px, y, py, delta, ct"))
    };
    let sizes = Sizes { emittance_x, emittance_y, energy_spread, length };
    let optics = ring.optics().map_err(|reason| unmatched(reason.to_string()))?;
    let centre = ring.find_closed_orbit().map_err(|reason| unmatched(reason.to_string()))?.start();
    let matrix = beam_matrix_at(&optics, 0, &sizes).map_err(|reason| unmatched(reason.to_string()))?;
    distribution(count, &centre, &matrix, Shape::Gaussian, seed).map_err(|reason| unmatched(reason.to_string()))
}

/// Reads coordinates by the names of their columns; columns that are not there are 0.
fn read(path: &Path) -> Result<Vec<Point<f64>>> {
    let shown = path.display();
    let failed = |reason: String| Box::new(Diagnostic::new(Kind::Usage, format!("the particles {shown}: {reason}")));
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_path(path).map_err(|e| {
            let report = Diagnostic::new(Kind::Usage, format!("the particles {shown} could not be read: {e}"));
            Box::new(report.hint("--particles takes a number, or a CSV file with columns x, px, y, py, delta, ct"))
        })?;
    let head = reader.headers().map_err(|e| failed(e.to_string()))?.clone();
    let columns = head.iter().map(|name| match COORDINATES.iter().position(|known| *known == name) {
        Some(column) => Ok(column),
        None => Err(Box::new(failed(format!("there is no coordinate `{name}`")).near(name, COORDINATES))),
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let mut particles = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| failed(e.to_string()))?;
        let mut particle = [0.0; 6];
        for (&column, text) in columns.iter().zip(&record) {
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            let line = record.position().map_or(0, csv::Position::line);
            particle[column] = number.ok_or_else(|| failed(format!("line {line}: {text:?} is not a finite number")))?;
        }
        particles.push(particle);
    }
    if particles.is_empty() { Err(failed("there is none".to_string())) } else { Ok(particles) }
}

fn run(ring: Ring, mut particles: Vec<Point<f64>>, arguments: &TrackArguments) -> Result<Tracked> {
    let turns = arguments.turns;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.unwrap_or(0)).build();
    let pool = pool.map_err(|e| Diagnostic::new(Kind::Usage, format!("no threads could be started: {e}")))?;
    let (clock, cpu) = (Instant::now(), ProcessTime::now());
    let losses = pool.install(|| ring.track_parallel(&mut particles, turns, 0));
    let (wall_seconds, cpu_seconds) = (clock.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    let losses = LossMap::of(&ring, &losses, turns, 0, 0);
    Ok(Tracked { ring, particles, losses, turns, threads: pool.current_num_threads(), wall_seconds, cpu_seconds })
}

fn write(path: &Path, particles: &[Point<f64>]) -> Result<()> {
    let failed =
        |e: csv::Error| Diagnostic::new(Kind::Storage, format!("{} could not be written: {e}", path.display()));
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    writer.write_record(COORDINATES).map_err(failed)?;
    for particle in particles {
        writer.write_record(particle.map(|coordinate| coordinate.to_string())).map_err(failed)?;
    }
    writer.flush().map_err(|e| failed(e.into()))?;
    Ok(())
}

impl Tracked {
    /// How often a particle went through an element: lost ones until they were lost.
    fn passages(&self) -> f64 {
        let elements = self.ring.len() as f64;
        let lost: f64 =
            self.losses.lost.iter().map(|lost| lost.loss.turn as f64 * elements + lost.loss.element as f64 + 1.0).sum();
        lost + (self.particles.len() - self.losses.lost.len()) as f64 * self.turns as f64 * elements
    }

    /// CPU time of all threads for one particle in one element [ns].
    fn cpu_nanoseconds(&self) -> f64 {
        1e9 * self.cpu_seconds / self.passages().max(1.0)
    }

    fn to_json(&self) -> Value {
        let loss = |lost: &Lost| {
            json!({
                "particle": lost.particle, "turn": lost.loss.turn, "element": lost.loss.element,
                "name": &*self.ring.element(lost.loss.element).name, "s": lost.position, "at": lost.loss.at,
            })
        };
        let last = |particle: &Point<f64>| if particle[0].is_nan() { Value::Null } else { json!(particle) };
        json!({
            "particles": self.particles.len(), "turns": self.turns, "elements": self.ring.len(),
            "rf": self.ring.effects().cavity, "radiation": self.ring.effects().radiation, "threads": self.threads,
            "cpu_ns_per_particle_element": self.cpu_nanoseconds(),
            "cpu_seconds": self.cpu_seconds, "wall_seconds": self.wall_seconds,
            "lost": self.losses.lost.len(),
            "losses": self.losses.lost.iter().map(loss).collect::<Vec<_>>(),
            "final": self.particles.iter().map(last).collect::<Vec<_>>(),
        })
    }

    fn show(&self, lattice: &Lattice) {
        let Effects { cavity, radiation } = self.ring.effects();
        let on = |on: bool| if on { "on" } else { "off" };
        show::line(format!(
            "{}: {} particles, {} turns, {} elements; RF {}, radiation {}",
            lattice.name,
            self.particles.len(),
            self.turns,
            self.ring.len(),
            on(cavity),
            on(radiation)
        ));
        show::line(format!(
            "{:.1} ns of CPU per particle and element, {:.3} s on {} {}",
            self.cpu_nanoseconds(),
            self.wall_seconds,
            self.threads,
            if self.threads == 1 { "thread" } else { "threads" }
        ));
        self.show_losses();
        self.show_particles();
    }

    fn show_losses(&self) {
        show::line(format!("lost: {} of {}", self.losses.lost.len(), self.particles.len()));
        let mut places: Vec<_> = self.losses.per_element.iter().enumerate().filter(|(_, count)| **count > 0).collect();
        places.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let positions = self.ring.positions();
        for (element, count) in places.iter().take(SHOWN) {
            let (name, s) = (&self.ring.element(*element).name, positions[element + 1]);
            show::line(format!("  {count:>8} in element {element}, {name}, at {s:.3} m"));
        }
        if places.len() > SHOWN {
            show::line(format!("  … and in {} more elements", places.len() - SHOWN));
        }
    }

    /// All of a few, else the moments of the survivors.
    fn show_particles(&self) {
        let head = COORDINATES.map(|name| format!("{name:>16}")).concat();
        let row = |label: &str, values: &Point<f64>| {
            show::line(format!("{label:>8}{}", values.map(|value| format!("{value:>16.8e}")).concat()));
        };
        if self.particles.len() <= SHOWN {
            show::line(format!("{:>8}{head}", ""));
            for (index, particle) in self.particles.iter().enumerate() {
                match particle[0].is_nan() {
                    true => show::line(format!("{index:>8}  lost")),
                    false => row(&index.to_string(), particle),
                }
            }
        } else if let Some(moments) = Moments::of(&self.particles) {
            show::line(format!("{:>8}{head}", ""));
            row("mean", &moments.centre);
            row("rms", &moments.sizes());
        }
    }
}

//! The normal equations of a step of all parameters, gathered a few monitors at a time.
//!
//! A parameter of a monitor acts on two rows and one of a corrector on one column: what belongs to them is added up entry by
//! entry, and only strengths need full products.

use faer::linalg::matmul::{matmul, triangular};
use faer::{Accum, MatMut, MatRef, Par};
use fodo_optics::{NoDerivative, ResponseModel, Ring, Strength};
use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::predict::{Mix, Moved, Part, Slots};
use crate::setup::{Data, Setup};
use crate::values::{Block, Layout, Values};

/// Bytes that the derivatives with all strengths may take at a time.
const ROOM: usize = 384 << 20;

/// `J^T J` and `J^T r` of the weighted residuals r.
#[derive(Clone)]
pub(crate) struct Normal {
    pub matrix: DMatrix<f64>,
    pub gradient: Vec<f64>,
}

/// Parts of the normal equations: of instruments, of these with strengths, of strengths.
struct Sums {
    instruments: DMatrix<f64>,
    mixed: DMatrix<f64>,
    strengths: DMatrix<f64>,
    gradient: Vec<f64>,
}

/// The model about which derivatives are taken.
struct About<'s> {
    setup: &'s Setup,
    data: &'s Data,
    layout: &'s Layout,
    values: &'s Values,
    ring: Ring,
    quiet: Option<Ring>,
    slots: Slots,
    mix: Mix,
    strengths: Vec<Vec<(Strength, f64)>>,
}

impl Normal {
    pub fn new(setup: &Setup, data: &Data, layout: &Layout, values: &Values) -> Result<Self, NoDerivative> {
        let ring = setup.ring_with(values)?;
        let slots = Slots::new(setup);
        let about = About {
            quiet: setup.quiet(&ring, values),
            strengths: setup.strengths(values, &ring),
            mix: Mix::new(&slots, values, data.step),
            slots,
            setup,
            data,
            layout,
            values,
            ring,
        };
        let (groups, count) = (layout.range(Block::Groups), layout.count());
        let mut sums = Sums {
            instruments: DMatrix::zeros(groups.start, groups.start),
            mixed: DMatrix::zeros(groups.start, groups.len()),
            strengths: DMatrix::zeros(groups.len(), groups.len()),
            gradient: vec![0.0; count],
        };
        let monitors = data.monitors();
        let chunk = (ROOM / (16 * data.stride * groups.len().max(1))).clamp(1, monitors.len().max(1));
        let mut all = vec![0.0; 2 * chunk * data.stride * groups.len()];
        for monitors in monitors.chunks(chunk) {
            about.add(monitors, &mut all, &mut sums)?;
        }
        Ok(sums.joined())
    }
}

impl Sums {
    fn joined(self) -> Normal {
        let (first, count) = (self.instruments.nrows(), self.gradient.len());
        let entry = |row: usize, column: usize| match (row < first, column < first) {
            (true, true) => self.instruments[(row.max(column), row.min(column))],
            (true, false) => self.mixed[(row, column - first)],
            (false, true) => self.mixed[(column, row - first)],
            (false, false) => self.strengths[(row.max(column) - first, row.min(column) - first)],
        };
        Normal { matrix: DMatrix::from_fn(count, count, entry), gradient: self.gradient }
    }
}

/// Weighted derivatives with the parameters of monitors and correctors: of each row or column that of its own.
struct Own {
    /// By the row: start of the block, derivative.
    by_row: Vec<(usize, Vec<f64>)>,
    /// By the column, likewise.
    by_column: Vec<(usize, Vec<f64>)>,
    /// By the one parameter of the dispersion.
    step: Option<(usize, Vec<f64>)>,
}

/// Some monitors with all that is known of them: weights, and residuals times these.
struct Chunk<'r> {
    part: Part,
    weights: Vec<f64>,
    residual: Vec<f64>,
    response: ResponseModel<'r>,
    /// Of the orbit with delta, where that is another.
    quiet: Option<ResponseModel<'r>>,
}

impl About<'_> {
    /// Adds what some monitors say; `all` has room for all derivatives by strengths.
    fn add(&self, monitors: &[usize], all: &mut [f64], sums: &mut Sums) -> Result<(), NoDerivative> {
        let part = Part::new(self.setup, self.data, monitors.to_vec());
        let elements = self.setup.elements_of(monitors);
        let response = self.setup.response(&self.ring, &elements, &self.slots.elements)?;
        let quiet = self.quiet.as_ref().map(|quiet| self.setup.response(quiet, &elements, &[])).transpose()?;
        let table = response.response();
        let delta = self.setup.delta(self.values, &response, quiet.as_ref());
        let moved = Moved { table: table.values(), energy: response.energy_response(), delta };
        let weights: Vec<f64> = part.entries().map(|at| self.data.weight_at(at)).collect();
        let mut beam = vec![0.0; part.points()];
        self.mix.beam(&part, &moved, &mut beam);
        let mut residual = vec![0.0; part.points()];
        part.see(self.values, &beam, &weights, &mut residual);
        for ((residual, at), weight) in residual.iter_mut().zip(part.entries()).zip(&weights) {
            *residual = weight * self.data.measured[at] - *residual;
        }
        let own = self.own(&part, &moved, &beam, &weights);
        own.add(&part, &residual, sums);
        self.add_strengths(&Chunk { part, weights, residual, response, quiet }, &own, all, sums)
    }

    fn own(&self, part: &Part, moved: &Moved, beam: &[f64], weights: &[f64]) -> Own {
        let start = |block: Block| self.layout.start(block);
        let weighted = |other: bool| {
            let row = |row: usize| if other { part.other_row(row) } else { row };
            let line = |at: usize| weights[part.line(at)].iter().zip(&beam[part.line(row(at))]);
            (0..part.rows()).flat_map(line).map(|(weight, moved)| weight * moved).collect::<Vec<f64>>()
        };
        let rows = [(Block::MonitorGain, false), (Block::MonitorCoupling, true)];
        let by_row = rows.into_iter().filter_map(|(block, other)| Some((start(block)?, weighted(other))));
        let seen = |mix: &Mix| {
            let (mut beam, mut seen) = (vec![0.0; part.points()], vec![0.0; part.points()]);
            mix.beam(part, moved, &mut beam);
            part.see(self.values, &beam, weights, &mut seen);
            seen
        };
        let Values { corrector_gain: gain, corrector_coupling: coupling, .. } = self.values;
        let columns = [
            (Block::CorrectorGain, Mix::kicks(&self.slots, |column| [1.0, coupling[column]])),
            (Block::CorrectorCoupling, Mix::kicks(&self.slots, |column| [0.0, gain[column]])),
            (Block::EnergyShift, Mix::shifts(part.columns)),
        ];
        let by_column = columns.iter().filter_map(|(block, mix)| Some((start(*block)?, seen(mix))));
        let step = start(Block::DispersionStep).map(|start| (start, seen(&Mix::step(self.data.step))));
        Own { by_row: by_row.collect(), by_column: by_column.collect(), step }
    }

    fn add_strengths(&self, chunk: &Chunk, own: &Own, all: &mut [f64], sums: &mut Sums) -> Result<(), NoDerivative> {
        let (points, groups) = (chunk.part.points(), self.strengths.len());
        if groups == 0 || points == 0 {
            return Ok(());
        }
        let all = &mut all[..points * groups];
        let first = self.layout.range(Block::Groups).start;
        let mut none = vec![0.0; groups];
        // a column of nothing where no instrument is fitted
        let (mixed, width) = match first {
            0 => (none.as_mut_slice(), 1),
            width => (sums.mixed.as_mut_slice(), width),
        };
        let columns = all.par_chunks_mut(points).zip(mixed.par_chunks_mut(width));
        columns.zip(&mut sums.gradient[first..]).zip(&self.strengths).try_for_each_init(
            || (vec![0.0; chunk.response.table_length()], vec![0.0; points]),
            |(table, beam), (((column, mixed), gradient), strengths)| {
                self.derivative(chunk, strengths, table, beam)?;
                chunk.part.see(self.values, beam, &chunk.weights, column);
                own.mix(&chunk.part, column, mixed);
                *gradient += dot(column, &chunk.residual);
                Ok::<(), NoDerivative>(())
            },
        )?;
        let strengths = MatMut::from_column_major_slice_mut(sums.strengths.as_mut_slice(), groups, groups);
        add_square(strengths, MatRef::from_column_major_slice(all, points, groups));
        Ok(())
    }

    /// How what the beam does changes with a group.
    fn derivative(
        &self,
        chunk: &Chunk,
        strengths: &[(Strength, f64)],
        table: &mut [f64],
        beam: &mut [f64],
    ) -> Result<(), NoDerivative> {
        chunk.response.knob_derivative(strengths, table)?;
        let rates = |model: &ResponseModel, wanted: bool| -> Result<Vec<[f64; 2]>, NoDerivative> {
            let mut sum = if wanted { vec![[0.0; 2]; chunk.part.monitors.len()] } else { vec![] };
            for (strength, weight) in strengths.iter().filter(|_| wanted) {
                let rates = model.energy_derivative(*strength)?;
                sum.iter_mut().zip(rates).for_each(|(sum, rate)| {
                    *sum = [sum[0] + weight * rate[0], sum[1] + weight * rate[1]];
                });
            }
            Ok(sum)
        };
        let energy = rates(&chunk.response, self.data.has_dispersion())?;
        let quiet = chunk.quiet.as_ref().unwrap_or(&chunk.response);
        let delta = rates(quiet, self.setup.needs_delta(self.values))?;
        self.mix.beam(&chunk.part, &Moved { table, energy, delta }, beam);
        Ok(())
    }
}

impl Own {
    /// The parameters on which an entry depends, with the derivatives.
    fn at(&self, part: &Part, row: usize, column: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let (at, whole) = (row * part.stride + column, part.whole_row(row));
        let of_columns = column < part.columns;
        let by_row = self.by_row.iter().map(move |(start, table)| (start + whole, table[at]));
        let by_column = self.by_column.iter().filter(move |_| of_columns);
        let step = self.step.iter().filter(move |_| !of_columns).map(move |(start, table)| (*start, table[at]));
        by_row.chain(by_column.map(move |(start, table)| (start + column, table[at]))).chain(step)
    }

    fn add(&self, part: &Part, residual: &[f64], sums: &mut Sums) {
        let mut here: Vec<(usize, f64)> = vec![];
        for row in 0..part.rows() {
            for column in 0..part.stride {
                here.clear();
                here.extend(self.at(part, row, column));
                for (number, &(place, rate)) in here.iter().enumerate() {
                    sums.gradient[place] += rate * residual[row * part.stride + column];
                    // the parameters of an entry stand in the order of their places
                    here[..=number].iter().for_each(|(other, slope)| sums.instruments[(place, *other)] += rate * slope);
                }
            }
        }
    }

    /// Adds the products with the derivative by a strength.
    fn mix(&self, part: &Part, derivative: &[f64], mixed: &mut [f64]) {
        for row in 0..part.rows() {
            let line = row * part.stride..(row + 1) * part.stride;
            let slopes = &derivative[line.clone()];
            for (start, table) in &self.by_row {
                mixed[start + part.whole_row(row)] += dot(slopes, &table[line.clone()]);
            }
            for (start, table) in &self.by_column {
                let sums = mixed[*start..start + part.columns].iter_mut();
                sums.zip(slopes.iter().zip(&table[line.clone()])).for_each(|(sum, (a, b))| *sum += a * b);
            }
            if let Some((start, table)) = &self.step {
                mixed[*start] += slopes[part.columns] * table[line.end - 1];
            }
        }
    }
}

/// A scalar product, in eight sums that run side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    rest + sums.iter().sum::<f64>()
}

/// Columns below which a square is not shared out.
const SMALL: usize = 96;

/// Adds the lower triangle of `J^T J`, on all threads.
fn add_square(to: MatMut<'_, f64>, columns: MatRef<'_, f64>) {
    use triangular::BlockStructure::{Rectangular, TriangularLower};
    let count = columns.ncols();
    if count <= SMALL {
        let (left, right) = (columns.transpose(), columns);
        return triangular::matmul(
            to,
            TriangularLower,
            Accum::Add,
            left,
            Rectangular,
            right,
            Rectangular,
            1.0,
            Par::Seq,
        );
    }
    let (first, second) = columns.split_at_col(count / 2);
    let (first_corner, _, between, second_corner) = to.split_at_mut(count / 2, count / 2);
    rayon::join(
        || matmul(between, Accum::Add, second.transpose(), first, 1.0, Par::Seq),
        || rayon::join(|| add_square(first_corner, first), || add_square(second_corner, second)),
    );
}

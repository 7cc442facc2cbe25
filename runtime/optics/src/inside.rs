//! What happens inside elements: thick ones cut into parts that do together what the whole does.

use fodo_lattice::{Alignment, Bend, Body, Edge, Element, Magnet, Wiggler};

use crate::optics::{NoOptics, Optics};
use crate::ring::Ring;

/// Parts that an element without slices can be cut into.
const MOST_PARTS: u32 = 10_000;

/// How finely thick elements are cut. Magnets are cut between their slices, wigglers between their periods, and so are
/// never in more parts than these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cutting {
    /// Into parts no longer than this [m].
    Longest(f64),
    /// Each into this many parts.
    Parts(u32),
}

/// A ring whose thick elements are in parts.
///
/// Positions, orbits and optics of `ring` are those between the parts. A part has the edges and fringes of the whole only
/// where it has an end of it, its share of the kick, and stands where the whole stands. Limits of the aperture are checked
/// at each cut. Cavities and elements given by a matrix are not cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The ring of parts.
    pub ring: Ring,
    /// Index of the whole element that each part is of; last the number of whole elements, for the end.
    pub whole: Vec<usize>,
}

impl Cut {
    /// Index of the first part of an element.
    #[must_use]
    pub fn first_part(&self, whole: usize) -> usize {
        self.whole.partition_point(|&other| other < whole)
    }
}

/// Optical functions between the parts of elements.
#[derive(Clone, Debug, PartialEq)]
pub struct OpticsInside {
    /// The functions; one value for each point.
    pub optics: Optics,
    /// The element that begins or goes on at each point; at the end the number of elements.
    pub whole: Vec<usize>,
}

impl Ring {
    /// The same ring with its thick elements in parts.
    #[must_use]
    pub fn cut(&self, cutting: Cutting) -> Cut {
        let mut ring = self.clone();
        let mut whole = vec![];
        ring.elements.clear();
        for (index, element) in self.elements.iter().enumerate() {
            let parts = cut_element(element, cutting);
            whole.extend(parts.iter().map(|_| index));
            ring.elements.extend(parts);
        }
        // cavities are not cut
        let first = |part: usize| part == 0 || whole[part - 1] != whole[part];
        let held = |part: usize| self.held_gains.get(whole[part]).map(|&gain| if first(part) { gain } else { 0.0 });
        ring.held_gains = (0..whole.len()).filter_map(held).collect();
        whole.push(self.len());
        ring.prepare_all();
        Cut { ring, whole }
    }

    /// Optical functions at the ends of elements and inside them, at [`Ring::delta`], cavities and radiation left out.
    ///
    /// # Errors
    /// No closed orbit, or unstable motion.
    pub fn optics_inside(&self, cutting: Cutting) -> Result<OpticsInside, NoOptics> {
        let Cut { ring, whole } = self.cut(cutting);
        Ok(OpticsInside { optics: ring.optics()?, whole })
    }
}

/// One of the parts of an element.
#[derive(Clone, Copy)]
struct Part {
    /// Slices or periods of it [1].
    slices: u32,
    /// Share of the length [1].
    share: f64,
    first: bool,
    last: bool,
}

fn cut_element(element: &Element, cutting: Cutting) -> Vec<Element> {
    let slices = slices(element);
    let wanted = match cutting {
        Cutting::Parts(parts) => f64::from(parts),
        Cutting::Longest(length) => (element.length / length * (1.0 - 1e-12)).ceil(),
    };
    let count = if wanted >= 1.0 { f64::min(wanted, f64::from(slices)) as u32 } else { 1 };
    if count == 1 {
        return vec![element.clone()];
    }
    let before = |part: u32| (u64::from(part) * u64::from(slices) / u64::from(count)) as u32;
    let part = |index: u32| {
        // where there are no slices, all parts are equal
        let own = before(index + 1) - before(index);
        let share = if slices == MOST_PARTS { 1.0 / f64::from(count) } else { f64::from(own) / f64::from(slices) };
        Part { slices: own, share, first: index == 0, last: index + 1 == count }
    };
    (0..count).map(|index| part_of(element, part(index))).collect()
}

/// How many parts an element can be cut into.
fn slices(element: &Element) -> u32 {
    if element.length == 0.0 {
        return 1;
    }
    match &element.body {
        Body::Marker | Body::Monitor | Body::Drift { .. } | Body::Corrector | Body::Solenoid(_) => MOST_PARTS,
        Body::Wiggler(wiggler) => periods(wiggler, element.length),
        _ => element.magnet().map_or(1, |magnet| magnet.slices.max(1)),
    }
}

/// Periods of a wiggler, if its field is the same in each; else 1.
fn periods(wiggler: &Wiggler, length: f64) -> u32 {
    let mut harmonics = wiggler.vertical.iter().chain(&wiggler.horizontal);
    if !harmonics.all(|row| row[4].fract() == 0.0) {
        return 1;
    }
    let periods = (length / wiggler.period).round() as u32;
    periods.max(1)
}

fn part_of(element: &Element, part: Part) -> Element {
    let mut piece = element.clone();
    piece.length = element.length * part.share;
    piece.alignment = part_of_alignment(element.alignment.as_deref(), part).map(Box::new);
    match &mut piece.body {
        Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
            cut_magnet(magnet, part);
        }
        Body::Bend(bend) => cut_bend(bend, part),
        // a monitor measures at one place
        Body::Marker | Body::Monitor if !part.first => piece.body = Body::Drift { exact: false },
        _ => {}
    }
    piece.kick = element.kick.map(|kick| match element.magnet() {
        // their field is the sine of the kick over the length
        Some(_) => (kick.sin() * part.share).asin(),
        None => kick * part.share,
    });
    piece
}

fn cut_magnet(magnet: &mut Magnet, part: Part) {
    magnet.slices = part.slices;
    magnet.fringe = [magnet.fringe[0] && part.first, magnet.fringe[1] && part.last];
}

fn cut_bend(bend: &mut Bend, part: Part) {
    let inner = Edge { method: 0, ..Edge::default() };
    cut_magnet(&mut bend.magnet, part);
    bend.angle *= part.share;
    if !part.first {
        bend.entrance = inner;
    }
    if !part.last {
        bend.exit = inner;
    }
}

/// Offsets and rolls of the whole are those of each part. Where the way back is not the inverse of the way in, as with a
/// magnet that is pitched, the first part has the one and the last the other.
fn part_of_alignment(alignment: Option<&Alignment>, part: Part) -> Option<Alignment> {
    let alignment = alignment?;
    if goes_back(alignment) {
        return Some(alignment.clone());
    }
    let Alignment { t1, t2, r1, r2 } = alignment.clone();
    let ends = Alignment {
        t1: t1.filter(|_| part.first),
        r1: r1.filter(|_| part.first),
        t2: t2.filter(|_| part.last),
        r2: r2.filter(|_| part.last),
    };
    (part.first || part.last).then_some(ends)
}

/// Whether what is done at the exit undoes exactly what is done at the entrance.
fn goes_back(alignment: &Alignment) -> bool {
    let identity = || -> [[f64; 6]; 6] {
        std::array::from_fn(|row| std::array::from_fn(|column| f64::from(u8::from(row == column))))
    };
    let (t1, t2) = (alignment.t1.unwrap_or_default(), alignment.t2.unwrap_or_default());
    let r1 = alignment.r1.unwrap_or_else(identity);
    let r2 = alignment.r2.unwrap_or_else(identity);
    let entry = |row: usize, column: usize| (0..6).map(|k| r1[row][k] * r2[k][column]).sum::<f64>();
    let is_one = |row: usize, column: usize| (entry(row, column) - identity()[row][column]).abs() < 1e-14;
    (0..6).all(|row| t2[row] == -t1[row] && (0..6).all(|column| is_one(row, column)))
}

//! `[girders.NAME]`: what stands on one girder moves together.
//!
//! Both ends of a girder are displaced; what stands between is displaced in proportion and turned as the girder is.

use super::{Errors, elements, exactly, width};
use crate::draw::{Draw, Source};
use crate::placement::Reference;
use crate::truth::Truth;
use fodo_devices::{Facility, Table};
use fodo_lattice::{Body, Element};
use fodo_report::Result;

struct Girders {
    girders: Vec<Girder>,
    /// How far the ends are displaced [m].
    dx: f64,
    dy: f64,
    /// How far each is rolled [rad].
    roll: f64,
    /// Distance over which displacements of ends are alike [m].
    correlation: f64,
}

struct Girder {
    /// Where it begins and ends [m]; the end lies beyond the start, also across the start of the lattice.
    ends: [f64; 2],
    /// What stands on it: element, its entrance [m] as `ends` count, length [m].
    carries: Vec<(usize, f64, f64)>,
}

pub(super) fn read(_: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    let correlation = exactly(table, "correlation", "m")?.unwrap_or(0.0);
    if correlation < 0.0 {
        return Err(table.mistake("correlation", "must not be negative"));
    }
    Ok(Box::new(Girders {
        girders: girders(table, facility)?,
        dx: width(table, "dx", "m")?,
        dy: width(table, "dy", "m")?,
        roll: width(table, "roll", "rad")?,
        correlation,
    }))
}

/// Between `start` and `end`, each a pattern; or one girder under all `elements`.
fn girders(table: &Table, facility: &Facility) -> Result<Vec<Girder>> {
    if !table.has("start") && !table.has("end") {
        let all = elements(table, "elements", facility)?;
        return Ok(vec![Girder::new(facility, all)]);
    }
    if table.has("elements") {
        return Err(table.mistake("elements", "is another way to say what `start` and `end` say"));
    }
    let [starts, ends] = [elements(table, "start", facility)?, elements(table, "end", facility)?];
    if starts.len() != ends.len() {
        let what = format!("matches {} elements, `start` {}: a girder has one of each", ends.len(), starts.len());
        return Err(table.mistake("end", what));
    }
    // the last girder may go on across the start of the lattice
    let across = usize::from(ends[0] < starts[0]);
    let count = facility.lattice.elements.len();
    let mut found = Vec::with_capacity(starts.len());
    for (number, &start) in starts.iter().enumerate() {
        let end = ends[(number + across) % ends.len()];
        let next = starts.get(number + 1).copied().unwrap_or(starts[0] + count);
        let last = if end < start { end + count } else { end };
        if last >= next {
            let [start, next] = [start, next % count].map(|index| &facility.lattice.elements[index].name);
            return Err(
                table.mistake("end", format!("has nothing between `{start}` and `{next}`, where girders start"))
            );
        }
        found.push(Girder::new(facility, (start..=last).map(|index| index % count).collect()));
    }
    Ok(found)
}

/// What can be told from empty space.
fn stands(element: &Element) -> bool {
    let empty = matches!(element.body, Body::Drift { .. } | Body::Marker);
    !empty || element.aperture.is_some()
}

impl Girder {
    /// From the entrance of the first to the exit of the last of these elements, in the order given.
    fn new(facility: &Facility, elements: Vec<usize>) -> Girder {
        let (positions, all) = (&facility.positions, &facility.lattice.elements);
        let circumference = positions.last().copied().unwrap_or(0.0);
        let first = elements.first().copied().unwrap_or(0);
        let place = |index: usize| positions[index] + if index < first { circumference } else { 0.0 };
        let begin = place(first);
        let end = elements.iter().map(|&index| place(index) + all[index].length).fold(begin, f64::max);
        let carried = elements.into_iter().filter(|&index| stands(&all[index]));
        Girder { ends: [begin, end], carries: carried.map(|index| (index, place(index), all[index].length)).collect() }
    }

    /// Displacement at a place and slope, of a line through these displacements of the ends.
    fn line(&self, at: f64, displaced: [f64; 2]) -> (f64, f64) {
        let length = self.ends[1] - self.ends[0];
        let slope = if length == 0.0 { 0.0 } else { (displaced[1] - displaced[0]) / length };
        (displaced[0] + slope * (at - self.ends[0]), slope)
    }
}

impl Girders {
    /// Displacements of the ends of each girder: along the beam, alike as exp(-distance/correlation).
    fn ends(&self, draw: &mut Draw) -> Vec<[f64; 2]> {
        let mut order: Vec<(usize, usize)> =
            (0..self.girders.len()).flat_map(|girder| [(girder, 0), (girder, 1)]).collect();
        let place = |&(girder, end): &(usize, usize)| self.girders[girder].ends[end];
        order.sort_by(|a, b| place(a).total_cmp(&place(b)));
        let mut displaced = vec![[0.0; 2]; self.girders.len()];
        let mut last: Option<(f64, f64)> = None;
        for (girder, end) in order {
            let at = place(&(girder, end));
            let value = match last.filter(|_| self.correlation > 0.0) {
                None => draw.next(),
                Some((before, value)) => {
                    let alike = (-(at - before) / self.correlation).exp();
                    draw.next_where(|number| alike * value + (1.0 - alike * alike).sqrt() * number)
                }
            };
            displaced[girder][end] = value;
            last = Some((at, value));
        }
        displaced
    }
}

impl Errors for Girders {
    fn draw(&self, from: &Source, _: &Facility, truth: &mut Truth) {
        let [x, y] = ["dx", "dy"].map(|key| self.ends(&mut from.of(key)));
        let mut roll = from.of("roll");
        for (girder, (x, y)) in self.girders.iter().zip(x.iter().zip(&y)) {
            let roll = self.roll * roll.next();
            for &(element, entrance, length) in &girder.carries {
                let placement = &mut truth.element(element).placement;
                let centre = if placement.reference == Reference::Centre { 0.5 * length } else { 0.0 };
                let (dx, yaw) = girder.line(entrance + centre, x.map(|end| self.dx * end));
                let (dy, rise) = girder.line(entrance + centre, y.map(|end| self.dy * end));
                placement.dx += dx;
                placement.dy += dy;
                placement.roll += roll;
                placement.yaw += yaw;
                // a positive pitch takes the far end down
                placement.pitch -= rise;
            }
        }
    }
}

//! `[misalignments.NAME]`: elements that do not stand where they should, each for itself.

use super::{Errors, elements, unknown, width};
use crate::draw::Source;
use crate::placement::{Placement, Reference};
use crate::truth::Truth;
use fodo_devices::{Facility, Table};
use fodo_report::Result;

struct Misalignments {
    elements: Vec<usize>,
    /// How far all is spread.
    width: Placement,
}

pub(super) fn read(_: &str, table: &Table, facility: &Facility) -> Result<Box<dyn Errors>> {
    let width = Placement {
        dx: width(table, "dx", "m")?,
        dy: width(table, "dy", "m")?,
        dz: width(table, "dz", "m")?,
        roll: width(table, "roll", "rad")?,
        pitch: width(table, "pitch", "rad")?,
        yaw: width(table, "yaw", "rad")?,
        reference: reference(table)?.unwrap_or_default(),
    };
    Ok(Box::new(Misalignments { elements: elements(table, "elements", facility)?, width }))
}

/// What displacements and turns are about.
pub(super) fn reference(table: &Table) -> Result<Option<Reference>> {
    match table.text("reference")? {
        None => Ok(None),
        Some("centre") => Ok(Some(Reference::Centre)),
        Some("entrance") => Ok(Some(Reference::Entrance)),
        Some(other) => Err(unknown(table, "reference", other, &["centre", "entrance"])),
    }
}

impl Errors for Misalignments {
    fn about(&self) -> Option<(&[usize], Reference)> {
        Some((&self.elements, self.width.reference))
    }

    fn draw(&self, from: &Source, _: &Facility, truth: &mut Truth) {
        let mut own = from.own();
        let mut others = ["dz", "pitch", "yaw"].map(|key| from.of(key));
        for &element in &self.elements {
            let [dx, dy, roll] = [own.next(), own.next(), own.next()];
            let [dz, pitch, yaw] = others.each_mut().map(|draw| draw.next());
            let placement = &mut truth.element(element).placement;
            placement.dx += self.width.dx * dx;
            placement.dy += self.width.dy * dy;
            placement.dz += self.width.dz * dz;
            placement.roll += self.width.roll * roll;
            placement.pitch += self.width.pitch * pitch;
            placement.yaw += self.width.yaw * yaw;
            placement.reference = self.width.reference;
        }
    }
}

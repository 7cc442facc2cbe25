//! The lattice with every magnet cut in two, so that functions are known at centres.

use fodo_lattice::{Body, Edge, Element, Lattice};
use fodo_optics::{Effects, Ring};

/// The lattice with every magnet cut in two, so that functions are known at centres.
pub struct Halved {
    /// Without cavities and radiation.
    pub ring: Ring,
    /// For each element of the lattice its entrance among the cut elements, and its centre if it could be cut.
    pub places: Vec<(usize, Option<usize>)>,
}

impl Halved {
    /// Cuts a lattice.
    pub fn of(lattice: &Lattice) -> Halved {
        let mut elements = Vec::with_capacity(2 * lattice.elements.len());
        let mut places = Vec::with_capacity(lattice.elements.len());
        for element in &lattice.elements {
            let entrance = elements.len();
            match halves(element) {
                Some(parts) => {
                    elements.extend(parts);
                    places.push((entrance, Some(entrance + 1)));
                }
                None => {
                    elements.push(element.clone());
                    places.push((entrance, (element.length == 0.0).then_some(entrance)));
                }
            }
        }
        let cut = Lattice { elements, ..lattice.clone() };
        Halved { ring: Ring::new(&cut, Effects::NONE), places }
    }
}

/// The two halves of a thick magnet with an even number of slices: the same slices, cut in the middle.
fn halves(element: &Element) -> Option<[Element; 2]> {
    let slices = element.magnet()?.slices;
    if matches!(&element.body, Body::Bend(bend) if bend.second_order) {
        return None;
    }
    if element.length == 0.0 || slices < 2 || slices % 2 == 1 {
        return None;
    }
    let half = |first: bool| {
        let mut half = element.clone();
        half.length = 0.5 * element.length;
        half.kick = element.kick.map(|kick| 0.5 * kick);
        match &mut half.body {
            Body::Bend(bend) => {
                bend.angle *= 0.5;
                bend.magnet.slices /= 2;
                bend.magnet.fringe[usize::from(first)] = false;
                *(if first { &mut bend.exit } else { &mut bend.entrance }) = Edge::default();
            }
            Body::Quadrupole(magnet) | Body::Sextupole(magnet) | Body::Octupole(magnet) | Body::Multipole(magnet) => {
                magnet.slices /= 2;
                magnet.fringe[usize::from(first)] = false;
            }
            _ => {}
        }
        half
    };
    Some([half(true), half(false)])
}

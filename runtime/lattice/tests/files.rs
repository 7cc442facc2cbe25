//! Lattice files: what is read is what stands in them, to the last bit.

use std::path::PathBuf;

use fodo_lattice::{Body, Class, Element, Lattice, formats};

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("FODO_SHARED").map_or(workspace().join("../shared"), PathBuf::from);
    if folder.join("reference").is_dir() {
        return Some(folder);
    }
    _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: ../shared missing\n"));
    None
}

/// Everything that acts on a particle, names and classes apart; coefficients that do not act are left out.
fn physics(element: &Element) -> Element {
    let mut plain = element.clone();
    (plain.name, plain.definition, plain.extra) = ("".into(), "".into(), Default::default());
    if let Some(field) = plain.field_mut() {
        for list in [&mut field.b, &mut field.a] {
            list.truncate(field.max_order + 1);
            while list.last() == Some(&0.0) {
                list.pop();
            }
        }
    }
    match &mut plain.body {
        // whether a cavity is on is chosen where the lattice is used
        Body::Cavity(cavity) => cavity.on = true,
        // fringes of a quadrupole need a gradient
        Body::Bend(bend) if bend.magnet.field.upright(1) == 0.0 => bend.magnet.fringe = [false; 2],
        // older files leave the class of straight magnets open
        Body::Octupole(magnet) | Body::Quadrupole(magnet) | Body::Sextupole(magnet) => {
            plain.body = Body::Multipole(magnet.clone())
        }
        _ => {}
    }
    plain
}

fn assert_same_physics(ours: &Lattice, theirs: &Lattice) {
    assert_eq!(ours.energy, theirs.energy);
    assert_eq!(ours.harmonic_number, theirs.harmonic_number);
    assert_eq!(ours.elements.len(), theirs.elements.len());
    for (ours, theirs) in ours.elements.iter().zip(&theirs.elements) {
        assert_eq!(physics(ours), physics(theirs), "{} and {}", ours.name, theirs.name);
    }
}

fn load(path: PathBuf) -> Lattice {
    Lattice::load(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_demo_ring_is_the_reference_lattice() {
    let ours = load(workspace().join("facilities/demo_ring/lattice.toml"));
    assert_eq!(ours.elements.len(), 193);
    assert_eq!(&*ours.elements[192].name, "DR_032");
    let Some(shared) = shared() else { return };
    let theirs = load(shared.join("reference/fodo_1gev_6d.at.json"));
    assert_same_physics(&ours, &theirs);
    let names = |lattice: &Lattice| -> Vec<_> { lattice.elements.iter().map(|element| element.name.clone()).collect() };
    assert_eq!(names(&ours), names(&theirs));
    let classes = |lattice: &Lattice| -> Vec<_> { lattice.elements.iter().map(Element::class).collect() };
    assert_eq!(classes(&ours), classes(&theirs));
}

#[test]
fn the_ebs_ring_is_the_reference_lattice() {
    let ours = load(workspace().join("facilities/ebs_ring/lattice.toml"));
    assert_eq!(ours.elements.len(), 3872);
    assert_eq!(ours.indices_of(Class::Monitor).len(), 320);
    assert!(ours.index_of("C32-BPM_10").is_some());
    let mut names: Vec<_> = ours.elements.iter().map(|element| element.name.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3872, "every device has its own name");
    let Some(shared) = shared() else { return };
    assert_same_physics(&ours, &load(shared.join("reference/ebs_ring.at.json")));
}

#[test]
fn every_reference_lattice_can_be_written_and_read_again() {
    let Some(shared) = shared() else { return };
    let names = [
        "ebs_cell",
        "ebs_ring",
        "fodo_1gev_6d",
        "dba",
        "australian_synchrotron",
        "als_loco_2007",
        "clic_dr",
        "nsls2_ltb",
    ];
    for name in names {
        let lattice = load(shared.join(format!("reference/{name}.at.json")));
        let text = formats::fodo::write(&lattice).expect("can be written");
        // devices of these lattices share names, which our format does not allow: tell them apart by counting
        let text = text.replacen("use = \"ring\"", "use = \"ring\"\nnames = \"{name}.{count}\"", 1);
        let again = formats::fodo::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_same_physics(&again, &lattice);
    }
}

#[test]
fn matlab_files_hold_what_their_reference_lattices_hold() {
    let Some(shared) = shared() else { return };
    let cell = load(shared.join("lattices/ebs_hmba.mat"));
    assert_eq!(cell.periodicity, 32);
    assert_same_physics(&cell, &load(shared.join("reference/ebs_cell.at.json")));
    let als = load(shared.join("lattices/als_loco_2007.mat"));
    let theirs = load(shared.join("reference/als_loco_2007.at.json"));
    assert_same_physics(&als, &theirs);
    // the reference has a cavity appended to the file
    let mut theirs = load(shared.join("reference/dba.at.json"));
    theirs.elements.pop();
    let dba = load(shared.join("lattices/dba.mat"));
    theirs.harmonic_number = dba.harmonic_number;
    assert_same_physics(&dba, &theirs);
}

#[test]
fn a_matlab_script_holds_what_its_reference_lattice_holds() {
    let Some(shared) = shared() else { return };
    let mut ours = load(shared.join("lattices/australian_synchrotron.m"));
    let theirs = load(shared.join("reference/australian_synchrotron.at.json"));
    for element in &mut ours.elements {
        // the reference has written down its default: the same matrix with radiation
        if let Body::Matrix66(matrix) = &mut element.body {
            matrix.radiating = Some(matrix.rows);
        }
    }
    assert_same_physics(&ours, &theirs);
    assert_eq!(ours.periodicity, theirs.periodicity);
    for (ours, theirs) in ours.elements.iter().zip(&theirs.elements) {
        assert_eq!((&ours.name, ours.class()), (&theirs.name, theirs.class()));
    }
}

#[test]
fn what_is_written_for_the_accelerator_toolbox_is_read_again() {
    let demo = [load(workspace().join("facilities/demo_ring/lattice.toml"))];
    let folder = shared();
    let names = ["australian_synchrotron", "ebs_ring", "als_loco_2007", "clic_dr", "dba", "nsls2_ltb"];
    let others = names.iter().filter_map(|name| Some(load(folder.as_ref()?.join(format!("reference/{name}.at.json")))));
    for lattice in demo.into_iter().chain(others) {
        let again = formats::at_json::parse(&formats::at_json::write(&lattice)).expect("a lattice");
        assert_same_physics(&again, &lattice);
        for (again, first) in again.elements.iter().zip(&lattice.elements) {
            assert_eq!((&again.name, again.class(), &again.extra), (&first.name, first.class(), &first.extra));
        }
    }
}

#[test]
fn mistakes_in_our_format_are_told_with_their_place() {
    let text = "energy = \"1 GeV\"\n[elements]\nQ = { type = \"quadrupole\", lenght = 0.4 }\n[lines]\nring = [\"Q\"]\n";
    let error = formats::fodo::parse(text).expect_err("a misspelt field");
    assert_eq!((error.line, error.column), (Some(3), Some(28)));
    assert_eq!(error.hint.as_deref(), Some("did you mean `length`?"));

    let text = "energy = \"1 GeV\"\n[elements]\nQF = { type = \"monitor\" }\n[lines]\nring = [\"QF\", \"QX\"]\n";
    let error = formats::fodo::parse(text).expect_err("an unknown name");
    assert_eq!(error.line, Some(5));
    assert_eq!(error.hint.as_deref(), Some("did you mean `QF`?"));

    let text = "energy = 1e9\n[elements]\nB = { type = \"monitor\" }\n[lines]\nring = [\"B * 2\"]\n";
    let error = formats::fodo::parse(text).expect_err("two devices with one name");
    assert!(error.message.contains("two devices would be called `B`"), "{error}");
}

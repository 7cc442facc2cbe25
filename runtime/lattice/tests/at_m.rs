//! Scripts of the MATLAB Accelerator Toolbox: what is read, and how mistakes are told.

use fodo_lattice::formats::at_m;
use fodo_lattice::{Body, Class, Lattice, LatticeError};

const LINE: &str = "function ring = small()\n% a line of ours\nring = {...\n\
    atringparam('small', 1e9, 4, 'HarmNumber', 31); ...\n\
    atdrift('D1', .5); % half a metre\n\
    atquadrupole('QF', 0.3, 1.7, 'StrMPoleSymplectic4Pass', 'NumIntSteps', 20)\n\
    atsbend('B', 1.0, ... the rest follows\n 0.1, -0.2, 'BndMPoleSymplectic4Pass', 'PolynomB', [0 -0.25, 1e-1]);\n\
    atrbend('R', 1.0, 0.2, 0);\n\
    atsextupole('SF', 0.1, -3.5e+1);\n\
    atmultipole('M', 0.2, [0 0 0 1], [0 0 0 -2]);\n\
    atthinmultipole('T', 0, [0; 0.5]);\n\
    atcorrector('it''s', 0, [1e-5 -2E-5]);\n\
    atrfcavity('RF', 0, 5e5, 500e6, 124, 1e9, 'RFCavityPass');\n\
    atM66('ID', [1 0 0 0 0 0;0 1 0 0 0 0;0 0 1 0 0 0;0 0 0 1 0 0;0 0 0 0 1 7;0 0 0 0 0 1]);\n\
    ataperture('AP', [-0.01 0.01 -Inf Inf]);\n\
    atmarker('END', 'Note', \"100 % % done\"); };\n\
    function v=False()\n v=false;\n end\nend\n";

fn read(text: &str) -> Lattice {
    at_m::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn mistake(text: &str) -> LatticeError {
    at_m::parse(text).expect_err("a mistake")
}

#[test]
fn every_kind_of_call_is_read() {
    let lattice = read(LINE);
    assert_eq!((lattice.name.as_str(), lattice.energy, lattice.periodicity), ("small", 1e9, 4));
    assert_eq!(lattice.harmonic_number, Some(124));
    let classes: Vec<Class> = lattice.elements.iter().map(|element| element.class()).collect();
    use Class::*;
    let expected = [
        Drift,
        Quadrupole,
        Bend,
        Bend,
        Sextupole,
        Multipole,
        ThinMultipole,
        Corrector,
        Cavity,
        Matrix66,
        Aperture,
        Marker,
    ];
    assert_eq!(classes, expected);
    let [drift, quadrupole, bend, rectangular, sextupole, multipole, thin, corrector, cavity, matrix, aperture, end] =
        lattice.elements.as_slice()
    else {
        panic!("12 elements")
    };
    assert_eq!((&*drift.name, drift.length), ("D1", 0.5));
    let magnet = quadrupole.magnet().expect("a magnet");
    assert_eq!((magnet.field.upright(1), magnet.slices), (1.7, 20));
    assert_eq!(bend.field().expect("a field").b, [0.0, -0.25, 0.1], "PolynomB wins over K");
    let Body::Bend(rectangular) = &rectangular.body else { panic!("a bend") };
    assert_eq!((rectangular.angle, rectangular.entrance.angle, rectangular.exit.angle), (0.2, 0.1, 0.1));
    assert_eq!(sextupole.field().expect("a field").upright(2), -35.0);
    let field = multipole.field().expect("a field");
    assert_eq!((field.skew(3), field.upright(3), field.max_order), (1.0, -2.0, 3));
    assert_eq!(thin.field().expect("a field").upright(1), 0.5);
    assert_eq!((&*corrector.name, corrector.kick), ("it's", [1e-5, -2e-5]));
    let Body::Cavity(cavity) = &cavity.body else { panic!("a cavity") };
    assert_eq!((cavity.voltage, cavity.frequency, cavity.on), (5e5, 500e6, true));
    let Body::Matrix66(matrix) = &matrix.body else { panic!("a matrix") };
    assert_eq!(matrix.rows[4][5], 7.0);
    let Body::Aperture(aperture) = &aperture.body else { panic!("an aperture") };
    assert_eq!(aperture.transverse.rectangle, Some([-0.01, 0.01, f64::NEG_INFINITY, f64::INFINITY]));
    assert_eq!(end.extra["Note"], "100 % % done");
}

/// As pyAT writes it: texts among the arguments, each row in brackets of its own.
#[test]
fn a_kick_map_is_read_as_pyat_writes_it() {
    let text = "ring = {atringparam('r', 3e9, 1); atinsertiondevicekickmap('ID', 'IdTablePass', 'r.txt', 3.0, 10, 1.5, \
                [[1 2 3 ]; [4 5 6 ]], [[7 8 9 ]; [1 1 1 ]], [[0 0 0 ]; [0 0 0 ]], [[0 0 0 ]; [0 0 0 ]], \
                [-0.004  -0.001   0.006 ], [0.     0.001])};\n";
    let lattice = read(text);
    let Body::KickMap(map) = &lattice.elements[0].body else { panic!("a kick map") };
    assert_eq!((lattice.elements[0].length, map.slices), (1.5, 10));
    assert_eq!(map.second, [vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![7.0, 8.0, 9.0, 1.0, 1.0, 1.0]]);
    assert_eq!((map.first.concat(), map.y.clone()), (vec![], vec![0.0, 0.001]));
    assert_eq!(lattice.elements[0].extra["Filename_in"], "r.txt");
    let torn = mistake(&text.replace("[4 5 6 ]", "[4 5 6]; [7 8 9]"));
    assert!(torn.to_string().contains("a table over xtable and ytable"), "{torn}");
}

#[test]
fn variables_and_cells_inside_cells_are_read() {
    let text = "L = 0.5;\nD = atdrift('D', L, 'Energy', 2e9);\ncell = {D; atquadrupole('Q', 0.2, 1)};\n\
                ring = {cell; atmarker('M'), cell};\n";
    let names: Vec<String> = read(text).elements.iter().map(|element| element.name.to_string()).collect();
    assert_eq!(names, ["D", "Q", "M", "D", "Q"]);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let error = mistake("ring = {...\n  atdrift('D', 1);...\n  atquadrupol('Q', 0.2, 1);...\n};\n");
    assert_eq!((error.line, error.column), (Some(3), Some(3)));
    assert_eq!(error.hint.as_deref(), Some("did you mean `atquadrupole`?"));

    let error = mistake("ring = {atdrift('D', 1 + 2)};\n");
    assert_eq!((error.line, error.column), (Some(1), Some(24)), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("calculations")));

    let error = mistake("ring = {atdrift('D', LS)};\n");
    assert_eq!((error.line, error.column), (Some(1), Some(22)), "{error}");

    let error = mistake("ring = {\n atdrift('D, 1);\n};\n");
    assert_eq!((error.line, error.column), (Some(2), Some(10)), "{error}");
    assert_eq!(error.message, "this string has no end");

    let error = mistake("ring = {atdrift('D', 1, 'DriftPass', 'NumIntSteps')};\n");
    assert_eq!((error.line, error.column), (Some(1), Some(38)), "{error}");
    assert_eq!(error.message, "field 'NumIntSteps' has no value");

    let error = mistake("ring = {atdrift('D', 1, 2, 3)};\n");
    assert_eq!((error.line, error.column), (Some(1), Some(25)), "{error}");

    let error = mistake("ring = {atM66('M', [1 0; 0])};\n");
    assert_eq!((error.line, error.column), (Some(1), Some(20)), "{error}");

    let error = mistake("ring = {atdrift('D', 1)};\nring = atsetcavity(ring, 1e6);\n");
    assert_eq!((error.line, error.column), (Some(2), Some(8)), "{error}");

    let error = mistake("ring = {atdrift('D', 1);\n");
    assert_eq!((error.line, error.message.as_str()), (Some(1), "this cell has no end"));

    let error = mistake("for k = 1:10\nend\n");
    assert_eq!((error.line, error.column), (Some(1), Some(1)), "{error}");
}

//! Typing errors in the tables of a facility.

use super::{Case, hold, script};

const EVAL: &[&str] = &["eval", "1"];

const fn table(name: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Case {
    Case { edit: Some((file, from, to)), ..script(name, EVAL).kind("facility") }
}

pub(super) const CASES: &[Case] = &[
    table("facility_syntax", "facility.toml", "control = \"ca\"", "control = \"ca"),
    table("facility_unknown_key", "facility.toml", "title =", "titel ="),
    table("facility_missing_key", "facility.toml", "name = \"demo_ring\"\n", ""),
    table("facility_missing_table", "facility.toml", "[orbit]", "[orbits]"),
    table("facility_unknown_role_family", "facility.toml", "monitors = \"BPM\"", "monitors = \"BMP\""),
    table("facility_unknown_lattice", "facility.toml", "lattice = \"lattice.toml\"", "lattice = \"latice.toml\""),
    table("facility_wrong_kind", "facility.toml", "name = \"demo_ring\"", "name = 5"),
    Case {
        arguments: &["eval", "1", "--on", "live"],
        ..table("facility_unknown_control", "facility.toml", "control = \"ca\"", "control = \"tine\"").unplaced()
    },
    table("watcher_of_an_unknown_field", "facility.toml", "reads = \"BEAM.current\"", "reads = \"BEAM.curent\""),
    table("watcher_wrong_unit", "facility.toml", "above = \"5 mA\"", "above = \"5 m\""),
    table("watcher_unknown_action", "facility.toml", "then = \"pause\"", "then = \"wait\""),
    table(
        "feedback_owns_an_unknown_family",
        "facility.toml",
        "owns = [\"HCOR\", \"VCOR\"]",
        "owns = [\"HCOR\", \"VKOR\"]",
    ),
    table("families_syntax", "families.toml", "elements = \"BPM_*\"", "elements = BPM_*"),
    table("families_unknown_key", "families.toml", "tolerance = \"0.01 urad\"", "tolerence = \"0.01 urad\""),
    table("families_wrong_unit", "families.toml", "delta = \"20 urad\"", "delta = \"20 A\""),
    table(
        "families_wrong_unit_limits",
        "families.toml",
        "limits = [\"-1 mrad\", \"1 mrad\"]",
        "limits = [\"-1 A\", \"1 A\"]",
    ),
    table("families_unknown_unit", "families.toml", "unit = \"rad\"", "unit = \"rda\""),
    table("families_no_element", "families.toml", "elements = \"QF_*\"", "elements = \"QFF_*\""),
    table("families_unknown_pattern_word", "families.toml", "set = \"{name}:Cm:set\"", "set = \"{nam}:Cm:set\""),
    table("families_unknown_model_word", "families.toml", "model = \"kick_x\"", "model = \"kik_x\""),
    table("families_no_calibration", "families.toml", "calibration = \"1 rad m\", ", ""),
    table("families_same_channel", "families.toml", "name = \"V{element}\"", "name = \"H{element}\""),
    table("families_like_nothing", "families.toml", "like = \"QF\"", "like = \"QFF\""),
    table(
        "families_limits_turned_round",
        "families.toml",
        "limits = [\"-1 mrad\", \"1 mrad\"]",
        "limits = [\"1 mrad\", \"-1 mrad\"]",
    ),
    table("families_unknown_source", "families.toml", "[TUNE]\n", "[TUNE]\nsource = \"manaul\"\n"),
    table("families_manual_row", "families.toml", "[BPM]\n", "[BPM]\nsource = \"manual\"\n"),
    table("families_no_field", "families.toml", "[RF]", "[MARKERS]\nrole = \"nothing\"\n\n[RF]"),
    table("families_twice", "families.toml", "[QD]", "[QF]"),
    table("lattice_syntax", "lattice.toml", "QF   = { type = \"quadrupole\",", "QF   = { type = \"quadrupole\""),
    table("lattice_unknown_type", "lattice.toml", "type = \"quadrupole\",", "type = \"quadrupol\","),
    table(
        "lattice_unknown_key",
        "lattice.toml",
        "length = 0.4, k1 = 1.2580503144087112",
        "lenght = 0.4, k1 = 1.2580503144087112",
    ),
    table(
        "lattice_negative_length",
        "lattice.toml",
        "length = 0.4, k1 = 1.2580503144087112",
        "length = -0.4, k1 = 1.2580503144087112",
    )
    .unplaced(),
    table("lattice_unknown_element", "lattice.toml", "\"QD\", \"SD\",", "\"QD\", \"SDD\","),
    table("lattice_wrong_unit", "lattice.toml", "energy   = \"1 GeV\"", "energy   = \"1 GHz\""),
    table("lattice_wrong_kind", "lattice.toml", "harmonic = 90\nuse", "harmonic = \"ninety\"\nuse"),
    table("twin_syntax", "twin.toml", "seed = 1", "seed = = 1"),
    table("twin_unknown_key", "twin.toml", "noise = \"0.1 um\"", "nois = \"0.1 um\""),
    table("twin_wrong_unit", "twin.toml", "dx = \"100 um\"", "dx = \"100 urad\""),
    table("twin_unknown_family", "twin.toml", "[monitors.BPM]", "[monitors.BMP]"),
    table("twin_no_element", "twin.toml", "elements = \"Q*\"", "elements = \"QUAD*\""),
];

#[test]
fn facility_tables() {
    hold(CASES);
}

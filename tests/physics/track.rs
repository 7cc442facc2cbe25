//! `fodo track`: coordinates in and out, losses, the same bits on any number of threads.

use fodo_tests::{Scratch, json, project, run, shared, skipped};
use hdf5_pure::File;
use serde_json::Value;

const DEMO: &str = "facilities/demo_ring/lattice.toml";

fn coordinates(value: &Value) -> Vec<Option<[f64; 6]>> {
    let particle = |value: &Value| -> Option<[f64; 6]> {
        let numbers: Vec<f64> = value.as_array()?.iter().map(|number| number.as_f64().unwrap()).collect();
        Some(numbers.try_into().unwrap())
    };
    value["final"].as_array().expect("final coordinates").iter().map(particle).collect()
}

/// Columns of a 6 x n dataset as CSV text with all digits.
fn csv(numbers: &[f64]) -> String {
    let count = numbers.len() / 6;
    let row = |particle: usize| (0..6).map(|row| format!("{:e}", numbers[row * count + particle])).collect::<Vec<_>>();
    let rows: Vec<String> = (0..count).map(|particle| row(particle).join(",")).collect();
    format!("x,px,y,py,delta,ct\n{}\n", rows.join("\n"))
}

#[test]
fn particles_of_a_file_go_where_pyat_takes_them() {
    let Some(folder) = shared() else { return skipped("track", "../shared is missing") };
    let scratch = Scratch::new("track-reference");
    for name in ["ebs_cell", "dba", "fodo_1gev_6d"] {
        let file = File::open(folder.join(format!("reference/{name}.ref.h5"))).unwrap();
        let numbers = |path: &str| file.dataset(path).unwrap().read_f64().unwrap();
        let lattice = folder.join(format!("reference/{name}.at.json"));
        for (start, after, turns, effects, limit) in [
            ("track/start", "track/4d_10", "10", "--radiation=off", 1e-14),
            ("track/start_6d_rad", "track/6d_rad_10", "10", "--radiation", 1e-13),
        ] {
            let particles = scratch.file("start.csv", &csv(&numbers(start)));
            let (lattice, particles) = (lattice.to_str().unwrap(), particles.to_str().unwrap());
            let tracked = json(&scratch, &["track", lattice, "--particles", particles, "--turns", turns, effects]);
            let (found, wanted) = (coordinates(&tracked), numbers(after));
            let count = found.len();
            for (particle, found) in found.iter().enumerate() {
                let wanted: [f64; 6] = std::array::from_fn(|row| wanted[row * count + particle]);
                match found {
                    None => assert!(wanted[0].is_nan(), "{name}: particle {particle} is lost here only"),
                    Some(found) => {
                        let apart = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                        assert!(apart <= limit, "{name} {after}: particle {particle} is off by {apart:e}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_bunch_gives_the_same_bits_on_any_number_of_threads() {
    let scratch = Scratch::new("track-threads");
    let on =
        |threads: &str| json(&scratch, &["track", DEMO, "--particles", "100", "--turns", "20", "--threads", threads]);
    let (one, two) = (on("1"), on("2"));
    assert_eq!(coordinates(&one), coordinates(&two));
    assert_eq!((&one["threads"], &two["threads"]), (&1.into(), &2.into()));
    assert_eq!(one["lost"], 0);
    let each = one["cpu_ns_per_particle_element"].as_f64().unwrap();
    assert!(each > 0.1 && each < 1e5, "{each} ns");
    let other = json(&scratch, &["track", DEMO, "--particles", "100", "--turns", "20", "--seed", "2"]);
    assert_ne!(coordinates(&one), coordinates(&other));
}

#[test]
fn lost_particles_are_named_with_their_place() {
    let scratch = Scratch::new("track-lost");
    let start = scratch.file("start.csv", "x, delta\n1e-4, 0\n0.9, 0\n");
    let tracked = json(&scratch, &["track", DEMO, "--particles", start.to_str().unwrap(), "--turns", "5"]);
    assert_eq!(tracked["lost"], 1);
    let found = coordinates(&tracked);
    assert!(found[0].is_some() && found[1].is_none());
    let loss = &tracked["losses"][0];
    assert_eq!((&loss["particle"], &loss["turn"]), (&1.into(), &0.into()));
    assert!(loss["name"].is_string() && loss["s"].as_f64().unwrap() > 0.0, "{loss}");
    let text = run(&scratch, &["track", DEMO, "--particles", start.to_str().unwrap(), "--turns", "5"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("lost: 1 of 2") && text.contains("in element"), "{text}");
}

#[test]
fn coordinates_are_written_and_read_again_without_loss() {
    let scratch = Scratch::new("track-csv");
    let half = scratch.path().join("half.csv");
    let half = half.to_str().unwrap();
    let whole = json(&scratch, &["track", DEMO, "--particles", "8", "--turns", "6"]);
    json(&scratch, &["track", DEMO, "--particles", "8", "--turns", "3", "--output", half]);
    let second = json(&scratch, &["track", DEMO, "--particles", half, "--turns", "3"]);
    assert_eq!(coordinates(&whole), coordinates(&second));
    assert!(project().join(DEMO).is_file());
}

//! Prints the driving terms of a lattice: `driving_terms LATTICE [SLICES [PERIODICITY]]`.

use fodo_dynamics::{DetuningOptions, DrivingTermOptions, detuning, detuning_by_tracking, driving_terms};
use fodo_lattice::Lattice;
use fodo_optics::{Effects, Ring};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let mut lattice = Lattice::load(arguments.get(1).ok_or("usage: driving_terms LATTICE [SLICES [PERIODICITY]]")?)?;
    let slices = arguments.get(2).map_or(Ok(8), |text| text.parse())?;
    lattice.periodicity = arguments.get(3).map_or(Ok(lattice.periodicity), |text| text.parse())?;
    let ring = Ring::new(&lattice, Effects::NONE);
    let options = DrivingTermOptions { slices, at: 0 };
    let clock = std::time::Instant::now();
    let terms = driving_terms(&ring, &options)?;
    println!("# {:.1} ms", 1e3 * clock.elapsed().as_secs_f64());
    for ([j, k, l, m, p], first, second) in terms.iter() {
        println!("h{j}{k}{l}{m}{p} {:.9e} {:.9e} {:.9e} {:.9e}", first.re, first.im, second.re, second.im);
    }
    let detuning = detuning(&ring, &options)?;
    println!("dnux_dJx {:.9e}\ndnux_dJy {:.9e}\ndnuy_dJy {:.9e}", detuning.x_x, detuning.x_y, detuning.y_y);
    for amplitude in [3e-5, 1e-4, 3e-4] {
        let options = DetuningOptions { amplitudes: [amplitude; 2], ..DetuningOptions::default() };
        let detuning = detuning_by_tracking(&ring, &options)?;
        println!("# by tracking to {amplitude:e} m {:.9e} {:.9e} {:.9e}", detuning.x_x, detuning.x_y, detuning.y_y);
    }
    Ok(())
}

//! tmp
use fodo_lattice::Lattice;
use fodo_optics::{Effects, Ring};
fn cpu() -> f64 {
    std::thread::yield_now();
    std::fs::read_to_string("/proc/thread-self/schedstat").unwrap().split(' ').next().unwrap().parse::<f64>().unwrap()
        * 1e-9
}
fn main() {
    let lattice = Lattice::load(std::env::args().nth(1).unwrap()).unwrap();
    for effects in [Effects::NONE, Effects::ALL] {
        let mut ring = Ring::new(&lattice, effects);
        let o = ring.closed_orbit().unwrap().start();
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let mut p: Vec<_> = (0..128)
                .map(|i| {
                    let mut z = o;
                    z[0] += 1e-6 * i as f64;
                    z[2] += 5e-7 * i as f64;
                    z
                })
                .collect();
            let t = cpu();
            let lost = ring.track(&mut p, 5, 0);
            let e = cpu() - t;
            assert!(lost.iter().all(|l| l.is_none()));
            best = best.min(e * 1e9 / (128.0 * 5.0 * ring.len() as f64));
        }
        println!("{effects:?} {best:.2} ns per particle and element");
    }
}

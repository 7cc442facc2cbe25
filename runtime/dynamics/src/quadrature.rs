//! Integrals of smooth functions of one variable.

/// Nodes of the Kronrod rule with 15 points, from the middle outwards; every other one belongs to Gauss's with 7.
#[allow(clippy::excessive_precision, reason = "the table as it is published")]
const NODES: [f64; 8] = [
    0.0,
    0.207_784_955_007_898_467_6,
    0.405_845_151_377_397_166_9,
    0.586_087_235_467_691_130_3,
    0.741_531_185_599_394_439_9,
    0.864_864_423_359_769_072_8,
    0.949_107_912_342_758_524_5,
    0.991_455_371_120_812_639_2,
];
/// Kronrod's weights.
#[allow(clippy::excessive_precision, reason = "the table as it is published")]
const KRONROD: [f64; 8] = [
    0.209_482_141_084_727_828_0,
    0.204_432_940_075_298_892_4,
    0.190_350_578_064_785_409_9,
    0.169_004_726_639_267_902_8,
    0.140_653_259_715_525_918_7,
    0.104_790_010_322_250_183_8,
    0.063_092_092_629_978_553_29,
    0.022_935_322_010_529_224_96,
];
/// Gauss's weights, of the nodes 0, 2, 4 and 6.
#[allow(clippy::excessive_precision, reason = "the table as it is published")]
const GAUSS: [f64; 4] = [
    0.417_959_183_673_469_387_8,
    0.381_830_050_505_118_944_9,
    0.279_705_391_489_276_667_9,
    0.129_484_966_168_869_693_3,
];
/// Parts an interval is cut into before any of them is looked at.
const PARTS: usize = 4;
/// How often a part may be halved.
const HALVINGS: usize = 24;

/// The integral of `f` from `low` to `high`, to about `relative` of the integral of its absolute value.
///
/// Each part is integrated by the rules of Gauss (7 points) and Kronrod (15); where they differ by more than
/// `relative`, it is halved. The result is Kronrod's, which is far better than the difference.
pub fn integrate(f: &impl Fn(f64) -> f64, low: f64, high: f64, relative: f64) -> f64 {
    let width = (high - low) / PARTS as f64;
    let edges = |part: usize| (low + width * part as f64, low + width * (part + 1) as f64);
    let coarse: Vec<[f64; 3]> = (0..PARTS).map(|part| rules(f, edges(part))).collect();
    let allowed = relative * coarse.iter().map(|[_, _, size]| size).sum::<f64>();
    coarse.iter().enumerate().map(|(part, rules)| refine(f, edges(part), *rules, allowed, HALVINGS)).sum()
}

fn refine(
    f: &impl Fn(f64) -> f64,
    (low, high): (f64, f64),
    [kronrod, gauss, _]: [f64; 3],
    allowed: f64,
    left: usize,
) -> f64 {
    if left == 0 || (kronrod - gauss).abs() <= allowed {
        return kronrod;
    }
    let middle = 0.5 * (low + high);
    let half = |edges| refine(f, edges, rules(f, edges), allowed, left - 1);
    half((low, middle)) + half((middle, high))
}

/// Kronrod's and Gauss's value, and Kronrod's of |f|.
fn rules(f: &impl Fn(f64) -> f64, (low, high): (f64, f64)) -> [f64; 3] {
    let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
    let centre = f(middle);
    let mut sums = [KRONROD[0] * centre, GAUSS[0] * centre, KRONROD[0] * centre.abs()];
    for node in 1..NODES.len() {
        let (before, after) = (f(middle - half * NODES[node]), f(middle + half * NODES[node]));
        sums[0] += KRONROD[node] * (before + after);
        sums[2] += KRONROD[node] * (before.abs() + after.abs());
        if node % 2 == 0 {
            sums[1] += GAUSS[node / 2] * (before + after);
        }
    }
    sums.map(|sum| sum * half)
}

#[cfg(test)]
mod tests {
    use super::integrate;

    #[test]
    fn known_integrals_come_out_to_rounding() {
        let polynomial = integrate(&|x| x.powi(9) - 3.0 * x * x, -1.0, 2.0, 1e-10);
        assert!((polynomial - (1023.0 / 10.0 - 9.0)).abs() < 1e-12, "{polynomial}");
        let bell = integrate(&|x: f64| (-x * x).exp(), -9.0, 9.0, 1e-10);
        assert!((bell - std::f64::consts::PI.sqrt()).abs() < 1e-14, "{bell}");
        // a narrow peak beside a long way
        let peak = integrate(&|x: f64| 1.0 / (1e-6 + (x - 0.3) * (x - 0.3)), 0.0, 100.0, 1e-10);
        let exact = 1e3 * ((99.7f64 * 1e3).atan() + (0.3f64 * 1e3).atan());
        assert!((peak / exact - 1.0).abs() < 1e-12, "{}", peak / exact - 1.0);
    }
}

//! The arithmetic limit of one core: how many fused multiply-adds and divisions it can do in a second.

use serde_json::{Value, json};

use crate::clock::{Result, cpu_seconds};

/// Rounds of a kernel in one call.
const ROUNDS: u32 = 2_000_000;
/// Chains of operations side by side: enough to hide the time one takes.
const CHAINS: usize = 12;

/// A kernel: does `ROUNDS` times `CHAINS` vectors of operations, and returns something that depends on all of them.
type Kernel = fn() -> f64;

/// Peak rates [1/s] of this processor, and the vector instructions they were reached with.
pub fn measure() -> Result<Value> {
    let (name, lanes, fused, divide) = kernels();
    let work = f64::from(ROUNDS) * CHAINS as f64 * lanes as f64;
    Ok(json!({
        "instructions": name, "lanes": lanes,
        "fused_per_second": work / best(fused)?, "divisions_per_second": work / 8.0 / best(divide)?,
    }))
}

/// Least CPU time of a kernel over some groups of calls, each long enough for the scheduler's clock [s].
fn best(kernel: Kernel) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..5 {
        let (start, mut calls, mut spent) = (cpu_seconds()?, 0_u32, 0.0);
        while spent < 0.1 {
            std::hint::black_box(kernel());
            calls += 1;
            spent = cpu_seconds()? - start;
        }
        least = least.min(spent / f64::from(calls));
    }
    Ok(least)
}

#[cfg(target_arch = "x86_64")]
fn kernels() -> (&'static str, usize, Kernel, Kernel) {
    if is_x86_feature_detected!("avx512f") {
        ("AVX-512", 8, wide::fused, wide::divide)
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        ("AVX2 with FMA", 4, narrow::fused, narrow::divide)
    } else {
        ("scalar", 1, scalar::fused, scalar::divide)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn kernels() -> (&'static str, usize, Kernel, Kernel) {
    ("scalar", 1, scalar::fused, scalar::divide)
}

/// Kernels of plain numbers; what the compiler makes of them.
mod scalar {
    use super::{CHAINS, ROUNDS};

    pub fn fused() -> f64 {
        let mut chains = [1.0_f64; CHAINS];
        for _ in 0..ROUNDS {
            chains = chains.map(|value| value * 0.999 + 1e-3);
        }
        chains.iter().sum()
    }

    pub fn divide() -> f64 {
        let mut chains = [1.5_f64; CHAINS];
        for _ in 0..ROUNDS / 8 {
            chains = chains.map(|value| 2.0 / value);
        }
        chains.iter().sum()
    }
}

/// Kernels of one kind of vector instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! kernels {
    ($module:ident, $features:literal, $set:ident, $fused:ident, $divide:ident, $first:ident) => {
        mod $module {
            use std::arch::x86_64::{$divide, $first, $fused, $set};
            use std::hint::black_box;

            use super::{CHAINS, ROUNDS};

            #[target_feature(enable = $features)]
            fn fused_there() -> f64 {
                let (factor, summand) = ($set(black_box(0.999)), $set(black_box(1e-3)));
                let mut chains = [$set(1.0); CHAINS];
                for _ in 0..ROUNDS {
                    chains.iter_mut().for_each(|value| *value = $fused(*value, factor, summand));
                }
                chains.into_iter().map(|value| $first(value)).sum()
            }

            #[target_feature(enable = $features)]
            fn divide_there() -> f64 {
                let two = $set(black_box(2.0));
                let mut chains = [$set(1.5); CHAINS];
                for _ in 0..ROUNDS / 8 {
                    chains.iter_mut().for_each(|value| *value = $divide(two, *value));
                }
                chains.into_iter().map(|value| $first(value)).sum()
            }

            // sound: `kernels` hands these out only where the processor has said that it knows the instructions
            #[allow(unsafe_code)]
            pub fn fused() -> f64 {
                unsafe { fused_there() }
            }

            #[allow(unsafe_code)]
            pub fn divide() -> f64 {
                unsafe { divide_there() }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(narrow, "avx2,fma", _mm256_set1_pd, _mm256_fmadd_pd, _mm256_div_pd, _mm256_cvtsd_f64);
#[cfg(target_arch = "x86_64")]
kernels!(wide, "avx512f", _mm512_set1_pd, _mm512_fmadd_pd, _mm512_div_pd, _mm512_cvtsd_f64);

//! One program for every processor: loops over the elements compiled for several instruction sets, chosen at run time.

#[cfg(target_arch = "x86_64")]
use crate::number::{Avx2, Avx512, Sse2 as Plain};
use crate::number::{Register, Registers, Tangent};
use crate::ring::Loss;
use crate::track::Turns;

#[cfg(not(target_arch = "x86_64"))]
type Plain = f64;

/// Registers of every processor that hold six derivatives.
pub(crate) const RARE: usize = 6 / Plain::WIDTH;

/// What elements that few rings have many of are given derivatives with, on all processors.
pub(crate) type RareTangent = Tangent<RareRegister, RARE>;

/// The registers of these.
pub(crate) type RareRegister = Plain;

/// An instruction set the tracking loop is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// What every processor of the target has.
    Plain,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Registers side by side.
const MANY: usize = 4;

impl Kernel {
    /// The widest that this processor has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("fma") {
                return Self::Avx512;
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Plain
    }

    /// How many particles go side by side.
    pub fn lanes(self) -> usize {
        MANY * match self {
            Self::Plain => Plain::WIDTH,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::WIDTH,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::WIDTH,
        }
    }
}

/// Runs the tracking loop on an instruction set that [`Kernel::best`] has found.
#[allow(unsafe_code, reason = "a function compiled for an instruction set may be called where that has been found")]
pub(crate) fn on_kernel(kernel: Kernel, turns: Turns) -> Vec<Option<Loss>> {
    match kernel {
        Kernel::Plain => turns.run::<Registers<Plain, MANY>>(),
        // SAFETY: a `Kernel` other than `Plain` is made by `Kernel::best` alone, on a processor that has it.
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => unsafe { avx2(turns) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => unsafe { avx512(turns) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(turns: Turns) -> Vec<Option<Loss>> {
    turns.run::<Registers<Avx2, MANY>>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
fn avx512(turns: Turns) -> Vec<Option<Loss>> {
    turns.run::<Registers<Avx512, MANY>>()
}

/// Work with derivatives by six coordinates, to be compiled for each instruction set.
pub(crate) trait OnTangents {
    /// What comes of it.
    type Out;

    /// Does it with numbers `Tangent<R, M>`. Has to be inlined.
    fn run<R: Register, const M: usize>(self) -> Self::Out;
}

/// Runs work with derivatives on the best instruction set there is for them: six fit two registers of AVX2, and wider
/// ones gain nothing.
#[allow(unsafe_code, reason = "a function compiled for an instruction set may be called where that has been found")]
pub(crate) fn on_best_tangent<W: OnTangents>(work: W) -> W::Out {
    match Kernel::best() {
        Kernel::Plain => work.run::<Plain, RARE>(),
        // SAFETY: a `Kernel` other than `Plain` is made by `Kernel::best` alone, on a processor that has it; those with
        // AVX-512 have AVX2.
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 | Kernel::Avx512 => unsafe { tangent_avx2(work) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn tangent_avx2<W: OnTangents>(work: W) -> W::Out {
    work.run::<Avx2, 2>()
}

/// Products of a table with factors, one for each row: `out[c] = sum_r factors[r] table[r][c]`, added to what is in
/// `out` or in its place.
pub(crate) struct Products<'a> {
    pub out: &'a mut [f64],
    pub factors: &'a [f64],
    pub table: &'a [f64],
    pub add: bool,
}

/// Columns that are worked on at once: what fits the registers.
const BLOCK: usize = 16;

impl Products<'_> {
    /// Does it with the widest registers there are.
    #[allow(unsafe_code, reason = "a function compiled for an instruction set may be called where that has been found")]
    pub fn make(self) {
        match Kernel::best() {
            Kernel::Plain => self.run::<false>(),
            // SAFETY: as with passages.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 | Kernel::Avx512 => unsafe { products_avx2(self) },
        }
    }

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let columns = self.out.len();
        let (whole, rest) = self.out.as_chunks_mut::<BLOCK>();
        for (block, out) in whole.iter_mut().enumerate() {
            let mut sum = if self.add { *out } else { [0.0; BLOCK] };
            for (row, &factor) in self.factors.iter().enumerate() {
                let from = row * columns + block * BLOCK;
                for (sum, entry) in sum.iter_mut().zip(&self.table[from..from + BLOCK]) {
                    *sum = if FUSED { factor.mul_add(*entry, *sum) } else { factor * entry + *sum };
                }
            }
            *out = sum;
        }
        let first = whole.len() * BLOCK;
        for (column, out) in rest.iter_mut().enumerate() {
            let entries = self.table.iter().skip(first + column).step_by(columns);
            let products = self.factors.iter().zip(entries).map(|(factor, entry)| factor * entry);
            *out = products.sum::<f64>() + if self.add { *out } else { 0.0 };
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn products_avx2(products: Products) {
    products.run::<true>();
}

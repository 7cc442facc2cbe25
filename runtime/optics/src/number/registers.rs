//! Particles side by side in the vector registers of the processor.
//!
//! [`Lanes`](super::Lanes) leave it to the compiler to find the vector instructions, which it does for small loops.
//! The tracking loop is too large for that, so its numbers name them. No closures here: what is compiled for an
//! instruction set has to be inlined for sure.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m128d, _mm_add_pd, _mm_mul_pd};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use super::{Number, Over, Work, do_apart};

/// One register: a few numbers on which the processor works at once.
pub trait Register: Copy {
    /// Numbers in it.
    const WIDTH: usize;
    /// The same number everywhere.
    fn splat(value: f64) -> Self;
    /// self + other.
    fn plus(self, other: Self) -> Self;
    /// self - other.
    fn minus(self, other: Self) -> Self;
    /// self * other.
    fn times(self, other: Self) -> Self;
    /// self / other.
    fn over(self, other: Self) -> Self;
    /// self * factor + addend, in one rounding where the processor does so.
    fn fused(self, factor: Self, addend: Self) -> Self;
    /// Square root.
    fn root(self) -> Self;
    /// One of the numbers.
    fn get(&self, place: usize) -> f64;
    /// Replaces one of the numbers.
    fn set(&mut self, place: usize, value: f64);
    /// Does a piece of work in a function of its own, compiled for these registers.
    #[inline(always)]
    fn apart<W: Work>(work: W) {
        do_apart(work);
    }
}

/// One number: a register that every processor has.
impl Register for f64 {
    const WIDTH: usize = 1;
    #[inline(always)]
    fn splat(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self - other
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self / other
    }
    #[inline(always)]
    fn fused(self, factor: Self, addend: Self) -> Self {
        self * factor + addend
    }
    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn get(&self, _place: usize) -> f64 {
        *self
    }
    #[inline(always)]
    fn set(&mut self, _place: usize, value: f64) {
        *self = value;
    }
}

/// A register of x86 with the names of its instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! register {
    ($(#[$doc:meta])* $features:literal, $name:ident, $vector:ident, $width:literal, $splat:ident, $plus:ident, $minus:ident, $times:ident,
     $over:ident, $fused:path, $root:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(std::arch::x86_64::$vector);

        // SAFETY of all: these numbers are used in `features.rs` alone, in functions compiled for the instruction set
        // and called only where the processor has it.
        #[allow(unsafe_code, reason = "vector instructions; see SAFETY above")]
        impl Register for $name {
            const WIDTH: usize = $width;
            #[inline(always)]
            fn splat(value: f64) -> Self {
                Self(unsafe { std::arch::x86_64::$splat(value) })
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                Self(unsafe { std::arch::x86_64::$plus(self.0, other.0) })
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                Self(unsafe { std::arch::x86_64::$minus(self.0, other.0) })
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                Self(unsafe { std::arch::x86_64::$times(self.0, other.0) })
            }
            #[inline(always)]
            fn over(self, other: Self) -> Self {
                Self(unsafe { std::arch::x86_64::$over(self.0, other.0) })
            }
            #[inline(always)]
            fn fused(self, factor: Self, addend: Self) -> Self {
                #[allow(unused_unsafe, reason = "of SSE2 it is a function of ours")]
                Self(unsafe { $fused(self.0, factor.0, addend.0) })
            }
            #[inline(always)]
            fn root(self) -> Self {
                Self(unsafe { std::arch::x86_64::$root(self.0) })
            }
            #[inline(always)]
            fn get(&self, place: usize) -> f64 {
                // the numbers of a register lie side by side in memory
                let numbers: [f64; $width] = unsafe { std::mem::transmute(self.0) };
                numbers[place]
            }
            #[inline(always)]
            fn set(&mut self, place: usize, value: f64) {
                let mut numbers: [f64; $width] = unsafe { std::mem::transmute(self.0) };
                numbers[place] = value;
                self.0 = unsafe { std::mem::transmute::<[f64; $width], std::arch::x86_64::$vector>(numbers) };
            }
            #[inline(always)]
            fn apart<W: Work>(work: W) {
                #[inline(never)]
                #[target_feature(enable = $features)]
                fn compiled<W: Work>(work: W) {
                    work.run();
                }
                unsafe { compiled(work) }
            }
        }
    };
}

/// Multiplication and addition one after the other.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code, reason = "vector instructions that every x86 processor of 64 bits has")]
fn multiply_add(value: __m128d, factor: __m128d, addend: __m128d) -> __m128d {
    // SAFETY: SSE2 belongs to the target.
    unsafe { _mm_add_pd(_mm_mul_pd(value, factor), addend) }
}

#[cfg(target_arch = "x86_64")]
register!(
    /// Two numbers, with the instructions that every x86 processor of 64 bits has.
    "sse2", Sse2, __m128d, 2, _mm_set1_pd, _mm_add_pd, _mm_sub_pd, _mm_mul_pd, _mm_div_pd, multiply_add, _mm_sqrt_pd
);
#[cfg(target_arch = "x86_64")]
register!(
    /// Four numbers, with the instructions of AVX2 and FMA.
    "avx2,fma", Avx2, __m256d, 4, _mm256_set1_pd, _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd,
    std::arch::x86_64::_mm256_fmadd_pd, _mm256_sqrt_pd
);
#[cfg(target_arch = "x86_64")]
register!(
    /// Eight numbers, with the instructions of AVX-512.
    "avx512f,fma", Avx512, __m512d, 8, _mm512_set1_pd, _mm512_add_pd, _mm512_sub_pd, _mm512_mul_pd, _mm512_div_pd,
    std::arch::x86_64::_mm512_fmadd_pd, _mm512_sqrt_pd
);

/// `M` registers side by side: enough independent work to hide the time of each instruction.
#[derive(Clone, Copy)]
pub struct Registers<R, const M: usize>([R; M]);

/// A register made of each of `M`.
macro_rules! each {
    ($at:ident => $value:expr) => {{
        let mut made = [R::splat(0.0); M];
        for ($at, made) in made.iter_mut().enumerate() {
            *made = $value;
        }
        Self(made)
    }};
}

macro_rules! operator {
    ($operator:ident $method:ident $register:ident) => {
        impl<R: Register, const M: usize> $operator for Registers<R, M> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                each!(at => self.0[at].$register(other.0[at]))
            }
        }
        impl<R: Register, const M: usize> $operator<f64> for Registers<R, M> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                let other = R::splat(other);
                each!(at => self.0[at].$register(other))
            }
        }
    };
}

operator!(Add add plus);
operator!(Sub sub minus);
operator!(Mul mul times);

impl<R: Register, const M: usize> Div for Registers<R, M> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        each!(at => self.0[at].over(other.0[at]))
    }
}

impl<R: Register, const M: usize> Neg for Registers<R, M> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self * -1.0
    }
}

impl<R: Register, const M: usize> AddAssign for Registers<R, M> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<R: Register, const M: usize> SubAssign for Registers<R, M> {
    #[inline(always)]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl<R: Register, const M: usize> Over<f64> for Registers<R, M> {
    #[inline(always)]
    fn scale_add(self, factor: f64, addend: Self) -> Self {
        self.times_add(factor, addend)
    }

    #[inline(always)]
    fn straight_line(self, slope: f64, intercept: f64) -> Self {
        let (slope, intercept) = (R::splat(slope), R::splat(intercept));
        each!(at => self.0[at].fused(slope, intercept))
    }
}

impl<R: Register, const M: usize> Registers<R, M> {
    /// A function of one number, lane by lane.
    #[inline(never)]
    fn one_by_one(&self, function: fn(f64) -> f64) -> Self {
        let mut made = *self;
        for lane in 0..Self::LANES {
            made.set_lane(lane, function(self.lane(lane)));
        }
        made
    }
}

impl<R: Register, const M: usize> Number for Registers<R, M> {
    const LANES: usize = M * R::WIDTH;

    #[inline(always)]
    fn constant(value: f64) -> Self {
        Self([R::splat(value); M])
    }

    #[inline(always)]
    fn lane(&self, lane: usize) -> f64 {
        self.0[lane / R::WIDTH].get(lane % R::WIDTH)
    }

    #[inline(always)]
    fn set_lane(&mut self, lane: usize, value: f64) {
        self.0[lane / R::WIDTH].set(lane % R::WIDTH, value);
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        each!(at => self.0[at].fused(factor.0[at], addend.0[at]))
    }

    #[inline(always)]
    fn times_add(self, factor: f64, addend: Self) -> Self {
        let factor = R::splat(factor);
        each!(at => self.0[at].fused(factor, addend.0[at]))
    }

    #[inline(always)]
    fn recip(self) -> Self {
        let one = R::splat(1.0);
        each!(at => one.over(self.0[at]))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        each!(at => self.0[at].root())
    }

    #[inline(always)]
    fn sin_cos(self) -> (Self, Self) {
        (self.one_by_one(f64::sin), self.one_by_one(f64::cos))
    }

    #[inline(always)]
    fn sinh_cosh(self) -> (Self, Self) {
        (self.one_by_one(f64::sinh), self.one_by_one(f64::cosh))
    }

    #[inline(always)]
    fn apart<W: Work>(work: W) {
        R::apart(work);
    }

    #[inline(always)]
    fn tan(self) -> Self {
        self.one_by_one(f64::tan)
    }
}

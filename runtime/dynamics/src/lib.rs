//! What tracking and the model tell of a beam: apertures, lifetime, frequencies, bunches, losses, matching.
//!
//! Built on `fodo-optics`, which knows how one particle moves. This crate knows nothing of devices, channels or files.

mod detuning;
mod driving_terms;
mod dynamic_aperture;
mod fft;
mod frequency;
mod frequency_map;
mod momentum_aperture;
mod resonance;
mod survival;
mod turns;

pub use detuning::{Detuning, DetuningOptions, NoDetuning, detuning, detuning_by_tracking};
pub use driving_terms::{DrivingTermOptions, DrivingTerms, driving_terms};
pub use dynamic_aperture::{DynamicAperture, DynamicApertureOptions, dynamic_aperture, survival_map};
pub use frequency::{Analyser, FrequencyOptions, Line, NoFrequency, naff, naff_real};
pub use frequency_map::{FrequencyMapOptions, Grid, MapPoint, Motion, NoFrequencyMap, frequency_map};
pub use momentum_aperture::{MomentumAperture, MomentumApertureOptions, momentum_aperture};
pub use resonance::Powers;
pub use survival::{NoAperture, Search, survive};
pub use turns::{Normal, Track, turn_by_turn};

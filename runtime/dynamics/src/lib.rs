//! What tracking and the model tell of a beam: apertures, lifetime, frequencies, bunches, losses, matching.
//!
//! Built on `fodo-optics`, which knows how one particle moves. This crate knows nothing of devices, channels or files.

mod bunch;
mod convergence;
mod detuning;
mod driving_terms;
mod dynamic_aperture;
mod fft;
mod frequency;
mod frequency_map;
mod lifetime;
mod loss_map;
mod matching;
mod momentum_aperture;
mod quadrature;
mod resonance;
mod survival;
mod train;
mod turns;
mod wake;

pub use bunch::{Bunch, Filling, Moments, NoBunch, Shape, Sizes, beam_matrix, beam_matrix_at, distribution};
pub use convergence::{Convergence, ModelChoice, NoConvergence, Quantity, Shift, convergence, figures, with_slices};
pub use detuning::{Detuning, DetuningOptions, NoDetuning, detuning, detuning_by_tracking};
pub use driving_terms::{DrivingTermOptions, DrivingTerms, driving_terms};
pub use dynamic_aperture::{DynamicAperture, DynamicApertureOptions, dynamic_aperture, survival_map};
pub use frequency::{Analyser, FrequencyOptions, Line, NoFrequency, naff, naff_real};
pub use frequency_map::{FrequencyMapOptions, Grid, MapPoint, Motion, NoFrequencyMap, frequency_map};
pub use lifetime::{
    Acceptance, AcceptanceShape, Gas, GasLosses, Lifetime, Molecule, MomentumLimits, NoLifetime, Touschek,
    TouschekPlace, bremsstrahlung, elastic, electrons, gas_losses, quantum_losses, touschek, touschek_rate,
};
pub use loss_map::{LossMap, Lost, loss_map};
pub use matching::{
    Bound, Computed, Driven, Entry, Figure, Match, Matching, NoMatch, Parameter, Reached, Relation, Target, Turned,
    Variable, derivatives, match_optics, measure,
};
pub use momentum_aperture::{MomentumAperture, MomentumApertureOptions, momentum_aperture};
pub use resonance::Powers;
pub use survival::{NoAperture, Search, survive};
pub use train::{Station, TrainRecord, track_train};
pub use turns::{Normal, Track, turn_by_turn};
pub use wake::{NoWake, Resonator, Wake, WakeField, WakeFunction};

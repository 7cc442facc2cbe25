//! What tracking and the model tell of a beam: apertures, lifetime, frequencies, bunches, losses, matching.
//!
//! Built on `fodo-optics`, which knows how one particle moves. This crate knows nothing of devices, channels or files.

mod bunch;
mod convergence;
mod loss_map;
mod matching;

pub use bunch::{Bunch, Filling, Moments, NoBunch, Shape, Sizes, beam_matrix, beam_matrix_at, distribution};
pub use convergence::{Convergence, ModelChoice, NoConvergence, Quantity, Shift, convergence, figures, with_slices};
pub use loss_map::{LossMap, Lost, loss_map};
pub use matching::{
    Bound, Computed, Driven, Entry, Figure, Match, Matching, NoMatch, Parameter, Reached, Relation, Target, Turned,
    Variable, derivatives, match_optics, measure,
};

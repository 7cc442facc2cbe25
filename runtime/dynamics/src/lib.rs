//! What tracking and the model tell of a beam: apertures, lifetime, frequencies, bunches, losses, matching.
//!
//! Built on `fodo-optics`, which knows how one particle moves. This crate knows nothing of devices, channels or files.

mod convergence;
mod matching;

pub use convergence::{Convergence, ModelChoice, NoConvergence, Quantity, Shift, convergence, figures, with_slices};
pub use matching::{
    Bound, Computed, Driven, Entry, Figure, Match, Matching, NoMatch, Parameter, Reached, Relation, Target, Turned,
    Variable, derivatives, match_optics, measure,
};

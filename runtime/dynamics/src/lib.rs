//! What tracking and the model tell of a beam: apertures, lifetime, frequencies, bunches, losses, matching.
//!
//! Built on `fodo-optics`, which knows how one particle moves. This crate knows nothing of devices, channels or files.

//! LOCO, linear optics from closed orbits: monitors, correctors and gradients of a model fitted to a measured orbit response.
//!
//! It knows lattices and their optics, no device, no channel and no unit but SI. A [`Setup`] says what is fitted, [`Measured`]
//! what was seen, [`Setup::fit`] gives a [`Fit`]. Derivatives are exact, the lattice is never stepped.
//!
//! **What is fitted.** A monitor shows `(gain_x x + coupling_x y, gain_y y + coupling_y x)`. A corrector kicks by `gain` in its
//! own plane and by `gain * coupling` in the other one, for each unit asked of it; `shift` is the change of delta that goes with
//! it. The dispersion column is `step` times what was asked. Gradients, skew gradients and tilts change in groups.
//!
//! **At fixed path length or at fixed momentum.** With cavities on ([`fodo_optics::Effects::CAVITY`]) a corrector where there is
//! dispersion changes delta, since the RF holds the path length; without, delta stays. Shifts are in addition to either.
//!
//! **chi²** is the sum of ((measured - model)/sigma)² over the data that are used, over the number of these less that of the
//! combinations of parameters that were determined. The dispersion counts in it as measured, whatever its weight in the fit,
//! and outliers do not. That is the chi² of MATLAB's LOCO (`lococalcchi2.m`), which takes off all parameters, those that singular
//! values were cut for too; its chi² before the fit, as ours, takes off none.
//!
//! **Errors** of parameters are those of the covariance matrix, times the root of chi² where that is above 1, since noise alone
//! then does not explain the data. What is not determined is held in them, and named in [`Fit::degenerate`].
//!
//! Source: J. Safranek, Experimental determination of storage ring optics using orbit response measurements, Nucl. Instrum.
//! Methods A 388 (1997) 27; J. Safranek, G. Portmann, A. Terebilo, C. Steier, MATLAB-based LOCO, EPAC 2002, 1184; X. Huang,
//! J. Safranek, G. Portmann, LOCO with constraints and improved fitting technique, ICFA Beam Dyn. Newsl. 44 (2007) 60.

mod degenerate;
mod fit;
mod lattice;
mod normal;
mod predict;
mod search;
mod setup;
mod solve;
mod values;

pub use degenerate::Degeneracy;
pub use fit::{Fit, NoFit};
pub use search::{Method, Options};
pub use setup::{Blocks, Column, Dispersion, Group, Kick, Measured, Monitor, Outlier, Setup, Turn};
pub use solve::Cut;
pub use values::{Parameter, Values};

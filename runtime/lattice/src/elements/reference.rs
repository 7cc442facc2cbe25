//! How the reference particle moves along the machine.

/// How the reference particle moves; the default is that of the Accelerator Toolbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// Particles move with the speed their momentum gives them, instead of that of light. Needs a rest energy.
    pub exact_velocity: bool,
    /// Cavities change the reference momentum, which all that follows is normalised to: a linac.
    pub accelerates: bool,
}

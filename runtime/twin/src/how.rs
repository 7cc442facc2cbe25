//! How each reading of the twin is computed, in words: servers pass it on as the description of a channel.

use crate::channels::{Answer, Channels};
use fodo_optics::Effects;

/// Sets the description of every channel.
pub(crate) fn describe(channels: &mut Channels, effects: Effects, is_ring: bool) {
    let orbit = centre(effects, is_ring);
    for (info, answer) in channels.infos.iter_mut().zip(&channels.answers) {
        info.description = how(answer, &orbit, is_ring);
    }
}

/// How the centre of the beam is found.
fn centre(effects: Effects, is_ring: bool) -> String {
    let with = match (effects.cavity, effects.radiation) {
        _ if !is_ring => return "trajectory of the centre of the beam, tracked through the line".into(),
        (true, true) => "closed orbit in 6 dimensions, cavities and radiation on",
        (true, false) => "closed orbit in 6 dimensions, cavities on, no radiation",
        (false, true) => "closed orbit in 4 dimensions, cavities off, radiation on",
        (false, false) => "closed orbit in 4 dimensions, cavities off, no radiation",
    };
    with.into()
}

fn how(answer: &Answer, orbit: &str, is_ring: bool) -> String {
    let of_orbit = |what: &str| format!("{what}: {orbit}");
    match answer {
        Answer::Setpoint(_) => "setpoint".into(),
        Answer::Wave(_) => "wave form of a setpoint, knots evenly from injection to extraction".into(),
        Answer::CycleNumber => "cycles since the start".into(),
        Answer::CycleTime => "moment in the cycle at which monitors look".into(),
        Answer::Energy => "half a cosine from injection to extraction".into(),
        Answer::Readback(_) => "what the supply says that it holds".into(),
        Answer::Monitor(..) => of_orbit("as the monitor reads it, mean of a period"),
        Answer::Row(_) | Answer::Table(..) => of_orbit("at each element, as monitors read it where there are some"),
        Answer::Tune(_) => of_orbit("eigenvalues of the one-turn matrix about the orbit"),
        Answer::Figure(figure, _) if is_ring => figure.how().into(),
        Answer::Figure(..) => "beam matrix of the entrance, mapped along the trajectory to first order".into(),
        Answer::Image(..) => "Gaussian ellipse of the beam matrix about the centre of the beam, photon noise".into(),
        Answer::Calculated => "1 where every figure belongs to the setpoints as they are".into(),
        Answer::Current => "dI/dt = -(gas + Touschek I) I, filled up by injections".into(),
        Answer::Filling(_) => "current times the part of each bucket".into(),
        Answer::Lifetime => {
            "Touschek (Piwinski) and gas scattering beyond what bucket and apertures leave, tails of the beam at apertures".into()
        }
        Answer::Losses(..) => "losses by lifetime, where scattered particles that are tracked meet an aperture".into(),
        Answer::Efficiency => "part of the particles of the last shot that was not lost".into(),
        Answer::Turns(..) => "particles tracked from the closed orbit, and from the septum where a shot is injected, kickers by their pulses".into(),
        Answer::Spectrum(..) => "Fourier transform of the last turns, mean taken off, Hann window".into(),
        Answer::Fast(..) => "closed orbit plus its linear response to the sines on correctors".into(),
        Answer::Charge(_) => "part of 256 particles that is not lost up to here".into(),
        Answer::Signal(_) => "holds what was written".into(),
    }
}

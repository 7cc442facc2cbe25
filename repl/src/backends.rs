//! Which control system answers: the one line to add for a new backend.

use fodo_control::Backend;
use fodo_devices::Facility;
use fodo_report::{Diagnostic, Kind, Result};
use std::sync::Arc;

/// The live machine's control system.
pub fn live(facility: &Facility) -> Result<Arc<dyn Backend>> {
    match facility.control.as_ref() {
        "ca" => Ok(Arc::new(fodo_epics::ChannelAccess::new()?)),
        other => Err(Diagnostic::new(Kind::Facility, format!("{} names a control system `{other}`", facility.name))
            .hint("control systems this program knows: ca (EPICS Channel Access)")
            .into()),
    }
}

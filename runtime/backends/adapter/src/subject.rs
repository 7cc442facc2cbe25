//! Test channels as the conformance suite takes them.

use crate::wire::TestChannels;
use fodo_control::Channel;
use fodo_control::conformance::Subject;
use fodo_report::{Diagnostic, Kind, Label, Result};
use std::path::Path;
use std::time::Duration;

impl TestChannels {
    /// Reads them from a TOML file, whose keys are those of the protocol's page.
    ///
    /// # Errors
    /// `usage` if the file cannot be read, or with the place of what is wrong in it.
    pub fn load(path: &Path) -> Result<TestChannels> {
        let shown = path.display();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Diagnostic::new(Kind::Usage, format!("{shown} cannot be read: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            let label = Label::at_bytes(shown.to_string(), &text, error.span().unwrap_or(0..0));
            let what = format!("{shown} names no test channels: {}", error.message());
            Box::new(Diagnostic::new(Kind::Usage, what).label(label))
        })
    }

    /// Whether it names nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == TestChannels::default()
    }

    /// What the conformance suite tries.
    pub fn subject(&self) -> Subject {
        let channel = |name: &Option<String>| name.as_deref().map(Channel::from);
        let labels = |labels: &[String]| labels.iter().map(|label| kept(label)).collect();
        Subject {
            number: channel(&self.number),
            range: self.range.unwrap_or((0.0, 1.0)),
            unit: self.unit.as_deref().map(kept),
            many: self.many.iter().map(|name| name.as_str().into()).collect(),
            read_only: channel(&self.read_only),
            refused: self.refused.as_ref().map(|refused| (refused.name.as_str().into(), refused.value)),
            slow: self.slow.as_ref().map(|slow| {
                let takes = Duration::from_secs_f64(slow.seconds.clamp(0.0, 3600.0));
                (slow.name.as_str().into(), takes)
            }),
            vector: channel(&self.vector),
            text: channel(&self.text),
            texts: channel(&self.texts),
            choice: self.choice.as_ref().map(|choice| (choice.name.as_str().into(), labels(&choice.labels))),
            image: channel(&self.image),
            table: channel(&self.table),
            ticking: channel(&self.ticking),
            joins: Duration::ZERO,
            invalid: channel(&self.invalid),
            absent: channel(&self.absent),
        }
    }
}

/// A text for as long as the program runs: the suite takes those of tests, and is run once.
fn kept(text: &str) -> &'static str {
    Box::leak(text.to_string().into_boxed_str())
}

//! The diagnostic as text for a terminal.

use crate::{Diagnostic, Label};
use ariadne::{Color, Config, IndexType, Label as Mark, Report, ReportKind};
use std::fmt::Write;

/// Facts shown; the object of `--json` has all.
const DETAILS: usize = 20;

impl Diagnostic {
    /// The text a person reads; with `color`, for a terminal.
    pub fn render(&self, color: bool) -> String {
        self.render_as("error", color)
    }

    /// The same under another word: "warning".
    pub fn render_as(&self, word: &str, color: bool) -> String {
        let mut out = String::new();
        self.render_into(&mut out, word, color);
        out
    }

    fn render_into(&self, out: &mut String, word: &str, color: bool) {
        let (paint, code) = if word == "error" { (Color::Red, 31) } else { (Color::Yellow, 33) };
        let (with_text, without): (Vec<&Label>, Vec<&Label>) =
            self.labels.iter().partition(|label| label.source.is_some());
        match with_text.first() {
            Some(place) => out.push_str(&self.excerpts(place, &with_text, (word, paint, code), color)),
            None if color => _ = writeln!(out, "\x1b[{code}m{word}:\x1b[0m {}", self.message),
            None => _ = writeln!(out, "{word}: {}", self.message),
        }
        for label in without {
            let text = if label.text.is_empty() { String::new() } else { format!(": {}", label.text) };
            _ = writeln!(out, "  at {}:{}:{}{text}", label.file, label.line, label.column);
        }
        for detail in self.details.iter().take(DETAILS) {
            _ = writeln!(out, "  - {detail}");
        }
        if self.details.len() > DETAILS {
            _ = writeln!(out, "  - … and {} more", self.details.len() - DETAILS);
        }
        if let Some(machine) = &self.machine {
            _ = writeln!(out, "  = machine: {machine}");
        }
        for hint in &self.hints {
            _ = writeln!(out, "  = hint: {hint}");
        }
        for cause in &self.causes {
            out.push_str("because of\n");
            cause.render_into(out, word, color);
        }
    }

    fn excerpts(&self, place: &Label, labels: &[&Label], word: (&str, Color, u8), color: bool) -> String {
        let (word, paint, code) = word;
        let config = Config::new().with_color(color).with_index_type(IndexType::Char);
        let kind = ReportKind::Custom(word, paint);
        let mut report =
            Report::build(kind, (place.file.clone(), range(place))).with_config(config).with_message(&self.message);
        for (order, label) in labels.iter().enumerate() {
            let text = match (label.text.as_str(), order) {
                ("", 0) => "here",
                (text, _) => text,
            };
            let mark = Mark::new((label.file.clone(), range(label))).with_message(text).with_order(order as i32);
            report = report.with_label(if color { mark.with_color(paint) } else { mark });
        }
        let texts: Vec<(String, String)> = labels
            .iter()
            .map(|label| (label.file.clone(), label.source.as_deref().unwrap_or("").to_string()))
            .collect();
        let mut bytes = Vec::new();
        let cache = ariadne::FnCache::new(move |id: &String| {
            texts
                .iter()
                .find(|(file, _)| file == id)
                .map(|(_, text)| text.clone())
                .ok_or_else(|| format!("no text for {id}"))
        });
        match report.finish().write(cache, &mut bytes) {
            Ok(()) => {
                let text = String::from_utf8_lossy(&bytes);
                // ariadne paints the kind even when told not to use colour
                let text = if color {
                    text
                } else {
                    text.replace(&format!("\u{1b}[{code}m"), "").replace("\u{1b}[0m", "").into()
                };
                text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
            }
            Err(_) => format!("{word}: {}\n", self.message),
        }
    }
}

/// Character range of a label in its text.
fn range(label: &Label) -> std::ops::Range<usize> {
    let text = label.source.as_deref().unwrap_or("");
    let line_start: usize = text.split_inclusive('\n').take(label.line - 1).map(|line| line.chars().count()).sum();
    let total = text.chars().count();
    let start = (line_start + label.column.saturating_sub(1)).min(total);
    start..(start + label.length).min(total.max(start))
}

#[cfg(test)]
mod tests {
    use crate::{Diagnostic, Kind, Label};

    #[test]
    fn shows_excerpt_machine_and_hint() {
        let text = "let größe = 1;\nstep_setpoints(correctors, kicks);\n";
        let shown = Diagnostic::new(Kind::Limits, "a corrector would leave its limits")
            .label(Label::new("my.rhai", 2, 1).long(14).say("too far").in_text(text))
            .detail("HCOR[\"C03-2\"] would go to 1.31 mrad, its limit is 1.00 mrad")
            .machine("no setpoint was changed")
            .hint("lower `gain`")
            .render(false);
        assert!(shown.contains("my.rhai:2:1"), "{shown}");
        assert!(shown.contains("step_setpoints(correctors, kicks);"), "{shown}");
        assert!(shown.contains("= machine: no setpoint was changed\n  = hint: lower `gain`"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}

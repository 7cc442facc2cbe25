//! Writes that the header does not allow.

use super::Check;
use crate::known::{is_settable, writes};
use crate::what::{Origin, What};
use fodo_language::{FunctionDoc, ParameterKind};
use fodo_report::{Diagnostic, Kind};
use rhai::Position;
use std::collections::BTreeSet;

impl Check<'_> {
    /// A builtin that writes setpoints, or a procedure: the header must name the families.
    pub(super) fn written(&mut self, name: &str, arguments: &[What], at: Position) {
        if let Some(called) = self.known.procedure(name) {
            return self.procedure_called(&called.may_change(), name, at);
        }
        if self.known.writes(name) {
            self.families_written(arguments, at);
        }
    }

    /// The same for a function of a library.
    pub(super) fn written_by(&mut self, forms: &[&FunctionDoc], arguments: &[What], at: Position) {
        if forms.iter().any(|form| writes(form)) {
            self.families_written(arguments, at);
        }
    }

    /// What is written is the first argument, or what the option `families` names.
    fn families_written(&mut self, arguments: &[What], at: Position) {
        let mut origins = arguments.first().map(What::origins).unwrap_or_default();
        if let Some(What::Map(entries)) = arguments.last()
            && let Some((_, families)) = entries.iter().find(|(key, _)| key == "families")
        {
            origins.extend(self.named(families));
        }
        let Some(allowed) = self.allowed() else { return };
        for origin in origins {
            if is_settable(&origin.family) && !allowed.contains(origin.family.name.as_ref()) && !self.declared(&origin)
            {
                self.not_declared(&origin, at);
            }
        }
    }

    /// Families given as such or by their names.
    fn named(&self, families: &What) -> Vec<Origin> {
        match families {
            What::Text(Some(names)) => {
                let names = names.split(',').map(str::trim);
                let found = names.filter_map(|name| self.known.family(name));
                found.map(|family| Origin { family, parameter: None }).collect()
            }
            What::Array(entries) => entries.iter().flat_map(|entry| self.named(entry)).collect(),
            other => other.origins(),
        }
    }

    /// The families that the header lets a run change. None without a header, which lets it change all, and where one of
    /// its entries is not known, which is told anyway.
    fn allowed(&self) -> Option<BTreeSet<String>> {
        let header = self.header.as_ref()?;
        let known = |entry: &String| match header.parameter(entry) {
            Some(parameter) => matches!(parameter.kind, ParameterKind::Named { .. }),
            None => self.known.family(entry).is_some(),
        };
        if !header.changes.iter().all(known) {
            return None;
        }
        let words = header.may_change().into_iter();
        Some(words.map(|word| self.known.family(&word).map_or(word, |family| family.name.to_string())).collect())
    }

    fn declared(&self, origin: &Origin) -> bool {
        let changes = self.header.as_ref().map(|header| header.changes.as_slice()).unwrap_or_default();
        origin.parameter.as_ref().is_some_and(|parameter| changes.contains(parameter))
    }

    fn not_declared(&mut self, origin: &Origin, at: Position) {
        let family = &origin.family.name;
        let header = self.header.as_ref();
        let message = match &origin.parameter {
            Some(parameter) => format!("the header does not let it change `{parameter}` ({family})"),
            None => format!("the header does not let it change {family}"),
        };
        let changes = header.map(|header| header.changes.join(", ")).unwrap_or_default();
        let changes = if changes.is_empty() { "nothing".into() } else { changes };
        let word = origin.parameter.as_deref().unwrap_or(family);
        let report = Diagnostic::new(Kind::Script, message).detail(format!("`changes` names {changes}"));
        self.mistake(at, report.hint(format!("write \"{word}\" under `changes`, if it is meant to be changed")));
    }

    /// A procedure that may change only what this one may not can change nothing.
    fn procedure_called(&mut self, words: &[String], name: &str, at: Position) {
        let Some(allowed) = self.allowed() else { return };
        let families: BTreeSet<String> =
            words.iter().filter_map(|word| Some(self.known.family(word)?.name.to_string())).collect();
        if families.is_empty() || families.iter().any(|family| allowed.contains(family)) {
            return;
        }
        let named = families.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!("`{name}` changes {named}, and the header lets it change none of these");
        let hint = "a procedure that is called has no more rights than its caller: name the families under `changes`";
        self.mistake(at, Diagnostic::new(Kind::Script, message).hint(hint));
    }
}

//! `fodo check`: what is wrong with scripts before they run.

use crate::app::App;
use crate::command::{CheckArguments, Common};
use crate::{shelf, show};
use fodo_procedure::Known;
use fodo_report::{Diagnostic, Kind, Result};
use std::process::ExitCode;

/// Checks files and folders; prints everything found.
pub fn check(common: &Common, arguments: &CheckArguments) -> Result<ExitCode> {
    let app = App::open(&Common { on: crate::command::Machine::Twin, ..common.clone() })?;
    let functions = fodo_language::functions(&app.engine);
    let families: Vec<String> = app.facility.families.iter().map(|f| f.name.to_string()).collect();
    let roles = app.facility.families.iter().map(|f| f.role.to_string());
    let named: Vec<String> = families.iter().cloned().chain(roles).collect();
    let mut variables = families.clone();
    variables.extend(fodo_builtins::constants());
    let known = Known { functions: &functions, variables: &variables, families: &named };
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut count = 0;
    for path in &arguments.paths {
        let files = shelf::scripts(path);
        if files.is_empty() {
            return Err(Diagnostic::new(Kind::Usage, format!("there is no script at {}", path.display())).into());
        }
        for file in files {
            let shown = file.display().to_string();
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Diagnostic::new(Kind::Usage, format!("{shown} could not be read: {e}")))?;
            found.extend(fodo_procedure::check(&shown, &text, &known));
            count += 1;
        }
    }
    if common.json {
        let list: Vec<serde_json::Value> = found.iter().map(Diagnostic::to_json).collect();
        let result = serde_json::json!({ "files": count, "found": list });
        show::json_object(found.is_empty(), result, serde_json::Value::Null, found.first());
    } else {
        found.iter().for_each(show::error);
        show::line(format!(
            "{count} {} checked, {} {} found",
            if count == 1 { "file" } else { "files" },
            found.len(),
            if found.len() == 1 { "mistake" } else { "mistakes" }
        ));
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Kind::Script.exit_code()) })
}

//! What variables and imports are in sight at a place of a script that may be half written.

use super::Words;
use super::place::{is_word, word_start};
use fodo_procedure::What;
use rhai::{AST, Expr, Stmt};

impl Words {
    /// Takes over the imports of a tree.
    pub fn learn_imports(&mut self, tree: &AST, file: &str) {
        self.imports.clear();
        for statement in tree.statements() {
            if let Stmt::Import(parts, _) = statement
                && let Expr::StringConstant(name, _) = &parts.0
            {
                self.learn_import(name, &parts.1.name, file);
            }
        }
    }

    fn learn_import(&mut self, name: &str, alias: &str, file: &str) {
        if let Some(script) = self.known.script(name, file)
            && !alias.is_empty()
        {
            self.imports.insert(alias.to_string(), script);
        }
    }

    /// Takes over what the text before the cursor declares: imports, variables, parameters of the function it is in.
    pub fn learn_text(&mut self, before: &str, file: &str) {
        self.variables.clear();
        self.imports.clear();
        for line in before.lines() {
            let code = line.trim_start();
            if let Some(rest) = code.strip_prefix("import ") {
                let mut parts = rest.split('"').skip(1);
                if let (Some(name), Some(alias)) = (parts.next(), parts.next().and_then(|rest| rest.split_once(" as ")))
                {
                    self.learn_import(name, alias.1.trim().trim_end_matches(';'), file);
                }
            }
            if let Some(rest) = code.strip_prefix("private fn ").or_else(|| code.strip_prefix("fn ")) {
                self.learn_function(rest);
            }
            self.learn_closures(code);
            self.learn_loop(code);
            for word in ["let ", "const "] {
                if let Some((_, rest)) = code.split_once(word) {
                    self.learn_variable(rest);
                }
            }
        }
    }

    /// A function sees nothing from outside but its parameters.
    fn learn_function(&mut self, rest: &str) {
        self.variables.clear();
        let inside = rest.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inside, _)| inside);
        let run = rest.starts_with("run(") && self.header.is_some();
        for parameter in inside.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            self.variables.insert(parameter.to_string(), if run { What::Parameters } else { What::Unknown });
        }
    }

    /// `HCOR.where(|q| …`: of a family its device.
    fn learn_closures(&mut self, code: &str) {
        let Some((head, rest)) = code.split_once('|') else { return };
        let Some((inside, _)) = rest.split_once('|') else { return };
        let over = head.strip_suffix('(').and_then(|call| {
            let name = &call[word_start(call)..];
            let of = call[..word_start(call)].strip_suffix('.')?;
            ["where", "map", "filter", "for_each"].contains(&name).then(|| self.what(of).entry())
        });
        for (place, name) in inside.split(',').map(str::trim).enumerate() {
            if !name.is_empty() && name.chars().all(is_word) {
                let what = over.clone().filter(|_| place == 0).unwrap_or(What::Unknown);
                self.variables.insert(name.to_string(), what);
            }
        }
    }

    fn learn_loop(&mut self, code: &str) {
        let Some((names, over)) = code.split_once("for ").and_then(|(_, rest)| rest.split_once(" in ")) else { return };
        let over = over.split('{').next().unwrap_or("");
        let entry = self.expression(over).entry();
        let names = names.trim_matches(|c: char| !is_word(c));
        for (place, name) in names.split(',').map(str::trim).enumerate() {
            let what = if place == 0 { entry.clone() } else { What::kind("integer") };
            self.variables.insert(name.to_string(), what);
        }
    }

    fn learn_variable(&mut self, rest: &str) {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        let value = rest[end..].trim_start().strip_prefix('=').unwrap_or("");
        let value = value.split("//").next().unwrap_or("").trim().trim_end_matches(';');
        if !name.is_empty() {
            let what = self.expression(value);
            self.variables.insert(name.to_string(), what);
        }
    }
}

//! What is known of every function: for help, completion, checks and the manual.

use crate::signature_word;
use rhai::{AST, Engine, FnAccess};

/// How a registered function is used in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionUse {
    /// `name(x)` or `x.name()`.
    Function,
    /// `x.name`.
    Property,
    /// `x.name = …`.
    PropertyWrite,
    /// `x[i]` and `x[i] = …`.
    Index,
    /// `a + b`.
    Operator,
}

/// One function as scripts see it.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionDoc {
    /// Name, without `get$`.
    pub name: String,
    /// How it is used.
    pub usage: FunctionUse,
    /// `name(x: vector, y: number) -> number`.
    pub signature: String,
    /// `x: vector`, one for each parameter.
    pub parameters: Vec<String>,
    /// Word for what it returns, empty for nothing.
    pub returns: String,
    /// Documentation without `///`, in Markdown; empty if it has none.
    pub comment: String,
    /// Library it is in, empty for builtins.
    pub module: String,
    /// Whether it comes with Rhai itself.
    pub standard: bool,
}

impl FunctionDoc {
    /// First sentence of the documentation.
    pub fn summary(&self) -> &str {
        self.comment.lines().next().unwrap_or("").trim()
    }

    /// The part of the documentation under `# NAME`, without its heading.
    pub fn section(&self, name: &str) -> Option<&str> {
        let heading = format!("# {name}\n");
        let start = match self.comment.strip_prefix(&heading) {
            Some(_) => heading.len(),
            None => self.comment.find(&format!("\n{heading}"))? + heading.len() + 1,
        };
        let rest = &self.comment[start..];
        Some(rest.split("\n# ").next().unwrap_or(rest).trim())
    }

    /// The type word of parameter `index`.
    pub fn parameter_type(&self, index: usize) -> &str {
        let parameter = self.parameters.get(index).map_or("value", String::as_str);
        parameter.split_once(": ").map_or(parameter, |(_, kind)| kind)
    }
}

/// Every function registered in `engine`, sorted by name.
pub fn functions(engine: &Engine) -> Vec<FunctionDoc> {
    let own = |info: rhai::FuncInfo| Some((info.metadata.hash, info.metadata.comments.to_vec()));
    let ours: std::collections::HashMap<u64, Vec<_>> =
        engine.collect_fn_metadata(None, own, false).into_iter().collect();
    let ours = &ours;
    let describe = |info: rhai::FuncInfo| {
        let data = info.metadata;
        let hidden = data.name.starts_with("anon$")
            || crate::asserted::is_one(&data.name)
            || crate::numbers::is_refused(&data.name);
        // one of Rhai in whose place ours is called
        let replaced = ours.get(&data.hash).is_some_and(|comments| comments[..] != data.comments[..]);
        if info.script.is_some() || hidden || replaced {
            return None;
        }
        let mut parameters: Vec<String> = data.params_info.iter().map(|p| signature_word(p)).collect();
        parameters.resize(data.num_params, "value".to_string());
        let returns = signature_word(&data.return_type);
        let returns = if returns == "nothing" { String::new() } else { returns };
        let comment = data.comments.iter().map(|c| plain(c)).collect::<Vec<_>>().join("\n");
        let doc = document(&data.name, parameters, returns, comment, info.namespace.to_string());
        Some(FunctionDoc { standard: !ours.contains_key(&data.hash), ..doc })
    };
    let mut found: Vec<FunctionDoc> = engine.collect_fn_metadata(None, describe, true);
    found.sort_by(|a, b| (&a.name, a.usage, &a.signature).cmp(&(&b.name, b.usage, &b.signature)));
    found.dedup();
    found
}

/// The public functions of a script.
pub fn script_functions(tree: &AST) -> Vec<FunctionDoc> {
    let public = tree.iter_functions().filter(|f| f.access == FnAccess::Public && !f.name.starts_with("anon$"));
    let mut found: Vec<FunctionDoc> = public
        .map(|f| {
            let parameters = f.params.iter().map(|p| (*p).to_string()).collect();
            let comment = f.comments.iter().map(|c| plain(c)).collect::<Vec<_>>().join("\n");
            document(f.name, parameters, String::new(), comment, String::new())
        })
        .collect();
    // Rhai keeps them in no order
    found.sort_by(|a, b| (&a.name, a.parameters.len()).cmp(&(&b.name, b.parameters.len())));
    found
}

fn document(name: &str, parameters: Vec<String>, returns: String, comment: String, module: String) -> FunctionDoc {
    let (usage, name) = match name {
        _ if name.starts_with("get$") => (FunctionUse::Property, &name[4..]),
        _ if name.starts_with("set$") => (FunctionUse::PropertyWrite, &name[4..]),
        _ if name.starts_with("index$") => (FunctionUse::Index, "[]"),
        _ if rhai::is_valid_identifier(name) => (FunctionUse::Function, name),
        _ => (FunctionUse::Operator, name),
    };
    let arrow = if returns.is_empty() { String::new() } else { format!(" -> {returns}") };
    let signature = match usage {
        FunctionUse::Property => format!("{}.{name}{arrow}", bare(&parameters, 0)),
        FunctionUse::PropertyWrite => format!("{}.{name} = {}", bare(&parameters, 0), bare(&parameters, 1)),
        FunctionUse::Index => format!("{}[{}]{arrow}", bare(&parameters, 0), bare(&parameters, 1)),
        FunctionUse::Operator if parameters.len() == 2 => {
            format!("{} {name} {}{arrow}", bare(&parameters, 0), bare(&parameters, 1))
        }
        FunctionUse::Operator if parameters.len() == 1 => format!("{name}{}{arrow}", bare(&parameters, 0)),
        _ => format!("{name}({}){arrow}", parameters.join(", ")),
    };
    FunctionDoc { name: name.to_string(), usage, signature, parameters, returns, comment, module, standard: false }
}

fn bare(parameters: &[String], index: usize) -> &str {
    let parameter = parameters.get(index).map_or("value", String::as_str);
    parameter.split_once(": ").map_or(parameter, |(_, kind)| kind)
}

/// A doc comment without its slashes.
fn plain(comment: &str) -> String {
    let lines = comment.lines().map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("///").unwrap_or(line);
        line.strip_prefix(' ').unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

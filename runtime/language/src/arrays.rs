//! Sorting arrays by a function of the script: Rhai's own goes on where that function fails, with some order or other.

use crate::{Callback, Outcome, article, script_error, type_word};
use rhai::{Array, Dynamic, Engine, FnPtr, FuncRegistration, NativeCallContext};
use std::cmp::Ordering;

/// Sorts by halves: entries that are alike keep their order, and the first error ends it.
fn sorted(mut entries: Array, compare: &mut dyn FnMut(&Dynamic, &Dynamic) -> Outcome<Ordering>) -> Outcome<Array> {
    if entries.len() < 2 {
        return Ok(entries);
    }
    let upper = entries.split_off(entries.len() / 2);
    let mut lower = sorted(entries, compare)?.into_iter().peekable();
    let mut upper = sorted(upper, compare)?.into_iter().peekable();
    let mut merged = Array::new();
    while let (Some(a), Some(b)) = (lower.peek(), upper.peek()) {
        let first = if compare(b, a)? == Ordering::Less { upper.next() } else { lower.next() };
        merged.extend(first);
    }
    merged.extend(lower);
    merged.extend(upper);
    Ok(merged)
}

/// The array in the order that a function of two entries gives.
fn by(context: &NativeCallContext, array: Array, comparer: Dynamic) -> Outcome<Array> {
    let comparer = Callback::from_dynamic(context, comparer, "the comparison")?;
    sorted(array, &mut |a, b| {
        let answer = comparer.call(context, (a.clone(), b.clone()))?;
        if let Ok(before) = answer.as_bool() {
            return Ok(if before { Ordering::Less } else { Ordering::Equal });
        }
        let number = answer.as_int().map(|n| n as f64).or_else(|_| answer.as_float());
        number.ok().and_then(|n| n.partial_cmp(&0.0)).ok_or_else(|| {
            let found = article(&type_word(answer.type_name()));
            script_error(format!(
                "a comparison answers a number (below zero: the first comes first) or true, not {found}"
            ))
        })
    })
}

const SORT: &str = "/// Sorts an array by a function of two entries.\n///\n\
    /// # Parameters\n/// - `comparison`: answers a number below zero, or `true`, where the first comes first.\n///\n\
    /// # Errors\n/// Those of the function; `a comparison answers`: it gave something else.\n///\n\
    /// # Example\n/// ```rhai\n/// let kicks = [3.0 * urad, -5.0 * urad];\n/// kicks.sort(|a, b| a < b);\n/// assert(kicks[0] == -5.0 * urad);\n/// ```";
const SORT_BY_CALLBACK: &str = "/// The same with a callback, a function that keeps its home.\n///\n\
    /// # Parameters\n/// - `comparison`: as `bind` gives it.\n///\n\
    /// # Errors\n/// As with a function.\n///\n\
    /// # Example\n/// ```rhai\n/// let numbers = [3, 1, 2];\n/// numbers.sort(bind(|a, b| b - a));\n/// assert(numbers[0] == 3);\n/// ```";
const ORDER: &str = "/// Gives an array in the order of a function of two entries; the array stays as it is.\n///\n\
    /// # Parameters\n/// - `comparison`: answers a number below zero, or `true`, where the first comes first.\n///\n\
    /// # Returns\n/// A new array.\n///\n\
    /// # Errors\n/// Those of the function; `a comparison answers`: it gave something else.\n///\n\
    /// # Example\n/// ```rhai\n/// assert([3, 1, 2].order(|a, b| b - a)[0] == 3);\n/// ```";
const ORDER_BY_CALLBACK: &str = "/// The same with a callback, a function that keeps its home.\n///\n\
    /// # Parameters\n/// - `comparison`: as `bind` gives it.\n///\n\
    /// # Returns\n/// A new array.\n///\n\
    /// # Errors\n/// As with a function.\n///\n\
    /// # Example\n/// ```rhai\n/// assert([3, 1, 2].order(bind(|a, b| b - a))[0] == 3);\n/// ```";

/// For a function itself, for which Rhai's own would come first, and for what `bind` gives.
pub(crate) fn register(engine: &mut Engine) {
    let named = |name: &str, of: &'static str, what: &'static str, returns: &'static str| {
        FuncRegistration::new(name).with_params_info(["array: array", of, returns]).with_comments([what])
    };
    let sort = |context: NativeCallContext, array: &mut Array, comparer: Dynamic| -> Outcome<()> {
        *array = by(&context, array.clone(), comparer)?;
        Ok(())
    };
    let order = |context: NativeCallContext, array: Array, comparer: Dynamic| by(&context, array, comparer);
    for name in ["sort", "sort_by"] {
        named(name, "comparison: function", SORT, "()")
            .register_into_engine(engine, move |context: NativeCallContext, array: &mut Array, comparer: FnPtr| {
                sort(context, array, comparer.into())
            });
        named(name, "comparison: callback", SORT_BY_CALLBACK, "()").register_into_engine(engine, sort);
    }
    for name in ["order", "order_by"] {
        named(name, "comparison: function", ORDER, "array")
            .register_into_engine(engine, move |context: NativeCallContext, array: Array, comparer: FnPtr| {
                order(context, array, comparer.into())
            });
        named(name, "comparison: callback", ORDER_BY_CALLBACK, "array").register_into_engine(engine, order);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Setup, engine};

    #[test]
    fn differences_that_are_no_integers_sort_too() {
        for text in [
            "[1.9, 1.5, 1.1, 0.2].order(|a, b| a - b)[0]",
            "[1.9, 1.5, 1.1, 0.2].order_by(|a, b| a - b)[0]",
            "let x = [1.9, 1.5, 1.1, 0.2]; x.sort(|a, b| a - b); x[0]",
            "let x = [1.9, 1.5, 1.1, 0.2]; x.sort_by(|a, b| a < b); x[0]",
        ] {
            assert_eq!(engine(Setup::default()).eval::<f64>(text).unwrap(), 0.2, "{text}");
        }
        assert!(engine(Setup::default()).eval::<rhai::Array>("[2, 1].order(|a, b| \"x\")").is_err());
    }
}

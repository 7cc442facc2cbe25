//! Entries of vectors by place, slice, mask and list; going through them.

use super::{Mask, Vector, entry};
use crate::quantity::two_units;
use fodo_language::{Outcome, article, script_error, type_word};
use rhai::{Array, Dynamic, Engine};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// An index from the front, or a negative one from the back.
pub(crate) fn place(index: i64, length: usize, what: &str) -> Outcome<usize> {
    let from_front = if index < 0 { index + length as i64 } else { index };
    usize::try_from(from_front).ok().filter(|i| *i < length).ok_or_else(|| {
        let range = if length == 0 {
            "it is empty".to_string()
        } else {
            format!("indices go from 0 to {}, or -1 to -{length} from the end", length - 1)
        };
        let report = fodo_report::Diagnostic::new(
            fodo_report::Kind::Script,
            format!("index {index} is outside {} of {length}", article(what)),
        );
        fodo_language::fail(Box::new(report.hint(range)))
    })
}

/// The places a range covers; an open end arrives as the largest integer and is cut.
pub(crate) fn places(start: i64, end: i64, length: usize) -> Range<usize> {
    let bound = |i: i64| (if i < 0 { i + length as i64 } else { i }).clamp(0, length as i64) as usize;
    let (start, end) = (bound(start), bound(end));
    start..end.max(start)
}

/// The places that an index of any kind chooses.
pub(crate) fn chosen(index: &Dynamic, length: usize, what: &str) -> Outcome<Vec<usize>> {
    if let Ok(i) = index.as_int() {
        return Ok(vec![place(i, length, what)?]);
    }
    if let Some(range) = index.read_lock::<Range<i64>>() {
        return Ok(places(range.start, range.end, length).collect());
    }
    if let Some(range) = index.read_lock::<RangeInclusive<i64>>() {
        return Ok(places(*range.start(), inclusive_end(*range.end()), length).collect());
    }
    if let Some(mask) = index.read_lock::<Mask>() {
        if mask.0.len() != length {
            return Err(script_error(format!(
                "a mask of {} entries does not fit {} of {length}",
                mask.0.len(),
                article(what)
            )));
        }
        return Ok((0..length).filter(|i| mask.0[*i]).collect());
    }
    if let Some(array) = index.read_lock::<Array>() {
        let all = array.iter().map(|i| {
            let i = i.as_int().map_err(|found| {
                script_error(format!("an index must be an integer, found {}", article(&type_word(found))))
            })?;
            place(i, length, what)
        });
        return all.collect();
    }
    Err(script_error(format!("{} cannot be indexed by {}", article(what), article(&type_word(index.type_name())))))
}

/// One past an inclusive end; -1 includes the last entry.
fn inclusive_end(end: i64) -> i64 {
    if end == -1 { i64::MAX } else { end.saturating_add(1) }
}

fn pick(v: &Vector, index: &Dynamic) -> Outcome<Vector> {
    Ok(v.with(chosen(index, v.values.len(), "vector")?.into_iter().map(|i| v.values[i]).collect()))
}

fn put(v: &mut Vector, index: &Dynamic, value: &Dynamic) -> Outcome<()> {
    let at = chosen(index, v.values.len(), "vector")?;
    let new: Vec<f64> = match value.read_lock::<Vector>() {
        Some(other) if other.values.len() == at.len() => {
            if other.unit.dimension() != v.unit.dimension() {
                return Err(two_units("put together", &v.unit, &other.unit));
            }
            other.values.to_vec()
        }
        Some(other) => {
            return Err(script_error(format!("{} entries cannot take a vector of {}", at.len(), other.values.len())));
        }
        None => vec![entry(value, &v.unit)?; at.len()],
    };
    let values = Arc::make_mut(&mut v.values);
    at.into_iter().zip(new).for_each(|(i, x)| values[i] = x);
    Ok(())
}

/// Indexing, iteration, length.
pub(super) fn register(engine: &mut Engine) {
    engine.register_indexer_get(|v: &mut Vector, i: i64| -> Outcome<Dynamic> {
        Ok(v.one(v.values[place(i, v.values.len(), "vector")?]))
    });
    engine.register_indexer_get(|v: &mut Vector, r: Range<i64>| pick(v, &Dynamic::from(r)));
    engine.register_indexer_get(|v: &mut Vector, r: RangeInclusive<i64>| pick(v, &Dynamic::from(r)));
    engine.register_indexer_get(|v: &mut Vector, m: Mask| pick(v, &Dynamic::from(m)));
    engine.register_indexer_get(|v: &mut Vector, a: Array| pick(v, &Dynamic::from(a)));
    engine.register_indexer_set(|v: &mut Vector, i: i64, x: Dynamic| put(v, &Dynamic::from(i), &x));
    engine.register_indexer_set(|v: &mut Vector, r: Range<i64>, x: Dynamic| put(v, &Dynamic::from(r), &x));
    engine.register_indexer_set(|v: &mut Vector, r: RangeInclusive<i64>, x: Dynamic| put(v, &Dynamic::from(r), &x));
    engine.register_indexer_set(|v: &mut Vector, m: Mask, x: Dynamic| put(v, &Dynamic::from(m), &x));
    engine.register_indexer_set(|v: &mut Vector, a: Array, x: Dynamic| put(v, &Dynamic::from(a), &x));
    engine.register_indexer_get(|m: &mut Mask, i: i64| -> Outcome<bool> { Ok(m.0[place(i, m.0.len(), "mask")?]) });
    engine.register_iterator::<Vector>();
    engine.register_iterator::<Mask>();
}

impl IntoIterator for Vector {
    type Item = Dynamic;
    type IntoIter = std::vec::IntoIter<Dynamic>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.iter().map(|v| self.one(*v)).collect::<Vec<_>>().into_iter()
    }
}

impl IntoIterator for Mask {
    type Item = bool;
    type IntoIter = std::vec::IntoIter<bool>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

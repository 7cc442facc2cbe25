//! What masks tell of themselves.

#![allow(clippy::unwrap_used)] // in what `export_module` writes

use super::{Mask, Vector};
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine};
use std::sync::Arc;

/// Registers masks.
pub(super) fn register(engine: &mut Engine) {
    engine.register_global_module(exported_module!(masks).into());
}

impl std::fmt::Display for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mask: {} of {}", self.0.iter().filter(|x| **x).count(), self.0.len())
    }
}

#[export_module]
mod masks {
    use super::*;

    /// Makes the mask of the entries that are finite numbers.
    ///
    /// # Returns
    /// A mask; `v[finite(v)]` are the good entries.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// let v = vector([1.0, 0.0 / 0.0]);
    /// assert(v[finite(v)].len() == 1);
    /// ```
    pub fn finite(v: Vector) -> Mask {
        Mask(Arc::new(v.values.iter().map(|x| x.is_finite()).collect()))
    }

    /// Counts the entries of a mask, true or not [1]; also a property.
    #[rhai_fn(name = "len", get = "len", pure)]
    pub fn len(mask: &mut Mask) -> i64 {
        mask.0.len() as i64
    }

    /// Counts the entries of a mask that are true [1].
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert((vector([1, 5, 9]) > 3).count() == 2);
    /// ```
    #[rhai_fn(pure)]
    pub fn count(mask: &mut Mask) -> i64 {
        mask.0.iter().filter(|x| **x).count() as i64
    }

    /// Tells whether any entry of a mask is true.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert((vector([1, 5]) > 3).any());
    /// ```
    #[rhai_fn(pure)]
    pub fn any(mask: &mut Mask) -> bool {
        mask.0.iter().any(|x| *x)
    }

    /// Tells whether all entries of a mask are true.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert(!(vector([1, 5]) > 3).all());
    /// ```
    #[rhai_fn(pure)]
    pub fn all(mask: &mut Mask) -> bool {
        mask.0.iter().all(|x| *x)
    }

    /// Lists the places at which a mask is true.
    ///
    /// # Returns
    /// An array of indices [1], counted from 0.
    ///
    /// # Errors
    /// None.
    ///
    /// # Example
    /// ```rhai
    /// assert((vector([1, 5, 9]) > 3).indices()[0] == 1);
    /// ```
    #[rhai_fn(pure)]
    pub fn indices(mask: &mut Mask) -> Array {
        (0..mask.0.len()).filter(|i| mask.0[*i]).map(|i| Dynamic::from(i as i64)).collect()
    }
}

//! The stack of the script thread: how much of it is left.
//!
//! A limit on nested calls is not enough: how much a call takes depends on how deeply its expressions are nested, and
//! native functions that call scripts (`with_restore`, procedures) begin to count anew. A stack that runs over would
//! end the process and leave the machine as it stands.

use std::cell::Cell;

/// Bytes of stack of the script thread; memory is taken only when it is used.
pub(crate) const SIZE: usize = 256 << 20;

/// What has to be left for native code that a script calls.
const RESERVE: usize = 64 << 20;

thread_local! {
    /// Where the stack of this thread begins, if it is a script thread.
    static TOP: Cell<Option<usize>> = const { Cell::new(None) };
}

/// This thread runs scripts from here on.
pub(crate) fn begin() {
    TOP.set(Some(here()));
}

/// Whether the stack is nearly used up.
pub(crate) fn is_low() -> bool {
    TOP.get().is_some_and(|top| top.abs_diff(here()) > SIZE - RESERVE)
}

/// An address on the stack, about where it ends now.
#[inline(never)]
fn here() -> usize {
    let mark = 0_u8;
    std::ptr::from_ref(&mark).addr()
}

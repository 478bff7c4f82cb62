//! Calls into code that is not ours: what panics there must not stop a gate.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// A call that panicked. The panic's own message is where panics go: on stderr, by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs `call` to its end, or until it panics.
///
/// Whatever it shares with others has to be in order at each of its `await`s and calls out: locks are
/// taken over where a panic left them.
pub(crate) async fn catch_panic<T>(call: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(call).catch_unwind().await.map_err(|_| Panicked)
}

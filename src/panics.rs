//! Calls into foreign code, whose panics must not stop a gate.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// The error of a call that panicked. The message of the panic goes to the panic hook, by default
/// to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs `call` to its end, or until it panics.
///
/// Shared state must be consistent at each of its `await`s and calls to foreign code, because
/// poisoned locks stay in use.
pub(crate) async fn catch_panic<T>(call: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(call).catch_unwind().await.map_err(|_| Panicked)
}

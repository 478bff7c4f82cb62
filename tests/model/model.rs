//! Models of concurrent code: the files of the crate themselves, with locks that shuttle schedules.
//!
//! A lost wake-up shows as a deadlock. `MODEL_SCHEDULES` sets how many schedules a test tries;
//! shuttle prints the one that failed, and `shuttle::replay` runs it again.
#![allow(clippy::unwrap_used)]

/// Wait lists, as `src/tenants/waiters/mod.rs` has them.
mod waiters {
    #[path = "../../../src/tenants/waiters/list.rs"]
    mod list;
    mod tests;

    /// The locks, which shuttle schedules.
    mod sync {
        pub(super) use shuttle::sync::{Mutex, MutexGuard};
        pub(super) use std::sync::PoisonError;
    }
}

//! Models of concurrent code: the files of the crate themselves, with locks and atomics that
//! shuttle or loom schedules.
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

/// The index of closed tenants, as `src/tenants/mod.rs` has it, under loom: unlike shuttle it also
/// tries every order in which a processor may show the writes of one thread to another.
mod closed_index {
    #[path = "../../../src/tenants/closed_index.rs"]
    #[allow(dead_code, reason = "the model reads less of it than the registry")]
    mod index;
    mod tests;

    /// The lock and the atomics, which loom schedules.
    mod sync {
        pub(super) use loom::sync::{
            Mutex, MutexGuard,
            atomic::{AtomicU32, AtomicUsize, Ordering, fence},
        };
        pub(super) use std::sync::PoisonError;
    }
}

/// The routes of calls, as `src/endpoint/mod.rs` has them, under loom.
mod routes {
    #[path = "../../../src/endpoint/routes.rs"]
    mod cache;
    mod tests;

    /// The atomics, which loom schedules.
    mod sync {
        pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
    }
}

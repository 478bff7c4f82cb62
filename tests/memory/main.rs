//! Allocations. Apart from the other tests, because the allocator is replaced by one that counts.
//!
//! `tests/README.md` maps behaviours to modules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

mod guard;
mod notification;

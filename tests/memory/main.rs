//! What is allocated. Apart from the other tests, because the allocator is replaced by one that counts.
//!
//! Which behaviour is tested where: `tests/README.md`.

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

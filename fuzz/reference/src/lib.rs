//! A second, plain implementation of the rules for untrusted input, compared with the library.
//!
//! [`body`], [`token`], [`keys`] and [`url`] take untrusted input, and panic unless the library
//! accepts exactly what the plain implementation accepts. They return the accepted content, so that
//! tests can count it. The plain implementation uses nothing of the library: `path` finds the
//! tenant in a path, the functions called `expected` apply the other rules one after the other.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod body;
mod guard;
mod json;
mod keys;
pub mod path;
#[cfg(test)]
mod strategies;
mod token;
mod url;

pub use self::{
    body::{Notice, body},
    keys::keys,
    token::{NOW, TENANT, compact, token},
    url::url,
};

//! A second, plain reading of the rules for untrusted input, and checks that the library agrees.
//!
//! [`body`], [`token`], [`keys`] and [`url`] take what a stranger may send, and panic unless the library
//! accepts what the plain reading accepts and nothing else. What was accepted is returned, so that
//! tests can count it. The plain readings use nothing of the library: `path` finds the tenant in a
//! path, the functions called `expected` apply the other rules one after the other.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod body;
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

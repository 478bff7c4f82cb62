//! Entry points for the fuzz targets in `fuzz/`, compiled for those and for tests only.
//!
//! Each takes what a stranger may send and holds the outcome against a second, plain reading of the
//! same rules: [`body`], [`token`] and [`url`] accept what that reading accepts and nothing else. What
//! was accepted comes back, so that tests can see how often it is.

mod body;
mod json;
mod keys;
mod reference;
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

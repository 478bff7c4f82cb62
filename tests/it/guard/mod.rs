//! The guard around services and clients: bodies, errors, readiness, URLs.

mod bodies;
mod clients;
mod errors;
mod readiness;
mod urls;

//! The guard around services and clients: bodies, errors, readiness, redirects, URLs.

mod bodies;
mod clients;
mod errors;
mod hostile_urls;
mod own_routes;
mod readiness;
mod redirects;
mod urls;

//! What strangers may post: every case has its exact answer, and no tenant is any different for it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "hostile/bodies.rs"]
mod bodies;
#[path = "hostile/claims.rs"]
mod claims;
#[path = "hostile/endpoints.rs"]
mod endpoints;
#[path = "hostile/headers.rs"]
mod headers;
#[path = "hostile/shapes.rs"]
mod shapes;
#[path = "hostile/world.rs"]
mod world;

/// The tables together must not shrink by accident.
#[test]
fn there_are_at_least_120_cases() {
    let cases = bodies::CASES + claims::CASES + endpoints::CASES + headers::CASES + shapes::CASES;
    assert!(cases >= 120, "{cases}");
}

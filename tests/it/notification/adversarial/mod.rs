//! Hostile notifications: every case has its exact answer, and changes no tenant.

mod bodies;
mod claims;
mod endpoints;
mod env;
mod headers;
mod shapes;

/// The tables together must not shrink by accident.
#[test]
fn tables_hold_at_least_120_cases() {
    let cases = bodies::CASES + claims::CASES + endpoints::CASES + headers::CASES + shapes::CASES;
    assert!(cases >= 120, "{cases}");
}

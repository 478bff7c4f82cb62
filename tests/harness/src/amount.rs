//! The amount of work of a test.

/// The number in the environment variable `name`; without it `slow` under nextest's profile `slow`,
/// and `default` elsewhere.
///
/// # Panics
///
/// When the variable is no number: a typo must not run a short test in place of a long one.
pub fn amount(name: &str, default: usize, slow: usize) -> usize {
    match std::env::var(name) {
        Ok(number) => number.parse().unwrap_or_else(|_| panic!("{name} is not a number: {number}")),
        Err(_) if std::env::var("NEXTEST_PROFILE").is_ok_and(|profile| profile == "slow") => slow,
        Err(_) => default,
    }
}

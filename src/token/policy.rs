//! What the gate's owner accepts.

use std::time::Duration;

/// The most that clocks may be allowed to differ, in seconds.
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// For whom a token must be meant.
#[derive(Debug, Clone)]
pub(crate) enum Audiences {
    /// For anybody.
    Any,
    /// For one of these applications.
    OneOf(Vec<String>),
}

/// What a token must say, its signature apart.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    issuers: Vec<String>,
    audiences: Audiences,
    /// Seconds.
    leeway: i64,
}

impl Policy {
    /// A `leeway` above 300 s is taken as 300 s.
    pub(crate) fn new(issuers: Vec<String>, audiences: Audiences, leeway: Duration) -> Self {
        let leeway = leeway.min(MAX_LEEWAY).as_secs();
        let audiences = match audiences {
            Audiences::Any => Audiences::Any,
            Audiences::OneOf(ids) => {
                Audiences::OneOf(ids.into_iter().map(|id| application_id(&id).to_owned()).collect())
            }
        };
        Self { issuers, audiences, leeway: i64::try_from(leeway).unwrap_or_default() }
    }

    pub(super) fn leeway(&self) -> i64 {
        self.leeway
    }

    pub(super) fn takes_issuer(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|own| own == issuer)
    }

    pub(super) fn takes_audience(&self, claimed: &[&str]) -> bool {
        match &self.audiences {
            Audiences::Any => true,
            Audiences::OneOf(ids) => claimed.iter().any(|claimed| {
                ids.iter().any(|id| id.eq_ignore_ascii_case(application_id(claimed)))
            }),
        }
    }
}

/// An application id without the `spn:` that some of SuperOffice's tokens put before it.
fn application_id(audience: &str) -> &str {
    match audience.split_at_checked(4) {
        Some((prefix, id)) if prefix.eq_ignore_ascii_case("spn:") && !id.is_empty() => id,
        _ => audience,
    }
}

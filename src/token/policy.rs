//! The configured conditions on issuer, audience and times.

use std::time::Duration;

/// The largest leeway between SuperOffice's clock and this machine's.
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// The audiences of which a token has to name one.
#[derive(Debug, Clone)]
pub(crate) enum Audiences {
    /// No condition.
    Any,
    /// One of these application ids, ignoring case and a leading `spn:`.
    OneOf(Vec<String>),
}

/// The conditions that the claims of a token have to meet.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    issuers: Vec<String>,
    audiences: Audiences,
    /// Seconds.
    leeway: i64,
    login_tokens: bool,
}

impl Policy {
    /// Makes a policy. A `leeway` above 300 s counts as 300 s.
    pub(crate) fn new(issuers: Vec<String>, audiences: Audiences, leeway: Duration) -> Self {
        let leeway = leeway.min(MAX_LEEWAY).as_secs();
        let audiences = match audiences {
            Audiences::Any => Audiences::Any,
            Audiences::OneOf(ids) => {
                Audiences::OneOf(ids.into_iter().map(|id| strip_spn(&id).to_owned()).collect())
            }
        };
        let leeway = i64::try_from(leeway).unwrap_or_default();
        Self { issuers, audiences, leeway, login_tokens: false }
    }

    /// Sets whether tokens that speak for a person are accepted.
    pub(crate) fn login_tokens(mut self, accepted: bool) -> Self {
        self.login_tokens = accepted;
        self
    }

    pub(super) fn accepts_login_tokens(&self) -> bool {
        self.login_tokens
    }

    pub(super) fn leeway(&self) -> i64 {
        self.leeway
    }

    /// Returns whether `issuer` is one of the accepted ones, to the letter.
    pub(super) fn takes_issuer(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|own| own == issuer)
    }

    /// Returns whether one of the claimed audiences is accepted.
    pub(super) fn takes_audience(&self, claimed: &[&str]) -> bool {
        match &self.audiences {
            Audiences::Any => true,
            Audiences::OneOf(ids) => claimed
                .iter()
                .any(|claimed| ids.iter().any(|id| id.eq_ignore_ascii_case(strip_spn(claimed)))),
        }
    }
}

/// Strips the `spn:` that some of SuperOffice's tokens put before an application id.
fn strip_spn(audience: &str) -> &str {
    match audience.split_at_checked(4) {
        Some((prefix, id)) if prefix.eq_ignore_ascii_case("spn:") && !id.is_empty() => id,
        _ => audience,
    }
}

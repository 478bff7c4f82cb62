//! The configured conditions on issuer, audience and times.

use std::time::Duration;

/// The tolerated difference between SuperOffice's clock and this machine's, at most 300 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leeway(Duration);

impl Leeway {
    const MAX: Duration = Duration::from_secs(300);

    /// Returns `None` for more than 300 s.
    pub(crate) fn new(leeway: Duration) -> Option<Self> {
        (leeway <= Self::MAX).then_some(Self(leeway))
    }

    fn as_secs(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or_default()
    }
}

/// The audiences of which a token has to name one.
#[derive(Debug, Clone)]
pub(crate) struct Audiences(
    /// Application ids, without `spn:`; `None` for no condition.
    Option<Vec<String>>,
);

impl Audiences {
    /// Makes no condition.
    pub(crate) fn any() -> Self {
        Self(None)
    }

    /// Accepts these application ids, ignoring case and a leading `spn:`; `None` when there is
    /// none, or a blank one, such as `spn:` alone.
    pub(crate) fn one_of(ids: impl IntoIterator<Item = impl AsRef<str>>) -> Option<Self> {
        let ids: Vec<_> = ids.into_iter().map(|id| strip_spn(id.as_ref()).to_owned()).collect();
        let usable = !ids.is_empty() && ids.iter().all(|id| !id.trim().is_empty());
        usable.then_some(Self(Some(ids)))
    }

    fn contains_one_of(&self, claimed: &[&str]) -> bool {
        let Some(ids) = &self.0 else { return true };
        let accepted = |claimed: &str| ids.iter().any(|id| id.eq_ignore_ascii_case(claimed));
        claimed.iter().any(|claimed| accepted(strip_spn(claimed)))
    }
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
    pub(crate) fn new(issuers: Vec<String>, audiences: Audiences, leeway: Leeway) -> Self {
        Self { issuers, audiences, leeway: leeway.as_secs(), login_tokens: false }
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
        self.audiences.contains_one_of(claimed)
    }
}

/// Strips the `spn:` that some of SuperOffice's tokens put before an application id.
fn strip_spn(audience: &str) -> &str {
    match audience.split_at_checked(4) {
        Some((prefix, id)) if prefix.eq_ignore_ascii_case("spn:") => id,
        _ => audience,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audience_is_compared_without_case_and_spn() {
        let audiences = Audiences::one_of(["App", "SPN:Other"]).unwrap();
        for claimed in ["app", "APP", "spn:app", "Spn:APP", "other", "spn:other"] {
            assert!(audiences.contains_one_of(&[claimed]), "{claimed}");
            assert!(audiences.contains_one_of(&["third", claimed]), "{claimed}");
        }
        for claimed in ["", "spn:", "xpn:app", "spn:spn:app", "third", "app ", "ap"] {
            assert!(!audiences.contains_one_of(&[claimed]), "{claimed}");
        }
        assert!(!audiences.contains_one_of(&[]));
        assert!(Audiences::any().contains_one_of(&[]), "there is no condition");
    }

    #[test]
    fn missing_or_blank_audience_is_refused() {
        for ids in [&[][..], &[""], &[" "], &["spn:"], &["app", ""], &["", "app"]] {
            assert!(Audiences::one_of(ids).is_none(), "{ids:?}");
        }
    }

    #[test]
    fn leeway_of_more_than_five_minutes_is_refused() {
        let leeway = |seconds| Leeway::new(Duration::from_secs(seconds));
        assert_eq!(leeway(300).map(Leeway::as_secs), Some(300));
        assert!(leeway(301).is_none());
    }
}

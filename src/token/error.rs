//! The reasons for refusing a token.

use std::{fmt, time::Duration};

use http::HeaderValue;

use crate::tenant_id::TenantId;

/// The reason for which a notification's token was refused.
///
/// The descriptions are a fixed list and repeat nothing that was received, so an answer may contain
/// them. The gate puts them into `WWW-Authenticate` as `error_description`.
///
/// ```
/// use tower_superoffice::token::TokenError;
///
/// assert_eq!(TokenError::Expired.to_string(), "the token has expired");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no token: absent, null or empty.
    Missing,
    /// The token is longer than 8 KiB.
    TooLong,
    /// It is not a compact JWS: three parts of canonical base64url around two JSON objects without
    /// repeated keys, each member of its proper type.
    Malformed,
    /// It is signed with anything but RS256.
    Algorithm,
    /// Its `typ` says that it is something other than a JWT.
    Type,
    /// It requires extensions (`crit`, `b64`), none of which is supported.
    Critical,
    /// The key it names is not among the environment's.
    UnknownKey,
    /// Its signature does not belong to its content and the environment's key.
    Signature,
    /// Its issuer is not one of the gate's environment.
    Issuer,
    /// It is meant for another application.
    Audience,
    /// It has expired, or says nothing about when it does.
    Expired,
    /// It is not valid yet. Compare this machine's clock with SuperOffice's.
    NotYetValid,
    /// It is valid for more than an hour. Notifications' tokens are valid for six minutes, from a
    /// minute before their issue.
    LongLived,
    /// It names no tenant.
    NoTenant,
    /// It speaks for a person: any user of a tenant gets such a token with a login. See
    /// [`login_tokens`](crate::TenantGateBuilder::login_tokens).
    SpeaksForPerson,
}

impl TokenError {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 15] = [
        Self::Missing,
        Self::TooLong,
        Self::Malformed,
        Self::Algorithm,
        Self::Type,
        Self::Critical,
        Self::UnknownKey,
        Self::Signature,
        Self::Issuer,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::LongLived,
        Self::NoTenant,
        Self::SpeaksForPerson,
    ];

    /// Returns the place of the failed check in the order in which tokens are checked.
    pub(super) const fn depth(self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::TooLong => 1,
            Self::Malformed => 2,
            Self::Algorithm => 3,
            Self::Critical => 4,
            Self::Type => 5,
            Self::Issuer => 6,
            Self::Audience => 7,
            Self::Expired => 8,
            Self::NotYetValid => 9,
            Self::LongLived => 10,
            Self::NoTenant => 11,
            Self::UnknownKey => 12,
            Self::Signature => 13,
            Self::SpeaksForPerson => 14,
        }
    }
}

/// Defines a text per reason, and what is made of it while compiling.
macro_rules! descriptions {
    ($($reason:ident => $text:literal,)*) => {
        impl TokenError {
            /// Returns the reason as a sentence of printable ASCII without quotes and backslashes.
            #[must_use]
            pub const fn description(&self) -> &'static str {
                match self { $(Self::$reason => $text,)* }
            }

            /// Returns the challenge of RFC 6750, the value of `WWW-Authenticate`.
            pub(crate) fn challenge(self) -> HeaderValue {
                // Checked while compiling: at run time that would take time for each character.
                match self {
                    $(Self::$reason => const { HeaderValue::from_static(concat!(
                        "Bearer error=\"invalid_token\", error_description=\"", $text, "\"",
                    )) },)*
                }
            }
        }
    };
}

descriptions! {
    Missing => "there is no token",
    TooLong => "the token is longer than 8 KiB",
    Malformed => "the token is malformed",
    Algorithm => "the token is not signed with RS256",
    Type => "the token is not of type JWT",
    Critical => "the token requires extensions that are not supported",
    UnknownKey => "the token names a key that is not known",
    Signature => "the signature of the token is wrong",
    Issuer => "the issuer of the token is not accepted",
    Audience => "the token is meant for another audience",
    Expired => "the token has expired",
    NotYetValid => "the token is not valid yet",
    LongLived => "the token is valid for more than an hour",
    NoTenant => "the token names no tenant",
    SpeaksForPerson => "the token speaks for a person",
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl std::error::Error for TokenError {}

/// The reason for which a token was refused or could not be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VerifyError {
    Token(TokenError),
    /// It speaks for a person and is otherwise genuine, signature included.
    LoginToken {
        tenant: TenantId,
    },
    /// The keys that would decide are not available; the token may be genuine.
    KeysUnavailable {
        retry_after: Duration,
    },
}

impl From<TokenError> for VerifyError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_may_be_quoted_in_a_header() {
        for error in TokenError::ALL {
            // The characters of RFC 6750 section 3 for error_description.
            let allowed = |byte| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
            assert!(!error.description().is_empty());
            assert!(error.description().bytes().all(allowed), "{error}");
        }
    }
}

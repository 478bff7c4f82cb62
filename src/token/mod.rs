//! Notification tokens, and the keys that verify them.
//!
//! [`SigningKeys`] are keys that you give; a gate without any fetches the environment's. A
//! [`TokenError`] says why a token was refused, and a [`KeysReport`] which keys a gate has.

// A token goes through `validate`, which is pure and refuses everything that can be refused without
// cryptography; then its signature is checked with a key of the `KeyRing`, which holds the given
// keys and those fetched from the environment. `choice` finds the one of several verifiers that
// accepts a token.

mod certificate;
mod choice;
mod claims;
mod compact;
mod error;
mod header;
mod key;
mod key_error;
mod key_id;
mod key_set;
mod keys;
mod logged_claims;
mod personal;
mod policy;
mod remote;
mod report;
mod ring;
mod validate;
mod verifier;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod wycheproof;

#[cfg(feature = "test-util")]
pub(crate) use self::validate::verify_with;
pub(crate) use self::{
    choice::{Choice, ChoosingVerification, Verifiers},
    error::VerifyError,
    logged_claims::LoggedClaims,
    policy::{Audiences, Leeway, Policy},
    remote::RemoteKeys,
    validate::Verified,
    verifier::{Verification, Verifier, VerifierConfig},
};
pub use self::{
    error::TokenError,
    key_error::KeyError,
    keys::SigningKeys,
    report::{KeyReport, KeySource, KeysReport},
};

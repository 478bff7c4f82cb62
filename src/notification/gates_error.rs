//! The error of gates that can't share a route.

use std::{error::Error, fmt};

/// The reason why gates can't share a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatesError {
    /// There is no gate.
    NoGate,
    /// Two gates are of the same environment.
    SameEnvironment,
    /// Two gates have a signing key or a key URL in common.
    SharedKey,
    /// Two gates were given different notification paths.
    Path,
    /// Two gates were given different limits of size.
    BodyLimit,
    /// Two gates were given different deadlines.
    BodyDeadline,
}

impl fmt::Display for GatesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoGate => "no gate: give one for each environment",
            Self::SameEnvironment => {
                "two gates are of the same environment: give one for each environment"
            }
            Self::SharedKey => {
                "two gates have a signing key or a key URL in common, so a token could be for \
                 either: give each gate the keys of its own environment"
            }
            Self::Path => {
                "two gates have different paths: call .notification_path(..) for one of them"
            }
            Self::BodyLimit => "two gates have different limits: call .body_limit(..) for one",
            Self::BodyDeadline => {
                "two gates have different deadlines: call .body_deadline(..) for one"
            }
        })
    }
}

impl Error for GatesError {}

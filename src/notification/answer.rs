//! The answers to a notification, and their typed reasons.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderValue, Response, StatusCode, Version, header};

use super::{handler::RETRY_AFTER, message::Notification};
use crate::{
    environment::Environment, http_client::EmptyBody, status::ChangeType, tenant_id::TenantId,
    tenants::Outcome, token::TokenError,
};

/// The reason for which a request to the notification route was not answered with 204.
///
/// The answer carries it in its extensions, for layers further out that log or count:
///
/// ```
/// # use tower_superoffice::notification::Refusal;
/// # let response = http::Response::new(());
/// if let Some(refusal) = response.extensions().get::<Refusal>() {
///     eprintln!("refused with {}: {refusal}", refusal.status());
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a POST: 405.
    Method,
    /// Larger than the [`body_limit`](crate::TenantGateBuilder::body_limit): 413.
    BodyTooLarge,
    /// Not complete by the [`body_deadline`](crate::TenantGateBuilder::body_deadline): 408.
    BodyTooSlow,
    /// The body ended early: 400, though the sender has probably closed the connection.
    BodyBroken,
    /// It has a `Content-Encoding` other than `identity`: 415.
    Encoded,
    /// Not a notification: 400.
    Malformed,
    /// The token was refused: 401.
    Token(TokenError),
    /// No key is available to verify the token: 503, to be sent again after this long.
    NoKeys {
        /// The time until keys may be available.
        retry_after: Duration,
    },
    /// The token belongs to another tenant: 403.
    OtherTenant,
    /// Two gates of a [`TenantGates`](crate::TenantGates) accept its token, so it is unknown which
    /// environment it is about: 503, to be sent again after this long. Both have the tenant pulled.
    Ambiguous {
        /// The time to wait before it is sent again.
        retry_after: Duration,
    },
    /// Applied here, but not stored yet: 503, to be sent again after this long.
    NotStored {
        /// The time until the store may be available.
        retry_after: Duration,
    },
    /// The gate stopped, or shuts down, before the notification was stored: 503, to be sent again
    /// after this long.
    Interrupted {
        /// The time until another instance may be available.
        retry_after: Duration,
    },
}

impl Refusal {
    /// Returns the refusal of a notification whose gate stopped before its end.
    pub(super) fn interrupted() -> Self {
        Self::Interrupted { retry_after: RETRY_AFTER }
    }

    /// Returns the status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyBroken | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::NoKeys { .. }
            | Self::Ambiguous { .. }
            | Self::NotStored { .. }
            | Self::Interrupted { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::OtherTenant => StatusCode::FORBIDDEN,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("not a POST"),
            Self::BodyTooLarge => f.write_str("the body is too large"),
            Self::BodyTooSlow => f.write_str("the body did not arrive in time"),
            Self::BodyBroken => f.write_str("the body ended early"),
            Self::Encoded => f.write_str("the body has a content encoding"),
            Self::Malformed => f.write_str("the body is not a notification"),
            Self::Token(error) => write!(f, "the token was refused: {error}"),
            Self::NoKeys { .. } => f.write_str("no signing key available to verify the token"),
            Self::Ambiguous { .. } => f.write_str(
                "two gates accept the token: give each environment its own keys and audience",
            ),
            Self::OtherTenant => f.write_str("the token belongs to another tenant"),
            Self::NotStored { .. } => {
                f.write_str("the store could not be written in time; the change is applied here")
            }
            Self::Interrupted { .. } => {
                f.write_str("the gate stopped before the notification was stored")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// An accepted notification; in the extensions of its 204.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub(super) environment: Arc<Environment>,
    pub(super) notification: Notification,
    pub(super) outcome: Outcome,
}

impl Accepted {
    /// Returns the environment of the gate that accepted it.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        self.notification.tenant()
    }

    /// Returns the announced change.
    #[must_use]
    pub fn change(&self) -> ChangeType {
        self.notification.change()
    }

    /// Returns the name of the tenant's version; `None` when the notification has none.
    #[must_use]
    pub fn version_name(&self) -> Option<&str> {
        self.notification.version_name()
    }

    /// Returns the version of the tenant's files; `None` when the notification has none.
    #[must_use]
    pub fn file_version(&self) -> Option<&str> {
        self.notification.file_version()
    }

    /// Returns the whole notification.
    #[must_use]
    pub fn notification(&self) -> &Notification {
        &self.notification
    }

    /// Returns the effect on the tenant's record.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// Makes the response, with an empty body.
pub(super) fn into_response(
    result: Result<Accepted, Refusal>,
    version: Version,
) -> Response<EmptyBody> {
    let mut response = Response::new(EmptyBody::default());
    match result {
        Ok(accepted) => {
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.extensions_mut().insert(accepted);
        }
        Err(refusal) => {
            *response.status_mut() = refusal.status();
            insert_headers(refusal, version, response.headers_mut());
            response.extensions_mut().insert(refusal);
        }
    }
    response
}

fn insert_headers(refusal: Refusal, version: Version, headers: &mut http::HeaderMap) {
    match refusal {
        Refusal::Method => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        // The rest of the body is not read, so the connection can't carry another request. HTTP/2
        // has no such header: there only the stream is reset.
        Refusal::BodyTooLarge | Refusal::BodyTooSlow if version <= Version::HTTP_11 => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Refusal::Encoded => {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        Refusal::Token(error) => {
            headers.insert(header::WWW_AUTHENTICATE, error.challenge());
        }
        Refusal::NoKeys { retry_after }
        | Refusal::Ambiguous { retry_after }
        | Refusal::NotStored { retry_after }
        | Refusal::Interrupted { retry_after } => {
            let seconds = retry_after.as_millis().div_ceil(1000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_A_MINUTE: Duration = Duration::from_millis(29_001);

    fn refused(refusal: Refusal, version: Version) -> (u16, Vec<(String, String)>) {
        let response = into_response(Err(refusal), version);
        assert_eq!(response.extensions().get::<Refusal>(), Some(&refusal));
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers =
            response.headers().iter().map(|(name, value)| (name.to_string(), text(value)));
        (response.status().as_u16(), headers.collect())
    }

    #[test]
    fn each_refusal_has_its_status_and_headers() {
        let token = format!(
            "Bearer error=\"invalid_token\", error_description=\"{}\"",
            TokenError::Expired.description()
        );
        for (refusal, status, header) in [
            (Refusal::Method, 405, Some(("allow", "POST"))),
            (Refusal::BodyTooLarge, 413, Some(("connection", "close"))),
            (Refusal::BodyTooSlow, 408, Some(("connection", "close"))),
            (Refusal::BodyBroken, 400, None),
            (Refusal::Encoded, 415, Some(("accept-encoding", "identity"))),
            (Refusal::Malformed, 400, None),
            (Refusal::Token(TokenError::Expired), 401, Some(("www-authenticate", &*token))),
            (Refusal::NoKeys { retry_after: HALF_A_MINUTE }, 503, Some(("retry-after", "30"))),
            (Refusal::Ambiguous { retry_after: HALF_A_MINUTE }, 503, Some(("retry-after", "30"))),
            (Refusal::NotStored { retry_after: Duration::ZERO }, 503, Some(("retry-after", "1"))),
            (Refusal::Interrupted { retry_after: HALF_A_MINUTE }, 503, Some(("retry-after", "30"))),
            (Refusal::OtherTenant, 403, None),
        ] {
            let headers = header.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(
                refused(refusal, Version::HTTP_11),
                (status, headers.into_iter().collect()),
                "{refusal}"
            );
        }
    }

    #[test]
    fn http_2_closes_no_connection() {
        assert_eq!(refused(Refusal::BodyTooLarge, Version::HTTP_2), (413, vec![]));
        assert_eq!(refused(Refusal::BodyTooSlow, Version::HTTP_2), (408, vec![]));
        assert_eq!(refused(Refusal::BodyTooSlow, Version::HTTP_10).1.len(), 1);
    }

    #[test]
    fn accepted_notification_is_204_with_its_extension() {
        let body =
            br#"{"ChangeType":2,"ContextIdentifier":"Cust1","VersionName":"v","FileVersion":"8"}"#;
        let notification = Notification::parse_unverified(body).unwrap();
        let (environment, outcome) = (Arc::new(Environment::Stage), Outcome::Recorded);
        let accepted = Accepted { environment, notification: notification.clone(), outcome };
        let response = into_response(Ok(accepted), Version::HTTP_11);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert!(response.headers().is_empty());
        let accepted = response.extensions().get::<Accepted>().unwrap();
        assert_eq!((accepted.tenant().as_str(), accepted.change()), ("Cust1", ChangeType::Suspend));
        assert_eq!((accepted.version_name(), accepted.file_version()), (Some("v"), Some("8")));
        assert_eq!(accepted.notification(), &notification);
        assert_eq!((accepted.environment(), accepted.outcome()), (&Environment::Stage, outcome));
    }
}

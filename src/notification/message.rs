//! A notification as its body has it.

use std::fmt;

use smol_str::SmolStr;

use super::payload::Payload;
use crate::{status::ChangeType, tenant_id::TenantId};

/// The content of a notification, without its token.
///
/// [`Accepted::notification`](super::Accepted::notification) returns a verified one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub(super) change: ChangeType,
    pub(super) tenant: TenantId,
    /// Empty when it is absent.
    pub(super) version_name: SmolStr,
    /// Empty when it is absent.
    pub(super) file_version: SmolStr,
    pub(super) public_endpoint: Option<SmolStr>,
}

impl Notification {
    /// Parses the body of a notification without verifying it.
    ///
    /// **It proves nothing.** Any client can write such a body, and its token is not read. Use it
    /// to show or to sort messages, and pass the same bytes to
    /// [`TenantGate::receive`](crate::TenantGate::receive) for everything that has an effect.
    ///
    /// The spelling is parsed as liberally as by the notification route: a byte order mark is
    /// skipped, keys and names are compared ignoring ASCII case, `ChangeType` is a number, its
    /// digits or a documented name, unknown keys are ignored, and an informative field of another
    /// type than string counts as absent. The size is not limited.
    ///
    /// ```
    /// use tower_superoffice::{ChangeType, notification::Notification};
    ///
    /// let body = br#"{"ChangeType": "suspend", "ContextIdentifier": "Cust12345"}"#;
    /// let notification = Notification::parse_unverified(body)?;
    /// assert_eq!(notification.change(), ChangeType::Suspend);
    /// assert_eq!(notification.tenant().as_str(), "Cust12345");
    /// assert_eq!(notification.file_version(), None);
    /// # Ok::<_, tower_superoffice::notification::ParseNotificationError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `body` is not one JSON object with a change type and a tenant id, or repeats a key.
    pub fn parse_unverified(body: &[u8]) -> Result<Self, ParseNotificationError> {
        let payload = Payload::parse(body).ok_or(ParseNotificationError(()))?;
        Ok(payload.notification)
    }

    /// Returns the announced change.
    #[must_use]
    pub fn change(&self) -> ChangeType {
        self.change
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the name of the tenant's version, such as `Release 8.4 R08`, cut to 128 bytes;
    /// `None` when the notification has none.
    #[must_use]
    pub fn version_name(&self) -> Option<&str> {
        non_empty(&self.version_name)
    }

    /// Returns the version of the tenant's files, such as `8.4.12.1234`, cut to 128 bytes; `None`
    /// when the notification has none.
    #[must_use]
    pub fn file_version(&self) -> Option<&str> {
        non_empty(&self.file_version)
    }

    /// Returns the host that a Move announces, such as `sod3.superoffice.com`.
    ///
    /// Neither this field nor the change type is signed, so a gate does not send calls there before
    /// the state API has confirmed it. While the state API is off, it sends them there if that is a
    /// tenant host of its environment.
    #[must_use]
    pub fn public_endpoint(&self) -> Option<&str> {
        self.public_endpoint.as_deref()
    }
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The error for a body that is not a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseNotificationError(());

impl fmt::Display for ParseNotificationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no notification: pass the whole body, a JSON object with ChangeType and \
             ContextIdentifier",
        )
    }
}

impl std::error::Error for ParseNotificationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unverified_body_is_parsed_without_a_token() {
        let body = br#"{"ChangeType":5,"ContextIdentifier":"Cust1","VersionName":"v",
            "FileVersion":"f","PublicEndpoint":"sod3.superoffice.com"}"#;
        let parsed = Notification::parse_unverified(body).unwrap();
        assert_eq!((parsed.change(), parsed.tenant().as_str()), (ChangeType::Move, "Cust1"));
        assert_eq!((parsed.version_name(), parsed.file_version()), (Some("v"), Some("f")));
        assert_eq!(parsed.public_endpoint(), Some("sod3.superoffice.com"));
    }

    #[test]
    fn absent_texts_are_none() {
        for body in [
            r#"{"ChangeType":0,"ContextIdentifier":"Cust1"}"#,
            r#"{"ChangeType":0,"ContextIdentifier":"Cust1","VersionName":"","FileVersion":null}"#,
        ] {
            let parsed = Notification::parse_unverified(body.as_bytes()).unwrap();
            assert_eq!((parsed.version_name(), parsed.file_version()), (None, None), "{body}");
            assert_eq!(parsed.public_endpoint(), None, "{body}");
        }
    }

    #[test]
    fn other_bodies_are_errors_that_repeat_nothing() {
        for body in ["", "[]", "{}", r#"{"ChangeType":0,"ContextIdentifier":"no tenant"}"#] {
            let error = Notification::parse_unverified(body.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("no notification: "), "{body}");
        }
    }
}

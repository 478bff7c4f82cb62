//! The body of a notification.
//!
//! SuperOffice's documented receiver is ASP.NET, which takes keys in any case and names as well as
//! numbers. A change of the sender's serialiser that breaks no such receiver must not break this
//! one either, so the spelling is taken liberally where it leaves no doubt about the meaning.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::{answer::Refusal, message::Notification};
use crate::{
    json::{self, Value},
    status::ChangeType,
    tenant_id::TenantId,
    token::TokenError,
};

/// The parsed body of a notification. Its token is the only part that is signed.
pub(super) struct Payload<'b> {
    pub(super) notification: Notification,
    /// `None` when it is absent, null, or not a string.
    token: Option<Cow<'b, str>>,
}

/// The most that is kept of a version text, in bytes.
const MAX_TEXT: usize = 128;

/// The longest host name, in bytes.
const MAX_HOST: usize = 253;

impl<'b> Payload<'b> {
    /// Parses `body`; `None` when it is not a notification.
    ///
    /// A byte order mark is skipped, and keys are compared ignoring ASCII case. Unknown keys are
    /// ignored: SuperOffice adds some without notice. Of the informative fields, one of another
    /// type than string counts as absent.
    pub(super) fn parse(body: &'b [u8]) -> Option<Self> {
        let members = json::object_ignoring_case(json::strip_bom(body))?;
        let [mut change, mut tenant, mut version_name, mut file_version, mut endpoint, mut token] =
            [const { None }; 6];
        for (key, value) in members {
            let field = match &*key {
                key if key.eq_ignore_ascii_case("ChangeType") => &mut change,
                key if key.eq_ignore_ascii_case("ContextIdentifier") => &mut tenant,
                key if key.eq_ignore_ascii_case("VersionName") => &mut version_name,
                key if key.eq_ignore_ascii_case("FileVersion") => &mut file_version,
                key if key.eq_ignore_ascii_case("PublicEndpoint") => &mut endpoint,
                key if key.eq_ignore_ascii_case("Token") => &mut token,
                _ => continue,
            };
            *field = Some(value);
        }
        let notification = Notification {
            change: parse_change(&change?)?,
            tenant: TenantId::new(tenant?.as_str()?).ok()?,
            version_name: truncate(&into_text(version_name).unwrap_or_default(), MAX_TEXT),
            file_version: truncate(&into_text(file_version).unwrap_or_default(), MAX_TEXT),
            public_endpoint: into_text(endpoint)
                .filter(|host| !host.is_empty() && host.len() <= MAX_HOST)
                .map(SmolStr::from),
        };
        Some(Self { notification, token: into_text(token) })
    }

    /// Parses `body` into a notification and the token that has to prove it.
    pub(super) fn with_token(body: &'b [u8]) -> Result<(Notification, Cow<'b, str>), Refusal> {
        let Self { notification, token } = Self::parse(body).ok_or(Refusal::Malformed)?;
        let token = token.filter(|token| !token.is_empty());
        let token = token.ok_or(Refusal::Token(TokenError::Missing))?;
        Ok((notification, token))
    }
}

/// Parses a change type: an integer of 32 bits, its digits as a string, or a documented name.
fn parse_change(value: &Value<'_>) -> Option<ChangeType> {
    match value {
        Value::Number(_) => Some(u32::try_from(value.as_u64()?).ok()?.into()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Returns the string of a field; `None` when it is absent or of another type.
fn into_text(field: Option<Value<'_>>) -> Option<Cow<'_, str>> {
    match field {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Returns the longest start of `text` that has at most `max` bytes.
fn truncate(text: &str, max: usize) -> SmolStr {
    SmolStr::new(text.get(..text.floor_char_boundary(max)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Notification> {
        Payload::parse(text.as_bytes()).map(|payload| payload.notification)
    }

    fn token(text: &str) -> Option<String> {
        Payload::parse(text.as_bytes()).unwrap().token.map(Cow::into_owned)
    }

    #[test]
    fn documented_body_is_parsed() {
        let body = r#"{"ChangeType":5,"ContextIdentifier":"Cust1","VersionName":"Release 8.4 R08",
            "FileVersion":"8.4.12.1234","Token":"a.b.c","PublicEndpoint":"sod3.superoffice.com",
            "Novelty":[{}],"Zone":1}"#;
        let payload = parse(body).unwrap();
        assert_eq!(payload.change, ChangeType::Move);
        assert_eq!(payload.tenant.as_str(), "Cust1");
        assert_eq!(payload.version_name, "Release 8.4 R08");
        assert_eq!(payload.file_version, "8.4.12.1234");
        assert_eq!(payload.public_endpoint.as_deref(), Some("sod3.superoffice.com"));
        assert_eq!(token(body).as_deref(), Some("a.b.c"));
    }

    #[test]
    fn token_is_a_string_that_is_not_empty() {
        let checked = |member: &str| {
            let body = format!(r#"{{"ChangeType":0,"ContextIdentifier":"Cust1"{member}}}"#);
            Payload::with_token(body.as_bytes()).map(|(_, token)| token.into_owned())
        };
        assert_eq!(checked(r#","Token":"a.b.c""#).unwrap(), "a.b.c");
        for member in
            ["", r#","Token":null"#, r#","Token":"""#, r#","Token":1"#, r#","Token":["a.b.c"]"#]
        {
            let refusal = checked(member).unwrap_err();
            assert!(matches!(refusal, Refusal::Token(TokenError::Missing)), "{member}");
        }
        assert!(matches!(Payload::with_token(b"{}").err(), Some(Refusal::Malformed)));
    }

    #[test]
    fn change_types_are_integers_digits_or_names() {
        for (text, change) in [
            ("0", Some(ChangeType::Upgrade)),
            ("4294967295", Some(ChangeType::Other(u32::MAX))),
            ("\"1\"", Some(ChangeType::BackupRestored)),
            ("\"4294967295\"", Some(ChangeType::Other(u32::MAX))),
            ("\"Move\"", Some(ChangeType::Move)),
            ("\"rEsUmE\"", Some(ChangeType::Resume)),
            ("4294967296", None),
            ("\"4294967296\"", None),
            ("-1", None),
            ("\"-1\"", None),
            ("1.0", None),
            ("1e0", None),
            ("\"\"", None),
            ("\"Other\"", None),
            ("null", None),
            ("true", None),
            ("[1]", None),
        ] {
            let body = format!(r#"{{"ChangeType":{text},"ContextIdentifier":"Cust1"}}"#);
            assert_eq!(parse(&body).map(|payload| payload.change), change, "{text}");
        }
    }

    #[test]
    fn keys_are_compared_ignoring_case() {
        let body = r#"{"changeType":5,"CONTEXTIDENTIFIER":"Cust1","versionname":"v",
            "fileVersion":"f","tOKEN":"t","publicEndpoint":"h"}"#;
        let payload = parse(body).unwrap();
        assert_eq!((payload.change, payload.tenant.as_str()), (ChangeType::Move, "Cust1"));
        assert_eq!((&*payload.version_name, &*payload.file_version), ("v", "f"));
        assert_eq!(payload.public_endpoint.as_deref(), Some("h"));
        assert_eq!(token(body).as_deref(), Some("t"));
    }

    #[test]
    fn informative_field_of_another_type_counts_as_absent() {
        for value in ["null", "\"\"", "1", "{}", "[\"x\"]", "false"] {
            let body = format!(
                r#"{{"ChangeType":0,"ContextIdentifier":"Cust1","VersionName":{value},
                    "FileVersion":{value},"PublicEndpoint":{value}}}"#
            );
            let payload = parse(&body).unwrap();
            assert_eq!((&*payload.version_name, &*payload.file_version), ("", ""), "{value}");
            assert_eq!(payload.public_endpoint, None, "{value}");
        }
    }

    #[test]
    fn one_byte_order_mark_is_skipped() {
        let body = r#"{"ChangeType":0,"ContextIdentifier":"Cust1"}"#;
        assert!(parse(&format!("\u{feff}{body}")).is_some());
        assert!(parse(&format!("\u{feff}\u{feff}{body}")).is_none());
        assert!(parse(&format!(" \u{feff}{body}")).is_none());
    }

    #[test]
    fn token_of_another_type_is_absent() {
        for value in ["null", "1", "{}", "[\"a.b.c\"]"] {
            let body = format!(r#"{{"ChangeType":0,"ContextIdentifier":"Cust1","Token":{value}}}"#);
            assert_eq!(token(&body), None);
        }
    }

    #[test]
    fn long_texts_are_truncated_between_characters() {
        let long = "\u{e9}".repeat(500);
        let body =
            format!(r#"{{"ChangeType":0,"ContextIdentifier":"Cust1","VersionName":"x{long}"}}"#);
        assert_eq!(parse(&body).unwrap().version_name.len(), 127);
    }

    #[test]
    fn endpoint_of_impossible_length_is_absent() {
        for (length, kept) in [(0, false), (1, true), (MAX_HOST, true), (MAX_HOST + 1, false)] {
            let host = "h".repeat(length);
            let body = format!(
                r#"{{"ChangeType":5,"ContextIdentifier":"Cust1","PublicEndpoint":"{host}"}}"#
            );
            assert_eq!(parse(&body).unwrap().public_endpoint.is_some(), kept, "{length}");
        }
    }

    #[test]
    fn ordinary_webhook_is_no_notification() {
        assert!(
            parse(r#"{"EventId":"1","Event":"contact.changed","ContextIdentifier":"Cust1"}"#)
                .is_none()
        );
    }
}

//! The body of a notification.

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::answer::Refusal;
use crate::{json, status::ChangeType, tenant_id::TenantId, token::TokenError};

/// The parsed body of a notification. Its token is the only part that is signed.
pub(crate) struct Payload {
    pub(crate) change: ChangeType,
    pub(crate) tenant: TenantId,
    pub(crate) version_name: SmolStr,
    pub(crate) file_version: SmolStr,
    pub(crate) endpoint: Option<SmolStr>,
    /// `None` when it is absent, null, or not a string.
    pub(crate) token: Option<String>,
}

/// The most that is kept of a version text, in bytes.
const MAX_TEXT: usize = 128;

/// The longest host name, in bytes.
const MAX_HOST: usize = 253;

impl Payload {
    /// Parses `body`; `None` when it is not a notification.
    ///
    /// Unknown keys are ignored: SuperOffice adds some without notice.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut map = json::object(body)?;
        let number = map.get("ChangeType").and_then(Value::as_u64)?;
        let tenant = map.get("ContextIdentifier").and_then(Value::as_str)?;
        Some(Self {
            change: ChangeType::from(u32::try_from(number).ok()?),
            tenant: TenantId::new(tenant).ok()?,
            version_name: truncate(&take_text(&mut map, "VersionName")?, MAX_TEXT),
            file_version: truncate(&take_text(&mut map, "FileVersion")?, MAX_TEXT),
            endpoint: Some(take_text(&mut map, "PublicEndpoint")?)
                .filter(|host| !host.is_empty() && host.len() <= MAX_HOST)
                .map(SmolStr::from),
            token: match map.remove("Token") {
                Some(Value::String(token)) => Some(token),
                _ => None,
            },
        })
    }

    /// Parses `body` and splits off the token that has to prove it.
    pub(super) fn with_token(body: &[u8]) -> Result<(Self, String), Refusal> {
        let mut payload = Self::parse(body).ok_or(Refusal::Malformed)?;
        let token = payload.token.take().filter(|token| !token.is_empty());
        let token = token.ok_or(Refusal::Token(TokenError::Missing))?;
        Ok((payload, token))
    }
}

/// Removes a field that is a string, null or absent; `None` when it is anything else.
fn take_text(map: &mut Map<String, Value>, key: &str) -> Option<String> {
    match map.remove(key) {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text),
        Some(_) => None,
    }
}

/// Returns the longest start of `text` that has at most `max` bytes.
fn truncate(text: &str, max: usize) -> SmolStr {
    SmolStr::new(text.get(..text.floor_char_boundary(max)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Payload> {
        Payload::parse(text.as_bytes())
    }

    #[test]
    fn reads_what_superoffice_sends() {
        let payload = parse(
            r#"{"ChangeType":5,"ContextIdentifier":"Cust1","VersionName":"Release 8.4 R08","FileVersion":"8.4.12.1234",
                "Token":"a.b.c","PublicEndpoint":"sod3.superoffice.com","Novelty":[{}]}"#,
        )
        .unwrap();
        assert_eq!(payload.change, ChangeType::Move);
        assert_eq!(payload.tenant.as_str(), "Cust1");
        assert_eq!(payload.version_name, "Release 8.4 R08");
        assert_eq!(payload.file_version, "8.4.12.1234");
        assert_eq!(payload.endpoint.as_deref(), Some("sod3.superoffice.com"));
        assert_eq!(payload.token.as_deref(), Some("a.b.c"));
    }

    #[test]
    fn change_types_are_integers_of_32_bits() {
        for (number, ok) in [
            ("0", true),
            ("4294967295", true),
            ("4294967296", false),
            ("-1", false),
            ("1.0", false),
            ("1e0", false),
            ("\"1\"", false),
            ("null", false),
            ("true", false),
            ("[1]", false),
        ] {
            let body = format!(r#"{{"ChangeType":{number},"ContextIdentifier":"Cust1"}}"#);
            assert_eq!(parse(&body).is_some(), ok, "{number}");
        }
    }

    #[test]
    fn texts_may_be_absent_or_null_and_nothing_else() {
        for field in ["VersionName", "FileVersion", "PublicEndpoint"] {
            for (value, ok) in [
                ("null", true),
                ("\"\"", true),
                ("1", false),
                ("{}", false),
                ("[]", false),
                ("false", false),
            ] {
                let body =
                    format!(r#"{{"ChangeType":0,"ContextIdentifier":"Cust1","{field}":{value}}}"#);
                assert_eq!(parse(&body).is_some(), ok, "{field} {value}");
            }
        }
    }

    #[test]
    fn a_token_that_is_no_text_is_none() {
        for value in ["null", "1", "{}", "[\"a.b.c\"]"] {
            let body = format!(r#"{{"ChangeType":0,"ContextIdentifier":"Cust1","Token":{value}}}"#);
            assert_eq!(parse(&body).unwrap().token, None);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "\u{e9}".repeat(500);
        let body =
            format!(r#"{{"ChangeType":0,"ContextIdentifier":"Cust1","VersionName":"x{long}"}}"#);
        assert_eq!(parse(&body).unwrap().version_name.len(), 127);
    }

    #[test]
    fn an_endpoint_that_can_be_none_is_left_out() {
        for (length, kept) in [(0, false), (1, true), (MAX_HOST, true), (MAX_HOST + 1, false)] {
            let host = "h".repeat(length);
            let body = format!(
                r#"{{"ChangeType":5,"ContextIdentifier":"Cust1","PublicEndpoint":"{host}"}}"#
            );
            assert_eq!(parse(&body).unwrap().endpoint.is_some(), kept, "{length}");
        }
    }

    #[test]
    fn an_ordinary_webhook_is_no_notification() {
        assert!(
            parse(r#"{"EventId":"1","Event":"contact.changed","ContextIdentifier":"Cust1"}"#)
                .is_none()
        );
    }
}

//! The body of an order.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

use super::failure::Failure;

/// The largest body, in bytes. A note of the greatest length takes a tenth of it.
const MAX_BODY: usize = 16 * 1024;

/// Time for the body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest note, in characters. The gate would cut a longer one.
const MAX_NOTE: usize = 200;

/// Why an override is set, and when it ends.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) note: String,
    pub(super) until: Option<SystemTime>,
}

/// The members of the body. An unknown one is refused: with a misspelt `until` an override would
/// last for good.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Order)]
pub(crate) struct Members {
    /// Why, for those who read the list of tenants.
    #[schema(max_length = 200)]
    note: Option<String>,
    /// When an open or a close ends; in the future.
    #[schema(format = DateTime)]
    until: Option<String>,
}

impl Terms {
    /// Reads the body of an order, which may be empty.
    pub(super) async fn read(body: Body) -> Result<Self, Failure> {
        let body = read_body(body).await?;
        Self::parse(&body, SystemTime::now()).map_err(Failure::bad_request)
    }

    fn parse(body: &[u8], now: SystemTime) -> Result<Self, String> {
        let members = if body.trim_ascii().is_empty() {
            Members::default()
        } else if !body.trim_ascii_start().starts_with(b"{") {
            // serde would take an array for the members in their order.
            return Err("The body is no order: it is no JSON object.".to_owned());
        } else {
            serde_json::from_slice(body)
                .map_err(|error| format!("The body is no order: {error}."))?
        };
        let note = members.note.unwrap_or_default();
        if note.chars().count() > MAX_NOTE {
            return Err(format!("A note has at most {MAX_NOTE} characters."));
        }
        let until = members.until.map(|until| parse_end(&until, now)).transpose()?;
        Ok(Self { note, until })
    }
}

fn parse_end(until: &str, now: SystemTime) -> Result<SystemTime, &'static str> {
    let until = OffsetDateTime::parse(until, &Rfc3339)
        .map_err(|_| "until is a time such as 2026-02-23T09:52:00Z.")?;
    // Before it is converted: Windows has no `SystemTime` before 1601.
    if until <= OffsetDateTime::from(now) { Err("until has passed.") } else { Ok(until.into()) }
}

async fn read_body(body: Body) -> Result<Bytes, Failure> {
    let body = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if is_too_long(&*error) => Err(Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The body of an order has at most 16 KiB.",
        )),
        Ok(Err(_)) => Err(Failure::bad_request("The body broke off.")),
        Err(_) => {
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time."))
        }
    }
}

fn is_too_long(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error.is::<LengthLimitError>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_771_840_320);

    fn parse(body: &str) -> Result<Terms, String> {
        Terms::parse(body.as_bytes(), SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn body_has_a_note_an_end_both_or_nothing() {
        for body in ["", " \n", "{}", r#"{"note":null,"until":null}"#] {
            let terms = parse(body).unwrap();
            assert_eq!((&*terms.note, terms.until), ("", None), "{body}");
        }
        let terms = parse(r#"{"note":"why","until":"2026-02-23T10:52:01+01:00"}"#).unwrap();
        let end = SystemTime::UNIX_EPOCH + NOW + Duration::from_secs(1);
        assert_eq!((&*terms.note, terms.until), ("why", Some(end)));
        let longest = "ü".repeat(MAX_NOTE);
        assert_eq!(parse(&format!(r#"{{"note":"{longest}"}}"#)).unwrap().note, longest);
    }

    #[test]
    fn body_that_can_not_be_meant_is_refused() {
        let long = format!(r#"{{"note":"{}"}}"#, "a".repeat(MAX_NOTE + 1));
        for (body, said) in [
            ("no", "no order"),
            ("[]", "no order"),
            ("[null, null]", "no order"),
            (r#" ["note"]"#, "no order"),
            (r#"{"untill":"2027-01-01T00:00:00Z"}"#, "untill"),
            (r#"{"note":1}"#, "no order"),
            (r#"{"until":"tomorrow"}"#, "a time such as"),
            (r#"{"until":"2027-01-01T00:00:00"}"#, "a time such as"),
            (r#"{"until":"2026-02-23T09:52:00Z"}"#, "has passed"),
            (r#"{"until":"1066-10-14T09:00:00Z"}"#, "has passed"),
            (&long, "200 characters"),
        ] {
            let refusal = parse(body).unwrap_err();
            assert!(refusal.contains(said), "{body}: {refusal}");
        }
    }
}

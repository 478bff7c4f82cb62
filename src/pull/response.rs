//! Parses the answers of the state API.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, header};
use serde_json::Map;
use smol_str::{SmolStr, format_smolstr};

use crate::{
    clock,
    environment::{Environment, Origin},
    json::{self, Object, Value},
    rfc3339,
    status::{State, pulled::PullDetails, stamp::PullAnswer},
    tenant_id::TenantId,
};

/// A valid answer of the state API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateResponse {
    /// `None` for `Unknown` and for states not known here: nothing follows from them.
    pub(crate) state: Option<State>,
    /// The origin that serves the tenant; `None` when it is not named, or is no place to send calls
    /// to.
    pub(crate) endpoint: Option<Origin>,
    /// Time for which the answer is valid, by the clock that wrote it: its `ValidUntil` minus its
    /// `Date`.
    pub(crate) valid_for: Option<Duration>,
    pub(crate) version: Option<SmolStr>,
}

/// The reason why an answer is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidResponse {
    /// Not 200. It never means that the tenant is down.
    Status(StatusCode),
    NotJson,
    /// Not one JSON object, or one with a key twice.
    Malformed,
    /// It is about another tenant.
    OtherTenant,
    NoState,
    /// `IsRunning` is no boolean, or contradicts `State`.
    Contradiction,
}

impl fmt::Display for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "its status is {}", status.as_u16()),
            Self::NotJson => f.write_str("its Content-Type is not JSON"),
            Self::Malformed => f.write_str("it is not one JSON object with distinct keys"),
            Self::OtherTenant => f.write_str("it is about another tenant"),
            Self::NoState => f.write_str("its State is neither a name nor a number"),
            Self::Contradiction => f.write_str("its IsRunning contradicts its State"),
        }
    }
}

impl StateResponse {
    /// Parses the answer to a request about `tenant`. `now` is the wall time of this machine, in ms
    /// since the epoch, for an answer without a `Date`.
    ///
    /// It is accepted as a whole or not at all: half of an invalid answer can't be trusted either.
    pub(crate) fn parse(
        tenant: &TenantId,
        environment: &Environment,
        (status, headers, body): (StatusCode, &HeaderMap, &[u8]),
        now: u64,
    ) -> Result<Self, InvalidResponse> {
        if status != StatusCode::OK {
            return Err(InvalidResponse::Status(status));
        }
        if !is_json(headers) {
            return Err(InvalidResponse::NotJson);
        }
        // .NET may write a byte order mark.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let fields = json::object(body).ok_or(InvalidResponse::Malformed)?;
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let about = text("ContextIdentifier").and_then(|id| TenantId::new(id).ok());
        if about.as_ref() != Some(tenant) {
            return Err(InvalidResponse::OtherTenant);
        }
        let origin = |key: &str| text(key).and_then(|url| Origin::from_url(url, environment));
        let valid_until = text("ValidUntil").and_then(rfc3339::parse);
        Ok(Self {
            state: parse_state(&fields)?,
            endpoint: origin("Endpoint").or_else(|| origin("Api")),
            valid_for: valid_until.map(|until| {
                Duration::from_millis(until.saturating_sub(sent_at(headers).unwrap_or(now)))
            }),
            version: text("Version").filter(|text| !text.is_empty()).map(cut_version),
        })
    }

    /// Returns what the answer says of its tenant, if anything. `taken_at` is the wall time, in ms
    /// since the epoch.
    pub(crate) fn answer(&self, taken_at: u64) -> Option<PullAnswer> {
        let endpoint = self.endpoint.as_ref().map(|origin| format_smolstr!("{origin}"));
        let details = PullDetails { endpoint, version: self.version.clone(), extra: Map::new() };
        let (state, details) = (self.state?, Arc::new(details));
        Some(PullAnswer { state, details, fresh: self.valid_for, taken_at })
    }
}

/// Returns when an answer was sent, in ms since the epoch.
fn sent_at(headers: &HeaderMap) -> Option<u64> {
    u64::try_from(clock::date(headers)?).ok()?.checked_mul(1000)
}

/// Cuts a version to the length that a record keeps of it.
fn cut_version(text: &str) -> SmolStr {
    const LONGEST: usize = 100;
    text.chars().take(LONGEST).collect()
}

/// Returns the state, if `IsRunning` agrees with it.
fn parse_state(fields: &Object<'_>) -> Result<Option<State>, InvalidResponse> {
    let state = match fields.get("State") {
        Some(Value::String(name)) => State::from_name(name),
        Some(number @ Value::Number(_)) => {
            State::from_number(number.as_u64().ok_or(InvalidResponse::NoState)?)
        }
        _ => return Err(InvalidResponse::NoState),
    };
    let running = fields.get("IsRunning").and_then(Value::as_bool);
    let running = running.ok_or(InvalidResponse::Contradiction)?;
    if state.is_some_and(|state| state.is_running() != running) {
        return Err(InvalidResponse::Contradiction);
    }
    Ok(state)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(content_type)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str())
    else {
        return false;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.eq_ignore_ascii_case("text/json")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const DOCUMENTED: &str = r#"{ "ContextIdentifier": "Cust12345",
        "Endpoint": "https://online2.superoffice.com/Cust12345", "State": "Running", "IsRunning": true,
        "ValidUntil": "2026-02-23T09:52:01.9342965Z",
        "Api": "https://online2.superoffice.com/Cust12345/api", "Version": "Release_11.10" }"#;

    /// 23 February 2026, 09:50:01 UTC, in ms since the epoch.
    const NOW: u64 = 1_771_840_201_000;

    fn headers(content_type: &'static str) -> HeaderMap {
        let value = HeaderValue::from_static(content_type);
        [(header::CONTENT_TYPE, value)].into_iter().collect()
    }

    fn parse_whole(
        status: StatusCode,
        headers: &HeaderMap,
        body: &str,
    ) -> Result<StateResponse, InvalidResponse> {
        let tenant = TenantId::new("cust12345").unwrap();
        let answer = (status, headers, body.as_bytes());
        StateResponse::parse(&tenant, &Environment::Production, answer, NOW)
    }

    fn parse(body: &str) -> Result<StateResponse, InvalidResponse> {
        parse_whole(StatusCode::OK, &headers("application/json; charset=utf-8"), body)
    }

    #[test]
    fn documented_answer_is_parsed() {
        let answer = parse(DOCUMENTED).unwrap();
        assert_eq!(answer.state, Some(State::Running));
        assert_eq!(answer.endpoint.unwrap().to_string(), "https://online2.superoffice.com");
        assert_eq!(answer.valid_for, Some(Duration::from_millis(120_934)));
        assert_eq!(answer.version.as_deref(), Some("Release_11.10"));
    }

    #[test]
    fn answer_tells_of_a_tenant_whose_state_it_names() {
        let answer = parse(DOCUMENTED).unwrap().answer(NOW).unwrap();
        assert_eq!((answer.state, answer.taken_at), (State::Running, NOW));
        assert_eq!(answer.fresh, Some(Duration::from_millis(120_934)));
        assert_eq!(answer.details.endpoint.as_deref(), Some("https://online2.superoffice.com"));
        assert_eq!(answer.details.version.as_deref(), Some("Release_11.10"));
        let unknown =
            DOCUMENTED.replace(r#""Running", "IsRunning": true"#, r#"0, "IsRunning": false"#);
        let unknown = parse(&unknown).unwrap();
        assert_eq!(unknown.state, None);
        assert!(unknown.answer(NOW).is_none());
    }

    #[test]
    fn validity_is_measured_by_the_clock_that_wrote_it() {
        let mut headers = headers("application/json");
        // The sender's clock is two hours ahead of this machine's, or this one two hours behind.
        let date = HeaderValue::from_static("Mon, 23 Feb 2026 09:42:01 GMT");
        headers.insert(header::DATE, date);
        let answer = parse_whole(StatusCode::OK, &headers, DOCUMENTED).unwrap();
        assert_eq!(answer.valid_for, Some(Duration::from_millis(600_934)));
        let date = HeaderValue::from_static("Mon, 23 Feb 2026 11:42:01 GMT");
        headers.insert(header::DATE, date);
        let answer = parse_whole(StatusCode::OK, &headers, DOCUMENTED).unwrap();
        assert_eq!(answer.valid_for, Some(Duration::ZERO));
    }

    #[test]
    fn byte_order_mark_is_skipped() {
        assert_eq!(parse(&format!("\u{feff}{DOCUMENTED}")), parse(DOCUMENTED));
    }

    #[test]
    fn absent_and_null_fields_are_unknown() {
        let answer = parse(
            r#"{"ContextIdentifier":"CUST12345","State":4,"IsRunning":false,"Endpoint":null,"Api":null}"#,
        );
        let state = Some(State::Suspended);
        let expected = StateResponse { state, endpoint: None, valid_for: None, version: None };
        assert_eq!(answer, Ok(expected));
    }

    #[test]
    fn the_api_stands_in_for_a_missing_or_foreign_endpoint() {
        let with = |endpoint: &str| {
            let body = format!(
                r#"{{"ContextIdentifier":"Cust12345","State":"Running","IsRunning":true,
                "Endpoint":{endpoint},"Api":"https://app.superoffice.com:443/Cust12345/api"}}"#
            );
            parse(&body).unwrap().endpoint.unwrap().to_string()
        };
        for endpoint in ["null", "7", r#""https://evil.example/Cust12345""#, r#""""#] {
            assert_eq!(with(endpoint), "https://app.superoffice.com", "{endpoint}");
        }
        assert_eq!(
            with(r#""https://online9.superoffice.com/Cust12345""#),
            "https://online9.superoffice.com"
        );
    }

    #[test]
    fn states_without_a_known_meaning_say_nothing() {
        for state in [r#""Unknown""#, "0", "7", "9", "4000000000", r#""Frozen""#, r#""running""#] {
            for running in [true, false] {
                let body = format!(
                    r#"{{"ContextIdentifier":"Cust12345","State":{state},"IsRunning":{running}}}"#
                );
                let answer = parse(&body).unwrap();
                assert_eq!(answer.state, None, "{state}");
                assert!(answer.answer(1).is_none());
            }
        }
    }

    #[test]
    fn invalid_answers_are_refused_whole() {
        use InvalidResponse::{Contradiction, Malformed, NoState, OtherTenant};
        let cases = [
            ("", Malformed),
            ("[]", Malformed),
            ("<html>", Malformed),
            (
                r#"{"ContextIdentifier":"Cust12345","State":2,"State":4,"IsRunning":true}"#,
                Malformed,
            ),
            (r#"{"State":"Running","IsRunning":true}"#, OtherTenant),
            (r#"{"ContextIdentifier":"Cust1","State":"Running","IsRunning":true}"#, OtherTenant),
            (r#"{"ContextIdentifier":null,"State":"Running","IsRunning":true}"#, OtherTenant),
            (r#"{"ContextIdentifier":"Cust12345","IsRunning":true}"#, NoState),
            (r#"{"ContextIdentifier":"Cust12345","State":null,"IsRunning":true}"#, NoState),
            (r#"{"ContextIdentifier":"Cust12345","State":-1,"IsRunning":true}"#, NoState),
            (r#"{"ContextIdentifier":"Cust12345","State":2.5,"IsRunning":true}"#, NoState),
            (r#"{"ContextIdentifier":"Cust12345","State":"Running"}"#, Contradiction),
            (r#"{"ContextIdentifier":"Cust12345","State":"Running","IsRunning":1}"#, Contradiction),
            (
                r#"{"ContextIdentifier":"Cust12345","State":"Running","IsRunning":"true"}"#,
                Contradiction,
            ),
            (
                r#"{"ContextIdentifier":"Cust12345","State":"Running","IsRunning":false}"#,
                Contradiction,
            ),
            (r#"{"ContextIdentifier":"Cust12345","State":4,"IsRunning":true}"#, Contradiction),
            (
                r#"{"ContextIdentifier":"Cust12345","State":"OnlineMaintenance","IsRunning":false}"#,
                Contradiction,
            ),
        ];
        for (body, invalid) in cases {
            assert_eq!(parse(body), Err(invalid), "{body}");
        }
    }

    #[test]
    fn only_json_with_status_200_is_read() {
        let read =
            |status: StatusCode, headers: &HeaderMap| parse_whole(status, headers, DOCUMENTED);
        for good in ["application/json", "APPLICATION/JSON;charset=utf-8", "text/json"] {
            assert!(read(StatusCode::OK, &headers(good)).is_ok(), "{good}");
        }
        for bad in ["text/html", "application/jsonp", "", "application/problem+json"] {
            assert_eq!(read(StatusCode::OK, &headers(bad)), Err(InvalidResponse::NotJson), "{bad}");
        }
        assert_eq!(read(StatusCode::OK, &HeaderMap::new()), Err(InvalidResponse::NotJson));
        for status in [201, 204, 302, 400, 401, 404, 421, 429, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                read(status, &headers("application/json")),
                Err(InvalidResponse::Status(status))
            );
        }
    }
}

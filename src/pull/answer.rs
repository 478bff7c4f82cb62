//! Reading an answer of the state API.

use std::{fmt, sync::Arc};

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};
use smol_str::format_smolstr;

use crate::{
    environment::Environment,
    environment::Origin,
    json, rfc3339,
    status::{
        Record, State,
        fact::{PullDetails, Pulled},
    },
    tenant_id::TenantId,
};

/// What the state API says of a tenant, as far as it makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `None` for `Unknown` and for states not known here: nothing follows from them.
    pub(crate) state: Option<State>,
    /// Where the tenant is served from; `None` when that is not said, or is no place to send calls to.
    pub(crate) endpoint: Option<Origin>,
    /// When SuperOffice wants to be asked again, ms since the epoch.
    pub(crate) valid_until: Option<u64>,
}

/// Why an answer counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Not 200. It never means that the tenant is down.
    Status(StatusCode),
    NotJson,
    /// Not one JSON object, or one with a key twice.
    Malformed,
    /// It is about another tenant.
    OtherTenant,
    NoState,
    /// `IsRunning` is no boolean, or says something else than `State`.
    Contradiction,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "its status is {}", status.as_u16()),
            Self::NotJson => f.write_str("its Content-Type is not JSON"),
            Self::Malformed => f.write_str("it is not one JSON object with distinct keys"),
            Self::OtherTenant => f.write_str("it is about another tenant"),
            Self::NoState => f.write_str("its State is neither a name nor a number"),
            Self::Contradiction => f.write_str("its IsRunning does not go with its State"),
        }
    }
}

impl Answer {
    /// Reads the answer to a question about `tenant`.
    ///
    /// It is taken whole or not at all: half of an odd answer is not to be trusted either.
    pub(crate) fn read(
        tenant: &TenantId,
        environment: &Environment,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, Odd> {
        if status != StatusCode::OK {
            return Err(Odd::Status(status));
        }
        if !is_json(headers) {
            return Err(Odd::NotJson);
        }
        let fields = json::object(body).ok_or(Odd::Malformed)?;
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let about = text("ContextIdentifier").and_then(|id| TenantId::new(id).ok());
        if about.as_ref() != Some(tenant) {
            return Err(Odd::OtherTenant);
        }
        let origin = |key: &str| text(key).and_then(|url| Origin::from_url(url, environment));
        Ok(Self {
            state: state(&fields)?,
            endpoint: origin("Endpoint").or_else(|| origin("Api")),
            valid_until: text("ValidUntil").and_then(rfc3339::parse),
        })
    }

    /// The answer as a fact, when it says anything: asked for at `asked`, ms since the epoch, by one
    /// who knew `record`.
    pub(crate) fn pulled(&self, asked: u64, record: &Record) -> Option<Pulled> {
        let state = self.state?;
        let last = record.pulls().max_by_key(|pulled| (pulled.asked, pulled.state.verdict()));
        let since = match last {
            Some(last) if last.state.verdict() == state.verdict() && last.asked <= asked => {
                last.since
            }
            _ => asked,
        };
        let endpoint = self.endpoint.as_ref().map(|origin| format_smolstr!("{origin}"));
        let details = Arc::new(PullDetails { endpoint, extra: Map::new() });
        Some(Pulled { state, asked, since, details })
    }
}

/// The state, once `IsRunning` has agreed with it.
fn state(fields: &Map<String, Value>) -> Result<Option<State>, Odd> {
    let state = match fields.get("State") {
        Some(Value::String(name)) => State::from_name(name),
        Some(Value::Number(number)) => State::from_number(number.as_u64().ok_or(Odd::NoState)?),
        _ => return Err(Odd::NoState),
    };
    let running = fields.get("IsRunning").and_then(Value::as_bool).ok_or(Odd::Contradiction)?;
    if state.is_some_and(|state| state.is_running() != running) {
        return Err(Odd::Contradiction);
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
    use crate::status::fact::Fact;

    const DOCUMENTED: &str = r#"{ "ContextIdentifier": "Cust12345",
        "Endpoint": "https://online2.superoffice.com/Cust12345", "State": "Running", "IsRunning": true,
        "ValidUntil": "2026-02-23T09:52:01.9342965Z",
        "Api": "https://online2.superoffice.com/Cust12345/api", "Version": "Release_11.10" }"#;

    fn headers(content_type: &'static str) -> HeaderMap {
        let value = HeaderValue::from_static(content_type);
        [(header::CONTENT_TYPE, value)].into_iter().collect()
    }

    fn read(body: &str) -> Result<Answer, Odd> {
        let tenant = TenantId::new("cust12345").unwrap();
        let headers = headers("application/json; charset=utf-8");
        Answer::read(&tenant, &Environment::Production, StatusCode::OK, &headers, body.as_bytes())
    }

    #[test]
    fn reads_the_documented_answer() {
        let answer = read(DOCUMENTED).unwrap();
        assert_eq!(answer.state, Some(State::Running));
        assert_eq!(answer.endpoint.unwrap().to_string(), "https://online2.superoffice.com");
        assert_eq!(answer.valid_until, Some(1_771_840_321_934));
    }

    #[test]
    fn what_is_left_out_or_null_is_simply_not_known() {
        let answer = read(
            r#"{"ContextIdentifier":"CUST12345","State":4,"IsRunning":false,"Endpoint":null,"Api":null}"#,
        );
        let expected = Answer { state: Some(State::Suspended), endpoint: None, valid_until: None };
        assert_eq!(answer, Ok(expected));
    }

    #[test]
    fn the_api_stands_in_for_a_missing_or_foreign_endpoint() {
        let with = |endpoint: &str| {
            let body = format!(
                r#"{{"ContextIdentifier":"Cust12345","State":"Running","IsRunning":true,
                "Endpoint":{endpoint},"Api":"https://app.superoffice.com:443/Cust12345/api"}}"#
            );
            read(&body).unwrap().endpoint.unwrap().to_string()
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
                let answer = read(&body).unwrap();
                assert_eq!(answer.state, None, "{state}");
                assert_eq!(answer.pulled(1, &Record::default()), None);
            }
        }
    }

    #[test]
    fn odd_answers_are_refused_whole() {
        use Odd::{Contradiction, Malformed, NoState, OtherTenant};
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
        for (body, odd) in cases {
            assert_eq!(read(body), Err(odd), "{body}");
        }
    }

    #[test]
    fn only_json_with_status_200_is_read() {
        let tenant = TenantId::new("Cust12345").unwrap();
        let read = |status: StatusCode, headers: &HeaderMap| {
            Answer::read(&tenant, &Environment::Production, status, headers, DOCUMENTED.as_bytes())
        };
        for good in ["application/json", "APPLICATION/JSON;charset=utf-8", "text/json"] {
            assert!(read(StatusCode::OK, &headers(good)).is_ok(), "{good}");
        }
        for bad in ["text/html", "application/jsonp", "", "application/problem+json"] {
            assert_eq!(read(StatusCode::OK, &headers(bad)), Err(Odd::NotJson), "{bad}");
        }
        assert_eq!(read(StatusCode::OK, &HeaderMap::new()), Err(Odd::NotJson));
        for status in [201, 204, 302, 400, 401, 404, 421, 429, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(read(status, &headers("application/json")), Err(Odd::Status(status)));
        }
    }

    #[test]
    fn a_run_of_equal_verdicts_keeps_the_time_it_began() {
        let answer = |state| Answer { state: Some(state), endpoint: None, valid_until: None };
        let mut record = Record::default();
        let take = |record: &mut Record, state, asked| {
            let pulled = answer(state).pulled(asked, record).unwrap();
            record.merge(&Record::of(Fact::Pulled(pulled.clone())));
            pulled.since
        };
        assert_eq!(take(&mut record, State::Suspended, 100), 100);
        assert_eq!(take(&mut record, State::Suspended, 200), 100);
        assert_eq!(take(&mut record, State::Running, 300), 300);
        assert_eq!(take(&mut record, State::OnlineMaintenance, 400), 300);
        assert_eq!(take(&mut record, State::Suspended, 500), 500);
        // An answer that comes late doesn't borrow from one that was asked for after it.
        assert_eq!(answer(State::Suspended).pulled(450, &record).unwrap().since, 450);
    }
}

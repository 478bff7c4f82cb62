//! The rules for the body of a notification.

use serde_json::{Map, Value};
use tower_superoffice::fuzzing;

use super::{
    NOW,
    json::object,
    token::{self, is_tenant},
};

/// The content of an accepted notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The tenant, as spelled in the body.
    pub tenant: String,
    /// The number of the change type.
    pub change: u32,
    /// The token's time, in seconds since the epoch.
    pub at: i64,
    /// The texts that are kept: version, file version, endpoint.
    pub texts: [String; 3],
}

/// Handles `body` at [`NOW`], with a stub in place of RSA as for [`token()`](super::token()).
/// Returns the status of the answer for a refused one.
///
/// # Errors
///
/// With 400, 401 or 403, as a gate would.
pub fn body(body: &[u8]) -> Result<Notice, u16> {
    let found = fuzzing::body(body, NOW);
    let found = found.map(|(tenant, change, at, texts)| Notice { tenant, change, at, texts });
    assert_eq!(found, expected(body), "the outcome, and what the rules say");
    found
}

/// Applies the rules for a body, one after the other.
fn expected(body: &[u8]) -> Result<Notice, u16> {
    let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let mut map = Map::new();
    for (name, value) in object(text).ok_or(400_u16)? {
        if map.insert(name.to_ascii_lowercase(), value).is_some() {
            return Err(400);
        }
    }
    let text = |name| map.get(name).and_then(Value::as_str).unwrap_or_default();
    let change = change(map.get("changetype").ok_or(400_u16)?).ok_or(400_u16)?;
    let tenant = text("contextidentifier");
    if !is_tenant(tenant) {
        return Err(400);
    }
    let endpoint = text("publicendpoint");
    let texts = [
        prefix(text("versionname"), 128),
        prefix(text("fileversion"), 128),
        if endpoint.len() <= 253 { endpoint.to_owned() } else { String::new() },
    ];
    let (proven, at) = token::expected(text("token")).ok_or(401_u16)?;
    if !proven.eq_ignore_ascii_case(tenant) {
        return Err(403);
    }
    Ok(Notice { tenant: tenant.to_owned(), change, at, texts })
}

/// Returns the number of a change given as an integer, as digits, or by its documented name.
fn change(value: &Value) -> Option<u32> {
    let names = ["upgrade", "backuprestored", "suspend", "resume", "delete", "move"];
    let Some(text) = value.as_str() else { return value.as_u64()?.try_into().ok() };
    let named = names.iter().zip(0..).find(|(name, _)| **name == text.to_ascii_lowercase());
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    named.map(|(_, number)| number).or_else(|| if digits { text.parse().ok() } else { None })
}

/// Returns the longest prefix of `text` of whole characters that has at most `max` bytes.
fn prefix(text: &str, max: usize) -> String {
    let mut kept = String::new();
    for character in text.chars() {
        if kept.len() + character.len_utf8() > max {
            break;
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::strategies::*;

    fn good(tenant: &str) -> String {
        let token = good_token("Cust1");
        format!(r#"{{"ChangeType":2,"ContextIdentifier":"{tenant}","Token":"{token}"}}"#)
    }

    #[test]
    fn every_outcome_is_reached() {
        let notice = body(good("cust1").as_bytes()).unwrap();
        assert_eq!((notice.tenant.as_str(), notice.change, notice.at), ("cust1", 2, NOW - 60));
        assert_eq!(body(good("Cust2").as_bytes()), Err(403));
        assert_eq!(body(good("Cust1").replace(".AQ", ".Ag").as_bytes()), Err(401));
        assert_eq!(body(good("Cust1").replace("Token", "Tokens").as_bytes()), Err(401));
        let spelled = good("Cust1").replace("Token", "tOKEN").replace(":2,", ":\"sUSPEND\",");
        assert_eq!(body(format!("\u{feff}{spelled}").as_bytes()).unwrap().change, 2);
        assert_eq!(body(good("Cust/1").as_bytes()), Err(400));
    }

    #[test]
    fn altered_notifications_are_judged_by_the_rules() {
        let token = prop_oneof![
            8 => altered_claims().prop_map(|claims| token_of(r#"{"alg":"RS256"}"#, &claims)),
            1 => Just(String::new()),
        ];
        let tenant = select(vec!["Cust1", "Cust1", "Cust1", "cUST1", "Cust2"]);
        let notification = (token, tenant).prop_flat_map(|(token, tenant)| {
            let good = vec![
                ("ChangeType", "2".to_owned()),
                ("ContextIdentifier", format!("\"{tenant}\"")),
                ("Token", format!("\"{token}\"")),
                ("PublicEndpoint", r#""sod3.superoffice.com""#.to_owned()),
            ];
            altered(good, vec!["VersionName", "FileVersion", "Novelty", "changetype", "tOKEN"])
        });
        let counts = [(); 4].map(|()| Cell::new(0));
        let [accepted, malformed, unproven, other] = &counts;
        proptest!(ProptestConfig::with_cases(2000), |(notification in notification)| {
            let count = match body(notification.as_bytes()) {
                Ok(_) => accepted,
                Err(400) => malformed,
                Err(401) => unproven,
                Err(_) => other,
            };
            count.set(count.get() + 1);
        });
        assert!(
            accepted.get() > 300 && malformed.get() > 300 && unproven.get() > 300,
            "{counts:?}"
        );
        assert!(other.get() > 20, "{counts:?}");
    }

    proptest! {
        #[test]
        fn long_texts_are_kept_in_part(version in "\\PC{0,200}", host in "[a-z.]{0,300}") {
            let texts = serde_json::json!({"VersionName": version, "PublicEndpoint": host});
            let texts = texts.to_string();
            let bytes = good("Cust1").replacen('{', &format!("{},", texts.trim_end_matches('}')), 1);
            prop_assert!(body(bytes.as_bytes()).is_ok());
        }

        #[test]
        fn any_change_of_one_byte_is_judged(index in any::<prop::sample::Index>(), by in any::<u8>()) {
            let mut bytes = good("Cust1").into_bytes();
            let index = index.index(bytes.len());
            bytes[index] = by;
            // Accepted or not: `body` panics when the implementations differ.
            drop(body(&bytes));
        }

        #[test]
        fn any_bytes_are_malformed(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(body(&bytes), Err(400));
        }
    }
}

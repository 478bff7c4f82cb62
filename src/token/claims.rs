//! The claims of a token: audience, issuer, times, tenant.

use crate::{
    json::{Object, Value},
    tenant_id::TenantId,
};

use super::{Policy, TokenError, Verified, personal};

/// The claim that names the tenant. It starts with http because it is a name, not an address.
const TENANT: &str = "http://schemes.superoffice.net/identity/ctx";

/// The seconds before its issue from which on a token is valid.
const NBF_BEFORE_ISSUE: i64 = 60;
/// The time from a token's `nbf` to its `exp`, in seconds.
const LIFE: i64 = 360;
/// The longest time from a token's `nbf`, or what stands in for it, to its `exp`, in seconds. A
/// token that can be used for longer was made for something else.
const MAX_LIFE: i64 = 60 * 60;

/// The largest whole number that all JSON parsers agree on.
const MAX_DATE: f64 = 9_007_199_254_740_992.0;

/// Claims that passed every check but one: whether they speak for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validated {
    pub(super) verified: Verified,
    pub(super) is_personal: bool,
}

/// Validates claims as of `now` (seconds since the epoch) and extracts those that a gate acts on.
pub(super) fn validate(
    claims: Object<'_>,
    policy: &Policy,
    now: i64,
) -> Result<Validated, TokenError> {
    let [mut exp, mut nbf, mut iat] = [None; 3];
    let [mut iss, mut aud, mut tenant] = [const { None }; 3];
    let mut is_personal = false;
    for (name, value) in claims {
        is_personal |= personal::is_personal(&name, &value);
        match &*name {
            "exp" => exp = Some(parse_date(&value)?),
            "nbf" => nbf = Some(parse_date(&value)?),
            "iat" => iat = Some(parse_date(&value)?),
            "iss" => iss = Some(value),
            "aud" => aud = Some(value),
            TENANT => tenant = Some(value),
            _ => {}
        }
    }
    let issuer = match &iss {
        None => None,
        Some(iss) => Some(iss.as_str().ok_or(TokenError::Malformed)?),
    };
    let has_audience = has_audience(aud.as_ref(), policy)?;

    if !issuer.is_some_and(|issuer| policy.takes_issuer(issuer)) {
        return Err(TokenError::Issuer);
    }
    if !has_audience {
        return Err(TokenError::Audience);
    }
    let exp = exp.ok_or(TokenError::Expired)?;
    if now >= exp + policy.leeway() {
        return Err(TokenError::Expired);
    }
    // All three shapes of token are mapped to one axis, so that notifications with and without
    // `nbf` have an order.
    let token_time = match (nbf, iat) {
        (Some(nbf), _) => nbf,
        (None, Some(iat)) => iat - NBF_BEFORE_ISSUE,
        (None, None) => exp - LIFE,
    };
    // Also when there is no `nbf`: a record taken from the future would outrank every later one.
    if token_time > now + policy.leeway() {
        return Err(TokenError::NotYetValid);
    }
    if exp - token_time > MAX_LIFE {
        return Err(TokenError::LongLived);
    }
    // `sub` repeats the tenant in some tokens. It decides nothing, also when it disagrees.
    let tenant = tenant.as_ref().and_then(Value::as_str).ok_or(TokenError::NoTenant)?;
    let tenant = TenantId::new(tenant).map_err(|_| TokenError::NoTenant)?;
    Ok(Validated { verified: Verified { tenant, token_time }, is_personal })
}

/// Parses a numeric date in whole seconds: a number, or a string of 1 to 16 digits as seen in
/// `iat`.
fn parse_date(value: &Value<'_>) -> Result<i64, TokenError> {
    let seconds = match value {
        Value::Number(_) => value.as_f64().ok_or(TokenError::Malformed)?,
        Value::String(digits)
            if (1..=16).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            digits.parse().map_err(|_| TokenError::Malformed)?
        }
        _ => return Err(TokenError::Malformed),
    };
    if seconds.abs() <= MAX_DATE { Ok(seconds.floor() as i64) } else { Err(TokenError::Malformed) }
}

/// Returns whether `aud`, a string or an array of strings, names an accepted audience.
fn has_audience(aud: Option<&Value<'_>>, policy: &Policy) -> Result<bool, TokenError> {
    match aud {
        None => Ok(policy.takes_audience(&[])),
        Some(Value::String(audience)) => Ok(policy.takes_audience(&[audience])),
        Some(list) => {
            let items = list.items().ok_or(TokenError::Malformed)?;
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Ok(policy.takes_audience(&texts.ok_or(TokenError::Malformed)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        json::{self, Number},
        token::{Audiences, Leeway},
    };

    const NOW: i64 = 1_700_000_000;
    const BASE: &str =
        r#""iss":"I","aud":"app","http://schemes.superoffice.net/identity/ctx":"Cust1""#;

    fn policy() -> Policy {
        let audiences = Audiences::one_of(["App"]).unwrap();
        Policy::new(vec!["I".to_owned()], audiences, Leeway::new(Duration::from_secs(60)).unwrap())
    }

    fn checked(text: &str) -> Result<Verified, TokenError> {
        validate(json::object(text.as_bytes()).unwrap(), &policy(), NOW)
            .map(|validated| validated.verified)
    }

    fn at(times: &str) -> Result<i64, TokenError> {
        checked(&format!("{{{BASE},{times}}}")).map(|verified| verified.token_time)
    }

    #[test]
    fn token_times_of_all_shapes_are_on_one_axis() {
        let exp = NOW + 300;
        assert_eq!(at(&format!(r#""nbf":{},"iat":{NOW},"exp":{exp}"#, NOW - 60)), Ok(NOW - 60));
        assert_eq!(at(&format!(r#""iat":{NOW},"exp":{exp}"#)), Ok(NOW - 60));
        assert_eq!(at(&format!(r#""iat":"{NOW}","exp":"{exp}""#)), Ok(NOW - 60));
        assert_eq!(at(&format!(r#""exp":{exp}"#)), Ok(NOW - 60));
        assert_eq!(at(&format!(r#""exp":{exp}.999"#)), Ok(NOW - 60));
    }

    #[test]
    fn times_at_their_edges_are_checked() {
        use TokenError::{Expired, NotYetValid};
        let past = NOW - 100;
        assert_eq!(at(&format!(r#""nbf":{past},"exp":{}"#, NOW - 59)), Ok(past));
        assert_eq!(at(&format!(r#""nbf":{past},"exp":{}"#, NOW - 60)), Err(Expired));
        assert_eq!(at(&format!(r#""nbf":{past},"exp":{}.9"#, NOW - 60)), Err(Expired));
        let exp = NOW + 300;
        assert_eq!(at(&format!(r#""nbf":{},"exp":{exp}"#, NOW + 60)), Ok(NOW + 60));
        assert_eq!(at(&format!(r#""nbf":{},"exp":{exp}"#, NOW + 61)), Err(NotYetValid));
        assert_eq!(at(&format!(r#""iat":{},"exp":{exp}"#, NOW + 120)), Ok(NOW + 60));
        assert_eq!(at(&format!(r#""iat":{},"exp":{exp}"#, NOW + 121)), Err(NotYetValid));
        assert_eq!(at(&format!(r#""exp":{}"#, NOW + 420)), Ok(NOW + 60));
        assert_eq!(at(&format!(r#""exp":{}"#, NOW + 421)), Err(NotYetValid));
        assert_eq!(at(&format!(r#""nbf":{past}"#)), Err(Expired), "exp is required");
    }

    #[test]
    fn life_of_more_than_an_hour_is_refused() {
        use TokenError::LongLived;
        let (nbf, iat) = (NOW - 60, NOW);
        assert_eq!(at(&format!(r#""nbf":{nbf},"exp":{}"#, nbf + 3600)), Ok(nbf));
        assert_eq!(at(&format!(r#""nbf":{nbf},"exp":{}"#, nbf + 3601)), Err(LongLived));
        assert_eq!(at(&format!(r#""iat":{iat},"exp":{}"#, iat + 3540)), Ok(nbf));
        assert_eq!(at(&format!(r#""iat":{iat},"exp":{}"#, iat + 3541)), Err(LongLived));
        // The `nbf` counts when there are both, as it does for the order of notifications.
        assert_eq!(at(&format!(r#""nbf":{nbf},"iat":0,"exp":{}"#, nbf + 360)), Ok(nbf));
    }

    #[test]
    fn personal_claims_are_noted_and_refuse_nothing_here() {
        let claims = |more: &str| {
            let text = format!("{{{BASE},\"exp\":{}{more}}}", NOW + 300);
            let claims = json::object(text.as_bytes()).unwrap();
            validate(claims, &policy(), NOW).unwrap().is_personal
        };
        assert!(!claims(r#","sub":"Cust1","nonce":"n""#));
        assert!(claims(r#","sub":"someone@example.com""#));
        assert!(claims(r#","http://schemes.superoffice.net/identity/associateid":7"#));
    }

    #[test]
    fn dates_at_the_edges_of_numbers() {
        for exp in ["9007199254740992", "9.007199254740992e15", r#""9007199254740992""#] {
            let long_lived = Err(TokenError::LongLived);
            assert_eq!(at(&format!(r#""nbf":0,"exp":{exp}"#)), long_lived, "{exp}");
        }
        for exp in ["0", "-1", "-0.0", "-9007199254740992", "1e-300", r#""0""#] {
            assert_eq!(at(&format!(r#""exp":{exp}"#)), Err(TokenError::Expired), "{exp}");
        }
        for bad in [
            "9007199254740994",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551615",
            "1e300",
            "-1e300",
            "1.7976931348623157e308",
            "true",
            "null",
            "[]",
            "{}",
            r#""""#,
            r#"" 1""#,
            r#""1 ""#,
            r#""+1""#,
            r#""-1""#,
            r#""1.0""#,
            r#""1e3""#,
            r#""0x10""#,
            r#""\u0661""#,
            r#""00000000000000001""#,
            r#""9999999999999999""#,
        ] {
            for name in ["exp", "nbf", "iat"] {
                let rest =
                    if name == "exp" { String::new() } else { format!(r#","exp":{}"#, NOW + 9) };
                let times = format!(r#""{name}":{bad}{rest}"#);
                assert_eq!(at(&times), Err(TokenError::Malformed), "{times}");
            }
        }
        assert_eq!(parse_date(&Value::Number(Number::Real(-0.5))), Ok(-1));
    }

    #[test]
    fn issuer_and_audience() {
        let with = |iss: &str, aud: &str| {
            checked(&format!(
                r#"{{"iss":{iss},"aud":{aud},"exp":{},"{TENANT}":"Cust1"}}"#,
                NOW + 300
            ))
            .map(drop)
        };
        for aud in [r#""app""#, r#""APP""#, r#""spn:app""#, r#""SPN:App""#, r#"["x","spn:app"]"#] {
            assert_eq!(with(r#""I""#, aud), Ok(()), "{aud}");
        }
        for aud in
            [r#""""#, r#""ap""#, r#""app ""#, r#""spn:""#, r#""spn:spn:app""#, r#""spnapp""#, "[]"]
        {
            assert_eq!(with(r#""I""#, aud), Err(TokenError::Audience), "{aud}");
        }
        for aud in ["null", "1", "{}", "[1]", r#"["app",1]"#, r#"[["app"]]"#] {
            assert_eq!(with(r#""I""#, aud), Err(TokenError::Malformed), "{aud}");
        }
        for iss in [r#""i""#, r#""I ""#, r#""""#] {
            assert_eq!(with(iss, r#""app""#), Err(TokenError::Issuer), "{iss}");
        }
        for iss in ["null", "1", r#"["I"]"#] {
            assert_eq!(with(iss, r#""app""#), Err(TokenError::Malformed), "{iss}");
        }
        let exp = NOW + 300;
        let no_iss = format!(r#"{{"aud":"app","exp":{exp},"{TENANT}":"Cust1"}}"#);
        assert_eq!(checked(&no_iss), Err(TokenError::Issuer));
        let no_aud = format!(r#"{{"iss":"I","exp":{exp},"{TENANT}":"Cust1"}}"#);
        assert_eq!(checked(&no_aud), Err(TokenError::Audience));
        let any = Policy::new(
            vec!["I".to_owned()],
            Audiences::any(),
            Leeway::new(Duration::ZERO).unwrap(),
        );
        assert!(validate(json::object(no_aud.as_bytes()).unwrap(), &any, NOW).is_ok());
    }

    #[test]
    fn tenant_is_read_from_its_claim_alone() {
        let with = |claims: &str| {
            checked(&format!(r#"{{"iss":"I","aud":"app","exp":{},{claims}}}"#, NOW + 300))
                .map(|verified| verified.tenant.to_string())
        };
        let named = |tenant: &str| with(&format!(r#""{TENANT}":{tenant}"#));
        assert_eq!(named(r#""Cust1""#), Ok("Cust1".to_owned()));
        assert_eq!(with(&format!(r#""{TENANT}":"Cust1","sub":"Cust2""#)), Ok("Cust1".to_owned()));
        assert_eq!(with(r#""sub":"Cust2""#), Err(TokenError::NoTenant));
        assert_eq!(
            with(r#""https://schemes.superoffice.net/identity/ctx":"Cust1""#),
            Err(TokenError::NoTenant)
        );
        for tenant in
            ["null", "1", r#""""#, r#""a/b""#, r#""..""#, r#""Cust\u0661""#, r#"["Cust1"]"#]
        {
            assert_eq!(named(tenant), Err(TokenError::NoTenant), "{tenant}");
        }
    }
}

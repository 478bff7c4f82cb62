//! The header of a token: it selects the key and may not weaken the verification.

use std::borrow::Cow;

use super::{TokenError, key_id::KeyIds};
use crate::json::{Object, Value};

/// Validates a header and extracts the names that select the key.
///
/// `jwk`, `jku`, `x5u` and `x5c` are keys of the sender's choice. They are never read.
pub(super) fn validate<'t>(header: Object<'t>) -> Result<KeyIds<'t>, TokenError> {
    let [mut alg, mut typ, mut kid, mut x5t] = [const { None }; 4];
    let mut has_extension = false;
    for (name, value) in header {
        match &*name {
            "alg" => alg = Some(value),
            "typ" => typ = Some(value),
            "kid" => kid = Some(value),
            "x5t" => x5t = Some(value),
            "crit" | "b64" => has_extension = true,
            _ => {}
        }
    }
    if alg.as_ref().and_then(Value::as_str) != Some("RS256") {
        return Err(TokenError::Algorithm);
    }
    if has_extension {
        return Err(TokenError::Critical);
    }
    match typ {
        None => {}
        Some(Value::String(typ)) if is_jwt(&typ) => {}
        Some(_) => return Err(TokenError::Type),
    }
    Ok(KeyIds::new(parse_id(kid)?, parse_id(x5t)?))
}

fn parse_id(member: Option<Value<'_>>) -> Result<Option<Cow<'_, str>>, TokenError> {
    match member {
        None => Ok(None),
        Some(Value::String(id)) if is_id(&id) => Ok(Some(id)),
        Some(_) => Err(TokenError::Malformed),
    }
}

/// Returns whether `typ` is that of a JWT. RFC 7515, section 4.1.9: the `application/` may be left
/// out, and media types ignore case.
fn is_jwt(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("application/jwt")
}

/// Returns whether `id` may name a key: 1 to 128 visible ASCII characters.
pub(super) fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<KeyIds<'static>, TokenError> {
        validate(crate::json::object(text.as_bytes()).unwrap()).map(KeyIds::into_owned)
    }

    #[test]
    fn the_algorithm_is_rs256_to_the_letter() {
        for alg in [
            r#""none""#,
            r#""None""#,
            r#""NONE""#,
            r#""nOnE""#,
            r#""""#,
            r#""rs256""#,
            r#""RS256 ""#,
            r#"" RS256""#,
            r#""RS256\u0000""#,
            r#""HS256""#,
            r#""HS384""#,
            r#""HS512""#,
            r#""RS384""#,
            r#""RS512""#,
            r#""PS256""#,
            r#""PS384""#,
            r#""PS512""#,
            r#""ES256""#,
            r#""ES384""#,
            r#""EdDSA""#,
            "null",
            "true",
            "256",
            r#"["RS256"]"#,
            r#"{"alg":"RS256"}"#,
        ] {
            let header = format!(r#"{{"alg":{alg}}}"#);
            assert_eq!(checked(&header), Err(TokenError::Algorithm), "{alg}");
        }
        assert_eq!(checked("{}"), Err(TokenError::Algorithm));
        assert_eq!(checked(r#"{"Alg":"RS256"}"#), Err(TokenError::Algorithm));
        assert!(checked(r#"{"alg":"RS256"}"#).is_ok());
        assert!(checked(r#"{"alg":"\u0052S256"}"#).is_ok());
    }

    #[test]
    fn extensions_are_refused_in_any_form() {
        for member in [
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
            r#""crit":null"#,
            r#""crit":false"#,
            r#""crit":"""#,
            r#""crit":{}"#,
            r#""b64":true"#,
            r#""b64":false"#,
            r#""b64":null"#,
        ] {
            let header = format!(r#"{{"alg":"RS256",{member}}}"#);
            assert_eq!(checked(&header), Err(TokenError::Critical), "{member}");
        }
    }

    #[test]
    fn a_type_is_jwt_or_not_given() {
        for (typ, taken) in [
            (r#""JWT""#, true),
            (r#""jwt""#, true),
            (r#""application/JWT""#, true),
            (r#""at+jwt""#, false),
            (r#""JWE""#, false),
            (r#""""#, false),
            ("null", false),
            ("1", false),
        ] {
            let header = format!(r#"{{"alg":"RS256","typ":{typ}}}"#);
            let expected = if taken { Ok(()) } else { Err(TokenError::Type) };
            assert_eq!(checked(&header).map(drop), expected, "{typ}");
        }
    }

    #[test]
    fn ids_are_short_and_visible() {
        let with = |name: &str, id: &str| checked(&format!(r#"{{"alg":"RS256","{name}":{id}}}"#));
        for name in ["kid", "x5t"] {
            assert!(with(name, &format!(r#""{}""#, "k".repeat(128))).is_ok());
            assert!(with(name, r#""../../etc/passwd""#).is_ok(), "a map key and nothing else");
            for id in [
                &*format!(r#""{}""#, "k".repeat(129)),
                r#""""#,
                r#""a b""#,
                r#""a\nb""#,
                r#""a\u0000b""#,
                r#""\u00e9""#,
                r#""\u007f""#,
                "null",
                "1",
                r#"["a"]"#,
                "{}",
            ] {
                assert_eq!(with(name, id), Err(TokenError::Malformed), "{name} {id}");
            }
        }
    }
}

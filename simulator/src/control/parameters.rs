//! The parameters of a request, from its query and its body: a form, or an object of JSON.

use std::collections::BTreeMap;

use http::{StatusCode, header, request::Parts};
use serde_json::Value;

use super::problem::Problem;

/// The parameters that were not taken yet.
#[derive(Debug)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(super) fn read(request: &Parts, body: &[u8]) -> Result<Self, Problem> {
        let mut this = Self(BTreeMap::new());
        this.add_form(request.uri.query().unwrap_or_default().as_bytes())?;
        if body.trim_ascii().is_empty() {
            return Ok(this);
        }
        let kind = request.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            this.add_form(body)?;
        } else if essence.eq_ignore_ascii_case("application/json") {
            this.add_json(body)?;
        } else {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "A body is application/json or application/x-www-form-urlencoded.",
            ));
        }
        Ok(this)
    }

    fn add_form(&mut self, form: &[u8]) -> Result<(), Problem> {
        for (name, value) in form_urlencoded::parse(form) {
            self.add(name.into_owned(), value.into_owned())?;
        }
        Ok(())
    }

    fn add_json(&mut self, body: &[u8]) -> Result<(), Problem> {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Err(Problem::bad_request("The body is no object of JSON."));
        };
        for (name, value) in members {
            let value = match value {
                Value::String(text) => text,
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                _ => {
                    return Err(Problem::bad_request(
                        "A parameter is a string, a number, true or false.",
                    ));
                }
            };
            self.add(name, value)?;
        }
        Ok(())
    }

    fn add(&mut self, name: String, value: String) -> Result<(), Problem> {
        match self.0.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(Problem::bad_request("A parameter is given once.")),
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes a parameter that is true when it is given without a value.
    pub(super) fn take_flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.take(name).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1" | "on") => Ok(true),
            Some(_) => Err(Problem::bad_request(format!("{name} is true or false."))),
        }
    }

    /// Refuses what is left: a misspelt parameter would have no effect.
    pub(super) fn end(&self, known: &str) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Problem::bad_request(match known {
            "" => "This route has no parameters.".to_owned(),
            known => format!("This route has no other parameters than {known}."),
        }))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn read(query: &str, kind: &str, body: &str) -> Result<Parameters, Problem> {
        let request = Request::post(format!("/{query}")).header("content-type", kind);
        Parameters::read(&request.body(()).unwrap().into_parts().0, body.as_bytes())
    }

    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json; charset=utf-8";

    #[test]
    fn parameters_come_from_query_form_and_json() {
        for (query, kind, body) in [
            ("?silently&kind=slow&value=5", "", ""),
            ("?silently", FORM, "kind=slow&value=5"),
            ("", FORM, "silently=on&kind=slow&value=5"),
            ("", JSON, r#"{"silently":true,"kind":"slow","value":5}"#),
        ] {
            let mut parameters = read(query, kind, body).unwrap();
            assert!(parameters.take_flag("silently").unwrap());
            assert!(!parameters.take_flag("silently").unwrap(), "taken");
            assert_eq!(parameters.take("kind").as_deref(), Some("slow"));
            assert!(parameters.end("kind").is_err(), "value is left");
            assert_eq!(parameters.take("value").as_deref(), Some("5"));
            assert!(parameters.end("kind").is_ok());
        }
    }

    #[test]
    fn unreadable_parameters_are_refused() {
        for (query, kind, body, status) in [
            ("?a&a", "", "", 400),
            ("?a", FORM, "a", 400),
            ("", JSON, "[]", 400),
            ("", JSON, "{", 400),
            ("", JSON, r#"{"a":{}}"#, 400),
            ("", "text/plain", "a", 415),
            ("", "", "a", 415),
        ] {
            assert_eq!(read(query, kind, body).unwrap_err().status, status, "{kind} {body}");
        }
        assert!(read("?silently=maybe", "", "").unwrap().take_flag("silently").is_err());
        assert!(!read("?silently=false", "", "").unwrap().take_flag("silently").unwrap());
    }
}

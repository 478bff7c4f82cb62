//! A document, and whether a response is one that it describes.
//!
//! It knows the keywords that the gateway's document has, and fails at any other. It is stricter
//! than JSON Schema: a member that no schema names is a fault.

use std::collections::BTreeSet;

use http::header;
use serde_json::{Map, Value};

use crate::process::HttpResponse;

/// Keywords that say nothing about a value.
const ANNOTATIONS: [&str; 4] = ["description", "format", "examples", "required"];

/// The gateway's document.
pub(crate) struct Document(pub(crate) Value);

impl Document {
    /// Fails unless `response` is described for the operation.
    pub(crate) fn check(&self, method: &str, path: &str, response: &HttpResponse) {
        let described = &self.0["paths"][path][method]["responses"];
        assert!(described.is_object(), "{method} {path} is not described");
        let status = response.status.as_u16().to_string();
        let described = described.get(&status).or_else(|| described.get("default"));
        let described = described.unwrap_or_else(|| panic!("{method} {path}: {status}"));
        let at = format!("{method} {path} {status}");
        let Some(contents) = described.get("content") else {
            assert!(response.body.is_empty(), "{at}: content that is not described");
            return;
        };
        let kind = response.headers.get(header::CONTENT_TYPE);
        let kind = kind.map_or("", |kind| kind.to_str().unwrap().split(';').next().unwrap());
        let content = contents.get(kind).or_else(|| contents.get("*/*"));
        let content = content.unwrap_or_else(|| panic!("{at}: {kind} is not described"));
        if let Some(schema) = content.get("schema")
            && kind.ends_with("json")
        {
            self.check_value(schema, &serde_json::from_slice(&response.body).unwrap(), &at);
        }
        for name in described["headers"].as_object().into_iter().flat_map(Map::keys) {
            // The only one that may be absent.
            let present = response.headers.contains_key(name) || name == "Retry-After";
            assert!(present, "{at}: no {name}");
        }
    }

    /// Fails unless `value` is what the schema of this name describes.
    pub(crate) fn check_named(&self, name: &str, value: &Value) {
        self.check_value(&self.0["components"]["schemas"][name], value, name);
    }

    fn check_value(&self, schema: &Value, value: &Value, at: &str) {
        match self.evaluate(schema, value) {
            Err(fault) => panic!("{at}: {fault}: {value}"),
            Ok(named) => {
                let members = value.as_object().into_iter().flat_map(Map::keys);
                let unnamed: Vec<_> = members.filter(|name| !named.contains(*name)).collect();
                let is_open = schema.get("type").is_some_and(|kind| kind == "object")
                    && schema.get("properties").is_none();
                assert!(unnamed.is_empty() || is_open, "{at}: {unnamed:?} are not described");
            }
        }
    }

    /// Returns the members that the schema names, or why the value is not of it.
    fn evaluate(&self, schema: &Value, value: &Value) -> Result<BTreeSet<String>, String> {
        let mut named = BTreeSet::new();
        for (keyword, argument) in schema.as_object().expect("a schema") {
            match keyword.as_str() {
                "$ref" => {
                    let pointer = argument.as_str().unwrap().strip_prefix('#').unwrap();
                    let schema = self.0.pointer(pointer).expect("a schema");
                    named.append(&mut self.evaluate(schema, value)?);
                }
                "allOf" => {
                    for schema in argument.as_array().unwrap() {
                        named.append(&mut self.evaluate(schema, value)?);
                    }
                }
                "oneOf" => {
                    let schemas = argument.as_array().unwrap().iter();
                    let (mut fits, mut faults) = (Vec::new(), Vec::new());
                    for choice in schemas.map(|schema| self.evaluate(schema, value)) {
                        match choice {
                            Ok(named) => fits.push(named),
                            Err(fault) => faults.push(fault),
                        }
                    }
                    let [fit] = &mut fits[..] else {
                        return Err(format!("{} of the choices fit: {faults:?}", fits.len()));
                    };
                    named.append(fit);
                }
                "type" if !is_of_type(argument, value) => return Err(format!("not {argument}")),
                "enum" if !argument.as_array().unwrap().contains(value) => {
                    return Err(format!("{value} is not in {argument}"));
                }
                "minimum" if value.as_f64().is_some_and(|own| Some(own) < argument.as_f64()) => {
                    return Err(format!("less than {argument}"));
                }
                "maxLength" if length(value).is_some_and(|own| Some(own) > argument.as_u64()) => {
                    return Err("too long".into());
                }
                "minLength" if length(value).is_some_and(|own| Some(own) < argument.as_u64()) => {
                    return Err("too short".into());
                }
                "pattern" => {
                    assert_eq!(argument, "^[A-Za-z0-9_-]+$", "the only pattern of an answer");
                    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
                    if !value.as_str().unwrap_or(" ").bytes().all(is_id) {
                        return Err("not of the pattern".into());
                    }
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.check_value(argument, item, "an item");
                    }
                }
                "properties" => {
                    for (name, schema) in argument.as_object().unwrap() {
                        named.insert(name.clone());
                        if let Some(member) = value.get(name) {
                            self.evaluate(schema, member)
                                .map(|_| self.check_value(schema, member, name))
                                .map_err(|fault| format!("{name}: {fault}"))?;
                        }
                    }
                }
                "additionalProperties" if argument.is_object() => {
                    for (name, member) in value.as_object().into_iter().flatten() {
                        named.insert(name.clone());
                        self.evaluate(argument, member)?;
                        self.check_value(argument, member, name);
                    }
                }
                "type" | "enum" | "minimum" | "maxLength" | "minLength" | "propertyNames" => {}
                keyword => assert!(ANNOTATIONS.contains(&keyword), "{keyword} is not known here"),
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten() {
            if value.get(name.as_str().unwrap()).is_none() {
                return Err(format!("{name} is missing"));
            }
        }
        Ok(named)
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn is_of_type(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        name => panic!("{name} is not known here"),
    };
    match types {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        types => panic!("{types} are no types"),
    }
}

#[test]
fn value_that_is_not_described_is_a_fault() {
    let document = Document(serde_json::json!({ "components": { "schemas": { "Pair": {
        "type": "object", "required": ["one"],
        "properties": {
            "one": { "type": "integer", "minimum": 0 },
            "two": { "type": ["string", "null"], "minLength": 1 },
        },
    } } } }));
    let pair = &document.0["components"]["schemas"]["Pair"];
    for (value, is_pair) in [
        (r#"{"one":1,"two":null}"#, true),
        (r#"{"one":0}"#, true),
        (r#"{"two":"x"}"#, false),
        (r#"{"one":-1}"#, false),
        (r#"{"one":"1"}"#, false),
        (r#"{"one":1,"two":2}"#, false),
        (r#"{"one":1,"two":""}"#, false),
        ("[]", false),
    ] {
        let value = serde_json::from_str(value).unwrap();
        assert_eq!(document.evaluate(pair, &value).is_ok(), is_pair, "{value}");
    }
    let unnamed = serde_json::json!({ "one": 1, "three": 3 });
    let checked = std::panic::catch_unwind(|| document.check_named("Pair", &unnamed));
    assert!(checked.is_err(), "a member that no schema names");
}

//! `/openapi.json`: the description of what this gateway serves, for programs.
//!
//! The types that make the answers describe themselves. The rest is held together by tests: one
//! compares the document with its copy beside `Cargo.toml`, another the answers of a running
//! gateway with the document.

mod calls;
mod operation;
mod own;
mod tenants;

use axum::{
    body::Bytes,
    http::header,
    response::IntoResponse,
    routing::{MethodRouter, get},
};
use serde_json::{Value, json};
use utoipa::openapi::{
    Components, HttpMethod, Info, OpenApi, Paths,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use self::operation::{OPERATOR, Operation};
use super::orders::Access;

const DESCRIPTION: &str = "Keeps calls away from SuperOffice CRM Online tenants that are closed.\n\n\
    Where the gateway has an internal listener, the notification path is on the public one and all \
    else on the internal one. GET routes take HEAD; a route answers 405 with `Allow` to any other \
    method, 431 to a head that is too large, and 500 when the gateway fails. What is refused is a \
    problem, but for notifications and some heads that are too large, which get no content. Later versions may add members to \
    objects, and values to enumerations.";

/// The settings that the description depends on.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// The names of the environments; empty where their one has no name in paths.
    pub(crate) environments: Vec<String>,
    pub(crate) notification_path: &'a str,
    pub(crate) orders: Option<&'a Access>,
}

/// Serves the description.
pub(super) fn route(settings: &Settings<'_>) -> MethodRouter {
    let text = Bytes::from(document(settings).to_string());
    get(async move || ([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// Describes all routes.
fn document(settings: &Settings<'_>) -> Value {
    let mut document = Document {
        prefix: if settings.environments.is_empty() { "" } else { "/{environment}" },
        environments: &settings.environments,
        paths: Paths::new(),
        components: Components::new(),
    };
    own::describe(&mut document);
    tenants::describe(&mut document, settings.orders);
    calls::describe(&mut document, settings.notification_path);
    if let Some(Access::Token(_)) = settings.orders {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token in `--operator-token-file`."));
        document.components.add_security_scheme(OPERATOR, SecurityScheme::Http(bearer.build()));
    }
    let mut info = Info::new("superoffice-gateway", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    let mut openapi = OpenApi::new(info, document.paths);
    openapi.components = Some(document.components);
    // Texts, numbers and maps with texts as keys: there is nothing that can fail.
    let mut openapi = serde_json::to_value(openapi).unwrap_or_default();
    require_nullable(&mut openapi);
    openapi
}

/// The document while it grows.
struct Document<'a> {
    /// The start of the paths about tenants.
    prefix: &'static str,
    environments: &'a [String],
    paths: Paths,
    components: Components,
}

impl Document<'_> {
    /// Adds an operation about the gateway.
    fn add(&mut self, method: HttpMethod, path: &str, operation: Operation) {
        let Operation { inner, schemas } = operation;
        self.components.schemas.extend(schemas);
        self.paths.add_path_operation(path, vec![method], inner);
    }

    /// Adds an operation about a tenant, or all tenants, of an environment.
    fn add_for_tenants(&mut self, method: HttpMethod, path: &str, mut operation: Operation) {
        if !self.environments.is_empty() {
            let names = utoipa::openapi::ObjectBuilder::new()
                .schema_type(utoipa::openapi::schema::Type::String)
                .enum_values(Some(self.environments.iter().cloned()));
            let schema = utoipa::openapi::RefOr::T(names.into());
            operation = operation.segment("environment", schema, "The tenant's environment.");
        }
        self.add(method, &format!("{}{path}", self.prefix), operation);
    }
}

/// Schemas of what programs send, and of events, in which members are left out.
const WITHOUT_NULLS: [&str; 4] = ["Order", "OrderWithoutEnd", "Notification", "Event"];

/// Requires the members that may be null in answers: serde writes them all the same.
fn require_nullable(openapi: &mut Value) {
    let schemas = openapi.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            continue;
        };
        let nullable = properties.iter().filter(|(_, schema)| is_nullable(schema));
        let nullable: Vec<Value> = nullable.map(|(name, _)| json!(name)).collect();
        if WITHOUT_NULLS.contains(&name.as_str()) || nullable.is_empty() {
            continue;
        }
        match schema.get_mut("required").and_then(Value::as_array_mut) {
            Some(required) => {
                required.extend(nullable);
                required.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
                required.dedup();
            }
            None => {
                _ = schema
                    .as_object_mut()
                    .map(|schema| schema.insert("required".into(), nullable.into()))
            }
        }
    }
}

fn is_nullable(schema: &Value) -> bool {
    let null = json!("null");
    let types = schema.get("type").and_then(Value::as_array);
    let choices = schema.get("oneOf").and_then(Value::as_array);
    types.is_some_and(|types| types.contains(&null))
        || choices
            .is_some_and(|schemas| schemas.iter().any(|schema| schema.get("type") == Some(&null)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::OperatorToken;

    const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

    fn described(environments: &[&str], orders: Option<&Access>) -> Value {
        let environments = environments.iter().map(|&name| name.to_owned()).collect();
        let notification_path = "/NotifyCustomerStateChange";
        document(&Settings { environments, notification_path, orders })
    }

    /// After a change: `UPDATE_OPENAPI=1 cargo test -p superoffice-gateway openapi`.
    #[test]
    fn document_is_the_one_in_the_repository() {
        let token = OperatorToken::parse("a-token").unwrap();
        let described = described(&[], Some(&Access::Token(token)));
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            let text = serde_json::to_string_pretty(&described).unwrap();
            std::fs::write(COPY, text + "\n").unwrap();
        }
        let copy = std::fs::read_to_string(COPY).unwrap_or_default();
        let copy: Value = serde_json::from_str(&copy).unwrap_or_default();
        assert!(
            described == copy,
            "gateway/openapi.json is of another version: run \
             UPDATE_OPENAPI=1 cargo test -p superoffice-gateway openapi"
        );
    }

    #[test]
    fn several_environments_are_a_segment_of_the_path() {
        let described = described(&["sod", "stage"], None);
        let paths = described["paths"].as_object().unwrap();
        for path in ["/status", "/{environment}/tenants", "/{environment}/{ctx}/{path}"] {
            assert!(paths.contains_key(path), "{path}");
        }
        assert!(!paths.contains_key("/tenants"));
        let parameters = &described["paths"]["/{environment}/tenants/{ctx}"]["get"]["parameters"];
        let environment = parameters.as_array().unwrap();
        let environment = environment.iter().find(|own| own["name"] == "environment").unwrap();
        assert_eq!(environment["schema"]["enum"], json!(["sod", "stage"]));
    }

    #[test]
    fn orders_are_described_as_they_are_taken() {
        let orders = |described: &Value| described["paths"].get("/tenants/{ctx}/close").cloned();
        assert_eq!(orders(&described(&[], None)), None);
        let without_token = described(&[], Some(&Access::Address));
        assert_eq!(orders(&without_token).unwrap()["post"].get("security"), None);
        assert_eq!(without_token["components"].get("securitySchemes"), None);
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let described = described(&["sod", "stage"], Some(&Access::Address));
        let text = described.to_string();
        let references = text.split("\"#/components/schemas/").skip(1);
        let names: Vec<_> = references.map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(names.len() > 20);
        for name in names {
            assert!(described["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }
}

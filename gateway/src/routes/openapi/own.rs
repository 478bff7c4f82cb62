//! The routes about the gateway itself.

use utoipa::{
    IntoParams,
    openapi::{
        Content, HttpMethod, Object, Required, Response, ResponseBuilder,
        path::{ParameterBuilder, ParameterIn},
        schema::Type,
    },
};

use super::{Document, operation::Operation};
use crate::routes::{
    events::{self, Event},
    ready, status,
};

const TAG: &str = "gateway";

pub(super) fn describe(document: &mut Document<'_>) {
    let get = |id: &str, summary: &str| Operation::new(id, TAG, summary);
    document.add(HttpMethod::Get, "/", page());
    let live = get("live", "Whether the process runs").text(200, "text/plain", "It does.");
    document.add(HttpMethod::Get, "/live", live);
    for (path, id) in [("/ready", "ready"), ("/healthz", "healthz")] {
        let ready = get(id, "Whether the gateway is to be sent requests")
            .json::<ready::Report>(200, "It is.")
            .json::<ready::Report>(503, "It is not, for these reasons.");
        document.add(HttpMethod::Get, path, ready);
    }
    let status = get("status", "Health, keys and version")
        .json::<status::Status>(200, "What the gateway knows of itself.");
    document.add(HttpMethod::Get, "/status", status);
    let metrics = get("metrics", "The numbers of this process")
        .response("200", text_in("text/plain", "In Prometheus's text format."));
    document.add(HttpMethod::Get, "/metrics", metrics);
    document.add(HttpMethod::Get, "/events", self::events());
    let openapi = get("openapi", "This description").response(
        "200",
        ResponseBuilder::new()
            .description("An OpenAPI document.")
            .content("application/json", Content::new(Some(Object::with_type(Type::Object))))
            .build(),
    );
    document.add(HttpMethod::Get, "/openapi.json", openapi);
}

fn page() -> Operation {
    let parameters = ["environment", "prefix", "reason", "sort", "page"].map(|name| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .schema(Some(Object::with_type(Type::String)))
            .build()
    });
    Operation::new("page", TAG, "The page for people")
        .description(
            "A parameter that makes no sense counts as left out, and the last of several counts.",
        )
        .query(parameters.to_vec())
        .response("200", text_in("text/html", "The page."))
        .problem_for_now(503, "As many read the list of tenants as may.")
}

fn events() -> Operation {
    Operation::new("events", TAG, "Every tenant once, then what changes")
        .description(
            "Server-sent events without an end: a `snapshot` for each tenant, one with \
             `\"complete\": true`, then events as they happen. The data of each is an `Event`. A \
             comment comes after 15 s without one.",
        )
        .query(events::Parameters::into_params(|| None))
        .mentions::<Event>()
        .response("200", text_in("text/event-stream", "The events."))
        .problem_for_now(503, "As many read as may, or the gateway is about to stop.")
}

fn text_in(kind: &str, description: &str) -> Response {
    let content = Content::new(Some(Object::with_type(Type::String)));
    ResponseBuilder::new().description(description).content(kind, content).build()
}

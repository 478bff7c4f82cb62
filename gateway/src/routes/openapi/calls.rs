//! The calls that are forwarded, and the notifications.

use utoipa::openapi::{
    Content, HttpMethod, Object, Ref, RefOr, Required, ResponseBuilder, Schema, schema::Type,
};

use super::{
    Document,
    operation::{Operation, header, seconds},
};
use crate::schemas::Notification;

/// Statuses that a call may get from the gateway as well as from its tenant.
const OWN: [(u16, &str); 12] = [
    (400, "The path can be read in more than one way or names no tenant, or the tenant's own."),
    (403, "A browser requests a service worker, or the tenant's own."),
    (404, "The path begins with a name of the gateway's own, or the tenant's own."),
    (405, "The method is TRACE, or the tenant's own."),
    (408, "The request was not continued in time, or the tenant's own."),
    (410, "The tenant is deleted, or the tenant's own."),
    (501, "Neither tunnels nor unknown transfer codings are forwarded, or the tenant's own."),
    (502, "The tenant can't be reached or makes no sense, or the tenant's own."),
    (503, "The tenant is closed, or the tenant's own."),
    (504, "The tenant did not respond in time, or the tenant's own."),
    (508, "The call has come back to the gateway, or the tenant's own."),
    (500, "The tenant's own, or a fault of the gateway."),
];

pub(super) fn describe(document: &mut Document<'_>, notification_path: &str) {
    document.add(HttpMethod::Post, notification_path, notification());
    for (method, name, has_body) in [
        (HttpMethod::Get, "get", false),
        (HttpMethod::Head, "head", false),
        (HttpMethod::Options, "options", false),
        (HttpMethod::Delete, "delete", false),
        (HttpMethod::Post, "post", true),
        (HttpMethod::Put, "put", true),
        (HttpMethod::Patch, "patch", true),
    ] {
        let operation = forward(name);
        let operation = if has_body { operation.any_body() } else { operation };
        document.add_for_tenants(method, "/{ctx}/{path}", operation);
    }
}

fn forward(name: &str) -> Operation {
    let rest: RefOr<Schema> = Object::with_type(Type::String).into();
    let mut operation = Operation::new(&format!("forward_{name}"), "calls", "Calls a tenant")
        .description(
            "`path` is all that follows, slashes included, and may be empty. Path, query, headers \
             and content are forwarded as they are, and what the tenant answers is passed on.",
        )
        .tenant()
        .segment("path", rest, "The path at the tenant, such as `api/v1/Contact/1`.");
    for (status, description) in OWN {
        let mut response = ResponseBuilder::new()
            .description(description)
            .content("*/*", Content::new(None::<Ref>))
            .content(
                "application/problem+json",
                Content::new(Some(Ref::from_schema_name("Problem"))),
            );
        if status == 503 {
            response = response.header("Retry-After", seconds("Seconds after which to try again."));
        }
        operation = operation.response(&status.to_string(), response.build());
    }
    let tenants = ResponseBuilder::new()
        .description("What the tenant answers.")
        .content("*/*", Content::new(None::<Ref>));
    operation.response("default", tenants.build())
}

fn notification() -> Operation {
    let retry_later = ResponseBuilder::new()
        .description("No key can be had, the store can't be written, or the gateway is to stop.")
        .header("Retry-After", seconds("Seconds after which to send it again."));
    let unverified = ResponseBuilder::new()
        .description("The token can't be verified, or speaks for a person.")
        .header("WWW-Authenticate", header(Type::String, "A Bearer challenge with the reason."));
    let refused = "It has no object of known form, or the request is malformed.";
    Operation::new("notify", "notifications", "Takes a notification of SuperOffice")
        .description("The State Change URL to register.")
        .body::<Notification>(Required::True, "Member names are matched regardless of case.")
        .empty(204, "It is taken and stored.")
        .empty(400, refused)
        .response("401", unverified.build())
        .empty(403, "The token is for another tenant.")
        .empty(408, "The body did not arrive in 5 s.")
        .empty(413, "The body has more than 16 KiB.")
        .empty(415, "The content is encoded.")
        .response("503", retry_later.build())
}

//! The routes about tenants.

use utoipa::{
    IntoParams,
    openapi::{Content, HttpMethod, Ref, Required, Response, ResponseBuilder, schema::Type},
};

use super::{
    Document,
    operation::{Operation, header, seconds},
};
use crate::{
    routes::{
        check::Statuses,
        orders::{Access, Members, Order},
        state::Answer,
        tenant::Wait,
        tenants::{Parameters, Tenant},
    },
    schemas,
};

const TAG: &str = "tenants";

pub(super) fn describe(document: &mut Document<'_>, orders: Option<&Access>) {
    let list = Operation::new("list_tenants", TAG, "Lists tenants")
        .description(
            "By id, regardless of case. The next page begins `after` the last id of this one.",
        )
        .query(Parameters::into_params(|| None))
        .array::<Tenant<'_>>(200, "The tenants of which something is known.")
        .problem_for_now(503, "As many read the list as may.");
    document.add_for_tenants(HttpMethod::Get, "/tenants", list);
    let one = Operation::new("tenant", TAG, "Shows one tenant")
        .tenant()
        .json::<Tenant<'_>>(200, "The tenant. One of which nothing is known is an open one.");
    document.add_for_tenants(HttpMethod::Get, "/tenants/{ctx}", one);
    let wait = Operation::new("wait_for_tenant", TAG, "Waits until a tenant is open")
        .tenant()
        .query(Wait::into_params(|| None))
        .empty(204, "It is open.")
        .closed();
    document.add_for_tenants(HttpMethod::Get, "/tenants/{ctx}/wait", wait);
    document.add_for_tenants(HttpMethod::Get, "/check/{ctx}", check());
    let state =
        Operation::new("tenant_state", TAG, "SuperOffice's own answer about a tenant's state")
            .description("From what the gateway knows: no request to SuperOffice is made for it.")
            .tenant()
            .json::<Answer<'_>>(200, "The state.");
    document.add_for_tenants(HttpMethod::Get, "/api/state/{ctx}", state);
    if let Some(access) = orders {
        for order in Order::ALL {
            let path = format!("/tenants/{{ctx}}/{}", order.name());
            document.add_for_tenants(HttpMethod::Post, &path, describe_order(order, access));
        }
    }
}

fn check() -> Operation {
    let closed = |description: &str| {
        ResponseBuilder::new()
            .description(description)
            .header("x-tenant-reason", header(Type::String, "Why it is closed."))
            .header("Retry-After", seconds("Seconds after which it may be open."))
            .content(
                "application/problem+json",
                Content::new(Some(Ref::from_schema_name("Problem"))),
            )
            .build()
    };
    let open = |description: &str| Response::new(description);
    Operation::new("check_tenant", TAG, "Whether a call would pass")
        .description("For proxies that ask before they forward, such as nginx and Envoy.")
        .tenant()
        .query(Statuses::into_params(|| None))
        .response("200", open("As 204, with `open=200`."))
        .response("204", open("A call would pass."))
        .response("401", closed("As 503 or 410, with `closed=401`."))
        .response("403", closed("As 503 or 410, with `closed=403`."))
        .response("410", closed("The tenant is deleted."))
        .response("503", closed("The tenant is closed."))
}

fn describe_order(order: Order, access: &Access) -> Operation {
    let (summary, description) = match order {
        Order::Open => ("Takes a tenant as open", "Until `until`, or `release`."),
        Order::Close => ("Closes a tenant", "Until `until`, or `release`."),
        Order::Release => ("Ends an open or a close", "The status is again what SuperOffice says."),
        Order::Refresh => ("Pulls a tenant's state from SuperOffice", "One pull, at once."),
        Order::Forget => ("Removes a tenant that is deleted for good", "From the store too."),
    };
    let operation = Operation::new(&format!("{}_tenant", order.name()), "orders", summary)
        .description(description)
        .tenant();
    // The content may be empty, which OpenAPI can't say while the Content-Type is required.
    let says = "What the order says. Content of no bytes is taken as `{}`.";
    let operation = match order {
        Order::Open | Order::Close => operation.body::<Members>(Required::True, says),
        _ => operation.body::<schemas::OrderWithoutEnd>(Required::True, says),
    };
    let operation = operation
        .json::<Tenant<'_>>(200, "The tenant as it is then.")
        .problem(400, "Path or body make no sense, or the request is malformed.")
        .problem(403, "The request comes from another site, or by a name that may be another's.")
        .problem(408, "The body did not arrive in time.")
        .problem(413, "The body has more than 16 KiB.")
        .problem(415, "The body is not application/json.");
    let operation = match order {
        Order::Open | Order::Close | Order::Release => {
            operation.problem_for_now(503, "The order is in force here, but not stored.")
        }
        Order::Refresh => operation
            .problem(409, "The state API is off.")
            .problem(502, "The state API failed, or does not know the tenant.")
            .problem_for_now(503, "As many pulls are requested as may, or the gateway is to stop."),
        Order::Forget => operation
            .problem(409, "The tenant is not known to be deleted for good.")
            .problem_for_now(503, "The store is unavailable."),
    };
    match access {
        Access::Address => operation,
        Access::Token(_) => operation.operator().unauthorized(),
    }
}

impl Operation {
    fn unauthorized(self) -> Self {
        let response = ResponseBuilder::new()
            .description("The operator's token is missing or another.")
            .header("WWW-Authenticate", header(Type::String, "A Bearer challenge."))
            .content(
                "application/problem+json",
                Content::new(Some(Ref::from_schema_name("Problem"))),
            );
        self.response("401", response.build())
    }
}

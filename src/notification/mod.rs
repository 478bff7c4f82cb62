//! The inbound side: the route that serves SuperOffice's notifications.
//!
//! [`NotificationService`] is that route as a service, [`NotificationLayer`] puts it in front of a
//! whole app. The response's extensions hold the result: [`Accepted`], or a [`Refusal`] with its
//! reason.

// A notification goes from `layer` or `service` through `future`, which reads the `body`, to the
// `route` of one gate or of `several`. `handler` parses the `payload`, has its token verified,
// compares the two, and applies the change; `answer` turns the result into a response.

mod answer;
mod body;
pub(crate) mod counts;
mod detached;
mod future;
mod gates_error;
mod handler;
mod layer;
mod message;
mod path;
mod payload;
mod refusal_kind;
mod refusal_log;
mod route;
mod service;
mod several;
mod trace;

#[cfg(feature = "test-util")]
pub(crate) use self::handler::check_with;
pub use self::{
    answer::{Accepted, Refusal},
    future::{NotificationFuture, ResponseFuture},
    gates_error::GatesError,
    layer::{NotificationLayer, Notifications},
    message::{Notification, ParseNotificationError},
    service::NotificationService,
};
pub(crate) use self::{
    body::Limits,
    handler::{HandlerConfig, NotificationHandler},
    path::NotificationPath,
    route::Route,
    several::SeveralGates,
};
pub use crate::{http_client::EmptyBody, tenants::Outcome};

//! The inbound side: the route that serves SuperOffice's notifications.
//!
//! [`NotificationService`] is that route as a service, [`NotificationLayer`] puts it in front of a
//! whole app. What a request was answered with sits in the response's extensions: [`Accepted`], or
//! a [`Refusal`] with its reason.

// A notification goes from `layer` or `service` through `future`, which reads the `body`, to the
// `handler`, which parses the `payload`, has its token verified, compares the two, and applies the
// change; `answer` turns the result into a response.

mod answer;
mod body;
pub(crate) mod counts;
mod detached;
mod future;
mod handler;
mod layer;
mod path;
mod payload;
mod refusal_log;
mod service;

#[cfg(feature = "test-util")]
pub(crate) use self::handler::check_with;
pub use self::{
    answer::{Accepted, Refusal},
    future::{NotificationFuture, ResponseFuture},
    layer::{NotificationLayer, Notifications},
    service::NotificationService,
};
pub(crate) use self::{
    handler::{HandlerConfig, NotificationHandler},
    path::NotificationPath,
};
pub use crate::{http_client::EmptyBody, tenants::Outcome};

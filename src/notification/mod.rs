//! The inbound side: the route that serves SuperOffice's notifications.
//!
//! [`NotificationService`] is that route as a service, [`NotificationLayer`] puts it in front of a
//! whole app. What a request was answered with sits in the response's extensions: [`Accepted`], or a
//! [`Refusal`] with its reason.

mod answer;
mod body;
pub(crate) mod counts;
mod future;
mod judge;
mod layer;
mod payload;
mod receiver;
mod service;

#[cfg(feature = "test-util")]
pub(crate) use self::judge::judge;
pub(crate) use self::receiver::{Receiver, ReceiverConfig};
pub use self::{
    answer::{Accepted, Refusal},
    future::{NotificationFuture, ResponseFuture},
    layer::{NotificationLayer, Notifications},
    service::NotificationService,
};
pub use crate::{http_client::EmptyBody, tenants::Outcome};

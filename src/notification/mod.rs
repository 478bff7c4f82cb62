//! The inbound side: the route that SuperOffice's notifications arrive at.
//!
//! A notification goes from [`layer`] or [`service`] through [`future`], which reads the [`body`],
//! to the [`receiver`], which takes the [`payload`] apart, has its token verified, [judges](judge)
//! both together, and puts it in force; [`answer`] says what is told to the sender.

mod answer;
mod body;
mod future;
mod judge;
mod layer;
mod payload;
mod receiver;
mod service;

#[cfg(any(test, fuzzing))]
pub(crate) use self::judge::judge;
pub(crate) use self::receiver::Receiver;
pub use self::{
    answer::{Accepted, Refusal},
    future::{NotificationFuture, ResponseFuture},
    layer::{NotificationLayer, Notifications},
    service::NotificationService,
};

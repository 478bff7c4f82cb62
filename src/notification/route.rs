//! The notification route of one gate, or of several.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    answer::{Accepted, Refusal},
    body::Limits,
    detached::Detached,
    handler::{Handled, NotificationHandler},
    several::SeveralGates,
    trace::traced,
};

/// The handlers behind a route. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    One(NotificationHandler),
    Several(Arc<SeveralGates>),
}

impl Route {
    pub(super) fn limits(&self) -> Limits {
        match self {
            Self::One(gate) => gate.limits(),
            Self::Several(gates) => gates.limits(),
        }
    }

    /// Counts and logs a refusal.
    pub(super) fn refuse(&self, refusal: Refusal) -> Refusal {
        match self {
            Self::One(gate) => gate.refuse(refusal),
            Self::Several(gates) => gates.refuse(refusal),
        }
    }

    /// Counts and logs the refusal of a notification whose task ended without a result.
    pub(super) fn refuse_interrupted(&self) -> Refusal {
        self.refuse(Refusal::interrupted())
    }

    /// Verifies the whole body of a POST and, when it is genuine, applies what it says.
    pub(super) fn handle(&self, body: &[u8]) -> Handled {
        traced(Some("POST"), || self.take(body))
    }

    fn take(&self, body: &[u8]) -> Handled {
        match self {
            Self::One(gate) => gate.handle(body),
            Self::Several(gates) => gates.handle(body),
        }
    }

    /// Handles a body that arrived in another way than by HTTP, with the limit of size that the
    /// route has.
    pub(crate) async fn receive(&self, body: Bytes) -> Result<Accepted, Refusal> {
        if body.len() > self.limits().size {
            return Err(self.refuse(Refusal::BodyTooLarge));
        }
        match traced(None, || self.take(&body)) {
            Handled::Ready(result) => result,
            Handled::Pending(handled) => {
                let handled = Detached::new(handled).await;
                handled.unwrap_or_else(|_| Err(self.refuse_interrupted()))
            }
        }
    }
}

//! The stream of events of tenants.

mod json;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::broadcast::{self, Receiver, error::RecvError};

use crate::{
    status::{ChangeType, TenantStatus},
    tenant_id::TenantId,
    tenants::correction::Correction,
};

/// A change of a tenant.
///
/// Each gate publishes what its record of the tenant gains, once: by a notification that it
/// received, a pull that it made, an order, or the record of another replica, even one that it
/// learns of late. Of several notifications of one type that are learnt of at once, the newest is
/// published. What the store had when the gate started was gained before, and is in the
/// [`snapshot`](crate::TenantGate::snapshot). A status in an event has no
/// [`endpoint`](TenantStatus::endpoint).
///
/// With serde it is an object of `event`, the name in snake case, and the fields of the event; a
/// `correction` is an object of `missed` and `within_seconds`, and the number of `missed` is in
/// `events`. More names may come.
///
/// ```
/// use serde_json::json;
/// use tower_superoffice::{TenantEvent, TenantId};
///
/// let event = TenantEvent::Restored { tenant: TenantId::new("Cust1")?, epoch: 1_700_000_000 };
/// let expected = json!({ "event": "restored", "tenant": "Cust1", "epoch": 1_700_000_000 });
/// assert_eq!(serde_json::to_value(event)?, expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantEvent {
    /// The tenant opened, closed, or is now closed for another reason. One that is
    /// [forgotten](crate::TenantGate::forget) is open from then on.
    Changed {
        /// The tenant.
        tenant: TenantId,
        /// Its new status.
        status: TenantStatus,
    },
    /// A notification was recorded that was not known: a newer one of its type.
    Notified {
        /// The tenant.
        tenant: TenantId,
        /// The type of the notification.
        change: ChangeType,
        /// Its `VersionName`, if it names one. Free text.
        version_name: Option<String>,
        /// Its `FileVersion`, if it names one.
        file_version: Option<String>,
    },
    /// The tenant's data went back in time: it was restored from a backup, or cloned into a
    /// sandbox.
    Restored {
        /// The tenant.
        tenant: TenantId,
        /// The new [`epoch`](TenantStatus::epoch).
        epoch: i64,
    },
    /// SuperOffice announced that the tenant moved. The replica that received it requests a pull of
    /// the new host.
    Moved {
        /// The tenant.
        tenant: TenantId,
    },
    /// SuperOffice announced a change of a type that this version does not know.
    Unknown {
        /// The tenant.
        tenant: TenantId,
        /// The number of the change type.
        number: u32,
    },
    /// A pull corrected the status: a notification was lost, late or untrue.
    Corrected {
        /// The tenant.
        tenant: TenantId,
        /// Its new status.
        status: TenantStatus,
        /// The missing notification, and for how long the status was wrong.
        correction: Correction,
    },
    /// The tenant's status became a confirmed deletion: a pull agrees that it is deleted. See
    /// [`is_confirmed`](TenantStatus::is_confirmed).
    Confirmed {
        /// The tenant.
        tenant: TenantId,
        /// Its status.
        status: TenantStatus,
    },
    /// The receiver lagged and this many events were dropped. Read
    /// [`snapshot`](crate::TenantGate::snapshot) to catch up.
    Missed(u64),
}

/// The events of a gate since the stream was created.
///
/// A slow receiver delays nothing else: the oldest events are dropped, and [`TenantEvent::Missed`]
/// has their number. The stream ends with the gate. See [how to catch up](crate::events).
pub struct Events {
    inner: Pin<Box<dyn Stream<Item = TenantEvent> + Send + Sync>>,
}

impl TenantEvent {
    /// Returns the tenant; `None` for [`Missed`](Self::Missed).
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Changed { tenant, .. }
            | Self::Notified { tenant, .. }
            | Self::Restored { tenant, .. }
            | Self::Moved { tenant }
            | Self::Unknown { tenant, .. }
            | Self::Corrected { tenant, .. }
            | Self::Confirmed { tenant, .. } => Some(tenant),
            Self::Missed(_) => None,
        }
    }
}

impl Events {
    pub(super) fn new(receiver: Receiver<TenantEvent>) -> Self {
        let inner = Box::pin(stream::unfold(receiver, |mut receiver| async {
            let event = match receiver.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => TenantEvent::Missed(missed),
                Err(RecvError::Closed) => return None,
            };
            Some((event, receiver))
        }));
        Self { inner }
    }
}

/// Sends the events of all tenants.
///
/// Events are sent while their tenant is locked, so that those of one tenant are in order.
#[derive(Debug)]
pub(super) struct EventSender(broadcast::Sender<TenantEvent>);

impl EventSender {
    /// Keeps `capacity` events for a receiver that lags, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        Self(broadcast::Sender::new(capacity.max(1)))
    }

    pub(super) fn subscribe(&self) -> Events {
        Events::new(self.0.subscribe())
    }

    /// Returns whether anything receives events. Once a tenant is locked, what begins to receive
    /// later finds the tenant as it is when it is unlocked.
    pub(super) fn has_receivers(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(super) fn send(&self, event: TenantEvent) {
        // Fails without subscribers.
        let _ = self.0.send(event);
    }
}

impl Stream for Events {
    type Item = TenantEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TenantEvent>> {
        self.inner.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

//! The stream of events of tenants.

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
    tenants::{correction::Correction, update::Applied},
};

/// A change of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantEvent {
    /// The tenant opened, closed, or is now closed for another reason.
    Changed {
        /// The tenant.
        tenant: TenantId,
        /// Its new status.
        status: TenantStatus,
    },
    /// The tenant's data went back in time: it was restored from a backup, or cloned into a
    /// sandbox.
    Restored {
        /// The tenant.
        tenant: TenantId,
        /// The new [`epoch`](TenantStatus::epoch).
        epoch: i64,
    },
    /// SuperOffice announced that the tenant moved. A pull of its new host is requested.
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
    /// The receiver lagged and this many events were dropped. Read
    /// [`snapshot`](crate::TenantGate::snapshot) to catch up.
    Missed(u64),
}

/// The events of a gate since the stream was created.
///
/// A slow receiver delays nothing else: the oldest events are dropped, and [`TenantEvent::Missed`]
/// has their number. The stream ends with the gate.
pub struct Events {
    inner: Pin<Box<dyn Stream<Item = TenantEvent> + Send + Sync>>,
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

    /// Publishes the events of a change.
    pub(super) fn publish(
        &self,
        tenant: &TenantId,
        applied: &Applied,
        notification: Option<(ChangeType, i64)>,
    ) {
        let Applied { before, after, .. } = applied;
        self.publish_change(tenant, before, after);
        if let Some((change, token_time)) = notification.filter(|_| applied.changed()) {
            let tenant = tenant.clone();
            match change {
                ChangeType::BackupRestored => {
                    self.send(TenantEvent::Restored { tenant, epoch: token_time });
                }
                ChangeType::Move => self.send(TenantEvent::Moved { tenant }),
                ChangeType::Other(number) => self.send(TenantEvent::Unknown { tenant, number }),
                _ => {}
            }
        }
        if let Some(correction) = applied.correction {
            let (tenant, status) = (tenant.clone(), after.clone());
            self.send(TenantEvent::Corrected { tenant, status, correction });
        }
    }

    /// Publishes that a status changed, if it did.
    pub(super) fn publish_change(
        &self,
        tenant: &TenantId,
        before: &TenantStatus,
        after: &TenantStatus,
    ) {
        if before.reason() != after.reason() {
            let (tenant, status) = (tenant.clone(), after.clone());
            self.send(TenantEvent::Changed { tenant, status });
        }
    }

    fn send(&self, event: TenantEvent) {
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

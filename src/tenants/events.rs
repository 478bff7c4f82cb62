//! The stream of events of tenants.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{status::TenantStatus, tenant_id::TenantId, tenants::correction::Correction};

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

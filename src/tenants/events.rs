//! What happens to tenants, as a stream.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{status::TenantStatus, tenant_id::TenantId, tenants::correction::Correction};

/// Something that happened to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantEvent {
    /// It opened, closed, or is now closed for another reason.
    Changed {
        /// The tenant.
        tenant: TenantId,
        /// What it is now.
        status: TenantStatus,
    },
    /// Its data went back in time: it was restored from a backup, or cloned into a sandbox.
    Restored {
        /// The tenant.
        tenant: TenantId,
        /// The new [`epoch`](TenantStatus::epoch).
        epoch: i64,
    },
    /// SuperOffice announced that it moved. Where to is asked of the state API.
    Moved {
        /// The tenant.
        tenant: TenantId,
    },
    /// SuperOffice announced a change that this version doesn't know.
    Unknown {
        /// The tenant.
        tenant: TenantId,
        /// The number of the change type.
        number: u32,
    },
    /// The state API corrected what the notifications said: one was lost, late or untrue.
    Corrected {
        /// The tenant.
        tenant: TenantId,
        /// What it is now.
        status: TenantStatus,
        /// What was missed, and for how long.
        correction: Correction,
    },
    /// This reader was too slow for so many events. Read [`snapshot`](crate::TenantGate::snapshot)
    /// to catch up.
    Missed(u64),
}

/// The events of a gate from the moment this stream was made.
///
/// A slow reader delays nobody: it loses the oldest events and is told how many, with
/// [`TenantEvent::Missed`]. The stream ends with the gate.
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

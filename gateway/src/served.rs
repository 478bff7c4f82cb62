//! The environments that the gateway serves.

use std::{slice, time::Duration};

use tower_superoffice::{NotificationLayer, TenantGate, TenantGates, notification::GatesError};

/// The gate of one environment, or the gates of several, behind one State Change URL.
///
/// Routes about tenants are below [`prefix`](Self::prefix); those about the gateway cover all
/// gates.
#[derive(Debug, Clone)]
pub(crate) enum Served {
    One(TenantGate),
    Several(TenantGates),
}

impl Served {
    /// Serves `gates`, of which there is at least one.
    pub(crate) fn new(gates: Vec<TenantGate>) -> Result<Self, GatesError> {
        match <[TenantGate; 1]>::try_from(gates) {
            Ok([gate]) => Ok(Self::One(gate)),
            Err(gates) => Ok(Self::Several(TenantGates::new(gates)?)),
        }
    }

    pub(crate) fn gates(&self) -> &[TenantGate] {
        match self {
            Self::One(gate) => slice::from_ref(gate),
            Self::Several(gates) => gates.gates(),
        }
    }

    /// Returns the start of the paths about tenants of `gate`: with several environments each has
    /// its name there, such as `/stage`; one alone has none.
    pub(crate) fn prefix(&self, gate: &TenantGate) -> String {
        match self {
            Self::One(_) => String::new(),
            Self::Several(_) => format!("/{}", gate.environment().name()),
        }
    }

    /// Returns the name that tells what is about `gate` from what is about others; `None` when
    /// there is no other.
    pub(crate) fn label(&self, gate: &TenantGate) -> Option<String> {
        matches!(self, Self::Several(_)).then(|| gate.environment().name())
    }

    /// Returns the one notification path.
    pub(crate) fn notification_layer(&self) -> NotificationLayer {
        match self {
            Self::One(gate) => gate.notification_layer(),
            Self::Several(gates) => gates.notification_layer(),
        }
    }

    /// Brings the metrics of all gates up to date in the recorder in force.
    pub(crate) fn record_metrics(&self) {
        match self {
            Self::One(gate) => gate.record_metrics(),
            Self::Several(gates) => gates.record_metrics(),
        }
    }

    /// Ends all gates at once, within the same time; returns how many tenants are left unwritten.
    pub(crate) async fn shutdown(self, within: Duration) -> usize {
        match self {
            Self::One(gate) => gate.shutdown(within).await,
            Self::Several(gates) => gates.shutdown(within).await,
        }
    }
}

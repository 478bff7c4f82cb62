//! Several gates behind one State Change URL.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;

use super::{TenantGate, builder};
#[cfg(feature = "metrics")]
use crate::notification::counts::Counters;
use crate::{
    environment::Environment,
    health::NotificationCounts,
    notification::{
        Accepted, GatesError, Limits, NotificationLayer, NotificationPath, NotificationService,
        Refusal, Route, SeveralGates,
    },
};

/// The gates of several environments behind one State Change URL, which is SuperOffice's default
/// for an application.
///
/// A notification does not name its environment. The key that signed its token decides, then the
/// token's issuer and audience: it goes to the one gate that would accept it on its own. What no
/// gate accepts is refused with 503 if any that it could be for has no keys, else with the 401 of
/// the gate whose checks it passed furthest. It is counted and logged once, by this type: see
/// [`notifications`](Self::notifications). A login token is counted and logged by the gate whose
/// key signed it.
///
/// Everything else is done with the gates themselves. A client belongs to one environment:
///
/// ```
/// # async fn run(sod: tower_superoffice::TenantGate, production: tower_superoffice::TenantGate)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use tower_superoffice::TenantGates;
///
/// let gates = TenantGates::new([sod.clone(), production.clone()])?;
/// let app: axum::Router = axum::Router::new()
///     .route_service("/NotifyCustomerStateChange", gates.notification_service());
/// let (to_sod, to_production) = (sod.client_layer(), production.client_layer());
/// # Ok(())
/// # }
/// ```
///
/// # Path and limits
///
/// The [path](crate::TenantGateBuilder::notification_path), the [size
/// limit](crate::TenantGateBuilder::body_limit) and the
/// [deadline](crate::TenantGateBuilder::body_deadline) are given once, to the builder of any of the
/// gates. Gates with the default do not contradict it.
///
/// # Gates with the same key
///
/// They are refused. Keys that are fetched later can't be compared here. Should two gates hold the
/// same key then, a token goes to the gate whose issuer and audience it has. One that both accept
/// is refused with [`Refusal::Ambiguous`], and both pull its tenant.
#[derive(Clone)]
pub struct TenantGates {
    gates: Arc<[TenantGate]>,
    route: Arc<SeveralGates>,
    path: NotificationPath,
}

impl TenantGates {
    /// Puts `gates` behind one route. Their order makes no difference.
    ///
    /// # Errors
    ///
    /// When there is none, when two are of the same environment, have a signing key or key URL in
    /// common, or were given different paths or limits.
    pub fn new(gates: impl IntoIterator<Item = TenantGate>) -> Result<Self, GatesError> {
        let gates: Vec<TenantGate> = gates.into_iter().collect();
        let Some(first) = gates.first() else { return Err(GatesError::NoGate) };
        for (index, gate) in gates.iter().enumerate() {
            for other in gates.iter().skip(index + 1) {
                if gate.environment().name() == other.environment().name() {
                    return Err(GatesError::SameEnvironment);
                }
                let (own, its) = (&gate.parts.handler, &other.parts.handler);
                if own.verifier().shares_keys_with(its.verifier()) {
                    return Err(GatesError::SharedKey);
                }
            }
        }
        let path = |gate: &TenantGate| gate.parts.notification_path.clone();
        let default = NotificationPath::parse(builder::PATH).unwrap_or_else(|| path(first));
        let path = given_once(gates.iter().map(path), default).ok_or(GatesError::Path)?;
        let limits = |gate: &TenantGate| gate.parts.handler.limits();
        let sizes = gates.iter().map(|gate| limits(gate).size);
        let size = given_once(sizes, builder::BODY_LIMIT).ok_or(GatesError::BodyLimit)?;
        let deadlines = gates.iter().map(|gate| limits(gate).deadline);
        let deadline =
            given_once(deadlines, builder::BODY_DEADLINE).ok_or(GatesError::BodyDeadline)?;
        let handlers = gates.iter().map(|gate| gate.parts.handler.clone()).collect();
        let route = SeveralGates::new(handlers, Limits { size, deadline });
        Ok(Self { gates: gates.into(), route: Arc::new(route), path })
    }

    fn route(&self) -> Route {
        Route::Several(Arc::clone(&self.route))
    }

    /// Returns the notification route of all gates as a layer around a whole app.
    #[must_use]
    pub fn notification_layer(&self) -> NotificationLayer {
        NotificationLayer::new(self.route(), self.path.clone())
    }

    /// Returns the notification route of all gates as a service, to be mounted at a path.
    #[must_use]
    pub fn notification_service(&self) -> NotificationService {
        NotificationService::new(self.route())
    }

    /// Receives a notification that came in another way than to the notification route, as
    /// [`TenantGate::receive`] does. [`Accepted::environment`] returns the environment that it is
    /// from.
    ///
    /// # Errors
    ///
    /// As [`TenantGate::receive`].
    pub async fn receive(&self, body: impl Into<Bytes>) -> Result<Accepted, Refusal> {
        self.route().receive(body.into()).await
    }

    /// Returns the counts behind [`notifications`](Self::notifications).
    #[cfg(feature = "metrics")]
    pub(super) fn counters(&self) -> &Counters {
        self.route.counters()
    }

    /// Returns the gate of `environment`; `None` when there is none.
    #[must_use]
    pub fn gate(&self, environment: &Environment) -> Option<&TenantGate> {
        self.gates.iter().find(|gate| gate.environment() == environment)
    }

    /// Returns all gates, in the order in which they were given.
    #[must_use]
    pub fn gates(&self) -> &[TenantGate] {
        &self.gates
    }

    /// Shuts all gates down at once, each as [`TenantGate::shutdown`] does and within the same
    /// time. Returns the number of tenants that are left unwritten in all of them.
    ///
    /// ```no_run
    /// # async fn run(gates: tower_superoffice::TenantGates) {
    /// let left = gates.shutdown(std::time::Duration::from_secs(10)).await;
    /// if left > 0 {
    ///     eprintln!("{left} tenants could not be written");
    /// }
    /// # }
    /// ```
    pub async fn shutdown(self, within: Duration) -> usize {
        let gates = self.gates.iter().cloned();
        join_all(gates.map(|gate| gate.shutdown(within))).await.into_iter().sum()
    }

    /// Returns the counts of notifications that were refused before one of the gates was chosen.
    /// All others are in the [`health`](TenantGate::health) of their gate, and only there.
    #[must_use]
    pub fn notifications(&self) -> NotificationCounts {
        self.route.counts()
    }
}

impl fmt::Debug for TenantGates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantGates")
            .field("gates", &self.gates)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Returns the one of `values` that differs from the default, and the default when all are that;
/// `None` when there are two.
fn given_once<T: PartialEq>(values: impl Iterator<Item = T>, default: T) -> Option<T> {
    let mut given = values.filter(|value| *value != default);
    let Some(first) = given.next() else { return Some(default) };
    given.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_given_once_or_agreed_on() {
        let given = |values: &[u64]| {
            let seconds = values.iter().copied().map(Duration::from_secs);
            given_once(seconds, Duration::from_secs(5)).map(|value| value.as_secs())
        };
        assert_eq!(given(&[5, 5]), Some(5));
        assert_eq!(given(&[5, 7, 5]), Some(7));
        assert_eq!(given(&[7, 5, 7]), Some(7));
        assert_eq!(given(&[7, 8]), None);
    }
}

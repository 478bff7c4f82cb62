//! The way of a notification from its bytes to its answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;

use super::{
    answer::{Accepted, Refusal},
    body::Limits,
    counts::{Counters, NotificationCounts},
    message::Notification,
    payload::Payload,
    refusal_log::{RefusalLog, Refused},
};
use crate::{
    clock::Clock,
    environment::Environment,
    keep_alive::KeepAlive,
    persist::WriteBack,
    pull::Pulls,
    status::notified::{Details, Notified},
    tenant_id::TenantId,
    tenants::{Tenants, Update},
    timer::{Started, Timer},
    token::{TokenError, Verification, Verified, Verifier, VerifyError},
};

/// The time after which a sender may try again when this side failed.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Handles the notifications of one gate. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct NotificationHandler(Arc<HandlerParts>);

/// The parts that a handler is made of.
#[derive(Debug)]
pub(crate) struct HandlerConfig {
    /// The environment whose gate this is, for [`Accepted`].
    pub(crate) environment: Arc<Environment>,
    pub(crate) verifier: Verifier,
    pub(crate) tenants: Arc<Tenants>,
    /// `None` without a store: then no write has to be waited for.
    pub(crate) write_back: Option<Arc<WriteBack>>,
    /// `None` while the state API is off.
    pub(crate) pulls: Option<Arc<Pulls>>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) _keep_alive: KeepAlive,
}

#[derive(Debug)]
struct HandlerParts {
    config: HandlerConfig,
    counters: Counters,
    log: RefusalLog,
    /// Measures verified notifications, from their whole body to their answer.
    timer: Timer,
    /// Whether the gate shuts down.
    stopped: AtomicBool,
}

/// The result of a notification, or the future that brings it once a key or the store has answered.
pub(super) enum Handled {
    Ready(Result<Accepted, Refusal>),
    Pending(BoxFuture<'static, Result<Accepted, Refusal>>),
}

impl NotificationHandler {
    pub(crate) fn new(config: HandlerConfig) -> Self {
        Self(Arc::new(HandlerParts {
            config,
            counters: Counters::default(),
            log: RefusalLog::new(),
            timer: Timer::default(),
            stopped: AtomicBool::new(false),
        }))
    }

    /// Answers 503 from now on: the gate shuts down.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    fn config(&self) -> &HandlerConfig {
        &self.0.config
    }

    /// Returns the counts of notifications since the gate was built.
    pub(crate) fn counts(&self) -> NotificationCounts {
        self.0.counters.read(self.0.log.unlogged())
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn timer(&self) -> &Timer {
        &self.0.timer
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.config().verifier
    }

    pub(crate) fn limits(&self) -> Limits {
        self.config().limits
    }

    /// Counts and logs a refusal.
    pub(super) fn refuse(&self, refusal: Refusal) -> Refusal {
        self.0.counters.rejected(refusal);
        self.0.log.log(refusal, None);
        refusal
    }

    /// Verifies a whole body and, when it is genuine, applies what it says.
    pub(super) fn handle(&self, body: &[u8]) -> Handled {
        let started = Started::now();
        let (notification, token) = match Payload::with_token(body) {
            Ok(parsed) => parsed,
            Err(refusal) => return Handled::Ready(Err(self.refuse(refusal))),
        };
        match self.config().verifier.verify(&token) {
            Verification::Done(verified) => self.apply(notification, &token, verified, started),
            Verification::NeedsKeys(pending) => {
                let (this, token) = (self.clone(), token.into_owned());
                Handled::Pending(Box::pin(async move {
                    match this.apply(notification, &token, pending.wait().await, started) {
                        Handled::Ready(result) => result,
                        Handled::Pending(stored) => stored.await,
                    }
                }))
            }
        }
    }

    /// Applies a notification whose token was verified, or refuses it. Its body was whole when it
    /// `started`.
    pub(super) fn apply(
        &self,
        notification: Notification,
        token: &str,
        verified: Result<Verified, VerifyError>,
        started: Started,
    ) -> Handled {
        let verified = match verified {
            Ok(verified) => verified,
            Err(error) => {
                return Handled::Ready(Err(self.refuse_token(&notification.tenant, token, error)));
            }
        };
        if let Err(refusal) = match_tenants(&notification, &verified) {
            return Handled::Ready(Err(self.refuse(refusal)));
        }
        let Notification { change, tenant, .. } = &notification;
        let details = Details {
            version_name: notification.version_name.clone(),
            file_version: notification.file_version.clone(),
            endpoint: notification.public_endpoint.clone(),
            ..Details::default()
        };
        let received_at = self.config().clock.unix_ms();
        let notified = Notified::new(*change, verified.token_time, received_at, Arc::new(details));
        let outcome = self.config().tenants.apply(tenant, Update::Notification(notified)).outcome;
        self.0.counters.taken(outcome, received_at);
        crate::log::info!(
            environment = %self.config().environment,
            %tenant,
            %change,
            version_name = notification.version_name().map(tracing::field::debug),
            file_version = notification.file_version().map(tracing::field::debug),
            ?outcome,
            "notification accepted"
        );
        if self.is_stopped() {
            // Applied here, but it may be too late for the store: a sender may repeat it.
            return Handled::Ready(Err(self.refuse(Refusal::interrupted())));
        }
        let write_back = self.config().write_back.as_ref();
        let stored = write_back.and_then(|write_back| write_back.stored(tenant));
        let environment = Arc::clone(&self.config().environment);
        let accepted = Accepted { environment, notification, outcome };
        let Some(stored) = stored else {
            self.0.timer.stop(started);
            return Handled::Ready(Ok(accepted));
        };
        let this = self.clone();
        Handled::Pending(Box::pin(async move {
            let in_time = stored.in_time().await;
            this.0.timer.stop(started);
            if in_time {
                Ok(accepted)
            } else {
                Err(this.refuse(Refusal::NotStored { retry_after: RETRY_AFTER }))
            }
        }))
    }

    /// Requests a pull of a tenant to which something may have happened that nothing has verified.
    pub(super) fn request_unverified_pull(&self, tenant: &TenantId) {
        if let Some(pulls) = &self.config().pulls {
            pulls.request_unverified_pull(tenant);
        }
    }

    /// Counts and logs the refusal of a token.
    fn refuse_token(&self, tenant: &TenantId, token: &str, error: VerifyError) -> Refusal {
        let refusal = match error {
            VerifyError::Token(error) => Refusal::Token(error),
            // SuperOffice signed it, so something may have happened to the tenant that it names.
            // The body may name another one.
            VerifyError::LoginToken { tenant } => {
                self.request_unverified_pull(&tenant);
                Refusal::Token(TokenError::SpeaksForPerson)
            }
            VerifyError::KeysUnavailable { retry_after } => {
                self.request_unverified_pull(tenant);
                Refusal::NoKeys { retry_after }
            }
        };
        self.0.counters.rejected(refusal);
        self.0.log.log(refusal, Some(Refused { tenant, token }));
        refusal
    }
}

/// Refuses a body that names another tenant than its token.
fn match_tenants(notification: &Notification, verified: &Verified) -> Result<(), Refusal> {
    if verified.tenant == notification.tenant { Ok(()) } else { Err(Refusal::OtherTenant) }
}

/// Checks a notification as a gate does, with the check of its token passed in: what a fuzz target
/// drives.
#[cfg(feature = "test-util")]
pub(crate) fn check_with(
    body: &[u8],
    verify: impl FnOnce(&str) -> Result<Verified, TokenError>,
) -> Result<(Notification, Verified), Refusal> {
    let (notification, token) = Payload::with_token(body)?;
    let verified = verify(&token).map_err(Refusal::Token)?;
    match_tenants(&notification, &verified)?;
    Ok((notification, verified))
}

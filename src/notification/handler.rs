//! The way of a notification from its bytes to its answer.

use std::{sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use http_body::Body;

use super::{
    answer::{Accepted, Refusal},
    body::Collect,
    counts::{Counters, NotificationCounts},
    payload::Payload,
    refusal_log::{RefusalLog, Refused},
};
use crate::{
    clock::Clock,
    keep_alive::KeepAlive,
    persist::WriteBack,
    pull::Pulls,
    status::notified::{Details, Notified},
    tenant_id::TenantId,
    tenants::{Tenants, Update},
    token::{TokenError, Verification, Verified, Verifier, VerifyError},
};

/// When a sender may try again after the store could not be written, or the gate stopped.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Handles the notifications of one gate. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct NotificationHandler(Arc<HandlerParts>);

/// The parts that a handler is made of.
#[derive(Debug)]
pub(crate) struct HandlerConfig {
    pub(crate) verifier: Verifier,
    pub(crate) tenants: Arc<Tenants>,
    /// `None` without a store: then no write has to be waited for.
    pub(crate) write_back: Option<Arc<WriteBack>>,
    /// `None` while the state API is off.
    pub(crate) pulls: Option<Arc<Pulls>>,
    pub(crate) clock: Clock,
    pub(crate) body_limit: usize,
    pub(crate) body_deadline: Duration,
    pub(crate) _keep_alive: KeepAlive,
}

#[derive(Debug)]
struct HandlerParts {
    config: HandlerConfig,
    counters: Counters,
    log: RefusalLog,
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
        }))
    }

    fn config(&self) -> &HandlerConfig {
        &self.0.config
    }

    /// Returns the counts of notifications since the gate was built.
    pub(crate) fn counts(&self) -> NotificationCounts {
        self.0.counters.read(self.0.log.unlogged())
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.config().verifier
    }

    pub(super) fn body_limit(&self) -> usize {
        self.config().body_limit
    }

    pub(super) fn collect<B: Body>(&self, body: B) -> Collect<B> {
        let HandlerConfig { body_limit, body_deadline, .. } = self.config();
        Collect::new(body, *body_limit, *body_deadline)
    }

    /// Counts and logs a refusal.
    pub(super) fn refuse(&self, refusal: Refusal) -> Refusal {
        self.0.counters.rejected();
        self.0.log.log(refusal, None);
        refusal
    }

    /// Counts and logs the refusal of a notification whose task ended without a result.
    pub(super) fn refuse_interrupted(&self) -> Refusal {
        self.refuse(Refusal::Interrupted { retry_after: RETRY_AFTER })
    }

    /// Verifies a whole body and, when it is genuine, applies what it says.
    pub(super) fn handle(&self, body: &[u8]) -> Handled {
        let (payload, token) = match Payload::with_token(body) {
            Ok(parsed) => parsed,
            Err(refusal) => return Handled::Ready(Err(self.refuse(refusal))),
        };
        match self.config().verifier.verify(&token) {
            Verification::Done(verified) => self.apply(payload, &token, verified),
            Verification::NeedsKeys(pending) => {
                let this = self.clone();
                Handled::Pending(Box::pin(async move {
                    match this.apply(payload, &token, pending.wait().await) {
                        Handled::Ready(result) => result,
                        Handled::Pending(stored) => stored.await,
                    }
                }))
            }
        }
    }

    fn apply(
        &self,
        payload: Payload,
        token: &str,
        verified: Result<Verified, VerifyError>,
    ) -> Handled {
        let verified = match verified {
            Ok(verified) => verified,
            Err(error) => {
                return Handled::Ready(Err(self.refuse_token(&payload.tenant, token, error)));
            }
        };
        if let Err(refusal) = match_tenants(&payload, &verified) {
            return Handled::Ready(Err(self.refuse(refusal)));
        }
        let Payload { change, tenant, version_name, file_version, endpoint, .. } = payload;
        let details = Details { version_name, file_version, endpoint, ..Details::default() };
        let received_at = self.config().clock.unix_ms();
        let notified = Notified::new(change, verified.token_time, received_at, Arc::new(details));
        let outcome = self.config().tenants.apply(&tenant, Update::Notification(notified)).outcome;
        self.0.counters.taken(outcome);
        crate::log::info!(%tenant, %change, ?outcome, "notification accepted");
        let write_back = self.config().write_back.as_ref();
        let stored = write_back.and_then(|write_back| write_back.stored(&tenant));
        let accepted = Accepted { tenant, change, outcome };
        let Some(stored) = stored else { return Handled::Ready(Ok(accepted)) };
        let this = self.clone();
        Handled::Pending(Box::pin(async move {
            if stored.in_time().await {
                Ok(accepted)
            } else {
                Err(this.refuse(Refusal::NotStored { retry_after: RETRY_AFTER }))
            }
        }))
    }

    /// Has the state API asked about a tenant to which something may have happened.
    fn request_unverified_pull(&self, tenant: &TenantId) {
        if let Some(pulls) = &self.config().pulls {
            pulls.request_unverified_pull(tenant);
        }
    }

    /// Counts and logs the refusal of a token.
    fn refuse_token(&self, tenant: &TenantId, token: &str, error: VerifyError) -> Refusal {
        self.0.counters.rejected();
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
        self.0.log.log(refusal, Some(Refused { tenant, token }));
        refusal
    }
}

/// Refuses a body that names another tenant than its token.
fn match_tenants(payload: &Payload, verified: &Verified) -> Result<(), Refusal> {
    if verified.tenant == payload.tenant { Ok(()) } else { Err(Refusal::OtherTenant) }
}

/// Checks a notification as a gate does, with the check of its token passed in: what a fuzz target
/// drives.
#[cfg(feature = "test-util")]
pub(crate) fn check_with(
    body: &[u8],
    verify: impl FnOnce(&str) -> Result<Verified, TokenError>,
) -> Result<(Payload, Verified), Refusal> {
    let (payload, token) = Payload::with_token(body)?;
    let verified = verify(&token).map_err(Refusal::Token)?;
    match_tenants(&payload, &verified)?;
    Ok((payload, verified))
}

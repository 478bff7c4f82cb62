//! One route for the gates of several environments.
//!
//! A body is parsed once, and its token decides which gate it is for. From there on the
//! notification is that gate's own. One that is refused before a gate is found is counted and
//! logged here, once.

use std::sync::Arc;

use super::{
    answer::Refusal,
    body::Limits,
    counts::{Counters, NotificationCounts},
    handler::{Handled, NotificationHandler, RETRY_AFTER},
    message::Notification,
    payload::Payload,
    refusal_log::{RefusalLog, Refused},
};
use crate::{
    timer::Started,
    token::{Choice, ChoosingVerification, Verifiers, VerifyError},
};

/// The handlers of several gates.
#[derive(Debug)]
pub(crate) struct SeveralGates {
    handlers: Vec<NotificationHandler>,
    /// Those of `handlers`, in their order.
    verifiers: Verifiers,
    limits: Limits,
    counters: Counters,
    log: RefusalLog,
}

impl SeveralGates {
    pub(crate) fn new(handlers: Vec<NotificationHandler>, limits: Limits) -> Self {
        let verifiers = handlers.iter().map(|handler| handler.verifier().clone()).collect();
        Self {
            handlers,
            verifiers: Verifiers::new(verifiers),
            limits,
            counters: Counters::default(),
            log: RefusalLog::new(),
        }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the counts of notifications that were refused before one of the gates was chosen.
    pub(crate) fn counts(&self) -> NotificationCounts {
        self.counters.read(self.log.unlogged())
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Counts and logs a refusal.
    pub(super) fn refuse(&self, refusal: Refusal) -> Refusal {
        self.refuse_token(refusal, None)
    }

    fn refuse_token(&self, refusal: Refusal, refused: Option<Refused<'_>>) -> Refusal {
        self.counters.rejected(refusal);
        self.log.log(refusal, refused);
        refusal
    }

    /// Verifies a whole body and, when it is genuine, has its gate apply what it says.
    pub(super) fn handle(self: &Arc<Self>, body: &[u8]) -> Handled {
        let started = Started::now();
        let (notification, token) = match Payload::with_token(body) {
            Ok(parsed) => parsed,
            Err(refusal) => return Handled::Ready(Err(self.refuse(refusal))),
        };
        match self.verifiers.verify(&token) {
            ChoosingVerification::Done(choice) => self.apply(notification, &token, choice, started),
            ChoosingVerification::NeedsKeys(pending) => {
                let (this, token) = (Arc::clone(self), token.into_owned());
                Handled::Pending(Box::pin(async move {
                    let choice = pending.wait(&token).await;
                    match this.apply(notification, &token, choice, started) {
                        Handled::Ready(result) => result,
                        Handled::Pending(stored) => stored.await,
                    }
                }))
            }
        }
    }

    fn apply(
        &self,
        notification: Notification,
        token: &str,
        choice: Choice,
        started: Started,
    ) -> Handled {
        let refused = Some(Refused { tenant: &notification.tenant, token });
        let refusal = match choice {
            Choice::Accepted { index, verified } => {
                return self.hand_over(index, (notification, token), Ok(verified), started);
            }
            // It passed every check of that gate but one, so the refusal is that gate's.
            Choice::LoginToken { index, tenant } => {
                let error = Err(VerifyError::LoginToken { tenant });
                return self.hand_over(index, (notification, token), error, started);
            }
            Choice::Ambiguous { indices, tenant } => {
                self.request_unverified_pulls(&indices, &tenant);
                Refusal::Ambiguous { retry_after: RETRY_AFTER }
            }
            Choice::KeysUnavailable { indices, retry_after } => {
                self.request_unverified_pulls(&indices, &notification.tenant);
                Refusal::NoKeys { retry_after }
            }
            Choice::Refused(error) => Refusal::Token(error),
        };
        Handled::Ready(Err(self.refuse_token(refusal, refused)))
    }

    fn hand_over(
        &self,
        index: usize,
        (notification, token): (Notification, &str),
        verified: Result<crate::token::Verified, VerifyError>,
        started: Started,
    ) -> Handled {
        match self.handlers.get(index) {
            Some(handler) => handler.apply(notification, token, verified, started),
            // Never: the verifiers are those of the handlers.
            None => Handled::Ready(Err(self.refuse(Refusal::interrupted()))),
        }
    }

    fn request_unverified_pulls(&self, indices: &[usize], tenant: &crate::tenant_id::TenantId) {
        for handler in indices.iter().filter_map(|index| self.handlers.get(*index)) {
            handler.request_unverified_pull(tenant);
        }
    }
}

//! From the bytes of a notification to its answer.

use std::{sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use http_body::Body;

use super::{
    answer::{Accepted, Refusal},
    body::Collect,
    counts::{Counters, NotificationCounts},
    judge,
    payload::Payload,
};
use crate::{
    clock::Clock,
    keep_alive::KeepAlive,
    persist::WriteBack,
    pull::Pulls,
    status::fact::{Details, Notified},
    tenant_id::TenantId,
    tenants::{Tenants, Update},
    token::{Seen, Verdict, Verified, Verifier, VerifyError},
};

/// When a sender may try again after the store could not be written.
const STORE_RETRY: Duration = Duration::from_secs(30);

/// Takes notifications for a gate.
#[derive(Debug, Clone)]
pub(crate) struct Receiver(Arc<Parts>);

/// What a receiver is made of.
#[derive(Debug)]
pub(crate) struct ReceiverConfig {
    pub(crate) verifier: Verifier,
    pub(crate) tenants: Arc<Tenants>,
    /// `None` without a store: then nothing has to be waited for.
    pub(crate) write_back: Option<Arc<WriteBack>>,
    /// `None` while the state API is off.
    pub(crate) pulls: Option<Arc<Pulls>>,
    pub(crate) clock: Clock,
    pub(crate) body_limit: usize,
    pub(crate) body_deadline: Duration,
    pub(crate) _keep_alive: KeepAlive,
}

#[derive(Debug)]
struct Parts {
    config: ReceiverConfig,
    counters: Counters,
}

/// A result that is there, or will be when a key or the store has answered.
pub(super) enum Taken {
    Now(Result<Accepted, Refusal>),
    Later(BoxFuture<'static, Result<Accepted, Refusal>>),
}

impl Receiver {
    pub(crate) fn new(config: ReceiverConfig) -> Self {
        Self(Arc::new(Parts { config, counters: Counters::default() }))
    }

    fn config(&self) -> &ReceiverConfig {
        &self.0.config
    }

    pub(crate) fn counts(&self) -> NotificationCounts {
        self.0.counters.read()
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.config().verifier
    }

    pub(super) fn body_limit(&self) -> usize {
        self.config().body_limit
    }

    pub(super) fn collect<B: Body>(&self, body: B) -> Collect<B> {
        let ReceiverConfig { body_limit, body_deadline, .. } = self.config();
        Collect::new(body, *body_limit, *body_deadline)
    }

    /// Counts and logs a refusal.
    pub(super) fn refused(&self, refusal: Refusal) -> Refusal {
        self.0.counters.rejected();
        tracing::warn!(status = refusal.status().as_u16(), reason = %refusal, "notification refused");
        refusal
    }

    /// Judges a whole body and, when it is genuine, puts it in force.
    pub(super) fn take(&self, body: &[u8]) -> Taken {
        let (payload, token) = match judge::open(body) {
            Ok(opened) => opened,
            Err(refusal) => return Taken::Now(Err(self.refused(refusal))),
        };
        match self.config().verifier.verify(&token) {
            Verdict::Done(verified) => self.judged(payload, &token, verified),
            Verdict::NeedsKeys(pending) => {
                let this = self.clone();
                Taken::Later(Box::pin(async move {
                    match this.judged(payload, &token, pending.verified().await) {
                        Taken::Now(result) => result,
                        Taken::Later(stored) => stored.await,
                    }
                }))
            }
        }
    }

    fn judged(
        &self,
        payload: Payload,
        token: &str,
        verified: Result<Verified, VerifyError>,
    ) -> Taken {
        let verified = match verified {
            Ok(verified) => verified,
            Err(error) => return Taken::Now(Err(self.unverified(&payload.tenant, token, error))),
        };
        if let Err(refusal) = judge::agree(&payload, &verified) {
            return Taken::Now(Err(self.refused(refusal)));
        }
        let Payload { change, tenant, version_name, file_version, endpoint, .. } = payload;
        let notified = Notified {
            change,
            at: verified.at,
            seen: self.config().clock.unix_ms(),
            details: Arc::new(Details {
                version_name,
                file_version,
                endpoint,
                ..Details::default()
            }),
        };
        let outcome = self.config().tenants.apply(&tenant, Update::Notification(notified)).outcome;
        self.0.counters.taken(outcome);
        tracing::info!(%tenant, %change, ?outcome, "notification taken");
        let write_back = self.config().write_back.as_ref();
        let stored = write_back.and_then(|write_back| write_back.stored(&tenant));
        let accepted = Accepted { tenant, change, outcome };
        let Some(stored) = stored else { return Taken::Now(Ok(accepted)) };
        let this = self.clone();
        Taken::Later(Box::pin(async move {
            if stored.in_time().await {
                Ok(accepted)
            } else {
                Err(this.refused(Refusal::NotStored { retry_after: STORE_RETRY }))
            }
        }))
    }

    /// Logs what the token claimed: which issuer and audience notifications carry is not documented,
    /// and whoever sets a gate up needs to see them.
    fn unverified(&self, tenant: &TenantId, token: &str, error: VerifyError) -> Refusal {
        self.0.counters.rejected();
        let refusal = match error {
            VerifyError::Token(error) => Refusal::Token(error),
            VerifyError::KeysUnavailable { retry_after } => {
                if let Some(pulls) = &self.config().pulls {
                    pulls.unverified(tenant);
                }
                Refusal::NoKeys { retry_after }
            }
        };
        // Reading the token again costs as much as refusing it did.
        if tracing::enabled!(tracing::Level::WARN) {
            let seen = Seen::of(token);
            tracing::warn!(
                status = refusal.status().as_u16(),
                reason = %refusal,
                %tenant,
                iss = seen.iss.as_deref(),
                aud = seen.aud.as_deref(),
                kid = seen.kid.as_deref(),
                "notification refused"
            );
        }
        refusal
    }
}

//! Forgetting deleted tenants.

use std::{error::Error, fmt};

use super::{Parts, TenantGate};
use crate::{
    log,
    status::{Evidence, Record, UnavailableReason},
    store::StoreError,
    tenant_id::TenantId,
    tenants::Tenants,
};

/// The number of attempts to forget a tenant that changes in between.
const ATTEMPTS: usize = 4;

/// The reason why [`TenantGate::forget`] did not forget a tenant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ForgetError {
    /// The gate has no record of it.
    Unknown,
    /// An operator's order is in force for it.
    Overridden,
    /// It is not deleted.
    NotDeleted,
    /// It is deleted, but no pull agrees. See
    /// [`is_confirmed`](crate::TenantStatus::is_confirmed).
    Unconfirmed,
    /// Its record kept changing.
    Changed,
    /// The store failed: the record is still here, and in the store it may be removed, until it is
    /// stored again.
    Store(StoreError),
}

impl TenantGate {
    /// Forgets `tenant`, whose deletion is [confirmed](crate::TenantStatus::is_confirmed): removes
    /// its record here, from the store, and from the replicas that share it.
    ///
    /// It is no longer in the [`snapshot`](Self::snapshot) then, nor counted, pulled or
    /// [tracked](Self::track), and a call to it is allowed, as to any tenant without a record. So
    /// call it when nothing calls the tenant any more, and you have erased your data of it. A
    /// [`Changed`](crate::TenantEvent::Changed) reports that its status is open; what waits for
    /// that goes on.
    ///
    /// Late repetitions do not bring it back: for two hours, notifications up to the newest that
    /// was forgotten are [`Stale`](crate::notification::Outcome::Stale), and so is a pull that was
    /// in flight. A later notification begins a new record. A replica that has something newer
    /// keeps its record, and one that could not be reached may bring the tenant back, as deleted:
    /// forget it again.
    ///
    /// ```
    /// use tower_superoffice::events::{Deletion, ForgetError};
    /// # use tower_superoffice::{TenantGate, TenantId};
    /// # async fn run(gate: TenantGate, tenant: TenantId) {
    /// if gate.deletion_confirmed(&tenant).await == Deletion::Confirmed {
    ///     println!("erase the data of {tenant}");
    ///     match gate.forget(&tenant).await {
    ///         Ok(()) | Err(ForgetError::Unknown) => println!("{tenant} is forgotten"),
    ///         Err(error) => println!("{tenant} is kept: {error}"),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the deletion is not confirmed, an override is in force, or the store fails. Nothing is
    /// forgotten here then.
    pub async fn forget(&self, tenant: &TenantId) -> Result<(), ForgetError> {
        let Parts { tenants, write_back, .. } = &*self.parts;
        for attempt in 0..ATTEMPTS {
            let record = match forgettable(tenants, tenant) {
                // Another replica forgot it at the same time.
                Err(ForgetError::Unknown) if attempt > 0 => return Ok(()),
                checked => checked?,
            };
            let forgotten = match write_back {
                Some(write_back) => write_back.forget(tenants, tenant, &record).await,
                None => Ok(tenants.forget(tenant, &record)),
            };
            if forgotten.map_err(ForgetError::Store)? {
                log::info!(%tenant, "tenant forgotten");
                return Ok(());
            }
        }
        Err(ForgetError::Changed)
    }
}

/// Returns the record of `tenant` if it may be forgotten.
fn forgettable(tenants: &Tenants, tenant: &TenantId) -> Result<Record, ForgetError> {
    let (status, record) = tenants.registry().look_up(tenant);
    if record == Record::default() {
        Err(ForgetError::Unknown)
    } else if status.evidence() == Evidence::Operator {
        Err(ForgetError::Overridden)
    } else if status.reason() != Some(UnavailableReason::Deleted) {
        Err(ForgetError::NotDeleted)
    } else if !status.is_confirmed() {
        Err(ForgetError::Unconfirmed)
    } else {
        Ok(record)
    }
}

impl fmt::Display for ForgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the tenant has no record: there is nothing to forget",
            Self::Overridden => "an operator's order is in force for the tenant: release it first",
            Self::NotDeleted => {
                "the tenant is not deleted: only a confirmed deletion can be forgotten"
            }
            Self::Unconfirmed => {
                "the deletion is not confirmed: wait for a pull that agrees, or refresh the tenant"
            }
            Self::Changed => "the tenant changed while it was to be forgotten: try again",
            Self::Store(error) => {
                return write!(f, "the tenant could not be removed from the store: {error}");
            }
        })
    }
}

impl Error for ForgetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

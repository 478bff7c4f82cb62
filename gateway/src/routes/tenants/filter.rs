//! The part of the list that is requested.

use std::num::NonZeroUsize;

use serde::Deserialize;
use tower_superoffice::{TenantId, TenantStatus, UnavailableReason};
use utoipa::IntoParams;

use crate::schemas;

/// Every reason that a tenant is closed for.
pub(crate) const REASONS: [UnavailableReason; 6] = [
    UnavailableReason::Upgrading,
    UnavailableReason::Suspended,
    UnavailableReason::Deleted,
    UnavailableReason::NotReady,
    UnavailableReason::Operator,
    UnavailableReason::Unreadable,
];

/// The parameters of `/tenants`. An unknown one is refused: the list would be longer than meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Closed tenants alone. The value may be left out.
    #[param(pattern = "^(true)?$")]
    closed: Option<String>,
    /// Tenants that are closed for this reason.
    #[param(value_type = Option<schemas::Reason>)]
    reason: Option<String>,
    /// Tenants whose id begins so, regardless of case.
    prefix: Option<String>,
    /// The most tenants that are listed.
    #[param(value_type = Option<usize>, minimum = 1)]
    limit: Option<NonZeroUsize>,
    /// The last tenant of the page before.
    #[param(value_type = Option<schemas::TenantId>)]
    after: Option<String>,
}

/// The tenants that are listed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    closed: bool,
    reason: Option<UnavailableReason>,
    prefix: String,
    /// The most tenants that are listed.
    pub(super) limit: Option<NonZeroUsize>,
    /// The last tenant of the page before.
    pub(super) after: Option<TenantId>,
}

impl Filter {
    /// Reads the parameters, or returns what is wrong with them.
    pub(super) fn new(parameters: Parameters) -> Result<Self, String> {
        let Parameters { closed, reason, prefix, limit, after } = parameters;
        let closed = match closed.as_deref() {
            None => false,
            Some("" | "true") => true,
            Some(_) => return Err("closed takes no value.".to_owned()),
        };
        let reason = match reason {
            None => None,
            Some(name) => {
                let mut reasons = REASONS.into_iter();
                Some(reasons.find(|reason| reason.as_str() == name).ok_or_else(no_reason)?)
            }
        };
        let after =
            after.map(TenantId::new).transpose().map_err(|_| "after is no tenant.".to_owned())?;
        Ok(Self { closed, reason, prefix: prefix.unwrap_or_default(), limit, after })
    }

    /// Whether a tenant is listed, whichever page it is on.
    pub(super) fn takes(&self, tenant: &TenantId, status: &TenantStatus) -> bool {
        let start = tenant.as_str().get(..self.prefix.len());
        (!self.closed || !status.is_available())
            && (self.reason.is_none() || self.reason == status.reason())
            && start.is_some_and(|start| start.eq_ignore_ascii_case(&self.prefix))
    }
}

fn no_reason() -> String {
    let names = REASONS.map(UnavailableReason::as_str);
    format!("reason is one of {}.", names.join(", "))
}

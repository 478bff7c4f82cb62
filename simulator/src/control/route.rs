//! The paths, and what each is for.

use http::{Method, StatusCode};
use tower_superoffice::TenantId;

use super::problem::Problem;
use crate::driver::{Place, Verb};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Page,
    Tenants,
    Tenant(TenantId),
    Change(TenantId, Verb),
    Faults,
    Fault(Place),
    Keys,
    RotateKey,
    RetireKeys,
    Notifications,
    Calls,
}

impl Route {
    pub(super) fn find(path: &str) -> Result<Self, Problem> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        Ok(match segments.as_slice() {
            [""] | ["simulator"] => Self::Page,
            ["simulator", "tenants"] => Self::Tenants,
            ["simulator", "tenants", id] => Self::Tenant(tenant(id)?),
            ["simulator", "tenants", id, verb] => {
                let verb = Verb::from_name(verb).ok_or_else(unknown_verb)?;
                Self::Change(tenant(id)?, verb)
            }
            ["simulator", "faults"] => Self::Faults,
            ["simulator", "faults", place] => {
                Self::Fault(Place::from_name(place).ok_or_else(unknown_place)?)
            }
            ["simulator", "keys"] => Self::Keys,
            ["simulator", "keys", "rotate"] => Self::RotateKey,
            ["simulator", "keys", "retire"] => Self::RetireKeys,
            ["simulator", "keys", _] => {
                return Err(not_found("Keys can do one of: rotate, retire."));
            }
            ["simulator", "notifications"] => Self::Notifications,
            ["simulator", "calls"] => Self::Calls,
            _ => {
                return Err(not_found(
                    "Below /simulator/ are: tenants, faults, keys, notifications, calls.",
                ));
            }
        })
    }

    /// Refuses a method that the route does not have.
    pub(super) fn check(&self, method: &Method) -> Result<(), Problem> {
        let allow = match self {
            Self::Page | Self::Faults | Self::Keys | Self::Notifications | Self::Calls => {
                "GET, HEAD"
            }
            Self::Tenants => "GET, HEAD, POST",
            Self::Tenant(_) => "GET, HEAD, POST, PUT",
            Self::Fault(_) => "GET, HEAD, POST, DELETE",
            Self::Change(..) | Self::RotateKey | Self::RetireKeys => "POST",
        };
        if allow.split(", ").any(|allowed| method == allowed) {
            return Ok(());
        }
        Err(Problem::not_allowed(allow))
    }
}

pub(super) fn tenant(id: &str) -> Result<TenantId, Problem> {
    TenantId::new(id).map_err(|error| Problem::bad_request(format!("{error}.")))
}

fn not_found(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, detail)
}

fn unknown_verb() -> Problem {
    let verbs = Verb::ALL.map(Verb::name).join(", ");
    not_found(format!("SuperOffice can do one of: {verbs}."))
}

fn unknown_place() -> Problem {
    let places = Place::ALL.map(Place::name).join(", ");
    not_found(format!("These can have a fault: {places}."))
}

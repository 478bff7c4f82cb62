//! `/status`: what the gateway knows of itself.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use tower_superoffice::{
    TenantGate,
    health::{Health, NotificationCounts},
    token::KeysReport,
};
use utoipa::ToSchema;

use crate::{schemas, served::Served};

/// What the gateway knows of itself.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    version: &'static str,
    #[serde(flatten)]
    gates: Gates,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Gates {
    One(Box<GateStatus>),
    Several {
        /// Those that were refused before their gate was chosen.
        #[schema(value_type = schemas::Notifications)]
        undecided_notifications: NotificationCounts,
        environments: BTreeMap<String, GateStatus>,
    },
}

#[derive(Serialize, ToSchema)]
struct GateStatus {
    #[schema(value_type = schemas::Health)]
    health: Health,
    #[schema(value_type = schemas::Keys)]
    keys: KeysReport,
}

impl GateStatus {
    fn new(gate: &TenantGate) -> Self {
        Self { health: gate.health(), keys: gate.keys() }
    }
}

/// Answers with health, keys and version.
pub(super) async fn status(State(served): State<Served>) -> Json<Status> {
    let gates = match &served {
        Served::One(gate) => Gates::One(Box::new(GateStatus::new(gate))),
        Served::Several(gates) => Gates::Several {
            undecided_notifications: gates.notifications(),
            environments: (gates.gates().iter())
                .map(|gate| (gate.environment().name(), GateStatus::new(gate)))
                .collect(),
        },
    };
    Json(Status { version: env!("CARGO_PKG_VERSION"), gates })
}

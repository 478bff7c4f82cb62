//! The notifications that are measured, and the hand-written handler's state.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use tower_superoffice::{
    ChangeType, Environment, TenantGate, TenantId, simulator::Simulator, token::SigningKeys,
};

/// Notifications of a batch, each for another tenant: a duplicate would skip most of the work.
pub const BATCH: usize = 256;

pub struct Setup {
    pub tokens: Vec<String>,
    pub bodies: Vec<Bytes>,
    pub expired: Bytes,
    /// The largest body that is read, full of members: the most that parsing can cost.
    pub crowded: Bytes,
    pub peer: Arc<Peer>,
    pub gate: GateParts,
}

/// The parts of a gate for these notifications.
#[derive(Clone)]
pub struct GateParts {
    environment: Environment,
    audience: String,
    keys: SigningKeys,
    /// Its tokens hold while it runs.
    _simulator: Arc<Simulator>,
}

/// The state of the hand-written handler.
pub struct Peer {
    pub key: DecodingKey,
    pub validation: Validation,
    pub states: DashMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Body {
    pub change_type: u32,
    pub context_identifier: String,
    pub token: String,
}

impl Setup {
    pub async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let tenant = |number: usize| TenantId::new(format!("Cust{}", 2_000_000 + number)).unwrap();
        let notifications: Vec<_> =
            (0..BATCH).map(|n| simulator.notification(ChangeType::Suspend, &tenant(n))).collect();
        let bodies: Vec<Bytes> = notifications.iter().map(|n| n.body()).collect();
        // The tokens of the posted bodies: signing again would make others.
        let token = |body: &Bytes| serde_json::from_slice::<Body>(body).unwrap().token;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[simulator.application_id()]);
        validation.validate_nbf = true;
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&simulator.key_set()).unwrap();
        let key = DecodingKey::from_jwk(&set.keys[0]).unwrap();
        let expired =
            simulator.notification(ChangeType::Suspend, &tenant(0)).issued_at(1_400_000_000).body();
        let peer = Arc::new(Peer { key, validation, states: DashMap::new() });
        let gate = GateParts {
            environment: simulator.environment(),
            audience: simulator.application_id().to_owned(),
            keys: SigningKeys::from_pem(simulator.certificate_pem()).unwrap(),
            _simulator: Arc::new(simulator),
        };
        Self {
            tokens: bodies.iter().map(token).collect(),
            bodies,
            expired,
            crowded: crowded(),
            peer,
            gate,
        }
    }
}

fn crowded() -> Bytes {
    let members = (0_u32..).map(|number| format!("\"{number:x}\":0"));
    let mut body = String::from("{\"\":0");
    for member in members {
        if body.len() + member.len() + 2 > 16 * 1024 {
            break;
        }
        body.push(',');
        body.push_str(&member);
    }
    body.push('}');
    body.into()
}

impl GateParts {
    pub async fn build(&self) -> TenantGate {
        TenantGate::builder(self.environment.clone())
            .audience(&*self.audience)
            .signing_keys(self.keys.clone())
            .state_api(false)
            .build()
            .await
            .unwrap()
    }
}

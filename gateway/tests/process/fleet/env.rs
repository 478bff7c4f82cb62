//! Three gateways as processes, one server of their store and one simulator.

use std::collections::HashMap;

use harness::{Proxy, simulator_at_own_host};
use http::StatusCode;
use tower_superoffice::{ChangeType, TenantId, simulator::Simulator};

use crate::{
    process::{Caller, Gateway},
    script::{self, Shown},
    shared_server::{Kind, SharedServer},
};

pub(crate) const REPLICAS: usize = 3;

pub(crate) struct Env {
    pub(crate) simulator: Simulator,
    pub(crate) server: SharedServer,
    /// One before each gateway, or none.
    pub(crate) proxies: Vec<Proxy>,
    gateways: Vec<Gateway>,
}

impl Env {
    pub(crate) async fn start(kind: Kind) -> Option<Self> {
        Some(Self::with(Vec::new(), SharedServer::start(kind)?).await)
    }

    /// Starts a fleet in which each gateway has a proxy of its own before the server.
    pub(crate) async fn behind_proxies(kind: Kind) -> Option<Self> {
        let server = SharedServer::start(kind)?;
        let mut proxies = Vec::new();
        for _ in 0..REPLICAS {
            proxies.push(Proxy::start(server.port()).await);
        }
        Some(Self::with(proxies, server).await)
    }

    async fn with(proxies: Vec<Proxy>, server: SharedServer) -> Self {
        let simulator = simulator_at_own_host().await;
        let mut gateways = Vec::new();
        for n in 0..REPLICAS {
            let port = proxies.get(n).map_or(server.port(), Proxy::port);
            gateways.push(gateway(&simulator, &server.url_at(port)).await);
        }
        Self { simulator, server, proxies, gateways }
    }

    /// Starts one more gateway, which knows only what the store holds.
    pub(crate) async fn newcomer(&self) -> Gateway {
        gateway(&self.simulator, &self.server.url()).await
    }

    pub(crate) fn replica(&self, n: usize) -> &Caller {
        self.gateways[n].caller()
    }

    pub(crate) fn replicas(&self) -> Vec<Caller> {
        self.gateways.iter().map(|gateway| gateway.caller().clone()).collect()
    }

    /// Sends a notification outside the script to one replica.
    pub(crate) async fn notify(&self, n: usize, change: ChangeType, id: &TenantId) -> StatusCode {
        let body = self.simulator.notification(change, id).body();
        self.replica(n).notify(body).await.expect("a gateway answers")
    }

    /// Calls the tenant through one replica and returns the status.
    pub(crate) async fn call(&self, n: usize, tenant: &TenantId) -> StatusCode {
        call(self.replica(n), tenant).await
    }
}

async fn gateway(simulator: &Simulator, store: &str) -> Gateway {
    Gateway::start_for(simulator, &["--store", store]).await
}

pub(crate) async fn call(gateway: &Caller, tenant: &TenantId) -> StatusCode {
    gateway.get(&format!("/{tenant}/x")).await.expect("a gateway answers").status
}

pub(crate) async fn shown(gateway: &Caller) -> HashMap<String, Shown> {
    script::parse_tenants(&gateway.get("/tenants").await.expect("a gateway answers").body)
}

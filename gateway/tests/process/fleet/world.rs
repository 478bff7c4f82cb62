//! Three gateways as processes, one redis-server, and a SuperOffice.

use std::collections::HashMap;

use harness::{Proxy, RedisServer};
use http::StatusCode;
use tower_superoffice::{ChangeType, TenantId, simulator::Simulator};

use crate::{
    process::{Caller, Gateway},
    script::{self, Shown},
};

pub(crate) const REPLICAS: usize = 3;

pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) server: RedisServer,
    /// One before each gateway, or none at all.
    pub(crate) proxies: Vec<Proxy>,
    gateways: Vec<Gateway>,
}

impl World {
    pub(crate) async fn start() -> Option<Self> {
        Some(Self::with(Vec::new(), RedisServer::start()?).await)
    }

    /// Each gateway can be cut off from Redis alone.
    pub(crate) async fn behind_proxies() -> Option<Self> {
        let server = RedisServer::start()?;
        let mut proxies = Vec::new();
        for _ in 0..REPLICAS {
            proxies.push(Proxy::start(server.port()).await);
        }
        Some(Self::with(proxies, server).await)
    }

    async fn with(proxies: Vec<Proxy>, server: RedisServer) -> Self {
        let simulator = Simulator::start().await.unwrap();
        let mut gateways = Vec::new();
        for n in 0..REPLICAS {
            let url = proxies.get(n).map_or_else(|| server.url(), Proxy::url);
            gateways.push(gateway(&simulator, &url).await);
        }
        Self { simulator, server, proxies, gateways }
    }

    /// One more gateway, which knows what Redis holds and nothing else.
    pub(crate) async fn newcomer(&self) -> Gateway {
        gateway(&self.simulator, &self.server.url()).await
    }

    pub(crate) fn replica(&self, n: usize) -> &Caller {
        self.gateways[n].caller()
    }

    pub(crate) fn replicas(&self) -> Vec<Caller> {
        self.gateways.iter().map(|gateway| gateway.caller().clone()).collect()
    }

    /// Tells one replica of a change of a tenant that turns are not told of.
    pub(crate) async fn notify(&self, n: usize, change: ChangeType, id: &TenantId) -> StatusCode {
        let body = self.simulator.notification(change, id).body();
        self.replica(n).notify(body).await.expect("a gateway answers")
    }

    /// What a call to the tenant through one replica is answered.
    pub(crate) async fn call(&self, n: usize, tenant: &TenantId) -> StatusCode {
        call(self.replica(n), tenant).await
    }
}

async fn gateway(simulator: &Simulator, store: &str) -> Gateway {
    let base = simulator.hosts()[0].to_string();
    let audience = simulator.application_id();
    let listen = ["--listen", "127.0.0.1:0"];
    let more = ["--base-url", &base, "--audience", audience, "--store", store];
    Gateway::start(&[&listen[..], &more].concat()).await
}

pub(crate) async fn call(gateway: &Caller, tenant: &TenantId) -> StatusCode {
    gateway.get(&format!("/{tenant}/x")).await.expect("a gateway answers").status
}

pub(crate) async fn shown(gateway: &Caller) -> HashMap<String, Shown> {
    script::read(&gateway.get("/tenants").await.expect("a gateway answers").body)
}

//! Sentinels, which name the primary, and promote a replica when it fails.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use harness::{RedisServer, RedisVersion, free_port, suspended, tenant_number as tenant, until};
use tower_superoffice::{
    Environment,
    store::{Change, RedisStore, Store},
};

use super::{access::start_with_tls, load, merge_eventually, next, open, resubscribed};

/// A Sentinel of the service `primary`. It ends with the test.
struct Sentinel {
    port: u16,
    child: Child,
}

impl Sentinel {
    /// Starts one of three that monitor `server`, and promote another within seconds.
    fn start(server: &RedisServer) -> Self {
        Self::start_with(server, |port| format!("port {port}\n"), "")
    }

    /// Starts one that listens as `listen` says for a port, with `more` settings.
    fn start_with(server: &RedisServer, listen: impl Fn(u16) -> String, more: &str) -> Self {
        let port = free_port();
        let path = server.file(&format!("sentinel{port}.conf"));
        let configuration = format!(
            "{}bind 127.0.0.1\n\
             sentinel monitor primary 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds primary 1000\n\
             sentinel failover-timeout primary 4000\n{more}",
            listen(port),
            server.port()
        );
        std::fs::write(&path, configuration).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&path).arg("--sentinel").arg("--daemonize").arg("no");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self { port, child: command.spawn().unwrap() }
    }

    fn ask<T: redis::FromRedisValue>(&self, arguments: &[&str]) -> Option<T> {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let mut connection = redis::Client::open(url).unwrap().get_connection().ok()?;
        redis::cmd("SENTINEL").arg(arguments).query(&mut connection).ok()
    }

    /// Whether it knows the replicas and the other Sentinels.
    fn is_ready(&self, others: usize) -> bool {
        let found = |of: &str| self.ask::<Vec<redis::Value>>(&[of, "primary"]).map(|all| all.len());
        found("sentinels") == Some(others) && found("replicas") == Some(1)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns what `server` reports of its replication; nothing while it closes its connections to
/// change its role.
fn replication(server: &RedisServer) -> String {
    let client = redis::Client::open(server.url()).unwrap();
    let info = |mut connection| redis::cmd("INFO").arg("replication").query(&mut connection);
    client.get_connection().and_then(info).unwrap_or_default()
}

async fn primary_is_found_after_a_failover(version: RedisVersion) {
    let (Some(mut first), Some(second)) =
        (RedisServer::start_version(version), RedisServer::start_version(version))
    else {
        return;
    };
    second.replicate(first.port());
    until!(replication(&second).contains("master_link_status:up"));
    let sentinels = [(); 3].map(|()| Sentinel::start(&first));
    for sentinel in &sentinels {
        until!(sentinel.is_ready(2));
    }
    // The first of the addresses is one that nothing listens at.
    let ports: Vec<_> =
        sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
    let url =
        format!("redis+sentinel://user:word@127.0.0.1:{},{}/primary", free_port(), ports.join(","));
    for server in [&first, &second] {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg("user").arg("on").arg(">word").arg("~*").arg("&*").arg("+@all");
        acl.exec(&mut server.connection()).unwrap();
    }
    let store = open(&url);
    assert!(!store.name().contains("word"), "{}", store.name());
    let mut changes = store.changes();
    assert_eq!(load(&store).await.unwrap(), []);
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(load(&open(&first.url())).await.unwrap(), [(tenant(1), suspended(1))]);
    let replicated = || {
        redis::cmd("HEXISTS")
            .arg("{tower-superoffice:production}:tenants")
            .arg("cust1")
            .query::<bool>(&mut second.connection())
            .unwrap()
    };
    until!(replicated());

    first.kill();
    let error = store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    until!(replication(&second).contains("role:master"));
    let began = Instant::now();
    assert_eq!(merge_eventually(&store, &tenant(1), &suspended(2)).await, suspended(2));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(load(&open(&second.url())).await.unwrap(), [(tenant(1), suspended(2))]);
    resubscribed(&mut changes).await;
    load(&store).await.unwrap();
    open(&second.url()).merge(&tenant(2), &suspended(3)).await.unwrap();
    // The subscription may find the new primary before and after a write has.
    while next(&mut changes).await != Change::Merged(tenant(2), suspended(3)) {}
}

#[tokio::test]
async fn primary_is_found_again_after_a_failover() {
    primary_is_found_after_a_failover(RedisVersion::Installed).await;
}

#[tokio::test]
async fn redis_6_primary_is_found_again_after_a_failover() {
    if !harness::installed("redis-server") {
        return;
    }
    primary_is_found_after_a_failover(RedisVersion::Six).await;
}

#[tokio::test]
async fn tls_and_a_login_reach_sentinel_and_server() {
    let Some((server, pem)) = start_with_tls() else { return };
    let file = |name: &str| server.file(name).to_str().unwrap().to_owned();
    let sentinel = Sentinel::start_with(
        &server,
        |port| {
            format!(
                "port 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients no\n\
                 tls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\nrequirepass sesame\n",
                file("host.pem"),
                file("host.key"),
                file("root.pem")
            )
        },
        "sentinel auth-pass primary hush\n",
    );
    let store = |login: &str| {
        let address = format!("127.0.0.1:{}", sentinel.port);
        let url = format!("rediss+sentinel://:hush@{address}/primary{login}");
        RedisStore::connect_with_roots(&url, &Environment::Production, &pem).unwrap()
    };
    let known = store("?sentinel_password=sesame");
    assert_eq!(merge_eventually(&known, &tenant(1), &suspended(1)).await, suspended(1));
    let error = load(&store("?sentinel_password=wrong")).await.unwrap_err();
    assert!(error.is_misconfigured(), "{error:?}");
    assert!(error.to_string().contains("a Sentinel of rediss+sentinel://127.0.0.1"), "{error}");
    assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
}

#[tokio::test]
async fn sentinel_that_disagrees_with_the_others_is_outvoted() {
    let (Some(real), Some(stale)) = (RedisServer::start(), RedisServer::start()) else { return };
    let sentinels = [Sentinel::start(&stale), Sentinel::start(&real), Sentinel::start(&real)];
    for sentinel in &sentinels {
        until!(sentinel.ask::<redis::Value>(&["myid"]).is_some());
    }
    let ports: Vec<_> =
        sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
    let store = open(&format!("redis+sentinel://{}/primary", ports.join(",")));
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(load(&open(&real.url())).await.unwrap(), [(tenant(1), suspended(1))]);
    assert_eq!(load(&open(&stale.url())).await.unwrap(), []);
}

#[tokio::test]
async fn replica_that_sentinels_name_is_refused() {
    let (Some(first), Some(second)) = (RedisServer::start(), RedisServer::start()) else { return };
    let sentinel = Sentinel::start(&first);
    until!(sentinel.ask::<redis::Value>(&["myid"]).is_some());
    first.replicate(second.port());
    let store = open(&format!("redis+sentinel://127.0.0.1:{}/primary", sentinel.port));
    let error = load(&store).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(error.to_string().contains("is a replica"), "{error}");
}

#[tokio::test]
async fn unknown_service_and_absent_sentinels_are_reported() {
    let Some(server) = RedisServer::start() else { return };
    let sentinel = Sentinel::start(&server);
    until!(sentinel.ask::<redis::Value>(&["myid"]).is_some());
    let fault = async |url: String, message: &str| {
        let store: RedisStore = open(&url);
        let error = load(&store).await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
        assert!(error.to_string().contains(message), "{error}");
    };
    let port = sentinel.port;
    fault(format!("redis+sentinel://127.0.0.1:{port}/other"), "know no service other").await;
    fault(format!("redis+sentinel://127.0.0.1:{}/primary", free_port()), "no Sentinel of").await;
    // A server is no Sentinel.
    let port = server.port();
    fault(format!("redis+sentinel://127.0.0.1:{port}/primary"), "a Sentinel of").await;
}

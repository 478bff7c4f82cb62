//! Rights, logins, TLS, and keys that are not the store's.

use std::time::Duration;

use harness::{RedisServer, certificates, suspended, tenant_number as tenant};
use redis::Commands;
use tower_superoffice::{
    Environment, TenantId,
    status::Record,
    store::{Change, Lease, RedisStore, Store},
};

use super::{load, next, open};

const TENANTS: &str = "{tower-superoffice:production}:tenants";

#[tokio::test]
async fn user_without_the_log_stores_nothing() {
    let Some(server) = RedisServer::start() else { return };
    let url = server.user("gate", "+@all -xadd");
    let store = open(&url);
    for _ in 0..3 {
        let error = store.merge(&tenant(1), &suspended(1)).await.unwrap_err();
        assert!(error.is_misconfigured(), "{error:?}");
        assert!(error.to_string().contains("forbids a command"), "{error}");
    }
    assert_eq!(load(&open(&server.url())).await.unwrap(), [], "stored without an entry in the log");
}

#[tokio::test]
async fn user_without_xread_is_disconnected() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.user("gate", "+@all -xread"));
    let mut changes = store.changes();
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg("gate").arg("+xread").exec(&mut server.connection()).unwrap();
    assert_eq!(next(&mut changes).await, Change::Resumed);
}

#[tokio::test]
async fn refused_login_is_reported_without_the_password() {
    let Some(server) = RedisServer::start_with(&["--requirepass", "hush"]) else { return };
    for login in ["", ":secret@", "user:secret@"] {
        let store = open(&format!("redis://{login}127.0.0.1:{}/0", server.port()));
        let error = load(&store).await.unwrap_err();
        assert!(error.is_misconfigured(), "{error:?}");
        let reported = format!("{error} {error:?} {store:?} {}", store.name());
        assert!(!reported.contains("secret"), "{reported}");
        assert!(reported.contains(&format!("redis://127.0.0.1:{}/0", server.port())), "{reported}");
    }
    let store = open(&format!("redis://:hush@127.0.0.1:{}/0", server.port()));
    assert_eq!(load(&store).await.unwrap(), []);
}

#[tokio::test]
async fn foreign_key_is_reported_and_left_untouched() {
    let Some(server) = RedisServer::start() else { return };
    let _: () = server.connection().set(TENANTS, "theirs").unwrap();
    let store = open(&server.url());
    for error in
        [store.merge(&tenant(1), &suspended(1)).await.unwrap_err(), load(&store).await.unwrap_err()]
    {
        assert!(error.is_corrupt(), "{error:?}");
    }
    assert_eq!(server.connection().get::<_, String>(TENANTS).unwrap(), "theirs");
}

#[tokio::test]
async fn newer_record_stops_its_tenant_and_the_load_only() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    let value = "Cust1 {\"v\":\"2.0\"}";
    let _: () = server.connection().hset(TENANTS, "cust1", value).unwrap();
    for error in
        [store.merge(&tenant(1), &suspended(1)).await.unwrap_err(), load(&store).await.unwrap_err()]
    {
        assert!(error.is_newer_schema(), "{error:?}");
        assert!(error.to_string().to_lowercase().contains("cust1"), "{error}");
    }
    let kept: String = server.connection().hget(TENANTS, "cust1").unwrap();
    assert_eq!(kept, value, "it was changed");
    // An invalid entry does not end the subscription.
    let _: () = server.connection().hset(TENANTS, "y", "z").unwrap();
    let append = |fields: &[&str]| {
        let mut entry = redis::cmd("XADD");
        entry.arg("{tower-superoffice:production}:changes").arg("*").arg(fields);
        entry.exec(&mut server.connection()).unwrap();
    };
    for key in ["", "cust1", "\u{e9} \u{e9}", "y"] {
        append(&["merged", key, "by", "x"]);
    }
    // A value that may be meant for a tenant closes it.
    let other = Change::Merged(TenantId::new("y").unwrap(), Record::unreadable());
    assert_eq!(next(&mut changes).await, other);
    // Only a load shows the effect of an unknown entry.
    append(&["x", "y"]);
    assert_eq!(next(&mut changes).await, Change::Resync);
    open(&server.url()).merge(&tenant(2), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(2), suspended(1)));
}

#[tokio::test]
async fn environments_are_kept_apart() {
    let Some(server) = RedisServer::start() else { return };
    let custom = Environment::custom("http://127.0.0.1:9000".parse().unwrap());
    for environment in [Environment::Production, Environment::Sod, custom] {
        let store = RedisStore::connect(&server.url(), &environment).unwrap();
        assert_eq!(load(&store).await.unwrap(), []);
        store.merge(&tenant(1), &suspended(1)).await.unwrap();
        let lease = store.try_lease(&tenant(1), 0, Duration::from_secs(60)).await;
        assert_eq!(lease.unwrap(), Lease::Granted);
    }
}

/// Starts a server that takes TLS and the password `hush`, and returns it with the certificate of
/// its authority; `None` without openssl.
pub(super) fn start_with_tls() -> Option<(RedisServer, Vec<u8>)> {
    let mut server = RedisServer::stopped(&[])?;
    certificates(&server.file(""), "IP:127.0.0.1")?;
    let path = |name: &str| server.file(name).to_str().unwrap().to_owned();
    let (port, root) = (server.port().to_string(), path("root.pem"));
    let arguments = [
        ["--port", "0"],
        ["--tls-port", &port],
        ["--tls-cert-file", &path("host.pem")],
        ["--tls-key-file", &path("host.key")],
        ["--tls-ca-cert-file", &root],
        ["--tls-auth-clients", "no"],
        ["--requirepass", "hush"],
    ];
    server.set_arguments(arguments.as_flattened());
    server.run();
    Some((server, std::fs::read(root).unwrap()))
}

#[tokio::test]
async fn tls_connects_to_a_server_with_a_trusted_certificate() {
    let Some((server, pem)) = start_with_tls() else { return };
    let port = server.port();
    let url = format!("rediss://:hush@127.0.0.1:{port}");
    let open = || RedisStore::connect_with_roots(&url, &Environment::Production, &pem).unwrap();
    let (here, there) = (open(), open());
    assert_eq!(here.name(), format!("rediss://127.0.0.1:{port}/0"));
    let mut changes = here.changes();
    load(&here).await.unwrap();
    there.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(1)));

    let besides = RedisStore::builder(&url, &Environment::Production).extra_roots(&*pem);
    assert_eq!(load(&besides.connect().unwrap()).await.unwrap().len(), 1);

    let public = RedisStore::connect(&url, &Environment::Production).unwrap();
    let error = load(&public).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
}

/// The URL of the child's server.
const CHILD: &str = "SUPEROFFICE_TEST_REDIS_URL";

#[tokio::test]
async fn tls_trusts_the_authorities_of_the_operating_system() {
    if let Ok(url) = std::env::var(CHILD) {
        let store = RedisStore::builder(&url, &Environment::Production).native_roots();
        assert_eq!(load(&store.connect().unwrap()).await.unwrap(), []);
        return;
    }
    let Some((server, _)) = start_with_tls() else { return };
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    let name = "redis::access::tls_trusts_the_authorities_of_the_operating_system";
    child.args(["--exact", name]).kill_on_drop(true);
    child.env(CHILD, format!("rediss://:hush@127.0.0.1:{}", server.port()));
    // This variable names the place where the operating system keeps them.
    let output = child.env("SSL_CERT_FILE", server.file("root.pem")).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

//! Rights, logins, TLS, settings, and tables that are not the store's.

use std::time::Duration;

use harness::{PostgresServer, certificates, suspended, tenant_number as tenant, until};
use tower_superoffice::{
    Environment,
    store::{Lease, PostgresStore, Store, StoreWarning},
};

use super::{TENANTS, load, open};

#[tokio::test]
async fn missing_right_names_the_script_that_mends_it() {
    let Some(server) = PostgresServer::start() else { return };
    server.execute("CREATE ROLE app LOGIN");
    let url = server.url().replace("gate@", "app@");
    let store = open(&url);
    for error in
        [load(&store).await.unwrap_err(), store.merge(&tenant(1), &suspended(1)).await.unwrap_err()]
    {
        assert!(error.is_misconfigured(), "{error:?}");
        assert!(error.to_string().contains("PostgresStore::script"), "{error}");
    }
    // As the error says.
    server.execute(&format!(
        "{} GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app",
        PostgresStore::script(&Environment::Production)
    ));
    let store = open(&url);
    assert_eq!(store.merge(&tenant(1), &suspended(1)).await.unwrap(), suspended(1));
}

#[tokio::test]
async fn missing_database_and_schema_are_named() {
    let Some(server) = PostgresServer::start() else { return };
    let error = load(&open(&format!("{}x", server.url()))).await.unwrap_err();
    assert!(error.is_misconfigured(), "{error:?}");
    assert!(error.to_string().contains("CREATE DATABASE"), "{error}");
    let error =
        load(&open(&format!("{}?options=-csearch_path%3Dnone", server.url()))).await.unwrap_err();
    assert!(error.is_misconfigured(), "{error:?}");
    assert!(error.to_string().contains("search_path"), "{error}");
    // A schema of its own, which the URL names.
    server.execute("CREATE SCHEMA superoffice");
    let own = open(&format!("{}?options=-csearch_path%3Dsuperoffice", server.url()));
    own.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(server.execute(&format!("SELECT count(*) FROM superoffice.{TENANTS}")), "2");
}

#[tokio::test]
async fn missing_role_and_rights_name_the_statement() {
    let Some(server) = PostgresServer::start() else { return };
    server.execute("CREATE ROLE app LOGIN");
    server.execute("CREATE SCHEMA hidden");
    server.execute("CREATE DATABASE locked");
    server.execute("REVOKE CONNECT ON DATABASE locked FROM public");
    let at =
        |login: &str, rest: &str| format!("postgres://{login}@127.0.0.1:{}/{rest}", server.port());
    for (url, statement) in [
        (at("stranger", "postgres"), "CREATE ROLE"),
        (at("app", "locked"), "GRANT CONNECT"),
        (at("app", "postgres?options=-csearch_path%3Dhidden"), "GRANT USAGE"),
    ] {
        let error = load(&open(&url)).await.unwrap_err();
        assert!(error.is_misconfigured(), "{error:?}");
        assert!(error.to_string().contains(statement), "{statement} in {error}");
    }
}

#[tokio::test]
async fn refused_login_is_reported_without_the_password() {
    let Some(mut server) = PostgresServer::start() else { return };
    server.execute("ALTER ROLE gate PASSWORD 'hush'");
    let directory = server.directory().to_owned();
    let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(directory.join("data/pg_hba.conf"), rules).unwrap();
    server.execute("SELECT pg_reload_conf()");
    let url = |login: &str| format!("postgres://{login}@127.0.0.1:{}/postgres", server.port());
    until("the rules are in force", async || load(&open(&url("gate"))).await.is_err()).await;
    for login in ["gate", "gate:secret", "secret:secret"] {
        let store = open(&url(login));
        let error = load(&store).await.unwrap_err();
        let reported = format!("{error} {error:?} {store:?} {}", store.name());
        assert!(!reported.contains(":secret"), "{reported}");
        assert!(error.is_misconfigured(), "{reported}");
        assert!(error.to_string().contains("password"), "{error}");
    }
    assert_eq!(load(&open(&url("gate:hush"))).await.unwrap(), []);
    server.kill();
}

#[tokio::test]
async fn foreign_table_is_reported_and_left_untouched() {
    let Some(server) = PostgresServer::start() else { return };
    server.execute("CREATE TABLE tower_superoffice_production_meta (theirs text)");
    let store = open(&server.url());
    for error in
        [store.merge(&tenant(1), &suspended(1)).await.unwrap_err(), load(&store).await.unwrap_err()]
    {
        assert!(!error.is_unavailable(), "{error:?}");
    }
    assert_eq!(server.execute("SELECT count(*) FROM tower_superoffice_production_meta"), "0");
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused() {
    let Some(server) = PostgresServer::start() else { return };
    load(&open(&server.url())).await.unwrap();
    server.execute("UPDATE tower_superoffice_production_meta SET version = 2");
    let error = load(&open(&server.url())).await.unwrap_err();
    assert!(error.is_newer_schema(), "{error:?}");
}

#[tokio::test]
async fn newer_record_stops_its_tenant_and_the_load_only() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    server.execute(&format!(
        "UPDATE {TENANTS} SET value = 'Cust1 {{\"v\":\"2.0\"}}' WHERE tenant = 'cust1'"
    ));
    for error in
        [store.merge(&tenant(1), &suspended(2)).await.unwrap_err(), load(&store).await.unwrap_err()]
    {
        assert!(error.is_newer_schema(), "{error:?}");
    }
    assert_eq!(store.merge(&tenant(2), &suspended(1)).await.unwrap(), suspended(1));
}

#[tokio::test]
async fn environments_are_kept_apart() {
    let Some(server) = PostgresServer::start() else { return };
    let custom = Environment::custom("http://127.0.0.1:9000".parse().unwrap());
    for environment in [Environment::Production, Environment::Sod, custom] {
        let store = PostgresStore::connect(&server.url(), &environment).unwrap();
        assert_eq!(load(&store).await.unwrap(), []);
        store.merge(&tenant(1), &suspended(1)).await.unwrap();
        let lease = store.try_lease(&tenant(1), 0, Duration::from_secs(60)).await;
        assert_eq!(lease.unwrap(), Lease::Granted);
    }
}

#[tokio::test]
async fn setting_that_loses_records_is_a_warning() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    load(&store).await.unwrap();
    assert_eq!(store.warnings(), []);
    server.execute("ALTER DATABASE postgres SET synchronous_commit = off");
    let store = open(&server.url());
    load(&store).await.unwrap();
    let warnings = store.warnings();
    assert!(
        matches!(&warnings[..], [StoreWarning::Other(warning)] if warning.contains("synchronous_commit")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn certificate_of_the_own_authority_is_verified() {
    let directory = harness::Directory::new();
    let Some(()) = certificates(&directory, "IP:127.0.0.1") else { return };
    let Some(mut server) = PostgresServer::start() else { return };
    // The server takes a key that is its own and that no other user can read.
    for (from, to) in [("host.pem", "server.crt"), ("host.key", "server.key")] {
        server.install(&directory.join(from), to);
    }
    server.set_settings(&["ssl=on"]);
    server.restart();
    let url = |mode: &str| format!("{}?sslmode={mode}", server.url());
    let root = std::fs::read(directory.join("root.pem")).unwrap();
    for mode in ["require", "verify-full", "prefer"] {
        let store = PostgresStore::builder(url(mode), &Environment::Production)
            .roots(root.clone())
            .connect()
            .unwrap();
        store.merge(&tenant(1), &suspended(1)).await.unwrap();
        let encrypted = server.execute(
            "SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
             WHERE application_name = 'tower-superoffice'",
        );
        assert_eq!(encrypted, "t", "{mode}");
        // Without the authority there is no connection, not an unencrypted one.
        let error = load(&open(&url(mode))).await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
    }
    load(&open(&url("disable"))).await.unwrap();
}

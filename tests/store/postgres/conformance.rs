//! The contract, on servers that are paused, killed, or grant little.

use std::sync::{Arc, Mutex};

use harness::{PostgresServer, amount};
use tower_superoffice::{
    Environment,
    store::{PostgresStore, conformance::Conformance},
};

use super::open;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_while_the_server_is_paused() {
    let Some(server) = PostgresServer::start().map(Arc::new) else { return };
    let url = server.url();
    let report = Conformance::new(move || std::future::ready(Ok(open(&url))))
        .outage(move |up| {
            if up {
                server.resume()
            } else {
                server.pause()
            }
            std::future::ready(())
        })
        .tenants(amount("TENANTS", 5_000, 100_000))
        .run()
        .await
        .unwrap();
    println!("{report}");
    assert_eq!(report.skipped().count(), 3, "no damage and no loss: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_while_the_server_is_killed() {
    let Some(server) = PostgresServer::start() else { return };
    let server = Arc::new(Mutex::new(server));
    let url = server.lock().unwrap().url();
    let (damaged, lost, trimmed) = (server.clone(), server.clone(), server.clone());
    let report = Conformance::new(move || std::future::ready(Ok(open(&url))))
        .outage(move |up| {
            let mut server = server.lock().unwrap();
            if up {
                server.run()
            } else {
                server.kill()
            }
            std::future::ready(())
        })
        .data_loss(move || {
            let tables = "tower_superoffice_production_tenants, tower_superoffice_production_changes, tower_superoffice_production_meta";
            lost.lock().unwrap().execute(&format!("TRUNCATE {tables}"));
            std::future::ready(())
        })
        .log_loss(move || {
            trimmed.lock().unwrap().execute("TRUNCATE tower_superoffice_production_changes");
            std::future::ready(())
        })
        .damage(move |tenant| {
            let key = tenant.as_str().to_ascii_lowercase();
            let damage = format!(
                "UPDATE tower_superoffice_production_tenants SET value = '{tenant} {{' WHERE tenant = '{key}'"
            );
            damaged.lock().unwrap().execute(&damage);
            std::future::ready(())
        })
        .tenants(1000)
        .run()
        .await
        .unwrap();
    assert_eq!(report.skipped().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_when_tables_are_dropped() {
    let Some(server) = PostgresServer::start().map(Arc::new) else { return };
    let url = server.url();
    let report = Conformance::new(move || std::future::ready(Ok(open(&url))))
        .data_loss(move || {
            server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
            std::future::ready(())
        })
        .tenants(1000)
        .run()
        .await;
    report.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_with_the_documented_rights_only() {
    let Some(server) = PostgresServer::start() else { return };
    let script = PostgresStore::script(&Environment::Production);
    server.execute(&format!(
        "{script} CREATE ROLE app LOGIN; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app"
    ));
    let url = server.url().replace("gate@", "app@");
    let report =
        Conformance::new(move || std::future::ready(Ok(open(&url)))).tenants(1000).run().await;
    report.unwrap();
}

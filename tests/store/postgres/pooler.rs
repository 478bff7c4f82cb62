//! A pooler between the store and the server.

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
};

use harness::{
    Directory, PostgresServer, free_port, installed, suspended, tenant_number as tenant, until,
};
use tower_superoffice::store::{Change, Store, conformance::Conformance};

use super::{load, next, open};

/// A pgbouncer that gives each transaction a connection of its own choice.
struct Pooler {
    child: Child,
    port: u16,
    _directory: Directory,
}

impl Pooler {
    async fn start(server: &PostgresServer, mode: &str) -> Option<Self> {
        if !installed("pgbouncer") {
            return None;
        }
        let (directory, port) = (Directory::new(), free_port());
        let (file, users) = (directory.join("pgbouncer.ini"), directory.join("users"));
        let configuration = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = {mode}\ndefault_pool_size = 5\nignore_startup_parameters = options\n",
            server.port(),
            users.display(),
        );
        std::fs::write(&users, "\"gate\" \"\"\n").unwrap();
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new("pgbouncer");
        if server.runs_as_other_user() {
            let owner = Command::new("chown").args(["-R", "postgres"]).arg(&*directory).status();
            assert!(owner.unwrap().success());
            command.args(["-u", "postgres"]);
        }
        let child = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let pooler = Self { child: child.unwrap(), port, _directory: directory };
        let address = ("127.0.0.1", port);
        until("the pooler listens", async || tokio::net::TcpStream::connect(address).await.is_ok())
            .await;
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_behind_a_pooler_in_transaction_mode() {
    let Some(server) = PostgresServer::start() else { return };
    let Some(pooler) = Pooler::start(&server, "transaction").await.map(Arc::new) else { return };
    let url = server.url_at(pooler.port);
    let report =
        Conformance::new(move || std::future::ready(Ok(open(&url)))).tenants(1000).run().await;
    report.unwrap();
}

#[tokio::test]
async fn pooler_that_breaks_notifications_is_found_out() {
    let Some(server) = PostgresServer::start() else { return };
    for (mode, breaks) in [("transaction", true), ("session", false)] {
        let Some(pooler) = Pooler::start(&server, mode).await else { return };
        let (store, other) = (open(&server.url_at(pooler.port)), open(&server.url()));
        let mut changes = store.changes();
        load(&store).await.unwrap();
        other.merge(&tenant(1), &suspended(if breaks { 1 } else { 2 })).await.unwrap();
        assert!(matches!(next(&mut changes).await, Change::Merged(..)));
        let warns = || {
            let warnings = store.warnings();
            warnings.iter().any(|warning| warning.to_string().contains("notifications"))
        };
        if breaks {
            until!(warns());
        } else {
            other.merge(&tenant(1), &suspended(3)).await.unwrap();
            assert!(matches!(next(&mut changes).await, Change::Merged(..)));
            assert!(!warns());
        }
    }
}

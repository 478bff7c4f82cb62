//! The contract, on servers that are paused, killed, or grant little.

use std::sync::{Arc, Mutex};

use harness::{RedisServer, RedisVersion, amount};
use redis::Commands;
use tower_superoffice::store::conformance::Conformance;

use super::open;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_while_the_server_is_paused() {
    let Some(server) = RedisServer::start().map(Arc::new) else { return };
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
        .tenants(amount("TENANTS", 20_000, 100_000))
        .run()
        .await
        .unwrap();
    println!("{report}");
    assert_eq!(report.skipped().count(), 3, "no damage and no loss: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_while_the_server_is_killed() {
    let Some(server) = RedisServer::start() else { return };
    let server = Arc::new(Mutex::new(server));
    let url = server.lock().unwrap().url();
    let (damaged, lost, trimmed) = (server.clone(), server.clone(), server.clone());
    let report = Conformance::new(move || std::future::ready(Ok(open(&url))))
        .outage(move |up| {
            let mut server = server.lock().unwrap();
            if up {
                server.restart()
            } else {
                server.kill()
            }
            std::future::ready(())
        })
        .data_loss(move || {
            let mut connection = lost.lock().unwrap().connection();
            redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
            std::future::ready(())
        })
        .log_loss(move || {
            let mut connection = trimmed.lock().unwrap().connection();
            let mut trim = redis::cmd("XTRIM");
            trim.arg("{tower-superoffice:production}:changes").arg("MAXLEN").arg(0);
            trim.exec(&mut connection).unwrap();
            std::future::ready(())
        })
        .damage(move |tenant| {
            let (hash, field) =
                ("{tower-superoffice:production}:tenants", tenant.as_str().to_ascii_lowercase());
            let mut connection = damaged.lock().unwrap().connection();
            let _: () = connection.hset(hash, field, format!("{tenant} {{")).unwrap();
            std::future::ready(())
        })
        .tenants(1000)
        .run()
        .await
        .unwrap();
    assert_eq!(report.skipped().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_redis_6() {
    let Some(server) = RedisServer::start_version(RedisVersion::Six) else { return };
    let url = server.url();
    let report =
        Conformance::new(move || std::future::ready(Ok(open(&url)))).tenants(1000).run().await;
    report.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_with_the_documented_rights_only() {
    let Some(server) = RedisServer::start() else { return };
    let documented = "~{tower-superoffice:*}:* -@all +ping +evalsha +script|load +hget +hmget +hset +hdel +hlen +hscan +xadd +xrange +xrevrange +xread +get +pttl +set +select +info +time";
    let source = include_str!("../../../src/store/redis/mod.rs");
    assert!(source.contains(documented), "the documentation names other rights");
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg("gate").arg("on").arg(">pass/word");
    acl.arg(documented.split(' ').collect::<Vec<_>>());
    acl.exec(&mut server.connection()).unwrap();

    let url = format!("redis://gate:pass%2Fword@127.0.0.1:{}/1", server.port());
    let report =
        Conformance::new(move || std::future::ready(Ok(open(&url)))).tenants(1000).run().await;
    report.unwrap();
}

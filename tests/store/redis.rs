//! The store on a Redis server keeps the contract, whatever happens to the server.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, TryStreamExt, stream::BoxStream};
use harness::{Network, Proxy, RedisServer, openssl, suspended, tenant_number as tenant};
use redis::Commands;
use tower_superoffice::{
    Environment, TenantId,
    status::Record,
    store::{Change, RedisStore, Store, StoreError, conformance::Conformance},
};

const TENANTS: &str = "{tower-superoffice:production}:tenants";

fn open(url: &str) -> RedisStore {
    RedisStore::connect(url, &Environment::Production).unwrap()
}

async fn load(store: &RedisStore) -> Result<Vec<(TenantId, Record)>, StoreError> {
    let mut all: Vec<_> = store.load().try_concat().await?;
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

async fn next(changes: &mut BoxStream<'static, Change>) -> Change {
    let next = tokio::time::timeout(Duration::from_secs(20), changes.next()).await;
    next.expect("a change comes").expect("changes don't end")
}

/// Merges until it succeeds.
async fn merge_in_the_end(store: &RedisStore, tenant: &TenantId, record: &Record) -> Record {
    let began = Instant::now();
    loop {
        match store.merge(tenant, record).await {
            Ok(merged) => return merged,
            Err(error) => {
                assert!(error.is_unavailable(), "{error:?}");
                assert!(began.elapsed() < Duration::from_secs(20), "{error:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// How often the server was asked to run a script.
fn round_trips(server: &RedisServer) -> usize {
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query(&mut server.connection()).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

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
        .run()
        .await
        .unwrap();
    println!("{report}");
    assert_eq!(report.skipped().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_while_the_server_is_killed() {
    let Some(server) = RedisServer::start() else { return };
    let server = Arc::new(Mutex::new(server));
    let url = server.lock().unwrap().url();
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
        .tenants(1000)
        .run()
        .await
        .unwrap();
    assert_eq!(report.skipped().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_with_the_documented_rights_only() {
    let Some(server) = RedisServer::start() else { return };
    let documented = "~{tower-superoffice:*}:* &{tower-superoffice:*}:changes -@all +ping +evalsha +script|load +hget +hset +publish +hlen +hscan +set +subscribe +select";
    let source = include_str!("../../src/store/redis/mod.rs");
    assert!(source.contains(documented), "the documentation says something else");
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg("gate").arg("on").arg(">pass/word");
    acl.arg(documented.split(' ').collect::<Vec<_>>());
    acl.exec(&mut server.connection()).unwrap();

    let url = format!("redis://gate:pass%2Fword@127.0.0.1:{}/1", server.port());
    let report =
        Conformance::new(move || std::future::ready(Ok(open(&url)))).tenants(1000).run().await;
    report.unwrap();
}

#[tokio::test]
async fn merge_without_other_writers_takes_one_round_trip() {
    let Some(server) = RedisServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    // The first has the script to load.
    here.merge(&tenant(0), &suspended(1)).await.unwrap();
    let before = round_trips(&server);
    for at in 1..=5 {
        here.merge(&tenant(1), &suspended(at)).await.unwrap();
        here.merge(&tenant(1), &suspended(1)).await.unwrap();
    }
    assert_eq!(round_trips(&server) - before, 10);

    // What was loaded, or told, is known as well.
    load(&there).await.unwrap();
    let before = round_trips(&server);
    there.merge(&tenant(1), &suspended(6)).await.unwrap();
    assert_eq!(round_trips(&server) - before, 1);
    let mut changes = here.changes();
    load(&here).await.unwrap();
    there.merge(&tenant(1), &suspended(7)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(7)));
    let before = round_trips(&server);
    assert_eq!(here.merge(&tenant(1), &suspended(2)).await.unwrap(), suspended(7));
    assert_eq!(round_trips(&server) - before, 1);
}

#[tokio::test]
async fn change_reaches_the_other_replicas_only() {
    let Some(server) = RedisServer::start() else { return };
    let stores = [open(&server.url()), open(&server.url()), open(&server.url())];
    let mut changes: Vec<_> = stores.iter().map(Store::changes).collect();
    for store in &stores {
        load(store).await.unwrap();
    }
    let mut took = Vec::new();
    for at in 1..=200 {
        let began = Instant::now();
        stores[0].merge(&tenant(1), &suspended(at)).await.unwrap();
        for changes in &mut changes[1..] {
            assert_eq!(next(changes).await, Change::Merged(tenant(1), suspended(at)));
        }
        took.push(began.elapsed());
    }
    took.sort();
    println!("a change reaches both others in {:?}, at worst {:?}", took[100], took[199]);
    assert_eq!(changes[0].next().now_or_never(), None);
}

#[tokio::test]
async fn load_after_changes_needs_no_second_load() {
    let Some(server) = RedisServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    for at in 1..20 {
        let mut changes = here.changes();
        load(&here).await.unwrap();
        there.merge(&tenant(1), &suspended(at)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(at)));
    }
}

#[tokio::test]
async fn change_in_another_database_is_not_received() {
    let Some(server) = RedisServer::start() else { return };
    let in_database = |n| open(&format!("redis://127.0.0.1:{}/{n}", server.port()));
    let (here, there) = (in_database(3), in_database(3));
    let mut changes = here.changes();
    load(&here).await.unwrap();
    for other in [0, 1] {
        in_database(other).merge(&tenant(1), &suspended(2)).await.unwrap();
    }
    there.merge(&tenant(2), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(2), suspended(1)));
}

#[tokio::test]
async fn slow_subscription_leaves_no_gap() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let (slow, other) = (open(&proxy.url()), open(&server.url()));
    slow.merge(&tenant(0), &suspended(1)).await.unwrap();

    // The load waits for the subscription.
    proxy.set(Network::NewSlow);
    let mut changes = slow.changes();
    load(&slow).await.unwrap();
    other.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(1)));

    // It does not wait for ever: then another load is asked for.
    proxy.set(Network::NewSilent);
    let mut changes = slow.changes();
    let began = Instant::now();
    load(&slow).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    other.merge(&tenant(1), &suspended(2)).await.unwrap();
    proxy.set(Network::Up);
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resync);
}

#[tokio::test]
async fn missed_changes_arrive_with_a_resync() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let (cut_off, other) = (open(&proxy.url()), open(&server.url()));
    let mut changes = cut_off.changes();
    assert_eq!(load(&cut_off).await.unwrap(), []);
    let mut at = 0;
    for network in [Network::Cut, Network::Silent, Network::OldSilent] {
        at += 10;
        proxy.set(network);
        other.merge(&tenant(1), &suspended(at)).await.unwrap();
        if network != Network::OldSilent {
            let began = Instant::now();
            for _ in 0..3 {
                let error = cut_off.merge(&tenant(1), &suspended(at + 1)).await.unwrap_err();
                assert!(error.is_unavailable(), "{error:?}");
            }
            assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
            proxy.set(Network::Up);
        }
        assert_eq!(next(&mut changes).await, Change::Disconnected, "{network:?}");
        assert_eq!(next(&mut changes).await, Change::Resync, "{network:?}");
        assert_eq!(load(&cut_off).await.unwrap(), [(tenant(1), suspended(at))], "{network:?}");
        other.merge(&tenant(1), &suspended(at + 2)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(at + 2)));
        let merged = merge_in_the_end(&cut_off, &tenant(1), &suspended(at + 3)).await;
        assert_eq!(merged, suspended(at + 3));
    }
}

#[tokio::test]
async fn silent_connection_is_replaced_despite_short_waits() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let store = open(&proxy.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    proxy.set(Network::OldSilent);
    let began = Instant::now();
    loop {
        let (tenant, record) = (tenant(1), suspended(2));
        let merge = store.merge(&tenant, &record);
        if let Ok(merged) = tokio::time::timeout(Duration::from_millis(200), merge).await {
            assert_eq!(merged.unwrap(), record);
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(15));
    }
}

#[tokio::test]
async fn restarted_server_without_data_is_filled_again() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    store.merge(&tenant(1), &suspended(5)).await.unwrap();
    store.merge(&tenant(2), &suspended(5)).await.unwrap();
    server.restart_without_data();
    // A connection that was lost while nothing was asked is made anew without a word.
    assert_eq!(store.merge(&tenant(2), &suspended(5)).await.unwrap(), suspended(5));
    server.restart_without_data();
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), []);
    // What this process knew of is not taken for what is there, and the script is loaded again.
    assert_eq!(merge_in_the_end(&store, &tenant(1), &suspended(1)).await, suspended(1));
    assert_eq!(load(&store).await.unwrap(), [(tenant(1), suspended(1))]);
}

#[tokio::test]
async fn data_loss_of_a_running_server_is_noticed() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    for number in 0..3 {
        store.merge(&tenant(number), &suspended(5)).await.unwrap();
    }
    redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
    // By who meets it.
    assert_eq!(store.merge(&tenant(1), &suspended(6)).await.unwrap(), suspended(6));
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), [(tenant(1), suspended(6))]);

    // The others are stored again, and that is no loss to be told of once more.
    for number in [0, 2] {
        store.merge(&tenant(number), &suspended(5)).await.unwrap();
    }
    let other = open(&server.url());
    other.merge(&tenant(9), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(9), suspended(1)));

    // And by who writes nothing, once the size is known.
    let size = || {
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query(&mut server.connection()).unwrap();
        stats.contains("cmdstat_hlen")
    };
    while !size() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), []);
}

#[tokio::test]
async fn user_without_publish_stores_nothing() {
    let Some(server) = RedisServer::start() else { return };
    let url = server.user("gate", "+@all -publish");
    let store = open(&url);
    for _ in 0..3 {
        let error = store.merge(&tenant(1), &suspended(1)).await.unwrap_err();
        assert!(error.is_misconfigured(), "{error:?}");
        assert!(error.to_string().contains("forbids a command"), "{error}");
    }
    assert_eq!(load(&open(&server.url())).await.unwrap(), [], "stored, and told to nobody");
}

#[tokio::test]
async fn user_without_subscribe_is_disconnected() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.user("gate", "+@all -subscribe"));
    let mut changes = store.changes();
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg("gate").arg("+subscribe").exec(&mut server.connection()).unwrap();
    assert_eq!(next(&mut changes).await, Change::Resync);
}

#[tokio::test]
async fn server_down_at_the_start_is_found_later() {
    let Some(mut server) = RedisServer::stopped(&[]) else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    let began = Instant::now();
    let error = load(&store).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "a refusal is known at once");
    server.run();
    merge_in_the_end(&open(&server.url()), &tenant(1), &suspended(1)).await;
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(merge_in_the_end(&store, &tenant(1), &suspended(0)).await, suspended(1));
}

#[tokio::test]
async fn paused_server_delays_no_merge_beyond_its_timeout() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    server.pause();
    let longest = async |count: usize| {
        let began = Instant::now();
        let tenants: Vec<_> = (0..count).map(tenant).collect();
        let record = suspended(1);
        let merges = tenants.iter().map(|tenant| store.merge(tenant, &record));
        for merged in futures::future::join_all(merges).await {
            assert!(merged.unwrap_err().is_unavailable());
        }
        began.elapsed()
    };
    let first = longest(2000).await;
    assert!(first < Duration::from_secs(4), "{first:?}");
    let later = longest(2000).await;
    assert!(later < Duration::from_secs(2), "{later:?}: connecting should have failed");
    server.resume();
    assert_eq!(merge_in_the_end(&store, &tenant(1), &suspended(2)).await, suspended(2));
}

#[tokio::test]
async fn refused_login_is_reported_without_the_password() {
    let Some(server) = RedisServer::start_with(&["--requirepass", "hush"]) else { return };
    for login in ["", ":secret@", "user:secret@"] {
        let store = open(&format!("redis://{login}127.0.0.1:{}/0", server.port()));
        let error = load(&store).await.unwrap_err();
        assert!(error.is_misconfigured(), "{error:?}");
        let told = format!("{error} {error:?} {store:?} {}", store.name());
        assert!(!told.contains("secret"), "{told}");
        assert!(told.contains(&format!("redis://127.0.0.1:{}/0", server.port())), "{told}");
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
async fn unreadable_record_stops_its_tenant_and_the_load_only() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    for (value, newer) in [("Cust1 {\"v\":\"2.0\"}", true), ("Cust1 {\"v\":\"1.0\"", false)] {
        let _: () = server.connection().hset(TENANTS, "cust1", value).unwrap();
        for error in [
            store.merge(&tenant(1), &suspended(1)).await.unwrap_err(),
            load(&store).await.unwrap_err(),
        ] {
            assert_eq!(error.is_newer_schema(), newer, "{error:?}");
            assert_eq!(error.is_corrupt(), !newer, "{error:?}");
            assert!(error.to_string().to_lowercase().contains("cust1"), "{error}");
        }
        let kept: String = server.connection().hget(TENANTS, "cust1").unwrap();
        assert_eq!(kept, value, "it was left as it is");
    }
    // Nor does a message that makes no sense end the subscription.
    let channel = "{tower-superoffice:production}:changes";
    for message in ["", "x", "x Cust1 {\"v\":\"2.0\"}", "x y z", "\u{e9} \u{e9}"] {
        let _: () = server.connection().publish(channel, message).unwrap();
    }
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
        assert!(store.try_lease(&tenant(1), Duration::from_secs(60)).await.unwrap());
    }
}

#[tokio::test]
async fn subscription_ends_with_its_stream() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let subscribers = || -> usize {
        let channels = "{tower-superoffice:production}:changes";
        let counted: (String, usize) = redis::cmd("PUBSUB")
            .arg("NUMSUB")
            .arg(channels)
            .query(&mut server.connection())
            .unwrap();
        counted.1
    };
    let changes = store.changes();
    load(&store).await.unwrap();
    assert_eq!(subscribers(), 1);
    drop(changes);
    while subscribers() != 0 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn changes_can_be_created_outside_a_runtime() {
    let Some(server) = RedisServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    let mut changes = here.changes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(load(&here).await.unwrap(), []);
        there.merge(&tenant(1), &suspended(1)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Resync);
        assert_eq!(load(&here).await.unwrap(), [(tenant(1), suspended(1))]);
    });
}

/// Creates an authority and a certificate of 127.0.0.1 in the server's directory; `None` without
/// openssl.
fn make_certificates(server: &RedisServer) -> Option<()> {
    let path = |name: &str| server.file(name).to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let output = openssl(arguments, b"")?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let (root, root_key) = (path("root.pem"), path("root.key"));
    run(&[
        &["req", "-x509", "-days", "2", "-subj", "/CN=test root"][..],
        &key,
        &["-keyout", &root_key, "-out", &root],
    ]
    .concat())?;
    run(&[
        &[
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=redis",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ][..],
        &["-addext", "basicConstraints=critical,CA:FALSE", "-CA", &root, "-CAkey", &root_key],
        &key,
        &["-keyout", &path("redis.key"), "-out", &path("redis.pem")],
    ]
    .concat())
}

#[tokio::test]
async fn tls_connects_to_a_server_with_a_trusted_certificate() {
    let Some(mut server) = RedisServer::stopped(&[]) else { return };
    let Some(()) = make_certificates(&server) else { return };
    let path = |name: &str| server.file(name).to_str().unwrap().to_owned();
    let (port, root) = (server.port().to_string(), path("root.pem"));
    let arguments = [
        ["--port", "0"],
        ["--tls-port", &port],
        ["--tls-cert-file", &path("redis.pem")],
        ["--tls-key-file", &path("redis.key")],
        ["--tls-ca-cert-file", &root],
        ["--tls-auth-clients", "no"],
        ["--requirepass", "hush"],
    ];
    server.set_arguments(arguments.as_flattened());
    server.run();

    let url = format!("rediss://:hush@127.0.0.1:{port}");
    let pem = std::fs::read(root).unwrap();
    let open = || RedisStore::connect_with_roots(&url, &Environment::Production, &pem).unwrap();
    let (here, there) = (open(), open());
    assert_eq!(here.name(), format!("rediss://127.0.0.1:{port}/0"));
    let mut changes = here.changes();
    load(&here).await.unwrap();
    there.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(1)));

    let public = RedisStore::connect(&url, &Environment::Production).unwrap();
    let error = load(&public).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
}

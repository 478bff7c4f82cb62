//! A network that is cut again and again under a gate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use harness::{
    Network, Proxy, RedisServer, Wrap, Wrapped, amount, suspended, tenant_number as tenant, until,
};
use tower_superoffice::{
    Environment, TenantGate, TenantId,
    status::Record,
    store::{RedisStore, Store, StoreError},
};

/// Counts loads.
struct Counting {
    inner: RedisStore,
    loads: Arc<AtomicUsize>,
}

impl Wrap for Counting {
    type Inner = RedisStore;

    fn inner(&self) -> &RedisStore {
        &self.inner
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.inner.load()
    }
}

/// The processor time of this process, in seconds.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connection_is_followed_by_no_load() {
    let Some(server) = RedisServer::start_with(&["--appendonly", "no"]) else { return };
    let nowhere = Environment::custom("http://127.0.0.1:9".parse().unwrap());
    let other = RedisStore::connect(&server.url(), &nowhere).unwrap();
    let count = amount("TENANTS", 2000, 100_000);
    let seconds = amount("SECONDS", 5, 20);
    stream::iter(0..count)
        .map(|number| {
            let other = &other;
            async move { other.merge(&tenant(number), &suspended(1)).await.map(drop) }
        })
        .buffer_unordered(256)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
        .unwrap();

    let proxy = Proxy::start(server.port()).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let inner = RedisStore::connect(&proxy.url(), &nowhere).unwrap();
    let store = Wrapped(Counting { inner, loads: loads.clone() });
    let gate = TenantGate::builder(nowhere.clone()).any_audience().store(store);
    let gate = gate.state_api(false).build().await.unwrap();
    assert_eq!((gate.health().closed(), loads.load(Ordering::Relaxed)), (count, 1));

    let (began, used, mut written) = (Instant::now(), processor(), 0);
    while began.elapsed() < Duration::from_secs(seconds as u64) {
        proxy.set(Network::Cut);
        tokio::time::sleep(Duration::from_millis(20)).await;
        other.merge(&tenant(count + written), &suspended(1)).await.unwrap();
        written += 1;
        proxy.set(Network::Up);
        tokio::time::sleep(Duration::from_millis(280)).await;
    }
    let loads = loads.load(Ordering::Relaxed) - 1;
    println!(
        "{count} tenants, {written} cuts: {loads} loads, {:.2} s of processor time",
        processor() - used
    );
    until!(gate.health().closed() == count + written);
    assert!(loads <= 1, "{loads} loads after {written} cuts");
}

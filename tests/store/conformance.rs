//! The conformance suite names the promise that a store breaks. Each store here breaks one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use tower_superoffice::{
    TenantId,
    status::Record,
    store::{Change, Lease, MemoryStore, Store, StoreError, conformance::Conformance},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    LastWriterWins,
    AnswersOnly,
    MindsCase,
    FoldsSpelling,
    DropsWhatIsNew,
    StuckWhenDropped,
    LosesChanges,
    DropsWhatLags,
    DropsTheLog,
    KeepsQuietAboutLoss,
    TakesNewerAlong,
    RemovesQuietly,
    RemovesAgain,
    EverybodyHolds,
    LeasesNeverEnd,
    LeasesEndEarly,
    HangsInAnOutage,
    WorksInAnOutage,
    FailsForGood,
    DeafAfterAnOutage,
    LosesOneInTenThousand,
}

type Page = Result<Vec<(TenantId, Record)>, StoreError>;

#[derive(Clone)]
struct Broken {
    fault: Fault,
    inner: MemoryStore,
    up: Arc<AtomicBool>,
    fell: Arc<AtomicBool>,
    stuck: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    /// The id under which a case-sensitive store keeps each spelling.
    spelled: Arc<Mutex<HashMap<String, TenantId>>>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            inner: MemoryStore::new(),
            up: Arc::new(AtomicBool::new(true)),
            fell: Arc::default(),
            stuck: Arc::default(),
            lost: Arc::default(),
            count: Arc::default(),
            spelled: Arc::default(),
        }
    }

    fn switch(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
        match self.fault {
            Fault::HangsInAnOutage | Fault::WorksInAnOutage => {}
            Fault::FailsForGood if up => {}
            _ => {
                self.fell.store(true, Ordering::SeqCst);
                self.inner.set_available(up);
            }
        }
    }

    async fn gate(&self) -> Result<(), StoreError> {
        if self.fault == Fault::HangsInAnOutage && !self.up.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn merge(&self, tenant: &TenantId, record: &Record) -> Result<Record, StoreError> {
        self.gate().await?;
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::LastWriterWins => {
                let other = Broken::new(Fault::None);
                let answer = other.inner.merge(tenant, record).await?;
                self.inner.merge(tenant, record).await?;
                Ok(answer)
            }
            Fault::AnswersOnly if count % 3 == 2 => {
                let mut answer = self.inner.merge(tenant, &Record::default()).await?;
                answer.merge(record);
                Ok(answer)
            }
            Fault::MindsCase => {
                let kept = {
                    let mut spelled = self.spelled.lock().unwrap();
                    let fresh = TenantId::new(format!("x{}", spelled.len())).unwrap();
                    spelled.entry(tenant.to_string()).or_insert(fresh).clone()
                };
                self.inner.merge(&kept, record).await
            }
            Fault::DropsWhatIsNew => {
                let mut json: serde_json::Value = serde_json::from_slice(&record.encode()).unwrap();
                json.as_object_mut().unwrap().remove("billing");
                let known = Record::decode(json.to_string().as_bytes()).unwrap();
                self.inner.merge(tenant, &known).await
            }
            Fault::StuckWhenDropped => {
                while self.stuck.swap(true, Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                }
                tokio::task::yield_now().await;
                let answer = self.inner.merge(tenant, record).await;
                self.stuck.store(false, Ordering::SeqCst);
                answer
            }
            Fault::LosesOneInTenThousand if count == 15_000 => Ok(record.clone()),
            _ => self.inner.merge(tenant, record).await,
        }
    }
}

impl Store for Broken {
    fn name(&self) -> String {
        format!("{:?}", self.fault)
    }

    fn load(&self) -> BoxStream<'_, Page> {
        let pages = futures::stream::once(self.gate()).flat_map(|gate| match gate {
            Ok(()) => self.inner.load(),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        });
        let fault = self.fault;
        let spelled = self.spelled.clone();
        pages
            .map(move |page| {
                let mut page = page?;
                for (tenant, _) in &mut page {
                    if fault == Fault::FoldsSpelling {
                        *tenant = TenantId::new(tenant.as_str().to_ascii_lowercase()).unwrap();
                    }
                    if fault == Fault::MindsCase {
                        let spelled = spelled.lock().unwrap();
                        let name = spelled.iter().find(|(_, kept)| *kept == tenant).unwrap().0;
                        *tenant = TenantId::new(name).unwrap();
                    }
                }
                Ok(page)
            })
            .boxed()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        Broken::merge(self, tenant, record).boxed()
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        async move {
            self.gate().await?;
            if self.fault == Fault::TakesNewerAlong {
                let all = self.inner.merge(tenant, record).await?;
                return self.inner.remove(tenant, &all).await;
            }
            let left = self.inner.remove(tenant, record).await?;
            let gone = self.fault == Fault::RemovesAgain && left == Record::default();
            if gone && self.fell.swap(true, Ordering::SeqCst) {
                return Err(StoreError::corrupt("there is no such tenant"));
            }
            Ok(left)
        }
        .boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let (fault, fell, mut count) = (self.fault, self.fell.clone(), 0);
        let was_lost = self.lost.clone();
        self.inner
            .changes()
            .filter(move |change| {
                count += 1;
                let lost = match fault {
                    Fault::LosesChanges => count % 20 == 0,
                    Fault::DropsWhatLags => *change == Change::Resync,
                    Fault::DropsTheLog | Fault::KeepsQuietAboutLoss => {
                        was_lost.swap(false, Ordering::SeqCst)
                    }
                    Fault::RemovesQuietly => matches!(change, Change::Removed(..)),
                    Fault::DeafAfterAnOutage => fell.load(Ordering::SeqCst),
                    _ => false,
                };
                std::future::ready(!lost)
            })
            .boxed()
    }

    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let ttl = match self.fault {
            Fault::EverybodyHolds => Duration::ZERO,
            Fault::LeasesNeverEnd => Duration::MAX,
            Fault::LeasesEndEarly => ttl / 2,
            _ => ttl,
        };
        async move {
            self.gate().await?;
            self.inner.try_lease(tenant, term, ttl).await
        }
        .boxed()
    }
}

/// A store whose merge reads and then writes, without a transaction.
#[derive(Clone, Default)]
struct NotAtomic(Arc<Mutex<HashMap<TenantId, Record>>>);

impl Store for NotAtomic {
    fn name(&self) -> String {
        "not atomic".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Page> {
        let all = self.0.lock().unwrap().clone().into_iter().collect();
        futures::stream::iter([Ok(all)]).boxed()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        async move {
            let mut joined = self.0.lock().unwrap().get(tenant).cloned().unwrap_or_default();
            joined.merge(record);
            // Other writers run during the round trip.
            tokio::time::sleep(Duration::from_millis(1)).await;
            // `insert` keeps the first spelling of the key.
            self.0.lock().unwrap().insert(tenant.clone(), joined.clone());
            Ok(joined)
        }
        .boxed()
    }
}

async fn run(fault: Fault) -> Result<(), String> {
    let store = Broken::new(fault);
    let (switch, log, data) = (store.clone(), store.clone(), store.clone());
    let suite = Conformance::new(move || std::future::ready(Ok(store.clone())))
        .outage(move |up| {
            switch.switch(up);
            std::future::ready(())
        })
        .log_loss(move || {
            log.lost.store(log.fault == Fault::DropsTheLog, Ordering::SeqCst);
            std::future::ready(())
        })
        .data_loss(move || {
            data.lost.store(data.fault == Fault::KeepsQuietAboutLoss, Ordering::SeqCst);
            data.inner.clear();
            std::future::ready(())
        })
        .tenants(20_000)
        .max_wait(Duration::from_secs(2));
    match suite.run().await {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_broken_promise_is_found_and_named() {
    run(Fault::None).await.unwrap();
    for (fault, promise) in [
        (Fault::LastWriterWins, "merge joins"),
        (Fault::AnswersOnly, "merge joins"),
        (Fault::MindsCase, "ids that differ in case"),
        (Fault::FoldsSpelling, "ids that differ in case"),
        (Fault::DropsWhatIsNew, "merge joins"),
        (Fault::StuckWhenDropped, "a merge that is dropped"),
        (Fault::LosesChanges, "no gap"),
        (Fault::DropsWhatLags, "a subscriber that lags"),
        (Fault::DropsTheLog, "changes that are lost"),
        (Fault::KeepsQuietAboutLoss, "records that are lost"),
        (Fault::TakesNewerAlong, "a removal is announced"),
        (Fault::RemovesQuietly, "a removal is announced"),
        (Fault::RemovesAgain, "a removal is announced"),
        (Fault::EverybodyHolds, "a lease has one holder"),
        (Fault::LeasesNeverEnd, "a lease has one holder"),
        (Fault::LeasesEndEarly, "a lease has one holder"),
        (Fault::HangsInAnOutage, "an outage fails calls"),
        (Fault::WorksInAnOutage, "an outage fails calls"),
        (Fault::FailsForGood, "an outage fails calls"),
        (Fault::DeafAfterAnOutage, "an outage fails calls"),
        (Fault::LosesOneInTenThousand, "many tenants"),
    ] {
        let found = run(fault).await.expect_err(&format!("{fault:?}"));
        assert!(found.contains(promise), "{fault:?}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_without_atomic_merge_is_found() {
    let store = NotAtomic::default();
    let suite = Conformance::new(move || std::future::ready(Ok(store.clone())));
    let failure = suite.without_leases().tenants(0).run().await.unwrap_err().to_string();
    assert!(failure.contains("concurrent writers of one tenant"), "{failure}");
}

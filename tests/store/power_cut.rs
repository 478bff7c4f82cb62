//! An acknowledged merge survives a power cut, wherever the cut falls.
//!
//! `POWER_CUTS=10000 cargo test --test store power_cut` for a long run.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::disk::{Cut, Disk, Unsynced};
use futures::{TryStreamExt, future::join_all};
use harness::{amount, gate_builder_of};
use tower_superoffice::{
    Environment, TenantId,
    simulator::Simulator,
    status::Record,
    store::{Medium, RedbStore, Store, StoreError},
};

const TENANTS: usize = 24;

fn tenant(n: usize) -> TenantId {
    TenantId::new(format!("Cust{n}")).unwrap()
}

/// A record with a Suspend of `at`. The length of a record varies, so that pages split and merge.
fn suspended(at: i64) -> Record {
    let version = "x".repeat((at % 97) as usize * 4);
    let record = format!(
        r#"{{"v":"1.0","suspend":{{"at":{at},"seen":{at},"version":"{version}","file":""}}}}"#
    );
    Record::decode(record.as_bytes()).unwrap()
}

/// The token time of the record's Suspend; 0 for a record without one.
fn at(record: &Record) -> i64 {
    let json: serde_json::Value = serde_json::from_slice(&record.encode()).unwrap();
    json["suspend"]["at"].as_i64().unwrap_or(0)
}

fn open(disk: &Disk) -> Result<RedbStore, StoreError> {
    RedbStore::with_medium("disk", &Environment::Production, disk.clone())
}

/// The acknowledged and the attempted merges over all lives of the store.
struct Promised {
    /// For each tenant the newest merge that returned `Ok`.
    answered: Vec<AtomicI64>,
    /// For each tenant the newest merge that was attempted.
    given: Vec<AtomicI64>,
}

impl Promised {
    fn new() -> Self {
        let zeros = || (0..TENANTS).map(|_| AtomicI64::new(0)).collect();
        Self { answered: zeros(), given: zeros() }
    }

    /// Lists the broken promises in what `store` holds.
    async fn broken(&self, store: &RedbStore) -> Vec<String> {
        let all: Vec<_> = store.load().try_concat().await.unwrap();
        let mut found = vec![0; TENANTS];
        for (tenant, record) in all {
            found[tenant.as_str()[4..].parse::<usize>().unwrap()] = at(&record);
        }
        let mut broken = Vec::new();
        for (n, found) in found.into_iter().enumerate() {
            let answered = self.answered[n].load(Ordering::SeqCst);
            let given = self.given[n].load(Ordering::SeqCst);
            if found < answered || found > given {
                broken.push(format!("Cust{n}: {found}, answered {answered}, given {given}"));
            }
            // A merge stored without acknowledgement must stay from now on.
            self.answered[n].fetch_max(found, Ordering::SeqCst);
        }
        broken
    }

    /// Merges, several tenants at a time, until the power goes or each has done `merges`. A merge
    /// that fails while there is power is retried, as a gate does.
    async fn work(&self, store: &RedbStore, disk: &Disk, merges: usize) {
        join_all((0..TENANTS).map(|n| async move {
            for _ in 0..merges {
                let at = self.given[n].fetch_add(1, Ordering::SeqCst) + 1;
                while let Err(error) = self.merge(store, n, at).await {
                    assert!(error.is_unavailable(), "{error:?}");
                    if !disk.is_on() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }))
        .await;
    }

    async fn merge(&self, store: &RedbStore, n: usize, at: i64) -> Result<(), StoreError> {
        let record = store.merge(&tenant(n), &suspended(at)).await?;
        assert_eq!(record, suspended(at));
        self.answered[n].fetch_max(at, Ordering::SeqCst);
        Ok(())
    }
}

/// Lives one life: open, check, work, cut. Returns the broken promises.
async fn live(promised: &Promised, disk: &Disk) -> Vec<String> {
    let mut broken = Vec::new();
    match open(disk) {
        Ok(store) => {
            if disk.is_on() {
                broken = promised.broken(&store).await;
            }
            promised.work(&store, disk, 20).await;
            disk.cut();
        }
        Err(error) => {
            // Cut while it was opened, or a sync of the opening failed: an outage, not damage.
            disk.cut();
            if !error.is_unavailable() {
                broken.push(format!("{error:?}"));
            }
        }
    }
    broken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_merge_survives_a_power_cut() {
    let total = amount("POWER_CUTS", 100, 10_000);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let promised = Promised::new();
    let disk = Disk::new(Vec::new(), Cut::Never, Unsynced::Lost, 0);
    drop(open(&disk).unwrap());
    disk.cut();
    let mut image = disk.image();
    let mut lives = 0;
    let mut before = String::new();
    let mut syncs = 0;
    let mut replaced = 0;
    'all: for point in 1.. {
        for unsynced in [Unsynced::Lost, Unsynced::Torn, Unsynced::Scattered] {
            // Each sync point in turn, from those of the open to those of the work, over and over.
            let sync = (point - 1) % 25 + 1;
            let write = random.u64(1..200);
            for cut in [Cut::BeforeSync(sync), Cut::AfterSync(sync), Cut::AtWrite(write)] {
                if lives == total {
                    break 'all;
                }
                lives += 1;
                let disk = Disk::new(image, cut, unsynced, random.u64(..));
                // Every third disk fails one sync before the power goes.
                let fails = lives % 3 == 0;
                let failing = fails.then(|| random.u64(1..=sync));
                let disk = failing.into_iter().fold(disk, Disk::with_failing_sync);
                let broken = live(&promised, &disk).await;
                replaced += u64::from(disk.is_replaced());
                let life = format!("life {lives}, {cut:?}, {unsynced:?}, failing sync {failing:?}");
                assert!(broken.is_empty(), "{life}; before: {before}: {broken:#?}");
                before = format!("{life}, replaced {}, {} syncs", disk.is_replaced(), disk.syncs());
                syncs += disk.syncs();
                image = disk.image();
            }
        }
    }
    let disk = Disk::new(image, Cut::Never, Unsynced::Lost, 0);
    let broken = promised.broken(&open(&disk).unwrap()).await;
    assert!(broken.is_empty(), "{broken:#?}");
    let answered: i64 = promised.answered.iter().map(|at| at.load(Ordering::SeqCst)).sum();
    println!(
        "{lives} power cuts, {syncs} syncs, {replaced} files replaced, {answered} merges answered"
    );
    assert!(answered > total as i64 && replaced > 0);
}

/// Every tenant is written once, so that nothing is on the disk by a later write, and the power
/// goes as soon as all merges are acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merges_answered_after_a_failed_sync_survive_a_power_cut() {
    const MANY: usize = 400;
    let mut replaced = 0;
    for unsynced in [Unsynced::Lost, Unsynced::Torn, Unsynced::Scattered] {
        for sync in 1..12 {
            let disk = Disk::new(Vec::new(), Cut::Never, Unsynced::Lost, 0);
            drop(open(&disk).unwrap());
            disk.cut();
            let disk = Disk::new(disk.image(), Cut::Never, unsynced, sync).with_failing_sync(sync);
            let Ok(store) = open(&disk) else { continue };
            for batch in 0..4 {
                join_all((batch * MANY / 4..(batch + 1) * MANY / 4).map(|n| {
                    let store = &store;
                    async move {
                        while store.merge(&tenant(n), &suspended(1)).await.is_err() {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                }))
                .await;
            }
            disk.cut();
            replaced += u64::from(disk.is_replaced());
            drop(store);
            let found = Disk::new(disk.image(), Cut::Never, Unsynced::Lost, 0);
            let all = match open(&found) {
                Ok(store) => store.load().try_concat().await.unwrap(),
                Err(error) => panic!("sync {sync}, {unsynced:?}: {error:?}"),
            };
            assert_eq!(all.len(), MANY, "sync {sync}, {unsynced:?}");
        }
    }
    assert!(replaced > 0, "no sync failed while merges ran");
}

/// No later part of a failed open, such as the database's own drop, writes what the failure left
/// behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_survives_a_failed_sync_while_it_is_opened() {
    let mut failed = 0;
    // A file that was not closed is repaired first.
    for cut in [Cut::Never, Cut::BeforeSync(14)] {
        let promised = Promised::new();
        let disk = Disk::new(Vec::new(), cut, Unsynced::Lost, 0);
        promised.work(&open(&disk).unwrap(), &disk, 20).await;
        disk.cut();
        let image = disk.image();
        for seed in 0..60 {
            let unsynced = [Unsynced::Lost, Unsynced::Torn, Unsynced::Scattered][seed as usize % 3];
            let disk = Disk::new(image.clone(), Cut::Never, unsynced, seed);
            let disk = disk.with_failing_sync(seed / 3 % 8 + 1);
            failed += u32::from(open(&disk).is_err());
            disk.cut();
            let disk = Disk::new(disk.image(), Cut::Never, Unsynced::Lost, 0);
            match open(&disk) {
                Ok(store) => {
                    assert_eq!(promised.broken(&store).await, [""; 0], "{unsynced:?}, {seed}")
                }
                Err(error) => panic!("{unsynced:?}, {seed}: {error:?}"),
            }
        }
    }
    assert!(failed > 20, "few syncs failed while the file was opened: {failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lying_disk_is_caught_by_the_test() {
    let promised = Promised::new();
    let disk = Disk::new(Vec::new(), Cut::Never, Unsynced::Lost, 0);
    drop(open(&disk).unwrap());
    disk.cut();
    let disk = Disk::new(disk.image(), Cut::Never, Unsynced::Lost, 0).lying();
    assert!(live(&promised, &disk).await.is_empty());
    let disk = Disk::new(disk.image(), Cut::Never, Unsynced::Lost, 0);
    assert_eq!(promised.broken(&open(&disk).unwrap()).await.len(), TENANTS);
}

#[tokio::test]
async fn cut_during_creation_leaves_nothing_or_a_store() {
    for unsynced in [Unsynced::Lost, Unsynced::Torn, Unsynced::Scattered] {
        for sync in 1..20 {
            for cut in [Cut::BeforeSync(sync), Cut::AfterSync(sync)] {
                let disk = Disk::new(Vec::new(), cut, unsynced, sync);
                let store = open(&disk);
                disk.cut();
                drop(store);
                let again = Disk::new(disk.image(), Cut::Never, unsynced, 0);
                match open(&again) {
                    Ok(store) => {
                        let all: Vec<_> = store.load().try_concat().await.unwrap();
                        assert_eq!(all, []);
                    }
                    Err(error) => assert!(error.is_foreign() || error.is_corrupt(), "{error:?}"),
                }
            }
        }
    }
}

/// A disk that is full for a while.
#[derive(Debug, Clone)]
struct Full(Disk, Arc<AtomicBool>);

impl Medium for Full {
    fn open(&self) -> Result<Box<dyn redb::StorageBackend>, StoreError> {
        Ok(Box::new(self.clone()))
    }
    fn draft(&self) -> Result<Box<dyn redb::StorageBackend>, StoreError> {
        unreachable!("no sync fails on a full disk")
    }
    fn publish(&self) -> Result<(), StoreError> {
        unreachable!("no sync fails on a full disk")
    }
}

impl redb::StorageBackend for Full {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(offset, data)
    }
}

#[tokio::test]
async fn full_disk_is_an_outage_that_ends() {
    let full = Arc::new(AtomicBool::new(false));
    let disk = Full(Disk::new(Vec::new(), Cut::Never, Unsynced::Lost, 0), full.clone());
    let store = RedbStore::with_medium("disk", &Environment::Production, disk).unwrap();
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
        assert!(error.is_unavailable() && error.to_string().contains("disk"), "{error:?}");
    }
    full.store(false, Ordering::SeqCst);
    let back = async {
        while store.merge(&tenant(1), &suspended(2)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
    let all: Vec<_> = store.load().try_concat().await.unwrap();
    assert_eq!(all, [(tenant(1), suspended(2))]);
}

/// A disk whose syncs never return while it hangs.
#[derive(Debug, Clone)]
struct Hanging(Disk, Arc<AtomicBool>);

impl Medium for Hanging {
    fn open(&self) -> Result<Box<dyn redb::StorageBackend>, StoreError> {
        Ok(Box::new(self.clone()))
    }
    fn draft(&self) -> Result<Box<dyn redb::StorageBackend>, StoreError> {
        unreachable!("no sync fails on a hanging disk")
    }
    fn publish(&self) -> Result<(), StoreError> {
        unreachable!("no sync fails on a hanging disk")
    }
}

impl redb::StorageBackend for Hanging {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        while self.1.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

#[tokio::test]
async fn dropping_a_store_on_a_hanging_disk_ends() {
    let hangs = Arc::new(AtomicBool::new(false));
    let disk = Disk::new(Vec::new(), Cut::Never, Unsynced::Lost, 0);
    let disk = Hanging(disk, hangs.clone());
    let store = RedbStore::with_medium("disk", &Environment::Production, disk).unwrap();
    hangs.store(true, Ordering::SeqCst);
    let (given, stored) = (tenant(1), suspended(1));
    let merge = store.merge(&given, &stored);
    assert!(tokio::time::timeout(Duration::from_millis(200), merge).await.is_err());
    let began = std::time::Instant::now();
    drop(store);
    assert!(began.elapsed() < Duration::from_secs(20));
    hangs.store(false, Ordering::SeqCst);
}

#[tokio::test]
async fn shutting_a_gate_down_on_a_hanging_disk_ends() {
    let hangs = Arc::new(AtomicBool::new(false));
    let disk = Disk::new(Vec::new(), Cut::Never, Unsynced::Lost, 0);
    let disk = Hanging(disk, hangs.clone());
    let store = RedbStore::with_medium("disk", &Environment::Production, disk).unwrap();
    let simulator = Simulator::start().await.unwrap();
    let gate = gate_builder_of(Environment::Production, &simulator).state_api(false).store(store);
    let gate = gate.store_timeout(Duration::from_millis(200)).build().await.unwrap();
    hangs.store(true, Ordering::SeqCst);
    gate.close(&tenant(1), "").await.unwrap_err();
    let (began, other) = (std::time::Instant::now(), gate.clone());
    assert_eq!(gate.shutdown(Duration::from_millis(200)).await, 1);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(other.check(&tenant(1)).is_err());
    hangs.store(false, Ordering::SeqCst);
}

//! The store in one file: the contract, files that are refused, and errors.

use std::{fs, path::Path, sync::Arc, time::Instant};

use futures::TryStreamExt;
use harness::{Directory, amount, suspended, tenant_number as tenant};
use redb::{Database, MultimapTableDefinition, TableDefinition};
use tower_superoffice::{
    Environment, TenantId,
    status::Record,
    store::{RedbStore, Store, StoreError, conformance::Conformance},
};

fn open(path: &Path) -> Result<RedbStore, StoreError> {
    RedbStore::open(path, &Environment::Production)
}

async fn load(store: &RedbStore) -> Result<Vec<(TenantId, Record)>, StoreError> {
    let mut all: Vec<_> = store.load().try_concat().await?;
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

/// Checks that a refused file is named in the error, and has not changed by a byte.
fn assert_untouched(path: &Path, before: &[u8], error: &StoreError) {
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(fs::read(path).unwrap() == before, "{error}: the file changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let directory = Directory::new();
    let store = Arc::new(open(&directory.join("tenants.redb")).unwrap());
    let tenants = amount("TENANTS", 20_000, 100_000);
    let suite = Conformance::new(move || std::future::ready(Ok(store.clone()))).without_leases();
    let report = suite.tenants(tenants).run().await.unwrap();
    println!("{report}");
    // Nor leases, a switch or damage.
    assert_eq!(report.skipped().count(), 7, "no other writers, nothing is lost: {report}");

    let path = directory.join("tenants.redb");
    println!("{} bytes a tenant", fs::metadata(&path).unwrap().len() / tenants as u64);
    let began = Instant::now();
    let store = open(&path).unwrap();
    println!("opened in {:?}", began.elapsed());
    let loaded = load(&store).await.unwrap().len();
    println!("opened and loaded {loaded} tenants in {:?}", began.elapsed());
}

#[tokio::test]
async fn reopened_store_has_every_record() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    for round in 0..3 {
        let store = open(&path).unwrap();
        let before: Vec<_> = (0..round).map(|n| (tenant(n), suspended(n as i64))).collect();
        assert_eq!(load(&store).await.unwrap(), before);
        store.merge(&tenant(round), &suspended(round as i64)).await.unwrap();
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "another file was left");
}

#[tokio::test]
async fn removed_record_is_gone_after_a_reopening() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let store = open(&path).unwrap();
    for number in 0..3 {
        store.merge(&tenant(number), &suspended(1)).await.unwrap();
    }
    // In one batch: the writes of a transaction follow each other.
    let (one, two, all) = (tenant(1), tenant(2), suspended(2));
    let first = suspended(1);
    let (removed, newer, kept) =
        tokio::join!(store.remove(&one, &all), store.merge(&two, &all), store.remove(&two, &first));
    assert_eq!(
        (removed.unwrap(), newer.unwrap(), kept.unwrap()),
        (Record::default(), all.clone(), all)
    );
    drop(store);
    let left = [(tenant(0), suspended(1)), (tenant(2), suspended(2))];
    assert_eq!(load(&open(&path).unwrap()).await.unwrap(), left);
}

#[tokio::test]
async fn environments_are_kept_apart() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let custom = Environment::custom("http://127.0.0.1:9000".parse().unwrap());
    for environment in [Environment::Production, Environment::Sod, custom] {
        let store = RedbStore::open(&path, &environment).unwrap();
        assert_eq!(store.environment(), Some(environment.name().as_str()));
        assert_eq!(load(&store).await.unwrap(), []);
        store.merge(&tenant(1), &suspended(1)).await.unwrap();
    }
    assert_eq!(load(&open(&path).unwrap()).await.unwrap(), [(tenant(1), suspended(1))]);
}

#[tokio::test]
async fn second_open_fails_as_in_use() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let first = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(error.is_in_use(), "{error:?}");
    assert!(error.to_string().contains("tenants.redb"), "{error}");
    first.merge(&tenant(1), &suspended(1)).await.unwrap();
    drop(first);
    open(&path).unwrap();
}

#[test]
fn concurrent_create_has_one_owner() {
    let directory = Directory::new();
    for round in 0..20 {
        let path = directory.join(format!("{round}.redb"));
        let opened: Vec<_> = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..4).map(|_| scope.spawn(|| open(&path))).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        let (stores, errors): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        assert_eq!(stores.len(), 1, "{errors:?}");
        assert!(errors.iter().all(|error| error.as_ref().unwrap_err().is_in_use()), "{errors:?}");
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 20, "another file was left");
}

#[tokio::test]
async fn empty_file_becomes_a_store() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    fs::write(&path, b"").unwrap();
    let store = open(&path).unwrap();
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    drop(store);
    assert_eq!(load(&open(&path).unwrap()).await.unwrap(), [(tenant(1), suspended(1))]);
}

#[test]
fn impossible_path_is_refused_with_advice() {
    let directory = Directory::new();
    let error = open(&directory.join("no/such/directory.redb")).unwrap_err();
    assert!(
        error.is_misconfigured() && error.to_string().contains("make its directory"),
        "{error}"
    );
    let error = open(&directory).unwrap_err();
    assert!(error.is_misconfigured() && error.to_string().contains("directory"), "{error:?}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "another file was left");
}

#[test]
fn foreign_file_is_refused_and_left_untouched() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let text = b"do not lose me\n".repeat(1000);
    for content in [&b"x"[..], b"redb", b"SQLite format 3\0", &text, &[0; 8192]] {
        fs::write(&path, content).unwrap();
        let error = open(&path).unwrap_err();
        assert!(error.is_foreign(), "{error:?}");
        assert_untouched(&path, content, &error);
    }
}

#[test]
fn foreign_database_is_refused_and_left_untouched() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    // Left as by a crash as well: redb itself would repair, that is write, such a file.
    for crash in [false, true] {
        for multimap in [false, true] {
            let _ = fs::remove_file(&path);
            let database = Database::create(&path).unwrap();
            let writing = database.begin_write().unwrap();
            if multimap {
                let table = MultimapTableDefinition::<u64, u64>::new("theirs");
                writing.open_multimap_table(table).unwrap().insert(1, 2).unwrap();
            } else {
                let table = TableDefinition::<u64, u64>::new("theirs");
                writing.open_table(table).unwrap().insert(1, 2).unwrap();
            }
            writing.commit().unwrap();
            let crashed = directory.join("crashed");
            fs::copy(&path, &crashed).unwrap();
            drop(database);
            if crash {
                fs::rename(&crashed, &path).unwrap();
            }
            let before = fs::read(&path).unwrap();
            let error = open(&path).unwrap_err();
            assert!(error.is_foreign(), "{error:?}");
            assert_untouched(&path, &before, &error);
        }
    }
}

#[tokio::test]
async fn damaged_file_is_refused_or_complete() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let store = open(&path).unwrap();
    for n in 0..300 {
        store.merge(&tenant(n), &suspended(n as i64)).await.unwrap();
    }
    let intact = load(&store).await.unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let mut refused = 0;
    for round in 0..120 {
        let mut damaged = whole.clone();
        match round % 3 {
            0 => damaged.truncate(random.usize(1..whole.len())),
            1 => {
                let at = random.usize(..whole.len());
                damaged[at] ^= 1 << random.u8(..8);
            }
            _ => {
                let at = random.usize(..whole.len());
                let end = whole.len().min(at + 4096);
                damaged[at..end].fill(random.u8(..));
            }
        }
        fs::write(&path, &damaged).unwrap();
        match open(&path) {
            Ok(store) => {
                // The damage lies where nothing is stored: then nothing may be missing.
                assert_eq!(load(&store).await.unwrap(), intact);
            }
            Err(error) => {
                assert!(error.is_corrupt() || error.is_foreign(), "{error:?}");
                assert_untouched(&path, &damaged, &error);
                refused += 1;
            }
        }
    }
    assert!(refused > 40, "only {refused} were refused");
}

#[tokio::test]
async fn newer_schema_is_refused_and_left_untouched() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    drop(open(&path).unwrap());
    let database = Database::create(&path).unwrap();
    let writing = database.begin_write().unwrap();
    let about = TableDefinition::<&str, &str>::new("tower-superoffice");
    writing.open_table(about).unwrap().insert("schema", "2.0").unwrap();
    writing.commit().unwrap();
    drop(database);
    let before = fs::read(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(error.is_newer_schema(), "{error:?}");
    assert_untouched(&path, &before, &error);
}

#[tokio::test]
async fn newer_record_stops_its_tenant_and_the_load_only() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    drop(open(&path).unwrap());
    let value = &b"Cust1 {\"v\":\"2.0\"}"[..];
    let database = Database::create(&path).unwrap();
    let writing = database.begin_write().unwrap();
    let tenants = TableDefinition::<&str, &[u8]>::new("tenants:production");
    writing.open_table(tenants).unwrap().insert("cust1", value).unwrap();
    writing.commit().unwrap();
    drop(database);

    let store = open(&path).unwrap();
    for error in
        [store.merge(&tenant(1), &suspended(1)).await.unwrap_err(), load(&store).await.unwrap_err()]
    {
        assert!(error.is_newer_schema(), "{error:?}");
        assert!(error.to_string().to_lowercase().contains("cust1"), "{error}");
    }
    store.merge(&tenant(2), &suspended(1)).await.unwrap();
    drop(store);

    let database = Database::create(&path).unwrap();
    let reading = redb::ReadableDatabase::begin_read(&database).unwrap();
    let table = reading.open_table(tenants).unwrap();
    assert_eq!(table.get("cust1").unwrap().unwrap().value(), value, "it was changed");
}

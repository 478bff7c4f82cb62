//! Replacing a file whose sync has failed.
//!
//! After a failed sync the kernel may have dropped the pages that it could not write, and a later
//! sync of the same file succeeds without them. So nothing in that file counts as durable: what can
//! be read of it is written to a fresh file, which is synced before it takes the name.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

use super::{
    buffered::SyncFailed,
    medium::Medium,
    open::{self, ABOUT, failed},
};
use crate::store::StoreError;

/// Copies the database in `medium` to a fresh one, which takes its name.
///
/// The old one stays open, and so locked, until then, where the system replaces open files.
/// `sync_failed` is the fresh one's.
pub(super) fn rewrite(
    name: &str,
    medium: &dyn Medium,
    sync_failed: &SyncFailed,
) -> Result<Database, StoreError> {
    let old = open::open_unchanged(name, medium.open()?)?;
    let fresh = open::open(name, medium.draft()?, sync_failed)?;
    copy(&old, &fresh).map_err(|error| failed(name, error))?;
    match medium.publish() {
        // Not every Windows and file system replaces a file that is open. Elsewhere no second try
        // may follow a failure, which could be that of a sync.
        Err(_) if cfg!(windows) => {
            drop(old);
            medium.publish()?;
        }
        published => published?,
    }
    Ok(fresh)
}

fn copy(old: &Database, fresh: &Database) -> Result<(), redb::Error> {
    let reading = old.begin_read()?;
    let writing = fresh.begin_write()?;
    for table in reading.list_tables()?.filter(|table| table.name() != ABOUT.name()) {
        let definition = TableDefinition::<&str, &[u8]>::new(table.name());
        let mut copy = writing.open_table(definition)?;
        for entry in reading.open_table(definition)?.iter()? {
            let (key, value) = entry?;
            copy.insert(key.value(), value.value())?;
        }
    }
    // Commits with redb's default durability: it returns once everything is synced.
    writing.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::{super::file::FileMedium, *};
    use crate::{
        environment::Environment,
        status::Record,
        store::{RedbStore, Store},
        tenant_id::TenantId,
    };

    #[tokio::test]
    async fn rewritten_file_holds_all_environments_and_stays_locked() {
        let name = format!("tower-superoffice-rewrite-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("tenants.redb");
        let tenant = TenantId::new("Cust1").unwrap();
        let suspended = br#"{"v":"1.0","suspend":{"at":1,"seen":1,"version":"","file":""}}"#;
        let suspended = Record::decode(suspended).unwrap();
        for environment in [Environment::Sod, Environment::Production] {
            let store = RedbStore::open(&path, &environment).unwrap();
            store.merge(&tenant, &suspended).await.unwrap();
        }

        let medium = FileMedium::new("file".to_owned(), path.clone());
        let fresh = rewrite("file", &medium, &SyncFailed::default()).unwrap();
        assert!(RedbStore::open(&path, &Environment::Sod).unwrap_err().is_in_use());
        drop((fresh, medium));

        for environment in [Environment::Sod, Environment::Production] {
            let store = RedbStore::open(&path, &environment).unwrap();
            let all: Vec<_> = store.load().try_concat().await.unwrap();
            assert_eq!(all, [(tenant.clone(), suspended.clone())]);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "a draft was left");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

//! Checks with concurrent writers, and with a subscriber.

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future::try_join_all};
use tokio::task::JoinSet;

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
};
use crate::{
    status::Record,
    store::{Change, Store},
    tenant_id::TenantId,
};

impl Conformance {
    pub(super) async fn one_tenant(&self) -> Result<Done, Broken> {
        let stores = [self.open().await?, self.open().await?, self.open().await?];
        let tenant = records::tenant("contended")?;
        let mut random = fastrand::Rng::with_seed(2);
        let mut expected = Record::default();
        let mut writers = JoinSet::new();
        for store in stores.iter().cycle().take(48) {
            let records: Vec<Record> = (0..4).map(|_| records::any(&mut random)).collect();
            records.iter().for_each(|record| {
                expected.merge(record);
            });
            let (store, tenant) = (store.clone(), tenant.clone());
            writers.spawn(async move {
                let mut answers = Vec::new();
                for record in records {
                    answers.push((store.merge(&tenant, &record).await?, record));
                }
                Ok::<_, Broken>(answers)
            });
        }
        while let Some(joined) = self.limit("a merge", writers.join_next()).await? {
            let answers =
                joined.map_err(|error| Broken::new(format!("a merge panicked: {error}")))??;
            for (answer, record) in answers {
                ensure(records::covers(&answer, &record), || {
                    format!("a merge of {record:?} answered {answer:?}, without it")
                })?;
            }
        }
        for store in &stores {
            let found = self.merge(&**store, &tenant, &Record::default()).await?;
            ensure(found == expected, || format!("{found:?} is left of {expected:?}"))?;
        }
        Ok(Done::Passed)
    }

    pub(super) async fn changes(&self) -> Result<Done, Broken> {
        for round in 0..8 {
            if matches!(self.changes_once(round).await?, Done::Skipped) {
                return Ok(Done::Skipped);
            }
        }
        Ok(Done::Passed)
    }

    /// Checks the changes of a writer that stores records before, during and after the load.
    async fn changes_once(&self, round: u64) -> Result<Done, Broken> {
        let (reader, writer) = (self.open().await?, self.open().await?);
        // Connects both, so that only the subscription is still to be made.
        for store in [&reader, &writer] {
            self.merge(&**store, &records::tenant("warm")?, &Record::default()).await?;
        }
        let mut changes = reader.changes();
        if ended(&mut changes).await {
            return Ok(Done::Skipped);
        }
        let mut random = fastrand::Rng::with_seed(round);
        let mut writes = Vec::new();
        for n in 0..150 {
            let tenant = records::tenant(&format!("seen{n}"))?;
            writes.extend((0..2).map(|_| (tenant.clone(), records::any(&mut random))));
        }
        random.shuffle(&mut writes);
        // In every other round the load follows the subscription at once.
        let before = if round.is_multiple_of(2) { 0 } else { random.usize(1..=100) };
        let (before, rest) = writes.split_at(before);
        let (during, after) = rest.split_at(100);

        if !before.is_empty() {
            self.write(&writer, before).await?;
        }
        let writing = tokio::spawn(write(writer.clone(), during.to_vec()));
        let view = self.load(&*reader).await?;
        self.limit("many merges", writing)
            .await?
            .map_err(|error| Broken::new(format!("a merge panicked: {error}")))??;
        self.write(&writer, after).await?;

        self.catch_up(&*reader, &mut changes, view, &writes).await?;
        Ok(Done::Passed)
    }

    pub(super) async fn write(
        &self,
        store: &Arc<dyn Store>,
        writes: &[Write],
    ) -> Result<(), Broken> {
        self.limit("many merges", write(store.clone(), writes.to_vec())).await?
    }
}

/// A tenant and a record of it.
pub(super) type Write = (TenantId, Record);

/// Stores `writes`, a few at a time.
async fn write(store: Arc<dyn Store>, writes: Vec<Write>) -> Result<(), Broken> {
    for some in writes.chunks(8) {
        try_join_all(some.iter().map(|(tenant, record)| store.merge(tenant, record))).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Returns whether `changes` ends at once, because the store has no other writers.
pub(super) async fn ended(changes: &mut BoxStream<'static, Change>) -> bool {
    use std::task::Poll;
    let first = std::future::poll_fn(|cx| Poll::Ready(changes.poll_next_unpin(cx))).await;
    matches!(first, Poll::Ready(None))
}

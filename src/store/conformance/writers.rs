//! Many writers at the same time, and those who look on.

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
            let told: Vec<Record> = (0..4).map(|_| records::any(&mut random)).collect();
            told.iter().for_each(|record| {
                expected.merge(record);
            });
            let (store, tenant) = (store.clone(), tenant.clone());
            writers.spawn(async move {
                let mut answers = Vec::new();
                for record in told {
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
            if matches!(self.changes_once(round).await?, Done::LeftOut) {
                return Ok(Done::LeftOut);
            }
        }
        Ok(Done::Passed)
    }

    /// Another writer stores some before the load, some while it goes on, and some after it.
    async fn changes_once(&self, round: u64) -> Result<Done, Broken> {
        let (reader, writer) = (self.open().await?, self.open().await?);
        // Both are connected, if they connect at all: only the changes have yet to begin.
        for store in [&reader, &writer] {
            self.merge(&**store, &records::tenant("warm")?, &Record::default()).await?;
        }
        let mut changes = reader.changes();
        if ended(&mut changes).await {
            return Ok(Done::LeftOut);
        }
        let mut random = fastrand::Rng::with_seed(round);
        let mut told = Vec::new();
        for n in 0..150 {
            let tenant = records::tenant(&format!("seen{n}"))?;
            told.extend((0..2).map(|_| (tenant.clone(), records::any(&mut random))));
        }
        random.shuffle(&mut told);
        // In every other round the load follows on the heels of the call for changes.
        let before = if round.is_multiple_of(2) { 0 } else { random.usize(1..=100) };
        let (before, rest) = told.split_at(before);
        let (during, after) = rest.split_at(100);

        if !before.is_empty() {
            self.write(&writer, before).await?;
        }
        let meanwhile = tokio::spawn(write(writer.clone(), during.to_vec()));
        let mut view = self.load(&*reader).await?;
        self.limit("a lot of merges", meanwhile)
            .await?
            .map_err(|error| Broken::new(format!("a merge panicked: {error}")))??;
        self.write(&writer, after).await?;

        for (tenant, record) in &told {
            while !view.covers(tenant, record) {
                let what = format!("news of {tenant}, stored by another writer,");
                match self.limit(&what, changes.next()).await? {
                    Some(Change::Merged(tenant, record)) => view.join(tenant, &record),
                    Some(Change::Resync) => view = self.load(&*reader).await?,
                    Some(Change::Disconnected) => {}
                    None => return Err(Broken::new("changes ended while others still wrote")),
                }
            }
        }
        Ok(Done::Passed)
    }

    async fn write(&self, store: &Arc<dyn Store>, told: &[Told]) -> Result<(), Broken> {
        self.limit("a lot of merges", write(store.clone(), told.to_vec())).await?
    }
}

/// A record, and the tenant it tells of.
type Told = (TenantId, Record);

/// Stores what is `told`, a few at a time.
async fn write(store: Arc<dyn Store>, told: Vec<Told>) -> Result<(), Broken> {
    for some in told.chunks(8) {
        try_join_all(some.iter().map(|(tenant, record)| store.merge(tenant, record))).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Whether `changes` has ended before it began: the store has no other writers.
async fn ended(changes: &mut BoxStream<'static, Change>) -> bool {
    use std::task::Poll;
    let first = std::future::poll_fn(|cx| Poll::Ready(changes.poll_next_unpin(cx))).await;
    matches!(first, Poll::Ready(None))
}

//! Many writers at the same time, and those who look on.

use std::{collections::VecDeque, sync::Arc};

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future::try_join_all};
use tokio::task::JoinSet;

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
};
use crate::{
    Record, TenantId,
    store::{Change, Store},
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
        // The load begins at another point of the other writer's work in each round.
        for head_start in [0, 1, 5, 50, 150, 190] {
            if matches!(self.changes_once(head_start).await?, Done::LeftOut) {
                return Ok(Done::LeftOut);
            }
        }
        Ok(Done::Passed)
    }

    async fn changes_once(&self, head_start: usize) -> Result<Done, Broken> {
        let (reader, writer) = (self.open().await?, self.open().await?);
        let mut changes = reader.changes();
        if ended(&mut changes).await {
            return Ok(Done::LeftOut);
        }
        let mut random = fastrand::Rng::with_seed(head_start as u64);
        let mut told = Vec::new();
        for n in 0..40 {
            let tenant = records::tenant(&format!("seen{n}"))?;
            told.extend((0..5).map(|_| (tenant.clone(), records::any(&mut random))));
        }
        random.shuffle(&mut told);

        let (started, start) = tokio::sync::oneshot::channel();
        let writing = write(writer, told.clone(), head_start, started);
        let writing = tokio::spawn(writing);
        self.limit("a merge", start).await?.map_err(|_| Broken::new("the writer failed"))?;
        let mut view = self.load(&*reader).await?;
        self.limit("the writer", writing)
            .await?
            .map_err(|error| Broken::new(format!("a merge panicked: {error}")))??;
        let mut missing = VecDeque::from(told);
        loop {
            while missing.front().is_some_and(|(tenant, record)| view.covers(tenant, record)) {
                missing.pop_front();
            }
            let Some((tenant, _)) = missing.front() else { return Ok(Done::Passed) };
            let what = format!("news of {tenant}, stored by another writer,");
            match self.limit(&what, changes.next()).await? {
                Some(Change::Merged(tenant, record)) => view.join(tenant, &record),
                Some(Change::Reload) => view = self.load(&*reader).await?,
                None => return Err(Broken::new("changes ended while others still wrote")),
            }
        }
    }
}

/// Stores what is `told`, and says so when `head_start` of it is stored.
async fn write(
    store: Arc<dyn Store>,
    told: Vec<(TenantId, Record)>,
    head_start: usize,
    started: tokio::sync::oneshot::Sender<()>,
) -> Result<(), Broken> {
    let (before, after) = told.split_at(head_start.min(told.len()));
    for (tenant, record) in before {
        store.merge(tenant, record).await?;
    }
    // Nobody waits for it any more when the check has failed already.
    let _ = started.send(());
    for some in after.chunks(8) {
        try_join_all(some.iter().map(|(tenant, record)| store.merge(tenant, record))).await?;
    }
    Ok(())
}

/// Whether `changes` has ended before it began: the store has no other writers.
async fn ended(changes: &mut BoxStream<'static, Change>) -> bool {
    use std::task::Poll;
    let first = std::future::poll_fn(|cx| Poll::Ready(changes.poll_next_unpin(cx))).await;
    matches!(first, Poll::Ready(None))
}

//! Checks of a subscriber that lags, and of changes and records that the store loses.

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future::try_join_all};

use super::{
    Conformance, records,
    report::{Broken, Done, ensure},
    writers::{self, Write},
};
use crate::store::{Change, Store};

/// More changes than a store should keep in memory for one subscriber.
const LAG: usize = 6000;

impl Conformance {
    /// Checks a subscriber that reads nothing while others write much.
    pub(super) async fn lagging(&self) -> Result<Done, Broken> {
        let (reader, writer) = (self.open().await?, self.open().await?);
        let mut changes = reader.changes();
        if writers::ended(&mut changes).await {
            return Ok(Done::Skipped);
        }
        let view = self.load(&*reader).await?;
        let writes = writes("lag", LAG)?;
        // As many at once as a gate writes.
        for some in writes.chunks(512) {
            let merges = some.iter().map(|(tenant, record)| writer.merge(tenant, record));
            self.limit("many merges", try_join_all(merges)).await??;
        }
        self.catch_up(&*reader, &mut changes, view, &writes).await?;
        Ok(Done::Passed)
    }

    /// Checks the loss of changes that a subscriber has not read.
    pub(super) async fn lost_log(&self) -> Result<Done, Broken> {
        let Some(lose) = &self.log_loss else { return Ok(Done::Skipped) };
        let (reader, writer) = (self.open().await?, self.open().await?);
        let mut changes = reader.changes();
        let view = self.load(&*reader).await?;
        let writes = writes("trimmed", 200)?;
        let (before, after) = writes.split_at(100);
        self.write(&writer, before).await?;
        lose().await;
        self.write(&writer, after).await?;
        self.catch_up(&*reader, &mut changes, view, &writes).await?;
        Ok(Done::Passed)
    }

    /// Checks the loss of all records, right after a start.
    pub(super) async fn lost_data(&self) -> Result<Done, Broken> {
        let Some(lose) = &self.data_loss else { return Ok(Done::Skipped) };
        let (reader, writer) = (self.open().await?, self.open().await?);
        let lost = records::tenant("lost")?;
        self.merge(&*writer, &lost, &records::suspended(2)).await?;
        let mut changes = reader.changes();
        self.load(&*reader).await?;
        self.merge(&*reader, &lost, &records::suspended(2)).await?;

        lose().await;
        while self.next(&mut changes, "a resync after a loss").await? != Change::Resync {}
        let view = self.load(&*reader).await?;
        ensure(view.get(&lost).is_none(), || format!("a load still yields {lost}"))?;
        for store in [&reader, &writer] {
            let answer = self.merge(&**store, &lost, &records::suspended(1)).await?;
            ensure(answer == records::suspended(1), || {
                format!("a merge answers {answer:?}, of which a part was lost")
            })?;
        }
        let writes = writes("refilled", 100)?;
        self.write(&writer, &writes).await?;
        self.catch_up(&*reader, &mut changes, view, &writes).await?;
        Ok(Done::Passed)
    }

    /// Follows `changes` until `view` covers all `writes`.
    pub(super) async fn catch_up(
        &self,
        reader: &dyn Store,
        changes: &mut BoxStream<'static, Change>,
        mut view: records::View,
        writes: &[Write],
    ) -> Result<(), Broken> {
        for (tenant, record) in writes {
            while !view.covers(tenant, record) {
                let what = format!("a change of {tenant} by another writer");
                match self.next(changes, &what).await? {
                    Change::Merged(tenant, record) => view.join(tenant, &record),
                    Change::Removed(tenant, record) => view.remove(&tenant, &record),
                    Change::Resync => view = self.load(reader).await?,
                    Change::Disconnected | Change::Resumed => {}
                }
            }
        }
        Ok(())
    }

    pub(super) async fn next(
        &self,
        changes: &mut BoxStream<'static, Change>,
        what: &str,
    ) -> Result<Change, Broken> {
        let next = self.limit(what, changes.next()).await?;
        next.ok_or_else(|| Broken::new("changes ended while another writer was active"))
    }
}

/// Creates a suspension of each of `count` tenants.
fn writes(what: &str, count: usize) -> Result<Vec<Write>, Broken> {
    let write = |n| Ok((records::tenant(&format!("{what}{n}"))?, records::suspended(1)));
    (0..count).map(write).collect()
}

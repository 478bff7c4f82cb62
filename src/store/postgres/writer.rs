//! The task that writes.
//!
//! Merges and removals wait in a channel. The task takes all that wait and writes them in one
//! statement, which is one transaction and one sync of the server's log. The next batch gathers in
//! the meantime: the slower the server, the larger the batches.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::client::StoreClient;
use crate::{
    status::Record,
    store::{StoreError, value},
    tenant_id::TenantId,
};

/// Capacity of the job channel; senders wait for a slot when it is full.
pub(super) const QUEUE: usize = 4096;

/// Most writes in one statement, so that it stays bounded.
const BATCH: usize = 2048;

/// Batches after which positions that no reader needs are removed.
const TRIM_EVERY: u32 = 64;

/// A merge or removal that a caller waits for.
pub(super) struct Job {
    pub(super) kind: Kind,
    pub(super) tenant: TenantId,
    pub(super) given: Record,
    /// Gets the record that is stored afterwards.
    pub(super) answer: Answer,
}

pub(super) type Answer = oneshot::Sender<Result<Record, StoreError>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Merge,
    Remove,
}

/// A write of one tenant, for one caller or several.
pub(super) struct Write {
    pub(super) kind: Kind,
    pub(super) tenant: TenantId,
    pub(super) given: Record,
    pub(super) answers: Vec<Answer>,
    /// Whether the stored value has to be read first: the cached one was outdated, or may be.
    pub(super) reads: bool,
}

impl Write {
    fn new(job: Job) -> Self {
        // A cached value that another writer has replaced must not pass for what is left.
        let reads = job.kind == Kind::Remove;
        Self {
            kind: job.kind,
            tenant: job.tenant,
            given: job.given,
            answers: vec![job.answer],
            reads,
        }
    }

    /// Returns whether all callers have given up.
    fn is_abandoned(&self) -> bool {
        self.answers.iter().all(oneshot::Sender::is_closed)
    }

    pub(super) fn answer(self, answer: &Result<Record, StoreError>) {
        for waiting in self.answers {
            // A caller that has given up does not need it.
            let _ = waiting.send(answer.clone());
        }
    }
}

/// Writes jobs until their senders are gone.
pub(super) async fn run(client: Arc<StoreClient>, mut jobs: mpsc::Receiver<Job>) {
    let (mut waiting, mut again, mut batches) = (Vec::new(), Vec::new(), 0_u32);
    loop {
        let open = if again.is_empty() && waiting.is_empty() {
            jobs.recv_many(&mut waiting, BATCH).await > 0
        } else {
            while waiting.len() < BATCH
                && let Ok(job) = jobs.try_recv()
            {
                waiting.push(job);
            }
            true
        };
        if !open {
            return;
        }
        let (batch, rest) = gather(std::mem::take(&mut again), std::mem::take(&mut waiting));
        waiting = rest;
        again = client.write(batch).await;
        batches += 1;
        if batches >= TRIM_EVERY {
            batches = 0;
            client.trim().await;
        }
    }
}

/// Gathers a batch with each tenant once, of writes to be tried `again` and of `jobs`. Merges of
/// one tenant become one write. Returns the jobs that wait for the next batch.
fn gather(again: Vec<Write>, jobs: Vec<Job>) -> (Vec<Write>, Vec<Job>) {
    let mut batch: Vec<Write> = again;
    batch.retain(|write| !write.is_abandoned());
    let key = |tenant: &TenantId| value::key(tenant);
    let mut places: HashMap<String, usize> =
        batch.iter().enumerate().map(|(n, write)| (key(&write.tenant), n)).collect();
    let mut rest = Vec::new();
    for job in jobs {
        let key = key(&job.tenant);
        let same = places.get(&key).and_then(|&n| batch.get_mut(n));
        match same {
            None => {
                places.insert(key, batch.len());
                batch.push(Write::new(job));
            }
            Some(write) if write.kind == Kind::Merge && job.kind == Kind::Merge => {
                write.given.merge(&job.given);
                write.answers.push(job.answer);
            }
            // After the one that came before it.
            Some(_) => rest.push(job),
        }
    }
    (batch, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(
        kind: Kind,
        tenant: &str,
        record: &str,
    ) -> (Job, oneshot::Receiver<Result<Record, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let tenant = TenantId::new(tenant).unwrap();
        let given = Record::decode(record.as_bytes()).unwrap();
        (Job { kind, tenant, given, answer }, answered)
    }

    #[test]
    fn merges_of_a_tenant_are_one_write_and_others_wait() {
        let (suspend, resume) = (
            r#"{"v":"1.0","suspend":{"at":1,"seen":1,"version":"","file":""}}"#,
            r#"{"v":"1.0","resume":{"at":2,"seen":2,"version":"","file":""}}"#,
        );
        let (one, mut first) = job(Kind::Merge, "Cust1", suspend);
        let (two, mut second) = job(Kind::Merge, "CUST1", resume);
        let (other, _third) = job(Kind::Remove, "Cust2", suspend);
        let (late, _fourth) = job(Kind::Merge, "Cust2", resume);
        let (batch, rest) = gather(Vec::new(), vec![one, two, other, late]);
        assert_eq!(batch.len(), 2);
        assert_eq!(rest.len(), 1, "a merge after a removal waits for it");
        assert!(batch[1].reads && !batch[0].reads);
        let mut both = Record::decode(suspend.as_bytes()).unwrap();
        both.merge(&Record::decode(resume.as_bytes()).unwrap());
        assert_eq!(batch[0].given, both);
        for write in batch {
            write.answer(&Ok(Record::default()));
        }
        for answered in [&mut first, &mut second] {
            assert!(answered.try_recv().unwrap().is_ok());
        }
    }

    #[test]
    fn write_that_nothing_waits_for_is_dropped() {
        let (given_up, answered) = job(Kind::Merge, "Cust1", r#"{"v":"1.0"}"#);
        let (batch, _) = gather(Vec::new(), vec![given_up]);
        drop(answered);
        let (batch, _) = gather(batch, Vec::new());
        assert!(batch.is_empty());
    }
}

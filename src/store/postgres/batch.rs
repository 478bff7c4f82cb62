//! One batch of writes.
//!
//! Each write is prepared from the stored value, as the cache or a reading has it, and stored if
//! that is still the stored one. Those that another writer was ahead of are read and tried again,
//! so that a batch takes one round trip when nothing else wrote.

use std::collections::HashMap;

use tokio_postgres::types::Type;

use super::{
    client::{StoreClient, Written},
    link::Parameter,
    rows::{CachedValue, Mark, cached, column},
    writer::{Kind, Write},
};
use crate::{
    status::{Record, intern::Interner},
    store::{StoreError, value},
    tenant_id::TenantId,
};

/// Number of positions that the log of changes keeps. A reader that is farther behind loads
/// everything.
const KEPT: i64 = 200_000;

/// A stored value by the tenant's key: its spelling and its entry, or why it can't be read.
type Stored = HashMap<String, Result<(TenantId, CachedValue), StoreError>>;

/// A write that is ready to be stored.
struct Prepared {
    write: Write,
    key: String,
    spelling: TenantId,
    /// The record that will be stored.
    record: Record,
    value: Vec<u8>,
    /// The digest of the value that it replaces.
    digest: Option<Vec<u8>>,
    /// Whether it replaces a malformed value, which is kept aside.
    is_malformed: bool,
    /// Whether the gate knows all of the record but what it gives: otherwise the store's own reader
    /// has to read it as well.
    is_published: bool,
}

/// The next step of a write, before anything is stored.
enum Step {
    Answer(Write, Result<Record, StoreError>),
    Again(Write),
    Store(Box<Prepared>),
}

impl StoreClient {
    /// Writes a batch, in which each tenant is once, and returns the writes to be tried again.
    pub(super) async fn write(&self, batch: Vec<Write>) -> Vec<Write> {
        let stored = match self.read_for(&batch).await {
            Ok(stored) => stored,
            Err(error) => {
                batch.into_iter().for_each(|write| write.answer(&Err(error.clone())));
                return Vec::new();
            }
        };
        let (mut again, mut merges, mut removals) = (Vec::new(), Vec::new(), Vec::new());
        for write in batch {
            let kind = write.kind;
            match self.prepare(write, &stored) {
                Step::Answer(write, answer) => write.answer(&answer),
                Step::Again(write) => again.push(write),
                Step::Store(prepared) => match kind {
                    Kind::Merge => merges.push(*prepared),
                    Kind::Remove => removals.push(*prepared),
                },
            }
        }
        self.store(Kind::Merge, merges, &mut again).await;
        self.store(Kind::Remove, removals, &mut again).await;
        again
    }

    /// Removes the positions that no reader needs.
    pub(super) async fn trim(&self) {
        let trimmed = self.link.query(&self.statements.trim, &[(&KEPT, Type::INT8)]).await;
        if let Err(error) = trimmed {
            crate::log::debug!(store = %self.endpoint.name, %error, "change log not trimmed");
        }
    }

    /// Reads the stored values of the writes that need them.
    async fn read_for(&self, batch: &[Write]) -> Result<Stored, StoreError> {
        let reading = batch.iter().filter(|write| write.reads);
        let keys: Vec<String> = reading.map(|write| value::key(&write.tenant)).collect();
        if keys.is_empty() {
            return Ok(Stored::new());
        }
        let name = &self.endpoint.name;
        let keys: Parameter<'_> = (&keys, Type::TEXT_ARRAY);
        let rows = self.link.query(&self.statements.read, &[keys]).await?;
        let (mut stored, mut interner) = (Stored::new(), Interner::default());
        for row in &rows {
            let (key, bytes): (String, &[u8]) = (column(name, row, 0)?, column(name, row, 1)?);
            let position = column(name, row, 2)?;
            // One record of a newer version must not fail the writes of other tenants.
            let decoded = value::decode_entry(name, &key, bytes, &mut interner).transpose();
            let entry = |(spelling, record)| (spelling, cached(record, bytes, position, false));
            if let Some(decoded) = decoded {
                stored.insert(key, decoded.map(entry));
            }
        }
        Ok(stored)
    }

    /// Prepares `write` from the cached value, or from what was read.
    fn prepare(&self, write: Write, stored: &Stored) -> Step {
        let key = value::key(&write.tenant);
        let there = if write.reads {
            match stored.get(&key).cloned().transpose() {
                Ok(there) => there,
                Err(error) => return Step::Answer(write, Err(error)),
            }
        } else {
            self.cache().get(&write.tenant)
        };
        match write.kind {
            Kind::Merge => self.prepare_merge(write, key, there),
            Kind::Remove => self.prepare_removal(write, key, there),
        }
    }

    fn prepare_merge(
        &self,
        write: Write,
        key: String,
        there: Option<(TenantId, CachedValue)>,
    ) -> Step {
        let (spelling, mut record, mark) = match there {
            Some((spelling, seen)) => (spelling, seen.record, Some(seen.mark)),
            None => (write.tenant.clone(), Record::default(), None),
        };
        let is_malformed = record.is_unreadable();
        let is_published =
            mark.is_none_or(|mark| mark.is_published) || write.given.contains(&record);
        let changed = record.merge(&write.given) && !record.is_empty();
        if changed {
            let (value, digest) = (value::encode(&spelling, &record), digest_of(mark));
            let prepared = Prepared {
                write,
                key,
                spelling,
                record,
                value,
                digest,
                is_malformed,
                is_published,
            };
            return Step::Store(Box::new(prepared));
        }
        // A cached value may be outdated. One that was just read is stored.
        if !write.reads {
            return Step::Again(Write { reads: true, ..write });
        }
        if let Some(mark) = mark {
            self.remember(spelling, CachedValue { record: record.clone(), mark });
        }
        Step::Answer(write, Ok(record))
    }

    fn prepare_removal(
        &self,
        write: Write,
        key: String,
        there: Option<(TenantId, CachedValue)>,
    ) -> Step {
        let Some((spelling, seen)) = there else {
            self.cache().remove(&write.tenant);
            return Step::Answer(write, Ok(Record::default()));
        };
        if !write.given.contains(&seen.record) {
            let record = seen.record.clone();
            self.remember(spelling, seen);
            return Step::Answer(write, Ok(record));
        }
        Step::Store(Box::new(Prepared {
            key,
            value: value::encode(&spelling, &write.given),
            spelling,
            record: Record::default(),
            digest: digest_of(Some(seen.mark)),
            is_malformed: false,
            is_published: true,
            write,
        }))
    }

    /// Stores or removes what was prepared, and answers; what others were ahead of is added to
    /// `again`.
    async fn store(&self, kind: Kind, prepared: Vec<Prepared>, again: &mut Vec<Write>) {
        if prepared.is_empty() {
            return;
        }
        let positions = match self.send(kind, &prepared).await {
            Ok(Some(positions)) => positions,
            // The row that gives the turn was missing, and is there again.
            Ok(None) => HashMap::new(),
            Err(error) => {
                prepared.into_iter().for_each(|one| one.write.answer(&Err(error.clone())));
                return;
            }
        };
        for one in prepared {
            let Some(position) = positions.get(&one.key) else {
                again.push(Write { reads: true, ..one.write });
                continue;
            };
            match kind {
                Kind::Merge => {
                    let mark = Mark::new(&one.value, *position, one.is_published);
                    self.remember(one.spelling, CachedValue { record: one.record.clone(), mark });
                }
                Kind::Remove => self.cache().remove(&one.spelling),
            }
            one.write.answer(&Ok(one.record));
        }
    }

    /// Sends the statement, and returns the position of each write that took effect; `None` when
    /// rows of the store were missing, which are created again.
    async fn send(
        &self,
        kind: Kind,
        prepared: &[Prepared],
    ) -> Result<Option<HashMap<String, i64>>, StoreError> {
        let count = i64::try_from(prepared.len()).unwrap_or(i64::MAX);
        let keys: Vec<&str> = prepared.iter().map(|one| one.key.as_str()).collect();
        let digests: Vec<Option<&[u8]>> =
            prepared.iter().map(|one| one.digest.as_deref()).collect();
        let values: Vec<&[u8]> = prepared.iter().map(|one| one.value.as_slice()).collect();
        let stamp = fastrand::i64(0..i64::MAX);
        let common: [Parameter<'_>; 4] = [
            (&count, Type::INT8),
            (&keys, Type::TEXT_ARRAY),
            (&digests, Type::BYTEA_ARRAY),
            (&values, Type::BYTEA_ARRAY),
        ];
        let name = &self.endpoint.name;
        let rows = match kind {
            Kind::Merge => {
                let kept: Vec<bool> = prepared.iter().map(|one| one.is_malformed).collect();
                // The store's own reader skips what has its number.
                let writers: Vec<i64> = prepared
                    .iter()
                    .map(|one| if one.is_published { self.writer } else { -self.writer })
                    .collect();
                let [count, keys, digests, values] = common;
                let parameters = [
                    count,
                    keys,
                    digests,
                    values,
                    (&kept, Type::BOOL_ARRAY),
                    (&writers, Type::INT8_ARRAY),
                    (&stamp, Type::INT8),
                ];
                self.link.query(&self.statements.merge, &parameters).await?
            }
            Kind::Remove => {
                let [count, keys, digests, values] = common;
                let parameters = [
                    count,
                    keys,
                    digests,
                    values,
                    (&self.writer, Type::INT8),
                    (&stamp, Type::INT8),
                ];
                self.link.query(&self.statements.remove, &parameters).await?
            }
        };
        // Without the row that gives the turn nothing was written.
        if rows.is_empty() {
            self.link.repair().await?;
            return Ok(None);
        }
        if let Some(row) = rows.first() {
            self.set_written(Some(Written { position: column(name, row, 2)?, stamp }));
        }
        let mut positions = HashMap::new();
        for row in &rows {
            let key: Option<String> = column(name, row, 0)?;
            if let Some(key) = key {
                positions.insert(key, column(name, row, 1)?);
            }
        }
        Ok(Some(positions))
    }
}

fn digest_of(mark: Option<Mark>) -> Option<Vec<u8>> {
    mark.map(|mark| mark.digest.to_vec())
}

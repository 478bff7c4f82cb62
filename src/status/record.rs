//! A tenant's record: the newest of each fact, and the join of two records.

use std::cmp::Ordering;

use smol_str::SmolStr;

use super::{
    ChangeType,
    fact::{Fact, Slot},
    foreign::Foreign,
    intern::Interner,
    notified::{Notified, OpenClose},
    overrides::{Override, OverrideAction, next_number},
    pulled::{Knew, Pulled},
    state::PullOutcome,
};

/// Everything known about one tenant: the newest of each independent fact.
///
/// A record changes by [`merge`](Record::merge) alone, which is commutative, associative and
/// idempotent. So all replicas reach the same record, whatever the order, number and source of the
/// facts.
///
/// The status is derived from it: see [`TenantStatus`](crate::TenantStatus).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Sorted by slot, at most one of each. A boxed slice, because a million of these stay in
    /// memory.
    facts: Box<[Fact]>,
    /// Parts of a newer version of this crate, which this one only keeps.
    foreign: Option<Box<Foreign>>,
}

/// The result of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Gains {
    /// Whether anything changed.
    pub(crate) any: bool,
    /// Whether a pull was gained, even one that changes nothing.
    pub(crate) pulls: bool,
}

/// The result of recording a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Novelty {
    /// It was recorded.
    Recorded,
    /// One of its type and token time was recorded before.
    Duplicate,
    /// A newer one of its type is recorded.
    Stale,
}

impl From<Fact> for Record {
    fn from(fact: Fact) -> Self {
        Self { facts: Box::new([fact]), foreign: None }
    }
}

impl Record {
    /// Creates the record that stands for a stored one that is malformed: it has no fact, and keeps
    /// its tenant closed as [`Unreadable`](crate::UnavailableReason::Unreadable).
    ///
    /// Merged with any record that has a fact, it vanishes. So the next fact replaces the malformed
    /// record in the store, and a merge without facts does not.
    #[must_use]
    pub fn unreadable() -> Self {
        Self { facts: Box::default(), foreign: Some(Box::new(Foreign::unreadable())) }
    }

    /// Returns whether the record stands for a malformed one that no fact has replaced.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.foreign.as_deref().is_some_and(Foreign::is_unreadable)
    }

    pub(crate) fn from_facts(mut facts: Vec<Fact>, foreign: Option<Foreign>) -> Self {
        facts.sort_by_key(Fact::slot);
        facts.dedup_by(|next, kept| {
            let same = next.slot() == kept.slot();
            if same && next.age(kept) == Ordering::Greater {
                std::mem::swap(next, kept);
            }
            same
        });
        Self { facts: facts.into_boxed_slice(), foreign: foreign.map(Box::new) }
    }

    /// Creates the record of facts that are sorted by slot, one of each.
    pub(super) fn from_sorted(facts: Vec<Fact>) -> Self {
        debug_assert!(facts.is_sorted_by(|a, b| a.slot() < b.slot()), "the order of the slots");
        Self { facts: facts.into_boxed_slice(), foreign: None }
    }

    /// Keeps the newest of each fact of `self` and `other`, and returns whether `self` changed.
    ///
    /// Notifications, pulls, overrides and stores all change a record by a merge.
    pub fn merge(&mut self, other: &Self) -> bool {
        self.join(other).any
    }

    /// Returns whether `other` has nothing that this record lacks or that is newer: a merge with it
    /// would change nothing. No record contains one that is [unreadable](Record::is_unreadable).
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        !other.is_unreadable() && !self.clone().merge(other)
    }

    /// Merges like [`merge`](Record::merge), and returns the result in detail.
    pub(crate) fn join(&mut self, other: &Self) -> Gains {
        if other.is_unreadable() {
            let any = *self == Self::default();
            if any {
                self.foreign.clone_from(&other.foreign);
            }
            return Gains { any, pulls: false };
        }
        if !other.is_empty() {
            self.replace_unreadable();
        }
        let foreign = self.merge_foreign(other.foreign.as_deref());
        if self.facts.is_empty() {
            // The common case of a load: the tenant has no record yet.
            self.facts.clone_from(&other.facts);
            let pulls = self.pulls().next().is_some();
            return Gains { any: foreign || !other.facts.is_empty(), pulls };
        }
        let mut gains = Gains { any: foreign, pulls: false };
        for fact in &other.facts {
            let changed = self.insert(fact);
            gains.any |= changed;
            gains.pulls |= changed && matches!(fact, Fact::Pulled(_));
        }
        gains
    }

    /// Removes the mark of a malformed record, which the first fact replaces.
    fn replace_unreadable(&mut self) {
        if self.is_unreadable() {
            self.foreign = None;
        }
    }

    /// Merges a record of `fact` alone.
    pub(crate) fn insert(&mut self, fact: &Fact) -> bool {
        self.replace_unreadable();
        let slot = fact.slot();
        match self.facts.binary_search_by(|own| own.slot().cmp(&slot)) {
            Ok(found) => match self.facts.get_mut(found) {
                Some(own) if fact.age(own) == Ordering::Greater => {
                    *own = fact.clone();
                    true
                }
                _ => false,
            },
            Err(index) => {
                let mut facts = std::mem::take(&mut self.facts).into_vec();
                facts.insert(index, fact.clone());
                self.facts = facts.into_boxed_slice();
                true
            }
        }
    }

    /// Gives a notification its place and records it, unless it was recorded before or is stale.
    pub(crate) fn record_notification(&mut self, notified: Notified) -> Novelty {
        if let Some(own) = self.notified(notified.change()) {
            match own.token_time.cmp(&notified.token_time) {
                Ordering::Greater => return Novelty::Stale,
                Ordering::Equal if own.change() == notified.change() => return Novelty::Duplicate,
                Ordering::Equal | Ordering::Less => {}
            }
        }
        let place = self.next_place(notified.token_time);
        if self.insert(&Fact::Notified(notified.at_place(place))) {
            Novelty::Recorded
        } else {
            Novelty::Stale
        }
    }

    /// Returns 1 + the largest place of the record's notifications of that token second.
    fn next_place(&self, token_time: i64) -> u16 {
        let same = self.notifications().filter(|notified| notified.token_time == token_time);
        same.map(Notified::place).max().unwrap_or(0).saturating_add(1)
    }

    /// Returns whether the record has no fact, not even one of a newer version of this crate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && (self.foreign.is_none() || self.is_unreadable())
    }

    /// Returns whether nothing in the record but an override says whether the tenant is open.
    pub(crate) fn is_silent(&self) -> bool {
        self.pulls().next().is_none() && self.deciding().is_none() && !self.is_unreadable()
    }

    pub(crate) fn facts(&self) -> &[Fact] {
        &self.facts
    }

    pub(crate) fn foreign(&self) -> Option<&Foreign> {
        self.foreign.as_deref()
    }

    fn get(&self, slot: Slot) -> Option<&Fact> {
        // Few facts: a search by halves would compare slots by order, which costs more.
        self.facts.iter().find(|own| own.slot() == slot)
    }

    /// Returns the newest notification of the slot of `change`.
    pub(crate) fn notified(&self, change: ChangeType) -> Option<&Notified> {
        let slot = Slot::of_change(change);
        self.notifications().find(|own| Slot::of_change(own.change()) == slot)
    }

    pub(crate) fn notifications(&self) -> impl Iterator<Item = &Notified> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::Notified(notified) => Some(notified),
            _ => None,
        })
    }

    /// Returns the *deciding* notification: the newest that opens or closes.
    pub(crate) fn latest_open_close(&self) -> Option<&Notified> {
        let opens_or_closes = self.notifications().filter(|own| own.opens_or_closes());
        opens_or_closes.max_by_key(|notified| notified.position())
    }

    /// Returns the deciding notification as a pull remembers it.
    pub(crate) fn deciding(&self) -> Option<Knew> {
        let deciding = self.latest_open_close()?;
        let change = OpenClose::from_change(deciding.change())?;
        Some(Knew { token_time: deciding.token_time, change })
    }

    /// Returns the newest settled pull with `outcome`.
    pub(crate) fn settled(&self, outcome: PullOutcome) -> Option<&Pulled> {
        match self.get(Slot::Settled(outcome)) {
            Some(Fact::Pulled(pulled)) => Some(pulled),
            _ => None,
        }
    }

    /// Returns all pulls of the record, settled or not.
    pub(crate) fn pulls(&self) -> impl Iterator<Item = &Pulled> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::Pulled(pulled) => Some(pulled),
            _ => None,
        })
    }

    /// Returns the pull that was sent last, by number.
    pub(crate) fn last_pull(&self) -> Option<&Pulled> {
        self.pulls().max_by_key(|pulled| (pulled.seq, pulled.position()))
    }

    /// Returns the number of the next pull.
    pub(crate) fn next_seq(&self) -> u32 {
        next_number(self.pulls().map(|pulled| pulled.seq).max())
    }

    /// Returns the endpoints of pulls, the latest first, as stored: they are validated before use.
    /// Allocates nothing, because it is on the path of a call.
    pub(crate) fn pulled_endpoints(&self) -> impl Iterator<Item = &SmolStr> {
        let place = |pulled: &Pulled| (pulled.seq, pulled.position(), pulled.settled);
        let mut last = None;
        std::iter::from_fn(move || {
            let earlier = self.pulls().filter(|pulled| {
                pulled.details.endpoint.is_some() && last.is_none_or(|last| place(pulled) < last)
            });
            let next = earlier.max_by_key(|pulled| place(pulled))?;
            last = Some(place(next));
            next.details.endpoint.as_ref()
        })
    }

    /// Returns whether `pulled` was sent with `notified` known.
    pub(crate) fn knows(&self, pulled: &Pulled, notified: &Notified) -> bool {
        let Some(knew) = pulled.knew() else { return false };
        match notified.token_time.cmp(&knew.token_time) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal if notified.change() == knew.change.change() => true,
            Ordering::Equal => self.notified(knew.change.change()).is_some_and(|held| {
                held.token_time == knew.token_time && notified.position() < held.position()
            }),
        }
    }

    /// Returns the latest override, released or not.
    pub(crate) fn latest_override(&self) -> Option<&Override> {
        match self.get(Slot::Override) {
            Some(Fact::Override(latest)) => Some(latest),
            _ => None,
        }
    }

    /// Creates the override that follows the recorded one.
    pub(crate) fn next_override(
        &self,
        action: OverrideAction,
        note: String,
        set_at: u64,
        until: Option<u64>,
    ) -> Fact {
        let next = Override::after(self.latest_override(), action, note, set_at, until);
        Fact::Override(Box::new(next))
    }

    /// Replaces the details of each fact by equal interned ones.
    pub(crate) fn intern(&mut self, interner: &mut Interner) {
        for fact in &mut self.facts {
            match fact {
                Fact::Notified(notified) => {
                    notified.details = interner.intern_notified(&notified.details);
                }
                Fact::Pulled(pulled) => pulled.details = interner.intern_pulled(&pulled.details),
                Fact::Override(_) => {}
            }
        }
    }

    fn merge_foreign(&mut self, other: Option<&Foreign>) -> bool {
        let Some(other) = other else { return false };
        if let Some(own) = self.foreign.as_deref_mut() {
            return own.merge(other);
        }
        self.foreign = Some(Box::new(other.clone()));
        true
    }
}

//! A tenant's record: the newest of each fact, and the join of two records.

use std::cmp::Ordering;

use serde_json::Value;
use smol_str::SmolStr;

use super::{
    ChangeType,
    alike::Alike,
    fact::{Fact, Notified, Order, Pulled, Slot, Word, sorted_text},
    state::Verdict,
};

/// All that is known of one tenant: the newest of each independent fact.
///
/// Records only ever grow, by [`merge`](Record::merge), which is commutative, associative and
/// idempotent. So the order in which facts arrive, how often each does and through which replica
/// makes no difference to where everybody ends.
///
/// What it says about the tenant is derived: see [`TenantStatus`](crate::TenantStatus).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Sorted by slot, at most one of each. A boxed slice, because a million of these stay in memory.
    facts: Box<[Fact]>,
    /// What a newer version of this crate stored and this one only carries along.
    foreign: Option<Box<Foreign>>,
}

/// Parts of a stored record that this version doesn't know.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Foreign {
    /// The minor schema version it was written with.
    pub(crate) minor: u32,
    pub(crate) entries: serde_json::Map<String, Value>,
}

impl Record {
    pub(crate) fn of(fact: Fact) -> Self {
        Self { facts: Box::new([fact]), foreign: None }
    }

    pub(crate) fn from_parts(mut facts: Vec<Fact>, foreign: Option<Foreign>) -> Self {
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

    /// Takes each fact's newest of `self` and `other`; says whether `self` grew.
    ///
    /// Taking a notification, a pull or an operator's word is a merge with a record of that one
    /// fact, and so is what a store does: there is no other way for a record to change.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut grew = self.merge_foreign(other.foreign.as_deref());
        if self.facts.is_empty() {
            // Most of what a start loads: facts of tenants that nothing is known of yet.
            self.facts.clone_from(&other.facts);
            return grew | !other.facts.is_empty();
        }
        for fact in &other.facts {
            let slot = fact.slot();
            match self.facts.binary_search_by(|own| own.slot().cmp(&slot)) {
                Ok(found) => {
                    if let Some(own) = self.facts.get_mut(found)
                        && fact.age(own) == Ordering::Greater
                    {
                        *own = fact.clone();
                        grew = true;
                    }
                }
                Err(place) => {
                    let mut facts = std::mem::take(&mut self.facts).into_vec();
                    facts.insert(place, fact.clone());
                    self.facts = facts.into_boxed_slice();
                    grew = true;
                }
            }
        }
        grew
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.foreign.is_none()
    }

    pub(crate) fn facts(&self) -> &[Fact] {
        &self.facts
    }

    pub(crate) fn foreign(&self) -> Option<&Foreign> {
        self.foreign.as_deref()
    }

    fn get(&self, slot: Slot) -> Option<&Fact> {
        let place = self.facts.binary_search_by(|own| own.slot().cmp(&slot)).ok()?;
        self.facts.get(place)
    }

    /// The newest notification that stands where one of `change` would.
    pub(crate) fn notified(&self, change: ChangeType) -> Option<&Notified> {
        match self.get(Slot::of_change(change)) {
            Some(Fact::Notified(notified)) => Some(notified),
            _ => None,
        }
    }

    /// The newest pull with `verdict`.
    pub(crate) fn pulled(&self, verdict: Verdict) -> Option<&Pulled> {
        match self.get(Slot::Pulled(verdict)) {
            Some(Fact::Pulled(pulled)) => Some(pulled),
            _ => None,
        }
    }

    /// The newest pull of each verdict.
    pub(crate) fn pulls(&self) -> impl Iterator<Item = &Pulled> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::Pulled(pulled) => Some(pulled),
            _ => None,
        })
    }

    /// The newest endpoint that a pull gave, as it was stored: whoever uses it checks it first.
    pub(crate) fn endpoint(&self) -> Option<&SmolStr> {
        let known = self.pulls().filter(|pulled| pulled.details.endpoint.is_some());
        let newest = known.max_by_key(|pulled| (pulled.asked, pulled.state.verdict()))?;
        newest.details.endpoint.as_ref()
    }

    /// The operator's latest word, released or not.
    pub(crate) fn word(&self) -> Option<&Word> {
        match self.get(Slot::Word) {
            Some(Fact::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// When the operator's word ends by itself, ms since the epoch.
    pub(crate) fn word_ends(&self) -> Option<u64> {
        self.word().filter(|word| word.order != Order::Release).and_then(|word| word.until)
    }

    /// The fact that ends the operator's word, if its end has come by `now`.
    ///
    /// It is a release *set when the word was*, so that it ends that word and no later one, whichever
    /// replica makes it.
    pub(crate) fn word_ended(&self, now: u64) -> Option<Self> {
        let ends = self.word_ends()?;
        let word = self.word().filter(|_| ends <= now)?;
        let release = Word { order: Order::Release, ..word.clone() };
        Some(Self::of(Fact::Word(Box::new(release))))
    }

    /// Swaps the details of each fact for ones that say the same and are kept already.
    pub(crate) fn share_details(&mut self, alike: &mut Alike) {
        for fact in &mut self.facts {
            match fact {
                Fact::Notified(notified) => notified.details = alike.of_notified(&notified.details),
                Fact::Pulled(pulled) => pulled.details = alike.of_pulled(&pulled.details),
                Fact::Word(_) => {}
            }
        }
    }

    fn merge_foreign(&mut self, other: Option<&Foreign>) -> bool {
        let Some(other) = other else { return false };
        let Some(own) = self.foreign.as_deref_mut() else {
            self.foreign = Some(Box::new(other.clone()));
            return true;
        };
        let mut grew = other.minor > own.minor;
        own.minor = own.minor.max(other.minor);
        for (key, theirs) in &other.entries {
            let newer =
                own.entries.get(key).is_none_or(|ours| foreign_age(theirs) > foreign_age(ours));
            if newer {
                own.entries.insert(key.clone(), theirs.clone());
                grew = true;
            }
        }
        grew
    }
}

/// The order of two facts whose meaning is not known: by the time they carry, then by their text.
///
/// Every kind of fact carries one of these times, which binds later versions of the schema.
fn foreign_age(value: &Value) -> (u64, String) {
    let time = ["at", "asked", "set_at"].iter().find_map(|key| value.get(key)?.as_u64());
    (time.unwrap_or(0), sorted_text(value.clone()))
}

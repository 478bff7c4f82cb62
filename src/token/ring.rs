//! The available keys, and the selection among them.

use super::{
    SigningKeys,
    key::Key,
    key_id::KeyIds,
    report::{KeyReport, KeySource},
};

/// The most keys tried for one token: the bound of the work that one token can cause.
const MAX_TRIED: usize = 8;

/// A way in which the names of a key are compared with those of a token.
type Rule = fn(&KeyIds<'_>, &KeyIds<'_>) -> bool;

/// The given keys and the fetched keys. It is immutable: new fetched keys make a new ring.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    keys: Vec<Key>,
    /// The number of given keys, which are the first ones.
    given: usize,
}

/// The result of checking a signature with the keys of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// One of the selected keys made the signature.
    Signed,
    /// The token names a key of the ring, or none at all, and no such key made it.
    Mismatch,
    /// No key of the ring has the name that the token gives. `tried`: there are keys without a
    /// name, and none of them made it.
    Unknown { tried: bool },
}

impl KeyRing {
    pub(super) fn new(given: &SigningKeys, fetched: Vec<Key>) -> Self {
        let mut keys = given.as_slice().to_vec();
        let given = keys.len();
        for key in fetched {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Self { keys, given }
    }

    /// Checks `signature` with the keys that `ids` select.
    pub(super) fn check(&self, ids: &KeyIds<'_>, signed: &str, signature: &[u8]) -> Check {
        let try_all = |keys: &mut dyn Iterator<Item = &Key>| {
            keys.take(MAX_TRIED).any(|key| key.verifies(signed.as_bytes(), signature))
        };
        let named = self.matching_rule(ids);
        if let Some(names) = named
            && try_all(&mut self.keys.iter().filter(|key| names(key.ids(), ids)))
        {
            return Check::Signed;
        }
        if named.is_some() {
            return Check::Mismatch;
        }
        let mut nameless = self.nameless().peekable();
        let tried = nameless.peek().is_some();
        if try_all(&mut nameless) { Check::Signed } else { Check::Unknown { tried } }
    }

    /// Returns the strictest rule by which any key of the ring matches `ids`.
    fn matching_rule(&self, ids: &KeyIds<'_>) -> Option<Rule> {
        if ids.is_empty() {
            return (!self.keys.is_empty()).then_some(|_, _| true);
        }
        let rules: [Rule; 3] = [
            |own, its| own.same_kid(its),
            |own, its| own.same_x5t(its),
            |own, its| own.same_thumbprint(its),
        ];
        rules.into_iter().find(|names| self.keys.iter().any(|key| names(key.ids(), ids)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn nameless(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| key.ids().is_empty())
    }

    /// Returns whether a key has one of the names `ids`; any key, when they are none.
    pub(super) fn has_key(&self, ids: &KeyIds<'_>) -> bool {
        self.matching_rule(ids).is_some()
    }

    pub(super) fn has_nameless(&self) -> bool {
        self.nameless().next().is_some()
    }

    /// Returns whether a key is in both rings, under whichever name.
    pub(super) fn shares_key_with(&self, other: &Self) -> bool {
        self.keys.iter().any(|own| other.keys.iter().any(|its| own.numbers() == its.numbers()))
    }

    /// Returns whether any of the keys was fetched.
    pub(super) fn has_fetched(&self) -> bool {
        self.keys.len() > self.given
    }

    pub(super) fn report(&self) -> Vec<KeyReport> {
        let source = |index| if index < self.given { KeySource::Given } else { KeySource::Url };
        self.keys
            .iter()
            .enumerate()
            .map(|(index, key)| KeyReport::new(key, source(index)))
            .collect()
    }
}

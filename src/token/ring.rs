//! The keys at hand, and the choice among them.

use super::{
    SigningKeys,
    key::Key,
    key_id::KeyIds,
    report::{KeyReport, KeySource},
};

/// The most keys tried for one token: what a sender may cost.
const MAX_TRIED: usize = 8;

/// The keys given and the keys fetched. Never changed: a new set of fetched keys makes a new ring.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    keys: Vec<Key>,
    /// How many of them, the first ones, were given.
    given: usize,
}

/// What the keys say about a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// One of them made it.
    Signed,
    /// The token names a key that is here, or none at all; and no such key made it.
    Mismatch,
    /// No key here has the name that the token gives. `tried`: keys without a name didn't make it
    /// either.
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

    /// Checks `signature` with the keys that `ids` name.
    pub(super) fn check(&self, ids: &KeyIds, signed: &str, signature: &Vec<u8>) -> Check {
        let try_all = |keys: &mut dyn Iterator<Item = &Key>| {
            keys.take(MAX_TRIED).any(|key| key.verifies(signed.as_bytes(), signature))
        };
        let named = self.named(ids);
        if let Some(names) = named
            && try_all(&mut self.keys.iter().filter(|key| names(key.ids(), ids)))
        {
            return Check::Signed;
        }
        if named.is_some() {
            return Check::Mismatch;
        }
        let mut nameless = self.keys.iter().filter(|key| key.ids().is_empty()).peekable();
        let tried = nameless.peek().is_some();
        if try_all(&mut nameless) { Check::Signed } else { Check::Unknown { tried } }
    }

    /// The best way in which any key here answers to `ids`.
    fn named(&self, ids: &KeyIds) -> Option<fn(&KeyIds, &KeyIds) -> bool> {
        if ids.is_empty() {
            return (!self.keys.is_empty()).then_some(|_, _| true);
        }
        [KeyIds::same_kid, KeyIds::same_x5t, KeyIds::same_thumbprint]
            .into_iter()
            .find(|names| self.keys.iter().any(|key| names(key.ids(), ids)))
    }

    /// Whether any of the keys was fetched.
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

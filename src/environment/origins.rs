//! The origins of an environment, each parsed once.

use std::sync::{Arc, OnceLock};

use smol_str::SmolStr;

use super::{Environment, Origin};

/// Parses texts that name origins, and remembers them: a call looks its tenant's up without parsing
/// or allocating, and without a lock. A remembered one has a number, so that calls of one host need
/// not even write the count of its `Arc`.
///
/// A fleet has a few dozens of hosts. Texts beyond the room, and invalid ones, are parsed each
/// time.
#[derive(Debug)]
pub(crate) struct Origins {
    environment: Environment,
    /// The remembered origins, by the hash of their text. A slot that is taken stays so.
    slots: [OnceLock<(SmolStr, Arc<Origin>)>; SLOTS],
}

/// An origin, and its number if it is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    pub(crate) origin: Arc<Origin>,
    pub(crate) number: Option<u8>,
}

/// A power of two, at most 256.
const SLOTS: usize = 128;
/// Number of slots in which a text may be, from the one that its hash names.
const PROBES: usize = 4;

impl Origins {
    pub(crate) fn new(environment: Environment) -> Self {
        Self { environment, slots: [const { OnceLock::new() }; SLOTS] }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the origin of a URL of the state API, as [`Origin::from_url`] does.
    #[inline]
    pub(crate) fn parse_url(&self, url: &str) -> Option<Numbered> {
        self.find_or_parse(url, Origin::from_url)
    }

    /// Returns the origin of a host in a Move, as [`Origin::from_host`] does. No text is both a
    /// host and a URL.
    pub(crate) fn parse_host(&self, host: &str) -> Option<Numbered> {
        self.find_or_parse(host, Origin::from_host)
    }

    /// Returns the origin with `number`.
    #[inline]
    pub(crate) fn get(&self, number: u8) -> Option<&Arc<Origin>> {
        self.slots.get(usize::from(number))?.get().map(|(_, origin)| origin)
    }

    #[inline]
    fn find_or_parse(
        &self,
        text: &str,
        parse: fn(&str, &Environment) -> Option<Origin>,
    ) -> Option<Numbered> {
        let mut free = None;
        let first = hash(text);
        for probe in 0..PROBES {
            let index = (first + probe) & (SLOTS - 1);
            let slot = self.slots.get(index)?;
            match slot.get() {
                Some((own, origin)) if own == text => {
                    let number = u8::try_from(index).ok();
                    return Some(Numbered { origin: Arc::clone(origin), number });
                }
                Some(_) => {}
                None => {
                    free = Some(slot);
                    break;
                }
            }
        }
        self.parse(text, parse, free)
    }

    /// Parses `text`, and remembers its origin in `free`. Not inlined: it runs once for a host.
    #[inline(never)]
    fn parse(
        &self,
        text: &str,
        parse: fn(&str, &Environment) -> Option<Origin>,
        free: Option<&OnceLock<(SmolStr, Arc<Origin>)>>,
    ) -> Option<Numbered> {
        let origin = Arc::new(parse(text, &self.environment)?);
        if let Some(slot) = free {
            // Another thread may have taken the slot: the next call finds another one.
            slot.get_or_init(|| (SmolStr::new(text), Arc::clone(&origin)));
        }
        Some(Numbered { origin, number: None })
    }
}

/// Returns a slot for `text`: by its last bytes too, which a port may be in.
#[inline]
fn hash(text: &str) -> usize {
    let spread = |hash: u64, word: &[u8; 8]| {
        (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    };
    let (words, _) = text.as_bytes().as_chunks();
    let hash = words.iter().fold(text.len() as u64, spread);
    let hash = text.as_bytes().last_chunk().map_or(hash, |last| spread(hash, last));
    (hash >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_of_a_text_is_parsed_once() {
        let origins = Origins::new(Environment::Production);
        let first = origins.parse_url("https://online3.superoffice.com").unwrap().origin;
        let second = origins.parse_url("https://online3.superoffice.com").unwrap();
        assert!(Arc::ptr_eq(&first, &second.origin));
        assert!(Arc::ptr_eq(&first, origins.get(second.number.unwrap()).unwrap()));
        assert_eq!(first.to_string(), "https://online3.superoffice.com");
        let moved = origins.parse_host("online3.superoffice.com").unwrap();
        assert_eq!(*moved.origin, *first);
    }

    #[test]
    fn many_and_invalid_texts_are_parsed_as_without_it() {
        let origins = Origins::new(Environment::Production);
        for round in 0..2 {
            for number in 0..4 * SLOTS {
                for end in ["superoffice.com", "superoffice.com:8443", "example.com"] {
                    let url = format!("https://online{number}.{end}");
                    let plain = Origin::from_url(&url, &Environment::Production);
                    assert_eq!(
                        origins.parse_url(&url).as_ref().map(|found| &*found.origin),
                        plain.as_ref(),
                        "{round}, {url}"
                    );
                }
            }
        }
        assert!(origins.slots.iter().filter(|slot| slot.get().is_some()).count() > SLOTS / 2);
    }

    #[test]
    fn hosts_of_a_fleet_have_room() {
        let origins = Origins::new(Environment::Production);
        let url = |number| format!("https://online{number}.superoffice.com");
        let parse = |number| origins.parse_url(&url(number)).unwrap().origin;
        let first: Vec<_> = (0..32).map(parse).collect();
        let again = (0..32).map(parse);
        assert!(first.iter().zip(again).all(|(first, again)| Arc::ptr_eq(first, &again)));
    }
}

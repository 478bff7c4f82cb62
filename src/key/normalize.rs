//! The tenant in a path: the exact reading, for every path.
//!
//! SuperOffice's servers decode escapes, take `\` for `/`, collapse slashes and follow dot segments
//! before they look for the tenant. Skipping any of these steps lets a crafted URL bypass the
//! guard.

use crate::{hex, tenant_id::TenantId};

/// Returns the tenant of `path` (without a query), however it is written. Allocates nothing.
pub(crate) fn tenant_in(path: &str) -> Option<TenantId> {
    let mut position = Position::default();
    let mut segment = Segment::default();
    for byte in Decoded(path.as_bytes()) {
        if matches!(byte, b'/' | b'\\') {
            position.enter(&segment);
            segment = Segment::default();
        } else {
            segment.push(byte);
        }
    }
    position.enter(&segment);
    position.tenant()
}

/// The position that the segments so far lead to. Only the first two matter: the tenant, or
/// `api/state`.
#[derive(Default)]
struct Position {
    depth: usize,
    first: Segment,
    second: Segment,
}

impl Position {
    fn enter(&mut self, segment: &Segment) {
        match segment.text() {
            Some(b"" | b".") => {}
            Some(b"..") => self.depth = self.depth.saturating_sub(1),
            _ => {
                match self.depth {
                    0 => self.first = *segment,
                    1 => self.second = *segment,
                    _ => {}
                }
                self.depth += 1;
            }
        }
    }

    fn tenant(&self) -> Option<TenantId> {
        let first = self.first.text().filter(|_| self.depth > 0)?;
        let second = self.second.text().filter(|_| self.depth > 1).unwrap_or_default();
        let of_environment = first.eq_ignore_ascii_case(b"login")
            || (first.eq_ignore_ascii_case(b"api") && second.eq_ignore_ascii_case(b"state"));
        if of_environment { None } else { TenantId::new(str::from_utf8(first).ok()?).ok() }
    }
}

/// A decoded segment, as far as it can be a tenant id.
#[derive(Clone, Copy)]
struct Segment {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl Segment {
    /// The longest tenant id.
    const MAX_LEN: usize = 64;

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
        }
        self.len = self.len.saturating_add(1);
    }

    /// Returns the segment; `None` when it is longer than any tenant id or reserved name.
    fn text(&self) -> Option<&[u8]> {
        self.bytes.get(..self.len)
    }
}

impl Default for Segment {
    fn default() -> Self {
        Self { bytes: [0; Self::MAX_LEN], len: 0 }
    }
}

/// The bytes of a path with each escape decoded once. Malformed escapes stay as they are.
struct Decoded<'p>(&'p [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let Some(decoded) = hex::byte(*high, *low)
        {
            self.0 = rest;
            return Some(decoded);
        }
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

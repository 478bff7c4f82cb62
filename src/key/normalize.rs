//! The tenant in a path: the exact reading, for every path.
//!
//! SuperOffice's servers decode escapes, take `\` for `/`, collapse slashes, follow dot segments
//! and drop blanks and dots at the end of a segment before they look for the tenant. Skipping any
//! of these steps lets a crafted URL bypass the guard.

use crate::{hex, tenant_id::TenantId};

/// Returns the tenant of `path` (without a query), however it is written. Allocates nothing.
pub(crate) fn tenant_in(path: &str) -> Option<TenantId> {
    let mut position = Position::default();
    for_each_segment(path, |segment| position.enter(segment));
    position.tenant()
}

/// Returns the first `most` segments of `path` (without a query), decoded and with its dot segments
/// followed; `None` for one that is longer than any tenant id.
pub(super) fn segments(path: &str, most: usize) -> Vec<Option<Vec<u8>>> {
    let (mut segments, mut depth) = (Vec::new(), 0_usize);
    for_each_segment(path, |segment| {
        if segment.is_parent() {
            depth = depth.saturating_sub(1);
        } else if !segment.is_empty() {
            segments.truncate(depth);
            if depth < most {
                segments.push(segment.text().map(<[u8]>::to_vec));
            }
            depth += 1;
        }
    });
    segments.truncate(depth);
    segments
}

/// Returns `segment` with each of its escapes decoded once, blanks and dots at its end included.
pub(super) fn decoded(segment: &str) -> Vec<u8> {
    Decoded(segment.as_bytes()).collect()
}

/// Calls `visit` with each segment of `path`, dot segments and empty ones included.
fn for_each_segment(path: &str, mut visit: impl FnMut(&Segment)) {
    let mut segment = Segment::default();
    for byte in Decoded(path.as_bytes()) {
        if matches!(byte, b'/' | b'\\') {
            visit(&segment);
            segment = Segment::default();
        } else {
            segment.push(byte);
        }
    }
    visit(&segment);
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
        if segment.is_empty() {
            // Also a segment of dots and blanks alone: Windows drops all of it.
            if segment.is_parent() {
                self.depth = self.depth.saturating_sub(1);
            }
            return;
        }
        match self.depth {
            0 => self.first = *segment,
            1 => self.second = *segment,
            _ => {}
        }
        self.depth += 1;
    }

    fn tenant(&self) -> Option<TenantId> {
        let first = self.first.text().filter(|_| self.depth > 0)?;
        let second = self.second.text().filter(|_| self.depth > 1).unwrap_or_default();
        let of_environment = first.eq_ignore_ascii_case(b"login")
            || (first.eq_ignore_ascii_case(b"api") && second.eq_ignore_ascii_case(b"state"));
        if of_environment { None } else { TenantId::new(str::from_utf8(first).ok()?).ok() }
    }
}

/// A decoded segment, as far as it can be a tenant id, without the blanks and dots at its end.
#[derive(Clone, Copy)]
struct Segment {
    bytes: [u8; Self::MAX_LEN],
    /// Bytes pushed so far.
    pushed: usize,
    /// The end of the last byte that is neither a blank nor a dot.
    end: usize,
    /// The end of the last dot.
    dots_end: usize,
}

impl Segment {
    /// The longest tenant id.
    const MAX_LEN: usize = 64;

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.pushed) {
            *slot = byte;
        }
        self.pushed = self.pushed.saturating_add(1);
        match byte {
            b' ' => {}
            b'.' => self.dots_end = self.pushed,
            _ => self.end = self.pushed,
        }
    }

    fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Returns whether it is `..`, perhaps with blanks behind it.
    fn is_parent(&self) -> bool {
        self.is_empty() && self.dots_end == 2 && self.bytes.starts_with(b"..")
    }

    /// Returns the segment; `None` when it is longer than any tenant id or reserved name.
    fn text(&self) -> Option<&[u8]> {
        self.bytes.get(..self.end)
    }
}

impl Default for Segment {
    fn default() -> Self {
        Self { bytes: [0; Self::MAX_LEN], pushed: 0, end: 0, dots_end: 0 }
    }
}

/// The bytes of a path with each escape, `%NN` or `%uNNNN`, decoded once. Malformed escapes stay as
/// they are, and a character beyond ASCII becomes one byte that no tenant id contains.
struct Decoded<'p>(&'p [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let [b'%', b'u' | b'U', a, b, c, d, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hex::byte(*a, *b), hex::byte(*c, *d))
        {
            self.0 = rest;
            return Some(if high == 0 && low.is_ascii() { low } else { u8::MAX });
        }
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

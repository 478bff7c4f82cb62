//! Authorities of URLs: whether their host serves tenants.

use super::Environment;

impl Environment {
    /// Returns whether the host of `authority` serves tenants of this environment. User name and
    /// port make no difference.
    #[inline]
    pub(crate) fn is_tenant_authority(&self, authority: &str) -> bool {
        match self {
            // Nearly every call ends here, without a search for a user name or a port.
            Self::Sod | Self::Stage | Self::Production => match plain_label(authority.as_bytes()) {
                Some(label) => self.has_label(label),
                None => self.is_tenant_host(host_of(authority)),
            },
            Self::Custom(custom) => custom.is_tenant_host(host_of(authority)),
        }
    }
}

/// Returns whether `authority` is a host below superoffice.com in lower case, and nothing else;
/// `false` may be wrong.
#[inline]
pub(crate) fn is_plain_authority(authority: &str) -> bool {
    plain_label(authority.as_bytes()).is_some()
}

/// Returns what stands before `.superoffice.com` in `authority`, if that is a host name with this
/// end in lower case, without user name, port and trailing dot.
#[inline]
fn plain_label(authority: &[u8]) -> Option<&[u8]> {
    let (label, end) = authority.split_last_chunk()?;
    let (first, rest) = authority.split_first_chunk()?;
    // Sixteen bytes cover the first label of every known host.
    let contains_neither = contains_neither::<b'@', b':'>;
    let plain = end == b".superoffice.com"
        && label.len() <= 16
        && contains_neither(first)
        && rest.first_chunk().is_some_and(contains_neither)
        // Neither an address in brackets nor a blank, which the whole reading trims.
        && label.first().is_some_and(u8::is_ascii_alphanumeric);
    plain.then_some(label)
}

/// Returns the host in `authority`: without user name and port, an IPv6 address in its brackets.
///
/// Cuts where the connecting client does, also in a malformed authority.
fn host_of(authority: &str) -> &str {
    let authority = authority.trim_ascii();
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
    let end = if host_port.starts_with('[') {
        host_port.find(']').map(|end| end + 1)
    } else {
        host_port.find(':')
    };
    end.and_then(|end| host_port.get(..end)).unwrap_or(host_port)
}

/// Returns whether eight bytes contain neither `A` nor `B`. May wrongly say no if one of them is
/// not ASCII.
///
/// All at once: subtracting 1 from each byte of `word ^ A` sets the top bit of those that were `A`,
/// and of no byte before the first of them.
#[inline]
fn contains_neither<const A: u8, const B: u8>(word: &[u8; 8]) -> bool {
    const fn everywhere(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let word = u64::from_le_bytes(*word);
    let a = (word ^ everywhere(A)).wrapping_sub(everywhere(1));
    let b = (word ^ everywhere(B)).wrapping_sub(everywhere(1));
    (a | b) & everywhere(0x80) == 0
}

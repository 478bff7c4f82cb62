//! Fuzzes the parsing of a URL's tenant, and what a guard decides by it.
//!
//! The first line is the URL, the rest the `Host` header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_superoffice_reference::url;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (address, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let _ = url(address, host);
});

//! A key set, a PEM text or a certificate, to the keys in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_superoffice::fuzzing::keys;

fuzz_target!(|bytes: &[u8]| {
    let _ = keys(bytes);
});

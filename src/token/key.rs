//! One RSA key, and the verification of a signature with it.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

use super::{KeyError, key_id::KeyIds};

/// The accepted sizes of keys, in bits.
const MIN_BITS: usize = 2048;
const MAX_BITS: usize = 8192;

#[derive(Clone)]
pub(super) struct Key(Arc<KeyParts>);

struct KeyParts {
    ids: KeyIds<'static>,
    n: Box<[u8]>,
    e: Box<[u8]>,
    /// Parsed once: what the library precomputes for a modulus stays with the key.
    rsa: ParsedPublicKey,
}

impl Key {
    /// Makes an RSA public key of the modulus `n` and the exponent `e`, both big-endian.
    pub(super) fn new(n: &[u8], e: &[u8], ids: KeyIds<'static>) -> Result<Self, KeyError> {
        let (n, e) = (strip_zeros(n), strip_zeros(e));
        let bits = bit_length(n);
        if bits < MIN_BITS {
            return Err(KeyError::Weak { bits });
        }
        if bits > MAX_BITS {
            return Err(KeyError::Large { bits });
        }
        // An even modulus is no product of two odd primes; an exponent is odd, at least 3, and the
        // library accepts at most 33 bits.
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !is_odd(n) || !is_odd(e) || e == [1] || bit_length(e) > 33 {
            return Err(KeyError::NotAKey);
        }
        let rsa = RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| KeyError::NotAKey)?;
        Ok(Self(Arc::new(KeyParts { ids, n: n.into(), e: e.into(), rsa })))
    }

    pub(super) fn ids(&self) -> &KeyIds<'static> {
        &self.0.ids
    }

    pub(super) fn bits(&self) -> usize {
        bit_length(&self.0.n)
    }

    /// Returns the modulus and the exponent, big-endian, without leading zeros.
    pub(super) fn numbers(&self) -> (&[u8], &[u8]) {
        (&self.0.n, &self.0.e)
    }

    /// Returns whether `signature` is this key's RS256 signature of `signed`.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.0.rsa.verify_sig(signed, signature).is_ok()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        a.ids == b.ids && a.n == b.n && a.e == b.e
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.ids().name()).field("bits", &self.bits()).finish()
    }
}

fn strip_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Returns the length in bits of a number without leading zeros.
fn bit_length(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - unused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bits(bits: usize) -> Vec<u8> {
        let mut n = vec![0xff; bits.div_ceil(8)];
        n[0] >>= n.len() * 8 - bits;
        n
    }

    fn accept(n: &[u8], e: &[u8]) -> Result<usize, String> {
        Key::new(n, e, KeyIds::default())
            .map(|key| key.bits())
            .map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn sizes_from_2048_to_8192_bits_are_accepted() {
        let e = [1, 0, 1];
        for bits in [2048, 2049, 3072, 4096, 8192] {
            assert_eq!(accept(&of_bits(bits), &e), Ok(bits));
        }
        for bits in [8, 512, 1024, 2047] {
            assert_eq!(accept(&of_bits(bits), &e), Err(format!("Weak {{ bits: {bits} }}")));
        }
        assert_eq!(accept(&of_bits(8193), &e), Err("Large { bits: 8193 }".to_owned()));
        assert_eq!(accept(&[], &e), Err("Weak { bits: 0 }".to_owned()));
        // Zeros in front add no strength.
        assert_eq!(
            accept(&[vec![0; 200], of_bits(1024)].concat(), &e),
            Err("Weak { bits: 1024 }".to_owned())
        );
        assert_eq!(accept(&[vec![0; 1], of_bits(2048)].concat(), &[0, 1, 0, 1]), Ok(2048));
    }

    #[test]
    fn numbers_that_are_no_rsa_key_are_refused() {
        let n = of_bits(2048);
        for e in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[0xff; 5]] {
            assert_eq!(accept(&n, e), Err("NotAKey".to_owned()), "{e:?}");
        }
        for e in [&[3][..], &[17], &[1, 0, 1], &[1, 0, 0, 0, 1]] {
            assert_eq!(accept(&n, e), Ok(2048), "{e:?}");
        }
        let mut even = n;
        *even.last_mut().unwrap() = 0xfe;
        assert_eq!(accept(&even, &[1, 0, 1]), Err("NotAKey".to_owned()));
    }
}

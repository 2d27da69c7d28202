//! Wycheproof's vectors for JSON Web Signatures and Keys against the signature step: what must verify does, and nothing
//! else.

use idp_proxy::caller::{Signature, VerificationKey};
use jsonwebtoken::jwk::Jwk;
use serde_json::Value;

const SIGNATURES: &str = include_str!("vectors/json_web_signature_test.json");
const KEYS: &str = include_str!("vectors/json_web_key_test.json");

/// One vector with its group's public keys.
struct Vector {
    id: u64,
    comment: String,
    keys: Vec<Value>,
    jws: String,
    is_valid: bool,
}

fn vectors(file: &str) -> Vec<Vector> {
    let file: Value = serde_json::from_str(file).unwrap();
    let mut vectors = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        // Symmetric keys have no public half. Where there is one, it is what a verifier holds.
        let key = group.get("public").or_else(|| group.get("private")).unwrap();
        let keys = key["keys"].as_array().cloned().unwrap_or_else(|| vec![key.clone()]);
        for test in group["tests"].as_array().unwrap() {
            vectors.push(Vector {
                id: test["tcId"].as_u64().unwrap(),
                comment: test["comment"].as_str().unwrap().to_owned(),
                keys: keys.clone(),
                jws: test["jws"].as_str().unwrap().to_owned(),
                is_valid: test["result"] == "valid",
            });
        }
    }
    assert_eq!(Some(vectors.len() as u64), file["numberOfTests"].as_u64(), "no vector may be skipped");
    vectors
}

/// What the signature step says, with the key under the token's id as the key set finds it. Where there is one key, the
/// id does not matter: a wrong signature must not be saved by a wrong id.
fn verdict(vector: &Vector) -> Result<(), String> {
    let signature = Signature::of(&vector.jws).map_err(|error| format!("header: {error:?}"))?;
    let is_named = |key: &&Value| vector.keys.len() == 1 || key["kid"] == signature.key_id();
    let key = vector.keys.iter().find(is_named).ok_or("no key of that id")?;
    let jwk: Jwk = serde_json::from_value(key.clone()).map_err(|error| format!("key: {error}"))?;
    let key = VerificationKey::of(&jwk).ok_or("a key that is not for this")?;
    signature.check(&key).map_err(|error| format!("signature: {error:?}"))
}

/// The algorithm that the token names, if its header can be read.
fn algorithm(vector: &Vector) -> String {
    jsonwebtoken::decode_header(&vector.jws).map(|header| format!("{:?}", header.alg)).unwrap_or_default()
}

#[test]
fn signatures_count_if_and_only_if_they_are_good_and_of_our_algorithms() {
    let (mut verified, mut of_other_algorithms, mut refused) = (0, 0, 0);
    for vector in vectors(SIGNATURES) {
        let is_ours = ["RS256", "PS256"].contains(&algorithm(&vector).as_str());
        let verdict = verdict(&vector);
        let case = format!("{} {}: {verdict:?}", vector.id, vector.comment);
        match (vector.is_valid, is_ours) {
            (true, true) => {
                assert_eq!(verdict, Ok(()), "{case}");
                verified += 1;
            }
            (true, false) => {
                assert!(verdict.is_err(), "{case}");
                of_other_algorithms += 1;
            }
            (false, _) => {
                assert!(verdict.is_err(), "{case}");
                refused += 1;
            }
        }
    }
    assert_eq!((verified, of_other_algorithms, refused), (14, 32, 355));
}

#[test]
fn keys_that_are_weak_or_for_something_else_verify_nothing() {
    let (mut verified, mut refused, mut unseen) = (0, 0, 0);
    for vector in vectors(KEYS) {
        let verdict = verdict(&vector);
        let case = format!("{} {}: {verdict:?}", vector.id, vector.comment);
        if vector.comment == "rejectsKeyWithRocaVulnerability" {
            // That a smartcard made the key's primes badly cannot be seen without factoring tricks of our own. The key
            // set comes from the configured tenant, and what it publishes is trusted.
            unseen += 1;
        } else if vector.is_valid && algorithm(&vector) == "RS256" {
            assert_eq!(verdict, Ok(()), "{case}");
            verified += 1;
        } else {
            assert!(verdict.is_err(), "{case}");
            refused += 1;
        }
    }
    assert_eq!((verified, refused, unseen), (1, 24, 1));
}

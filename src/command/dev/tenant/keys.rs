//! The tenant's signing keys: which one signs, which are published, what a signature is worth.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::pair::{self, OWNED_PAIRS, Pair};
use crate::command::dev::encoding::{base64url, hex, random};

/// Which key a token is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The key in use.
    Current,
    /// The key that the next rotation brings into use; published already.
    Next,
    /// The key in use before the last rotation, revoked or not. Before any rotation: like [`Key::Foreign`].
    Previous,
    /// A key that is not the tenant's, under the id of the current one.
    Foreign,
}

/// How a token is signed. The tenant itself uses RS256; the rest is for tokens that must be refused, or, PS256, that an
/// API may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// HMAC keyed with the PEM text of the public key: the classical confusion attack (RFC 8725 §2.1).
    Hs256,
    /// No signature at all (RFC 7515 §6).
    None,
}

impl Signing {
    /// The `alg` of the header.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Hs256 => "HS256",
            Self::None => "none",
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Slot {
    kid: String,
    #[serde(with = "pair::private_pem")]
    pair: Arc<Pair>,
}

/// The tenant's keys in their roles.
#[derive(Serialize, Deserialize)]
pub(super) struct Ring {
    current: Slot,
    next: Slot,
    previous: Option<Slot>,
    /// The key before the current one once it is no longer published.
    revoked: Option<Slot>,
    drawn: usize,
}

/// Why the tenant's own check refused a token's signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unverified {
    /// It is no signed token in three parts.
    Malformed,
    /// It is signed by nobody here, or in a way not in use here.
    Signature,
}

impl Ring {
    pub(super) fn new() -> Self {
        let slot = |number| Slot { kid: hex(&random::<12>()), pair: Pair::number(number) };
        Self { current: slot(0), next: slot(1), previous: None, revoked: None, drawn: 2 }
    }

    /// Next becomes current, current becomes previous and stays published.
    pub(super) fn rotate(&mut self) {
        let drawn = Slot { kid: hex(&random::<12>()), pair: Pair::number(self.drawn % OWNED_PAIRS) };
        self.drawn += 1;
        let current = std::mem::replace(&mut self.next, drawn);
        self.previous = Some(std::mem::replace(&mut self.current, current));
        self.revoked = None;
    }

    /// The previous key is published no longer: what it signed is worth nothing from now on.
    pub(super) fn revoke_previous(&mut self) {
        if let Some(previous) = self.previous.take() {
            self.revoked = Some(previous);
        }
    }

    fn published(&self) -> impl Iterator<Item = &Slot> {
        [Some(&self.current), Some(&self.next), self.previous.as_ref()].into_iter().flatten()
    }

    /// `/.well-known/jwks.json`; `alg` can be switched off in a tenant's settings.
    pub(super) fn key_set(&self, with_alg: bool) -> Value {
        let keys = self.published().map(|Slot { kid, pair }| {
            let mut key = json!({
                "kty": "RSA", "use": "sig", "n": pair.n, "e": pair.e, "kid": kid, "x5t": pair.thumbprint,
            });
            if let (true, Some(members)) = (with_alg, key.as_object_mut()) {
                members.insert("alg".to_owned(), json!("RS256"));
            }
            key
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }

    /// A JWS in compact form. `header` may replace what is put there by itself: `alg`, `typ` and `kid`.
    pub(super) fn sign(
        &self,
        key: Key,
        signing: Signing,
        header: Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> String {
        let foreign = Slot { kid: self.current.kid.clone(), pair: Pair::number(OWNED_PAIRS) };
        let slot = match key {
            Key::Current => &self.current,
            Key::Next => &self.next,
            Key::Previous => self.previous.as_ref().or(self.revoked.as_ref()).unwrap_or(&foreign),
            Key::Foreign => &foreign,
        };
        let mut members = Map::new();
        members.insert("alg".to_owned(), json!(signing.name()));
        members.insert("typ".to_owned(), json!("JWT"));
        members.insert("kid".to_owned(), json!(slot.kid));
        members.extend(header);
        members.retain(|_, value| !value.is_null());
        let part = |members: &Map<String, Value>| base64url(Value::Object(members.clone()).to_string().as_bytes());
        let message = format!("{}.{}", part(&members), part(claims));
        let signature = base64url(&slot.pair.sign(signing, message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// The claims of a token signed by a published key. Nothing in them is checked.
    pub(super) fn verified(&self, token: &str) -> Result<Map<String, Value>, Unverified> {
        let (message, signature) = token.rsplit_once('.').ok_or(Unverified::Malformed)?;
        if message.split('.').count() != 2 {
            return Err(Unverified::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Unverified::Malformed)?;
        let slot = self.published().find(|slot| header.kid.as_ref() == Some(&slot.kid)).ok_or(Unverified::Signature)?;
        let genuine = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &slot.pair.public, Algorithm::RS256);
        if header.alg != Algorithm::RS256 || !genuine.unwrap_or(false) {
            return Err(Unverified::Signature);
        }
        jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| Unverified::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::DecodingKey;

    use super::*;

    fn signed(ring: &Ring, key: Key, signing: Signing) -> String {
        ring.sign(key, signing, Map::new(), &Map::new())
    }

    fn kids(ring: &Ring) -> Vec<String> {
        let set = ring.key_set(true);
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_tenants_own_signature_is_the_only_one_it_accepts() {
        let ring = Ring::new();
        assert_eq!(ring.verified(&signed(&ring, Key::Current, Signing::Rs256)), Ok(Map::new()));
        assert_eq!(ring.verified(&signed(&ring, Key::Foreign, Signing::Rs256)), Err(Unverified::Signature));
        for signing in [Signing::Rs512, Signing::Ps256, Signing::Hs256] {
            assert_eq!(ring.verified(&signed(&ring, Key::Current, signing)), Err(Unverified::Signature), "{signing:?}");
        }
        assert_eq!(ring.verified("no token"), Err(Unverified::Malformed));
        assert_eq!(ring.verified(&signed(&Ring::new(), Key::Current, Signing::Rs256)), Err(Unverified::Signature));
    }

    #[test]
    fn a_rotation_keeps_the_previous_key_until_it_is_revoked() {
        let mut ring = Ring::new();
        let before = kids(&ring);
        let token = signed(&ring, Key::Current, Signing::Rs256);
        ring.rotate();
        let after = kids(&ring);
        assert_eq!((&after[0], &after[2], after.len()), (&before[1], &before[0], 3));
        assert!(ring.verified(&token).is_ok());
        ring.revoke_previous();
        assert_eq!(kids(&ring), after[..2]);
        assert_eq!(ring.verified(&token), Err(Unverified::Signature));
        let kid = jsonwebtoken::decode_header(signed(&ring, Key::Previous, Signing::Rs256)).unwrap().kid;
        assert_eq!(kid.as_ref(), Some(&before[0]), "a revoked key can still be abused by a test");
    }

    #[test]
    fn a_ring_that_was_kept_signs_and_verifies_as_before() {
        let mut ring = Ring::new();
        let token = signed(&ring, Key::Current, Signing::Rs256);
        ring.rotate();
        let again: Ring = serde_json::from_str(&serde_json::to_string(&ring).unwrap()).unwrap();
        assert_eq!(again.key_set(true), ring.key_set(true));
        assert!(again.verified(&token).is_ok());
        assert!(ring.verified(&signed(&again, Key::Next, Signing::Rs256)).is_ok());
        assert!(serde_json::from_str::<Ring>(&serde_json::to_string(&ring).unwrap().replace("MII", "NII")).is_err());
    }

    #[test]
    fn published_keys_verify_with_a_library_not_ours() {
        let ring = Ring::new();
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(ring.key_set(false)).unwrap();
        for (signing, algorithm) in [(Signing::Rs256, Algorithm::RS256), (Signing::Ps256, Algorithm::PS256)] {
            let token = signed(&ring, Key::Next, signing);
            let jwk = set.find(&jsonwebtoken::decode_header(&token).unwrap().kid.unwrap()).unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let key = DecodingKey::from_jwk(jwk).unwrap();
            assert!(jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm).unwrap());
        }
    }
}

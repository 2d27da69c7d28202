//! RSA key pairs: made, kept, and what they sign.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding,
};
use aws_lc_rs::{digest, hmac, rand};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{DecodingKey, EncodingKey};

use super::keys::Signing;
use crate::command::dev::encoding::{base64, base64url};

/// Key pairs made once per process: making one takes longer than a whole test. Tenants differ by their key ids.
static PAIRS: [OnceLock<Arc<Pair>>; 5] = [const { OnceLock::new() }; 5];

/// The last pair is nobody's.
pub(super) const OWNED_PAIRS: usize = PAIRS.len() - 1;

/// A key pair, and its public half in the forms it is shown in.
pub(super) struct Pair {
    private: KeyPair,
    pub(super) public: DecodingKey,
    /// The public key as PEM, the octets that Hs256 misuses.
    pem: String,
    pub(super) n: String,
    pub(super) e: String,
    pub(super) thumbprint: String,
}

impl Pair {
    #[expect(clippy::expect_used, reason = "making an RSA key fails only when the process has no memory left")]
    pub(super) fn number(number: usize) -> Arc<Self> {
        let slot = PAIRS.get(number).unwrap_or(&PAIRS[0]);
        let made = || Arc::new(Self::of(KeyPair::generate(KeySize::Rsa2048).expect("RSA-2048 is supported")));
        Arc::clone(slot.get_or_init(made))
    }

    #[expect(clippy::expect_used, reason = "a key pair that is there has a well-formed public key")]
    fn of(private: KeyPair) -> Self {
        let public = DecodingKey::from_rsa_der(private.public_key().as_ref());
        let jwk = Jwk::from_decoding_key(&public, None).expect("a public key is well formed");
        let (n, e) =
            if let AlgorithmParameters::RSA(rsa) = jwk.algorithm { (rsa.n, rsa.e) } else { Default::default() };
        let der: PublicKeyX509Der<'_> = private.public_key().as_der().expect("a public key is well formed");
        // There is no certificate here: the thumbprint is the key's, so that the member is there as in real sets.
        let thumbprint = base64url(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der.as_ref()).as_ref());
        let pem = pem("PUBLIC KEY", der.as_ref());
        Self { private, public, pem, n, e, thumbprint }
    }

    /// The private key as PEM (RFC 7468 §10).
    fn to_pem(&self) -> Option<String> {
        let der: Pkcs8V1Der<'_> = self.private.as_der().ok()?;
        Some(pem("PRIVATE KEY", der.as_ref()))
    }

    fn from_pem(pem: &str) -> Option<Self> {
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
        KeyPair::from_der(key.as_bytes()).ok().map(Self::of)
    }

    #[expect(clippy::expect_used, reason = "a 2048-bit key can sign with every one of these encodings")]
    pub(super) fn sign(&self, signing: Signing, message: &[u8]) -> Vec<u8> {
        let encoding: &'static dyn RsaEncoding = match signing {
            Signing::Rs256 => &RSA_PKCS1_SHA256,
            Signing::Rs384 => &RSA_PKCS1_SHA384,
            Signing::Rs512 => &RSA_PKCS1_SHA512,
            Signing::Ps256 => &RSA_PSS_SHA256,
            Signing::Ps384 => &RSA_PSS_SHA384,
            Signing::Ps512 => &RSA_PSS_SHA512,
            Signing::Hs256 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.pem.as_bytes());
                return hmac::sign(&key, message).as_ref().to_vec();
            }
            Signing::None => return Vec::new(),
        };
        let mut signature = vec![0; self.private.public_modulus_len()];
        self.private
            .sign(encoding, &rand::SystemRandom::new(), message, &mut signature)
            .expect("a key just made can sign");
        signature
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (place, letter) in base64(der).chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

/// How a key pair is kept.
pub(super) mod private_pem {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    use super::{Arc, Pair};

    pub(in super::super) fn serialize<S: Serializer>(pair: &Arc<Pair>, serializer: S) -> Result<S::Ok, S::Error> {
        let pem = pair.to_pem().ok_or_else(|| ser::Error::custom("a key that cannot be exported"))?;
        serializer.serialize_str(&pem)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Pair>, D::Error> {
        let pem = String::deserialize(deserializer)?;
        Pair::from_pem(&pem).map(Arc::new).ok_or_else(|| de::Error::custom("no RSA private key"))
    }
}

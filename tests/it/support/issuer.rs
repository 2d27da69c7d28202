//! An issuer whose key set and tokens are whatever bytes a test wants: what the simulated tenant would never do.

use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use http::Response;
use hyper::body::Bytes;
use idp_proxy::clock::Clock;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde_json::{Value, json};

use super::{Recorded, Upstream};

/// Made once: making one takes longer than a whole test.
static PAIR: OnceLock<KeyPair> = OnceLock::new();

/// The id of its one key, unless a test publishes it under another.
pub const KID: &str = "one";

/// An issuer with one key. Stops when it is dropped.
pub struct Issuer {
    server: Upstream,
    set: Arc<Mutex<Value>>,
}

impl Issuer {
    /// Publishes its key.
    pub async fn start() -> Self {
        let set = Arc::new(Mutex::new(json!({ "keys": [jwk()] })));
        let published = Arc::clone(&set);
        let answer = move |_: &Recorded| Response::new(Bytes::from(published.lock().unwrap().to_string()));
        let server = Upstream::recording(answer).await.allow(&["no authorization"]);
        Self { server, set }
    }

    /// `iss` of its tokens.
    pub fn name(&self) -> String {
        format!("{}/", self.server.base_url())
    }

    /// Publishes these keys instead.
    pub fn publish(&self, keys: &[Value]) {
        *self.set.lock().unwrap() = json!({ "keys": keys });
    }

    /// How often its key set was fetched.
    pub fn fetches(&self) -> usize {
        self.server.requests().len()
    }

    /// The claims of a good token for `sub`, to be changed.
    pub fn claims(&self, sub: &str) -> Value {
        let exp = Clock::system().now().unix_seconds() + 3600;
        json!({ "iss": self.name(), "sub": sub, "aud": super::AUDIENCE, "exp": exp })
    }

    /// A good token for `sub`.
    pub fn token(&self, sub: &str) -> String {
        sign(&json!({ "alg": "RS256", "kid": KID }).to_string(), self.claims(sub).to_string().as_bytes())
    }
}

/// The public key.
pub fn jwk() -> Value {
    let key = DecodingKey::from_rsa_der(pair().public_key().as_ref());
    let mut jwk = serde_json::to_value(Jwk::from_decoding_key(&key, None).unwrap()).unwrap();
    jwk["kid"] = json!(KID);
    jwk["use"] = json!("sig");
    jwk
}

/// A token of exactly these bytes, with a good signature (RS256).
pub fn sign(header: &str, payload: &[u8]) -> String {
    sign_as(&RSA_PKCS1_SHA256, header, payload)
}

/// The same with the signature of PS256.
pub fn sign_pss(header: &str, payload: &[u8]) -> String {
    sign_as(&RSA_PSS_SHA256, header, payload)
}

fn sign_as(encoding: &'static dyn RsaEncoding, header: &str, payload: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(payload));
    let mut signature = vec![0; pair().public_modulus_len()];
    pair().sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", base64url(&signature))
}

fn pair() -> &'static KeyPair {
    PAIR.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// RFC 4648 §5, without padding.
pub fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0, |word, (place, byte)| word | u32::from(*byte) << (16 - 8 * place));
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[(word >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

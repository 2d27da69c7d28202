//! The tenant's key, and callers' tokens signed with it: one per user, as long as real ones.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

const KEY_ID: &str = "bench-key-0123456789";

/// The key, parsed once: parsing costs more than a signature, and a run needs 100,000 of them.
pub struct Signer(RsaKeyPair);

impl Signer {
    /// Makes a key and keeps it in `file`, where the tenant's process finds it.
    pub fn create(file: &Path) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        fs::write(file, key.as_der().unwrap().as_ref()).unwrap();
        Self(key)
    }

    /// The key that `create` kept.
    pub fn load(file: &Path) -> Self {
        Self(RsaKeyPair::from_pkcs8(&fs::read(file).unwrap()).unwrap())
    }

    /// The public half, as `/.well-known/jwks.json` has it.
    pub fn key_set(&self) -> Value {
        // RSAPublicKey of 2048 bits in DER has one layout: nine bytes of headers, 256 of modulus, then 65537.
        let modulus = &self.0.public_key().as_ref()[9..265];
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": base64url(modulus), "e": "AQAB",
        }]})
    }

    /// Claims of an access token as Auth0 makes them, a day long.
    pub fn claims(&self, issuer: &str, subject: &str, audience: &str, scope: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({
            "iss": issuer, "sub": subject, "aud": [audience, format!("{issuer}userinfo")],
            "iat": now, "exp": now + 86_400, "scope": scope, "azp": "0123456789abcdefghijklmnopqrstuv",
        })
    }

    /// An RS256 token.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": KEY_ID}).to_string();
        let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", base64url(&signature))
    }
}

/// Callers' tokens, one to a line, the user's number being the line's; signed when a row first needs so many.
pub struct Tokens {
    /// Where the load reads them.
    pub file: PathBuf,
    issuer: String,
    audience: String,
    signed: usize,
}

impl Tokens {
    /// None yet.
    pub fn new(file: PathBuf, issuer: String, audience: String) -> Self {
        Self { file, issuer, audience, signed: 0 }
    }

    /// Sees to it that there are at least `count`, on all cores: a signature takes most of a millisecond.
    pub fn ensure(&mut self, signer: &Signer, count: usize) {
        if count <= self.signed {
            return;
        }
        let token = |number: usize| {
            let subject = format!("github|{number}");
            let scope = "openid profile email offline_access read:github";
            signer.sign(&signer.claims(&self.issuer, &subject, &self.audience, scope))
        };
        let middle = self.signed.midpoint(count);
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(|| (middle..count).map(token).collect::<Vec<_>>());
            ((self.signed..middle).map(token).collect::<Vec<_>>(), other.join().unwrap())
        });
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.file).unwrap();
        let mut file = BufWriter::new(file);
        for line in first.iter().chain(&second) {
            writeln!(file, "{line}").unwrap();
        }
        file.flush().unwrap();
        self.signed = count;
    }
}

/// RFC 4648 section 5 without padding: ten lines that spare a dependency.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(ALPHABET[(group >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

//! Tokens whose signature was found good, remembered by their digest so that it is checked once and not per request.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::key_set::KeySet;
use crate::clock::Timestamp;

/// How long a token may be believed without a look at the key set: a revoked key is honoured no longer than this.
const BELIEF: Duration = Duration::from_secs(600);

/// What is kept of a verified token. Never the token.
pub(super) struct Remembered {
    pub(super) subject: Arc<str>,
    pub(super) grants: Box<str>,
    /// `exp` and the leeway.
    pub(super) expires: Timestamp,
    pub(super) verified_at: Timestamp,
    /// Which state of the issuer's key set the signature was checked against.
    pub(super) key_revision: u32,
    /// Which of the configured issuers.
    pub(super) issuer: u8,
}

impl Remembered {
    /// Whether the signature need not be checked again: no key has left the set since, and it was not long ago.
    pub(super) fn is_current(&self, keys: &KeySet, now: Timestamp) -> bool {
        self.key_revision == keys.revision() && now.since(self.verified_at) < BELIEF
    }
}

/// Takes eight bytes of a SHA-256 digest as its hash. They are uniform already, and nobody can choose them for a token
/// that is remembered, since that one needed the tenant's signature.
pub(super) type DigestHasher = BuildHasherDefault<FirstBytes>;

#[derive(Default)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks_exact(8) {
            self.0 ^= chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

//! Sealing: AES-256-GCM (NIST SP 800-38D) with what the row is about as associated data, so that no row can be put in
//! another's place or back to an earlier generation.
//!
//! A sealed row: one byte of format, four that name the key, twelve of nonce, the text, sixteen of tag.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Key, OpenError, StoreError};
use crate::config::key_bytes;
use crate::secret::Secret;

const FORMAT: u8 = 1;
const ID_LEN: usize = 4;
const KEY_LEN: usize = 32;
/// What the mark seals, and what stands in its associated data where a row has its key.
const MARK: &[u8] = b"idp-proxy store";

/// The configured keys: the first seals, all open.
pub(super) struct Ring(Vec<RingKey>);

struct RingKey {
    id: [u8; ID_LEN],
    key: LessSafeKey,
}

/// What became of a sealed row.
pub(super) enum Unsealed {
    Content(Vec<u8>),
    /// No key of the ring has the id that it names.
    UnknownKey,
    /// In a format that is not known yet.
    Newer,
    Damaged(&'static str),
}

/// A new key, as it is written into the configuration.
///
/// # Errors
/// When the system gives no randomness.
pub fn fresh_key() -> Result<String, StoreError> {
    let mut key = [0; KEY_LEN];
    rand::fill(&mut key).map_err(|_| StoreError::Seal)?;
    Ok(STANDARD.encode(key))
}

impl Ring {
    pub(super) fn new(keys: &[Secret]) -> Result<Self, OpenError> {
        let key = |secret: &Secret| {
            let bytes = key_bytes(secret.expose()).ok_or(OpenError::BadKey)?;
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| OpenError::BadKey)?;
            let digest = digest::digest(&digest::SHA256, &bytes);
            let mut id = [0; ID_LEN];
            id.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
            Ok(RingKey { id, key: LessSafeKey::new(key) })
        };
        let keys: Vec<RingKey> = keys.iter().map(key).collect::<Result<_, OpenError>>()?;
        if keys.is_empty() { Err(OpenError::BadKey) } else { Ok(Self(keys)) }
    }

    pub(super) fn seal(&self, key: &Key, generation: u64, content: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.seal_as(&context(key, generation), content)
    }

    pub(super) fn open(&self, key: &Key, generation: u64, sealed: &[u8]) -> Unsealed {
        self.open_as(&context(key, generation), sealed)
    }

    /// Whether the first key has sealed it.
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        self.0.first().is_some_and(|first| sealed.get(1..=ID_LEN) == Some(&first.id))
    }

    pub(super) fn mark(&self) -> Result<Vec<u8>, StoreError> {
        self.seal_as(MARK, MARK)
    }

    /// Opens what [`Ring::mark`] has sealed.
    pub(super) fn open_mark(&self, mark: &[u8]) -> Unsealed {
        self.open_as(MARK, mark)
    }

    fn seal_as(&self, context: &[u8], content: &[u8]) -> Result<Vec<u8>, StoreError> {
        let first = self.0.first().ok_or(StoreError::Seal)?;
        // Random: a key seals far fewer than 2^32 rows, the bound of SP 800-38D §8.3.
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| StoreError::Seal)?;
        let mut text = content.to_vec();
        let sealing = Nonce::assume_unique_for_key(nonce);
        first.key.seal_in_place_append_tag(sealing, Aad::from(context), &mut text).map_err(|_| StoreError::Seal)?;
        Ok([&[FORMAT][..], &first.id, &nonce, &text].concat())
    }

    fn open_as(&self, context: &[u8], sealed: &[u8]) -> Unsealed {
        let rest = match sealed.split_first() {
            Some((&FORMAT, rest)) => rest,
            Some((format, _)) if *format > FORMAT => return Unsealed::Newer,
            Some(_) | None => return Unsealed::Damaged("it has no format"),
        };
        let Some((id, rest)) = rest.split_first_chunk::<ID_LEN>() else { return Unsealed::Damaged("it is too short") };
        let Some((nonce, text)) = rest.split_first_chunk::<NONCE_LEN>() else {
            return Unsealed::Damaged("it is too short");
        };
        let mut candidates = self.0.iter().filter(|candidate| candidate.id == *id).peekable();
        if candidates.peek().is_none() {
            return Unsealed::UnknownKey;
        }
        for candidate in candidates {
            let mut text = text.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            if let Ok(content) = candidate.key.open_in_place(nonce, Aad::from(context), &mut text) {
                return Unsealed::Content(content.to_vec());
            }
        }
        Unsealed::Damaged("it was changed, or belongs to another place")
    }
}

/// What a row is about, unambiguously: each part behind its length.
fn context(key: &Key, generation: u64) -> Vec<u8> {
    let mut context = Vec::with_capacity(128);
    for part in key.parts() {
        context.extend_from_slice(&(part.len() as u64).to_be_bytes());
        context.extend_from_slice(part.as_bytes());
    }
    context.extend_from_slice(&generation.to_be_bytes());
    context
}

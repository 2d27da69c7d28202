//! The signature step: which algorithm, which key, and whether the signature is that key's.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};

/// The longest key id that is looked up, in bytes; Auth0's have 21.
const KEY_ID_BYTES_MAX: usize = 256;

/// A token's protected header that passed every rule, together with what was signed.
pub struct Signature<'token> {
    algorithm: Algorithm,
    key_id: String,
    message: &'token str,
    signature: &'token str,
}

/// A public key of an issuer's key set that may check signatures.
pub struct VerificationKey {
    key: DecodingKey,
    /// The one algorithm the key set allows for this key, if it names one.
    algorithm: Option<Algorithm>,
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The token or its header cannot be read.
    Malformed,
    /// An algorithm other than RS256 and PS256, or not the one its key is for.
    Algorithm,
    /// A header parameter that must be understood (`crit`), another `typ`, or no usable key id.
    Header,
    /// The signature is not the key's.
    Mismatch,
}

impl SignatureError {
    /// The reason, for the caller.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "it is not a signed JWT",
            Self::Algorithm => "its algorithm is neither RS256 nor PS256, or not the one its key is for",
            Self::Header => "its header asks for something unknown or names no key",
            Self::Mismatch => "its signature is wrong",
        }
    }
}

impl<'token> Signature<'token> {
    /// Reads the header of a token in the JWS compact form. The algorithms are ours, never the token's choice
    /// (RFC 8725 §3.1); keys and addresses of keys inside the header (`jwk`, `jku`, `x5u`, `x5c`) are ignored.
    ///
    /// # Errors
    /// [`SignatureError`] for a header that breaks a rule.
    pub fn of(token: &'token str) -> Result<Self, SignatureError> {
        let (message, signature) = token.rsplit_once('.').ok_or(SignatureError::Malformed)?;
        let header: Header = jsonwebtoken::decode_header(token).map_err(|_| SignatureError::Malformed)?;
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::PS256) {
            return Err(SignatureError::Algorithm);
        }
        // RFC 7515 §4.1.11: what is critical must be understood, and we understand no extension. RFC 7797's `b64`
        // comes with `crit`, but a token that sets it without is no better.
        if header.crit.is_some() || header.extras.inner().contains_key("b64") {
            return Err(SignatureError::Header);
        }
        // RFC 8725 §3.11: other kinds of JWT (logout tokens, proofs) say so in `typ`.
        let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
        if !matches!(kind.as_deref(), None | Some("jwt" | "at+jwt" | "application/at+jwt")) {
            return Err(SignatureError::Header);
        }
        let key_id = header.kid.filter(|kid| kid.len() <= KEY_ID_BYTES_MAX).ok_or(SignatureError::Header)?;
        Ok(Self { algorithm: header.alg, key_id, message, signature })
    }

    /// Which key of the issuer's set made it (`kid`).
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`SignatureError::Algorithm`] if the key is for another algorithm, [`SignatureError::Mismatch`] if it is not
    /// this key's signature; also for an RSA key of less than 2048 bits (RFC 7518 §3.3).
    pub fn check(&self, key: &VerificationKey) -> Result<(), SignatureError> {
        if key.algorithm.is_some_and(|only| only != self.algorithm) {
            return Err(SignatureError::Algorithm);
        }
        match jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), &key.key, self.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) => Err(SignatureError::Mismatch),
            Err(_) => Err(SignatureError::Malformed),
        }
    }
}

impl VerificationKey {
    /// The key, if it is one that may check our callers' signatures: RSA, not for another purpose (RFC 7517 §4.2 and
    /// §4.3), and with an algorithm we accept, if it names one. Auth0 tenants can be set to leave `alg` out.
    #[must_use]
    pub fn of(jwk: &Jwk) -> Option<Self> {
        if !matches!(jwk.algorithm, AlgorithmParameters::RSA(_)) {
            return None;
        }
        if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
            return None;
        }
        if jwk.common.key_operations.as_ref().is_some_and(|purposes| !purposes.contains(&KeyOperations::Verify)) {
            return None;
        }
        let algorithm = match jwk.common.key_algorithm {
            None => None,
            Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::PS256) => Some(Algorithm::PS256),
            Some(_) => return None,
        };
        Some(Self { key: DecodingKey::from_jwk(jwk).ok()?, algorithm })
    }
}

//! How this process does TLS: with which cryptography, and as whom towards callers.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, NamedGroup, ServerConfig};

use crate::secret::Secret;

/// What callers may choose from (RFC 7301), by preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why nobody can be shown a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// There is no certificate in the text.
    #[error("there is no certificate")]
    NoCertificate,
    /// One of the certificates is none.
    #[error("a certificate is damaged")]
    BadCertificate,
    /// There is no private key in the text.
    #[error("there is no private key")]
    NoKey,
    /// The private key takes a password.
    #[error("the private key is encrypted")]
    EncryptedKey,
    /// The private key is damaged, or of a kind that nobody signs with.
    #[error("the private key cannot be used")]
    BadKey,
    /// The private key is not that of the first certificate.
    #[error("the private key is not that of the certificate")]
    Mismatch,
}

/// Makes our cryptography that of every connection out, whichever library opens it.
pub fn install() {
    // A second call in one process (a test) keeps the first, which is the same.
    let _ = cryptography().install_default();
}

/// AWS-LC's, with the hybrid key exchange first: what is recorded today is not to be read by a quantum computer later.
fn cryptography() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    // The others keep their order.
    provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::X25519MLKEM768);
    provider
}

/// What handshakes with callers are made with: the certificates (the server's own first, then those that lead to its
/// authority) and the private key, both in PEM. TLS 1.2 and 1.3, HTTP/2 or HTTP/1.1.
///
/// # Errors
/// When the two are not what they should be, or do not belong together.
pub fn for_callers(certificates: &str, key: &Secret) -> Result<Arc<ServerConfig>, PairError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
    let chain = chain.map_err(|_| PairError::BadCertificate)?;
    if chain.is_empty() {
        return Err(PairError::NoCertificate);
    }
    let key = private_key(key.expose())?;
    let config = ServerConfig::builder_with_provider(Arc::new(cryptography())).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| reason(&error))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(Arc::new(config))
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, PairError> {
    let is_encrypted = || pem.contains("BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED");
    match PrivateKeyDer::pem_slice_iter(pem.as_bytes()).next() {
        _ if is_encrypted() => Err(PairError::EncryptedKey),
        None => Err(PairError::NoKey),
        Some(key) => key.map_err(|_| PairError::BadKey),
    }
}

fn reason(error: &Error) -> PairError {
    if matches!(error, Error::InconsistentKeys(_)) {
        PairError::Mismatch
    } else if matches!(error, Error::InvalidCertificate(_)) {
        PairError::BadCertificate
    } else {
        PairError::BadKey
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn pair() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn fault(certificates: &str, key: &str) -> Option<PairError> {
        for_callers(certificates, &Secret::new(key)).err()
    }

    #[test]
    fn the_hybrid_key_exchange_comes_first() {
        let groups: Vec<_> = cryptography().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(groups.first(), Some(&NamedGroup::X25519MLKEM768));
        assert!(groups.contains(&NamedGroup::X25519) && groups.len() == 4, "{groups:?}");
    }

    #[test]
    fn a_pair_is_one_of_certificates_and_their_key() {
        let ((cert, key), (other, _)) = (pair(), pair());
        assert_eq!(fault(&cert, &key), None);
        assert_eq!(fault(&(cert.clone() + &other), &key), None, "what follows is the way to the authority");
        assert_eq!(fault(&other, &key), Some(PairError::Mismatch));
        assert_eq!(fault(&(other + &cert), &key), Some(PairError::Mismatch), "the server's own stands first");
        assert_eq!(fault(&key, &cert), Some(PairError::NoCertificate));
        assert_eq!(fault(&cert, &cert), Some(PairError::NoKey));
        assert_eq!(fault("", ""), Some(PairError::NoCertificate));
        assert_eq!(fault(&cert.replacen("MI", "!!", 1), &key), Some(PairError::BadCertificate));
        assert_eq!(fault(&cert.replacen("MI", "MJ", 1), &key), Some(PairError::BadCertificate));
        assert_eq!(fault(&cert, &key.replacen("MI", "MJ", 1)), Some(PairError::BadKey));
        assert_eq!(fault(&cert, &key.replace("BEGIN", "BEGIN ENCRYPTED")), Some(PairError::EncryptedKey));
    }
}

//! `[server] tls`: the certificate that callers are shown, and its key.

use super::Tls;
use super::fault::Code;
use super::reader::Table;
use super::secret_source::from_file;
use super::value::{Invalid, not_empty, text};
use crate::secret::Secret;
use crate::tls::{PairError, for_callers};

/// Reads the key `tls` of `[server]`; `None` is a listener without TLS, or a fault.
pub(super) fn tls(server: &mut Table<'_, '_>) -> Option<Tls> {
    server.item("tls")?;
    let mut table = server.table("tls");
    let cert = table.required("cert", text(path));
    let key = table.required("key", text(path));
    let certificates = cert.and_then(|path| pem(&mut table, "cert", &path, Code::BadValue));
    let key = key.and_then(|path| pem(&mut table, "key", &path, Code::SecretUnavailable)).map(Secret::new);
    let tls = certificates.zip(key).map(|(certificates, key)| Tls { certificates, key });
    if let Some(Err(error)) = tls.as_ref().map(|tls| for_callers(&tls.certificates, &tls.key)) {
        let (key, invalid) = fault(error);
        table.fault(key, invalid);
    }
    table.refuse_rest();
    tls
}

/// A path is quoted when there is nothing to be read, so what is the key itself, put in the wrong place, is not taken for
/// one.
fn path(text: &str) -> Result<String, Invalid> {
    if text.contains("-----") || text.contains(char::is_control) {
        return Err(Invalid::value("must be the path of a PEM file, not what stands in it"));
    }
    not_empty(text)
}

fn pem(table: &mut Table<'_, '_>, key: &'static str, path: &str, code: Code) -> Option<String> {
    match from_file(table, path) {
        Ok(text) => Some(text),
        Err(invalid) => {
            table.fault(key, Invalid { code, ..invalid });
            None
        }
    }
}

/// Which of the two is at fault, and how.
fn fault(error: PairError) -> (&'static str, Invalid) {
    match error {
        PairError::NoCertificate => (
            "cert",
            Invalid::value("names a file without a certificate in PEM form").hint(
                "the server's own stands first, then those that lead to its authority: -----BEGIN CERTIFICATE-----",
            ),
        ),
        PairError::BadCertificate => ("cert", Invalid::value("names a file with a certificate that is damaged")),
        PairError::NoKey => (
            "key",
            Invalid::value("names a file without a private key in PEM form")
                .hint("it begins with -----BEGIN PRIVATE KEY-----, or with BEGIN RSA or EC PRIVATE KEY"),
        ),
        PairError::EncryptedKey => (
            "key",
            Invalid::value("names a private key that takes a password")
                .hint("`openssl pkey -in FILE` takes it off; keep the result readable to the proxy alone"),
        ),
        PairError::BadKey => (
            "key",
            Invalid::value("names a private key that cannot be used")
                .hint("RSA of 2048 bits or more, ECDSA (P-256, P-384, P-521) and Ed25519 can"),
        ),
        PairError::Mismatch => (
            "key",
            Invalid::conflict("is not the private key of the first certificate in `cert`")
                .hint("replace both files; in `cert`, the server's own certificate stands first"),
        ),
    }
}

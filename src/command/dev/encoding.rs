//! Texts the simulated parties make: base64, random identifiers, times.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Base64 with padding (RFC 4648 §4), as HTTP Basic and PEM have it.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Base64url without padding (RFC 4648 §5), as JOSE has it.
pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `N` random bytes.
#[expect(clippy::expect_used, reason = "AWS-LC aborts rather than reports a broken random source")]
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// `length` random letters and digits.
pub(super) fn random_alphanumeric(length: usize) -> String {
    random_of(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
}

/// `length` random characters of the base64url alphabet.
pub(super) fn random_url_safe(length: usize) -> String {
    random_of(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}

/// The slight favour that the remainder shows some letters does not matter for names and demo tokens this long.
pub(super) fn random_of(length: usize, alphabet: &[u8]) -> String {
    let mut text = String::with_capacity(length + 64);
    while text.len() < length {
        let letters = random::<64>();
        text.extend(
            letters.iter().filter_map(|byte| alphabet.get(usize::from(*byte) % alphabet.len())).map(|l| char::from(*l)),
        );
    }
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_texts_have_the_length_asked_for_and_differ() {
        assert_eq!(random_alphanumeric(100).len(), 100);
        assert_ne!(random_url_safe(30), random_url_safe(30));
    }
}

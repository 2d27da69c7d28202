//! Texts the simulated parties make: base64, random identifiers, times.

use aws_lc_rs::rand;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 with padding (RFC 4648 §4), as HTTP Basic and PEM have it.
pub(super) fn base64(bytes: &[u8]) -> String {
    encode(bytes, STANDARD, true)
}

/// Base64url without padding (RFC 4648 §5), as JOSE has it.
pub(super) fn base64url(bytes: &[u8]) -> String {
    encode(bytes, URL_SAFE, false)
}

fn encode(bytes: &[u8], alphabet: &[u8; 64], padded: bool) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let missing = 3 - chunk.len();
        let word = chunk.iter().fold(0_usize, |word, byte| (word << 8) | usize::from(*byte)) << (8 * missing);
        for place in 0..=chunk.len() {
            text.extend(alphabet.get((word >> (18 - 6 * place)) & 63).map(|letter| char::from(*letter)));
        }
        if padded {
            text.extend(std::iter::repeat_n('=', missing));
        }
    }
    text
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
    random_of(length, URL_SAFE)
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
    fn base64_agrees_with_rfc_4648_section_10() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
            assert_eq!(base64url(plain.as_bytes()), encoded.trim_end_matches('='));
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn random_texts_have_the_length_asked_for_and_differ() {
        assert_eq!(random_alphanumeric(100).len(), 100);
        assert_ne!(random_url_safe(30), random_url_safe(30));
    }
}

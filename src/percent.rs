//! Percent-encoding (RFC 3986 §2.1): bytes as fewer characters, and back.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The ASCII characters that are left as they are, a bit for each. Every other byte is encoded.
#[derive(Clone, Copy)]
pub struct Kept(u128);

impl Kept {
    /// Letters and digits.
    pub const ALPHANUMERIC: Self = Self::those(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

    /// All but the controls.
    pub const PRINTABLE: Self = Self((u128::MAX << b' ') & !(1 << 0x7f));

    /// These as well.
    #[must_use]
    pub const fn and(self, others: &[u8]) -> Self {
        Self(self.0 | Self::those(others).0)
    }

    const fn those(mut characters: &[u8]) -> Self {
        let mut bits = 0;
        while let [first, rest @ ..] = characters {
            bits |= 1 << *first;
            characters = rest;
        }
        Self(bits)
    }

    fn has(self, byte: u8) -> bool {
        byte.is_ascii() && self.0 & (1 << byte) != 0
    }
}

/// `bytes` with all but those `kept` encoded, in upper-case digits.
pub fn encode(bytes: &[u8], kept: Kept) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        if kept.has(*byte) {
            encoded.push(char::from(*byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `text` decoded once. A `%` without two digits behind it stands for itself.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, behind @ ..] = rest {
        let (byte, behind) = escaped(rest).unwrap_or((*first, behind));
        decoded.push(byte);
        rest = behind;
    }
    Cow::Owned(decoded)
}

/// `text` decoded once; `None` when that is not UTF-8.
pub fn decode_utf8(text: &str) -> Option<String> {
    String::from_utf8(decode(text.as_bytes()).into_owned()).ok()
}

/// The byte that `text` begins with in its encoded form, and what stands behind it.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, behind @ ..] = text else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some((digit(*high)? << 4 | digit(*low)?, behind))
}

#[cfg(test)]
mod tests {
    use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC};
    use proptest::prelude::*;

    use super::*;

    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for (text, expected) in [("%", "%"), ("%4", "%4"), ("%4g%41", "%4gA"), ("%%41", "%A"), ("%2541", "%41")] {
            assert_eq!(decode(text.as_bytes()), expected.as_bytes(), "{text}");
        }
        assert_eq!(decode_utf8("%c3%a9"), Some("é".to_owned()));
        assert_eq!(decode_utf8("%c3"), None);
        assert!(matches!(decode(b"plain"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_crate_of_that_name(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "[%0-9a-gA-G]{0,40}") {
            for (kept, set) in [
                (Kept::ALPHANUMERIC, NON_ALPHANUMERIC),
                (Kept::ALPHANUMERIC.and(b"-._~"), UNRESERVED),
                (Kept::PRINTABLE, CONTROLS),
            ] {
                prop_assert_eq!(encode(&bytes, kept), percent_encoding::percent_encode(&bytes, set).to_string());
            }
            for text in [text.as_bytes(), &bytes] {
                prop_assert_eq!(&*decode(text), &*Cow::from(percent_encoding::percent_decode(text)));
            }
            let encoded = encode(&bytes, Kept::ALPHANUMERIC);
            prop_assert_eq!(&*decode(encoded.as_bytes()), &*bytes);
        }
    }
}

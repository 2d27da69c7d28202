//! Texts the simulated parties make: base64, random identifiers, times.

use aws_lc_rs::rand;

use crate::clock::Timestamp;

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

/// RFC 3339 in UTC with milliseconds, the form of every time in the Management API.
pub(super) fn rfc3339(time: Timestamp) -> String {
    let millis = time.unix_millis();
    let seconds = millis / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01 in the proleptic Gregorian calendar: with the year begun in March, the leap day comes
    // last and every month's first day is a linear function of its number.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", millis % 1000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn times_are_written_as_the_calendar_has_them() {
        let written = |seconds| rfc3339(Timestamp::from_unix_seconds(seconds));
        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(951_827_696), "2000-02-29T12:34:56.000Z");
        assert_eq!(written(4_102_444_799), "2099-12-31T23:59:59.000Z");
        let later = Timestamp::from_unix_seconds(1_767_323_045).plus(Duration::from_millis(678));
        assert_eq!(rfc3339(later), "2026-01-02T03:04:05.678Z");
    }

    #[test]
    fn random_texts_have_the_length_asked_for_and_differ() {
        assert_eq!(random_alphanumeric(100).len(), 100);
        assert_ne!(random_url_safe(30), random_url_safe(30));
    }
}

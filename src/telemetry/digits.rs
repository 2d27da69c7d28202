//! Numbers as text, without the machinery of `format!`: every request writes a dozen of them.

use std::time::Duration;

/// Appends a number in decimal.
pub fn push_decimal(out: &mut String, number: u64) {
    push_padded(out, number, 1);
}

/// Appends milliseconds with three digits behind the point.
pub fn push_millis(out: &mut String, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    push_decimal(out, micros / 1000);
    out.push('.');
    push_padded(out, micros % 1000, 3);
}

/// Appends a number in decimal, with zeros in front up to `width` digits (20 at the most).
pub fn push_padded(out: &mut String, number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut used) = (number, 0);
    for (index, digit) in digits.iter_mut().rev().enumerate() {
        if rest == 0 {
            break;
        }
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used = index + 1;
    }
    let start = digits.len() - used.max(width.min(digits.len()));
    out.push_str(digits.get(start..).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default());
}

/// Appends a number in hexadecimal, 16 digits.
pub fn push_hex(out: &mut String, number: u64) {
    for shift in (0..16).rev() {
        let digit = u32::try_from((number >> (4 * shift)) & 15).unwrap_or(0);
        out.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        push(&mut out);
        out
    }

    #[test]
    fn numbers_are_written_as_format_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, 999_999_999, u64::MAX] {
            assert_eq!(text(|out| push_decimal(out, number)), number.to_string());
            assert_eq!(text(|out| push_padded(out, number, 4)), format!("{number:04}"));
            assert_eq!(text(|out| push_hex(out, number)), format!("{number:016x}"));
        }
    }

    #[test]
    fn milliseconds_have_three_digits_behind_the_point() {
        for (micros, expected) in [(0, "0.000"), (7, "0.007"), (1_000, "1.000"), (12_345_678, "12345.678")] {
            assert_eq!(text(|out| push_millis(out, Duration::from_micros(micros))), expected);
        }
    }
}

//! Numbers as text, without the machinery of `format!`: every request writes a dozen of them.

use std::time::Duration;

/// Appends a number in decimal.
pub fn push_decimal(out: &mut String, number: u64) {
    match u32::try_from(number) {
        // Most are: whole milliseconds of a step, a single thing counted.
        Ok(digit @ 0..=9) => push_digit(out, digit),
        _ => push_padded(out, number, 1),
    }
}

fn push_digit(out: &mut String, digit: u32) {
    out.push(char::from_digit(digit, 10).unwrap_or('0'));
}

/// Appends milliseconds with three digits behind the point.
pub fn push_millis(out: &mut String, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    push_decimal(out, micros / 1000);
    out.push('.');
    let rest = u32::try_from(micros % 1000).unwrap_or(0);
    push_digit(out, rest / 100);
    push_digit(out, rest / 10 % 10);
    push_digit(out, rest % 10);
}

/// Appends a number in decimal, with zeros in front up to `width` digits.
pub fn push_padded(out: &mut String, number: u64, width: u32) {
    let mut power = 10_u64.pow(width.saturating_sub(1).min(19));
    while number / power > 9 {
        power *= 10;
    }
    while power > 0 {
        push_digit(out, u32::try_from(number / power % 10).unwrap_or(0));
        power /= 10;
    }
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

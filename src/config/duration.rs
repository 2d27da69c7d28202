//! Durations as they are written: a whole number and one unit.

use std::time::Duration;

use super::value::{Invalid, Item};

/// A year: longer than any wait that is meant, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads `"250ms"`, `"10s"`, `"5m"` or `"1h"`.
pub(super) fn duration(item: &Item<'_>) -> Result<Duration, Invalid> {
    parse(item.as_text().map_err(|wrong_type| wrong_type.hint(FORMS))?)
}

/// Reads the same from a command line.
pub fn parse_duration(text: &str) -> Option<Duration> {
    parse(text).ok()
}

fn parse(text: &str) -> Result<Duration, Invalid> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis_per_unit: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(no_duration()),
    };
    if number.is_empty() {
        return Err(no_duration());
    }
    let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis_per_unit));
    match millis.map(Duration::from_millis) {
        Some(Duration::ZERO) => Err(Invalid::value("must be longer than zero")),
        Some(duration) if duration <= LONGEST => Ok(duration),
        Some(_) | None => Err(Invalid::value("must be at most a year")),
    }
}

const FORMS: &str = "such as \"250ms\", \"10s\", \"5m\" or \"1h\"";

fn no_duration() -> Invalid {
    Invalid::value("must be a duration: a whole number and one unit").hint(FORMS)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
    }

    #[test]
    fn anything_else_is_none() {
        for bad in ["", "s", "10", "1.5s", "-1s", "+1s", " 1s", "1 s", "1s ", "1S", "1d", "1h30m", "١s", "0s", "0ms"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for long in ["8761h", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(parse(long).unwrap_err().message, "must be at most a year", "{long}");
        }
    }
}

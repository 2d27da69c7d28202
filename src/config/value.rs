//! One value of the file, and what is wrong with it.

use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::fault::Code;

/// A value, the key it stands under and its place.
pub(super) struct Item<'t> {
    /// The key in full, such as `auth0.issuers[1]`.
    pub(super) key: String,
    /// The key as its table has it, such as `issuers[1]`.
    pub(super) name: String,
    pub(super) span: Option<Range<usize>>,
    /// Whether it comes from a preset. Its place is then the header that brought the preset in, for all its parts.
    pub(super) is_inherited: bool,
    pub(super) value: &'t DeValue<'t>,
}

/// What is wrong with a value: the end of a sentence that begins with its key. It never quotes the value, which may
/// be a secret in the wrong place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Invalid {
    /// A value that cannot be meant.
    pub(super) fn value(message: impl Into<String>) -> Self {
        Self { code: Code::BadValue, message: message.into(), hint: None }
    }

    /// A value that cannot stand beside another.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self { code: Code::Conflict, message: message.into(), hint: None }
    }

    /// A secret that is not to be had.
    pub(super) fn secret(message: impl Into<String>) -> Self {
        Self { code: Code::SecretUnavailable, message: message.into(), hint: None }
    }

    /// The same, with what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<'t> Item<'t> {
    /// The fault that this is not `expected`.
    pub(super) fn wrong_type(&self, expected: &str) -> Invalid {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        Invalid { code: Code::WrongType, message: format!("must be {expected}, not {found}"), hint: None }
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Result<Vec<Self>, Invalid> {
        let list = self.value.as_array().ok_or_else(|| self.wrong_type("a list"))?;
        let element = |(index, value): (usize, &'t Spanned<DeValue<'t>>)| {
            let part = format!("[{index}]");
            self.part(&part, value.span(), value.get_ref())
        };
        Ok(list.iter().enumerate().map(element).collect())
    }

    /// The entries of a table whose keys are for the user to choose, by those keys.
    pub(super) fn entries(&self) -> Result<Vec<(&'t str, Self)>, Invalid> {
        let table = self.value.as_table().ok_or_else(|| self.wrong_type("a table"))?;
        let entry = |(key, value): (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)| {
            let part = format!(".{}", key.get_ref().escape_debug());
            (&**key.get_ref(), self.part(&part, key.span().start..value.span().end, value.get_ref()))
        };
        Ok(table.iter().map(entry).collect())
    }

    fn part(&self, part: &str, span: Range<usize>, value: &'t DeValue<'t>) -> Self {
        Self {
            key: format!("{}{part}", self.key),
            name: format!("{}{part}", self.name),
            span: if self.is_inherited { self.span.clone() } else { Some(span) },
            is_inherited: self.is_inherited,
            value,
        }
    }

    /// A string.
    pub(super) fn as_text(&self) -> Result<&'t str, Invalid> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a string"))
    }
}

/// Reads a string, and what `parse` makes of it.
pub(super) fn text<T>(parse: impl Fn(&str) -> Result<T, Invalid>) -> impl Fn(&Item<'_>) -> Result<T, Invalid> {
    move |item| parse(item.as_text()?)
}

/// Reads one of a few words.
pub(super) fn one_of<T: Copy, const N: usize>(
    words: [(&'static str, T); N],
) -> impl Fn(&Item<'_>) -> Result<T, Invalid> {
    text(move |text| {
        let known = words.iter().find(|(word, _)| *word == text);
        known
            .map(|(_, value)| *value)
            .ok_or_else(|| Invalid::value(format!("must be {}", listed(words.map(|(word, _)| word)))))
    })
}

/// `"a", "b" or "c"`.
fn listed<const N: usize>(words: [&str; N]) -> String {
    let quoted = words.map(|word| format!("\"{word}\""));
    match quoted.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        Some(_) | None => quoted.concat(),
    }
}

/// Reads `true` or `false`.
pub(super) fn boolean(item: &Item<'_>) -> Result<bool, Invalid> {
    item.value.as_bool().ok_or_else(|| item.wrong_type("true or false"))
}

/// Reads a whole number within `range`.
pub(super) fn count(range: RangeInclusive<u32>) -> impl Fn(&Item<'_>) -> Result<usize, Invalid> {
    move |item| {
        let integer = item.value.as_integer().ok_or_else(|| item.wrong_type("a whole number"))?;
        // What does not fit is out of range too.
        let count = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let count = count.filter(|count| range.contains(count)).and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| Invalid::value(format!("must be between {} and {}", range.start(), range.end())))
    }
}

/// Reads a number above zero.
pub(super) fn positive(item: &Item<'_>) -> Result<f64, Invalid> {
    let written = match item.value {
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        DeValue::Float(float) => float.as_str(),
        DeValue::Integer(_)
        | DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return Err(item.wrong_type("a decimal number")),
    };
    let number = written.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| Invalid::value("must be a number above zero"))
}

/// Reads a text with something in it: printable, and no space at either end.
pub(super) fn not_empty(text: &str) -> Result<String, Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::value("must not be empty"));
    }
    if text.trim() != text || text.contains(char::is_control) {
        return Err(Invalid::value("must have no space at its ends and no control character"));
    }
    Ok(text.to_owned())
}

/// Reads an RFC 9110 token, the form of names in HTTP.
pub(super) fn token(text: &str) -> Result<String, Invalid> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err(Invalid::value("must be one word of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110, token)"));
    }
    Ok(text.to_owned())
}

/// Reads one scope (RFC 6749 §3.3).
pub(super) fn scope(text: &str) -> Result<String, Invalid> {
    if text.contains(' ') {
        return Err(Invalid::value("must be one scope").hint("give each scope its own place in the list"));
    }
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if text.is_empty() || !text.bytes().all(is_allowed) {
        return Err(Invalid::value("must be a scope: visible ASCII without quotes and backslashes (RFC 6749 §3.3)"));
    }
    Ok(text.to_owned())
}

/// Reads an address and a port.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Invalid> {
    text.parse().map_err(|_| {
        Invalid::value("must be an IP address and a port")
            .hint("such as \"127.0.0.1:8080\"; \"0.0.0.0:8080\" or \"[::]:8080\" listens on every interface")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(toml: &str, read: impl Fn(&Item<'_>) -> Result<T, Invalid>) -> Result<T, Invalid> {
        let (value, errors) = DeValue::parse_recoverable(toml);
        assert!(errors.is_empty(), "{toml}");
        read(&Item {
            key: "t.k".to_owned(),
            name: "k".to_owned(),
            span: None,
            is_inherited: false,
            value: value.get_ref(),
        })
    }

    #[test]
    fn a_count_is_a_whole_number_in_its_range() {
        assert_eq!(read("1_000", count(1..=1000)), Ok(1000));
        assert_eq!(read("0x10", count(1..=1000)), Ok(16));
        for out in ["0", "-1", "1001", "99999999999999999999"] {
            assert_eq!(read(out, count(1..=1000)).unwrap_err().message, "must be between 1 and 1000", "{out}");
        }
        assert_eq!(read("1.5", count(1..=2)).unwrap_err().message, "must be a whole number, not a float");
        assert_eq!(read("\"1\"", count(1..=2)).unwrap_err().message, "must be a whole number, not a string");
    }

    #[test]
    fn a_rate_is_any_number_above_zero() {
        assert_eq!(read("2", positive), Ok(2.0));
        assert_eq!(read("0.5", positive), Ok(0.5));
        for bad in ["0", "-1", "0.0", "nan", "inf"] {
            assert!(read(bad, positive).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_in_http_are_tokens() {
        assert!(token("proxy-1.eu").is_ok());
        for bad in ["", "a b", "é", "a/b", "a:b", "a,b", "a\n"] {
            assert!(token(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scopes_stand_one_by_one() {
        assert!(scope("https://www.googleapis.com/auth/drive").is_ok());
        assert!(scope("read:github write:github").unwrap_err().hint.is_some());
        assert!(scope("").is_err());
    }
}

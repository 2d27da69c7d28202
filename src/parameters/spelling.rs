//! A parameter's name as a server would read it, byte by byte.

use super::NAME_BYTES_MAX;

/// A name that is being read. PHP's ways are among those of understanding one, since Facebook's API has them: spaces in
/// front do not count, dots and spaces are underscores, and `name[key]` is a part of `name`.
#[derive(Debug, Default)]
pub(super) struct Spelling {
    /// In lower case, and one byte longer than any name at most.
    name: Vec<u8>,
    escape: Escape,
    is_cut: bool,
}

/// What was read of a percent-encoded byte (RFC 3986 §2.1).
#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    Nothing,
    Sign,
    Digit(u8),
}

impl Spelling {
    /// The name that is encoded like this in a query or a form.
    pub(super) fn of(encoded: impl IntoIterator<Item = u8>) -> Self {
        let mut spelling = Self::default();
        encoded.into_iter().for_each(|byte| spelling.push_encoded(byte));
        spelling.end();
        spelling
    }

    /// The name that is written like this where nothing is encoded.
    pub(super) fn plain(name: &[u8]) -> Self {
        let mut spelling = Self::default();
        name.iter().for_each(|byte| spelling.push(*byte));
        spelling
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The next byte of a name in a query or a form.
    pub(super) fn push_encoded(&mut self, byte: u8) {
        match (self.escape, byte) {
            (Escape::Sign, byte) if byte.is_ascii_hexdigit() => self.escape = Escape::Digit(byte),
            (Escape::Digit(first), byte) if byte.is_ascii_hexdigit() => {
                self.escape = Escape::Nothing;
                self.push((value(first) << 4) | value(byte));
            }
            (Escape::Nothing | Escape::Sign | Escape::Digit(_), byte) => {
                self.end();
                match byte {
                    b'%' => self.escape = Escape::Sign,
                    b'+' => self.push(b' '),
                    byte => self.push(byte),
                }
            }
        }
    }

    /// What began like an encoded byte and was none stands for itself.
    pub(super) fn end(&mut self) {
        match std::mem::take(&mut self.escape) {
            Escape::Nothing => {}
            Escape::Sign => self.push(b'%'),
            Escape::Digit(digit) => {
                self.push(b'%');
                self.push(digit);
            }
        }
    }

    fn push(&mut self, byte: u8) {
        match byte {
            _ if self.is_cut || self.name.len() > NAME_BYTES_MAX => {}
            byte if byte.is_ascii_whitespace() && self.name.is_empty() => {}
            b'[' | 0 => self.is_cut = true,
            b' ' | b'.' => self.name.push(b'_'),
            byte => self.name.push(byte.to_ascii_lowercase()),
        }
    }
}

fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        digit => digit.to_ascii_lowercase().saturating_sub(b'a').saturating_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::Spelling;

    #[test]
    fn a_name_is_the_same_in_every_spelling() {
        for spelt in
            ["method", "METHOD", "%6dethod", "%6Deth%4fd", "+%20method", "method[]", "method%5Bx%5D", "method%00x"]
        {
            assert_eq!(Spelling::of(spelt.bytes()).name(), b"method", "{spelt}");
        }
        for other in ["methods", "xmethod", "", "%6", "method%", "method%2", "meth%zzod", "%2566"] {
            assert_ne!(Spelling::of(other.bytes()).name(), b"method", "{other}");
        }
        assert_eq!(Spelling::of("a.b+c%zz%4".bytes()).name(), b"a_b_c%zz%4");
        assert_eq!(Spelling::plain(b" a+%41").name(), b"a+%41");
    }
}

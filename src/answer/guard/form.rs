//! The forms in which a token is looked for: as it is, and as a part of Base64 text.
//!
//! Either may have been escaped on its way into the answer. So each character that is not safe everywhere is also
//! recognised percent-encoded, as JSON and JavaScript escape it (`\/`, `\u002F`) and as HTML does (`&#x2F;`, `&#47;`), in
//! upper and lower case and in any mixture: encoders differ in what they escape.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// No spelling of a character is longer: `\u002F` and `&#x2F;`.
const SPELLING_MAX: usize = 6;

/// One form of a token.
pub(super) struct Form {
    text: Vec<u8>,
    is_base64: bool,
}

/// What a text begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The form, in so many bytes.
    Whole(usize),
    /// The text ends before the form does.
    Part,
    /// Something else.
    Other,
}

impl Form {
    /// All forms of `token`.
    pub(super) fn all(token: &[u8]) -> Vec<Self> {
        let mut forms = vec![Self { text: token.to_vec(), is_base64: false }];
        forms.extend((0..3).map(|offset| Self { text: base64(token, offset), is_base64: true }));
        forms
    }

    /// How long it is when nothing is escaped.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// How long it is when everything is that can be.
    pub(super) fn len_max(&self) -> usize {
        self.text.iter().map(|character| if self.is_safe(*character) { 1 } else { SPELLING_MAX }).sum()
    }

    /// The characters at the beginning that are always spelt the same, `count` at most.
    pub(super) fn safe_start(&self, count: usize) -> &[u8] {
        let start = self.text.get(..count).unwrap_or(&self.text);
        let end = start.iter().position(|character| !self.is_safe(*character)).unwrap_or(start.len());
        start.get(..end).unwrap_or_default()
    }

    /// Every pair of bytes that it may begin with.
    pub(super) fn first_pairs(&self) -> Vec<(u8, u8)> {
        let [first, second, ..] = *self.text.as_slice() else { return Vec::new() };
        let mut pairs: Vec<(u8, u8)> = Vec::new();
        for raw in self.raw(first) {
            pairs.extend(self.raw(second).map(|second| (raw, second)));
            if !self.is_safe(second) {
                pairs.extend([(raw, b'%'), (raw, b'\\'), (raw, b'&')]);
            }
        }
        if !self.is_safe(first) {
            pairs.extend(escapes(first).iter().filter_map(|spelling| Some((*spelling.first()?, *spelling.get(1)?))));
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// Whether `text` begins with this form.
    pub(super) fn start_of(&self, text: &[u8]) -> Start {
        let mut rest = text;
        for &character in &self.text {
            let Some((first, behind)) = rest.split_first() else { return Start::Part };
            if *first == character {
                rest = behind;
                continue;
            }
            if self.is_safe(character) {
                return Start::Other;
            }
            if self.raw(character).any(|raw| raw == *first) {
                rest = behind;
                continue;
            }
            match escaped(character, rest) {
                Start::Whole(length) => rest = rest.get(length..).unwrap_or_default(),
                other @ (Start::Part | Start::Other) => return other,
            }
        }
        Start::Whole(text.len() - rest.len())
    }

    /// Whether nobody escapes `character`. What begins an escape is looked for as it is only, so that a text is never to
    /// be read in two ways; no token has it, and none has bytes beyond ASCII.
    fn is_safe(&self, character: u8) -> bool {
        character.is_ascii_alphanumeric()
            || matches!(character, b'%' | b'\\' | b'&' | b'.' | b'~' | 128..)
            || !self.is_base64 && matches!(character, b'-' | b'_')
    }

    /// The bytes that `character` may stand there as, unescaped: two alphabets of Base64 differ in two characters
    /// (RFC 4648 §5).
    fn raw(&self, character: u8) -> impl Iterator<Item = u8> + use<> {
        let twin = match character {
            b'+' if self.is_base64 => Some(b'-'),
            b'/' if self.is_base64 => Some(b'_'),
            _ => None,
        };
        std::iter::once(character).chain(twin)
    }
}

/// What Base64 text has of `token`, whatever stands around it, when it begins at `offset` in a group of three bytes.
fn base64(token: &[u8], offset: usize) -> Vec<u8> {
    let mut text = STANDARD_NO_PAD.encode([&vec![0; offset], token].concat()).into_bytes();
    // A character is six bits: one that has a bit of what stands before or behind depends on that.
    text.truncate((offset + token.len()) * 8 / 6);
    text.drain(..(offset * 8).div_ceil(6));
    text
}

/// Whether `text` begins with `character`, escaped.
fn escaped(character: u8, text: &[u8]) -> Start {
    let is_same = |(a, b): (&u8, &u8)| a == b || a.is_ascii_hexdigit() && a.eq_ignore_ascii_case(b);
    let mut start = Start::Other;
    for spelling in escapes(character) {
        if text.iter().zip(&spelling).all(is_same) {
            if text.len() >= spelling.len() {
                return Start::Whole(spelling.len());
            }
            start = Start::Part;
        }
    }
    start
}

/// The ways to escape `character`. None is the beginning of another.
fn escapes(character: u8) -> [Vec<u8>; 5] {
    [
        vec![b'\\', character],
        format!("%{character:02X}").into_bytes(),
        format!("\\u{character:04X}").into_bytes(),
        format!("&#x{character:02X};").into_bytes(),
        format!("&#{character};").into_bytes(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    const TOKEN: &[u8] = b"EwB4/A8l+6BA==";

    fn raw() -> Form {
        Form::all(TOKEN).swap_remove(0)
    }

    #[test]
    fn a_token_is_known_however_its_characters_are_escaped() {
        let spellings = [
            "EwB4/A8l+6BA==",
            "EwB4%2FA8l%2B6BA%3D%3D",
            "EwB4%2fA8l%2b6BA%3d%3d",
            "EwB4%2fA8l%2B6BA==",
            r"EwB4\/A8l+6BA==",
            r"EwB4\/A8l\u002b6BA\u003d\u003D",
            "EwB4&#x2F;A8l&#43;6BA&#x3d;&#x3D;",
        ];
        for spelling in spellings {
            let text = format!("{spelling} and more");
            assert_eq!(raw().start_of(text.as_bytes()), Start::Whole(spelling.len()), "{spelling}");
            for end in 1..spelling.len() {
                assert_eq!(raw().start_of(&spelling.as_bytes()[..end]), Start::Part, "{end} of {spelling}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_token_is_none() {
        for text in ["EwB4/A8l+6BB==", "EwB4%2GA8l", "EwB4%3FA8l", r"EwB4\U002F", r"EwB4\\/", "ewB4/A8l", "EwB4//A8l"] {
            assert_eq!(raw().start_of(text.as_bytes()), Start::Other, "{text}");
        }
    }

    #[test]
    fn base64_is_known_at_every_alignment_whatever_stands_around_it() {
        // With characters of both alphabets at each alignment.
        let token = b"\x7e\xfb\xf0~~~>>>???token";
        let forms = Form::all(token);
        for before in ["", "a", "ab", "abc", "~~", "user:"] {
            for after in ["", "\n", "??", "zzz"] {
                let content = [before.as_bytes(), token, after.as_bytes()].concat();
                for text in [STANDARD.encode(&content), URL_SAFE.encode(&content)] {
                    let mut starts = (0..text.len()).map(|from| &text.as_bytes()[from..]);
                    let length = starts.find_map(|text| {
                        forms[1..].iter().find_map(|form| match form.start_of(text) {
                            Start::Whole(length) => Some(length),
                            Start::Part | Start::Other => None,
                        })
                    });
                    // All but the two characters at most that it shares with its neighbours.
                    assert!(length.is_some_and(|length| length + 2 >= token.len() * 8 / 6), "{text}");
                }
            }
        }
    }
}

//! How the characters of a URL are spelled where it stands: as they are in a header, escaped in a JSON string.

/// A way of spelling.
pub(super) trait Spelling: Copy {
    /// Reads the first character of `raw`, and how many bytes spell it.
    fn first(raw: &[u8]) -> (Step, usize);
}

/// What comes next in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A character, or a byte of one outside ASCII.
    Byte(u8),
    /// The text is over.
    End,
    /// Something that is in no base.
    Foreign,
    /// What has come so far does not tell.
    Unknown,
}

/// A whole text in which every byte stands for itself.
#[derive(Clone, Copy)]
pub(super) struct Plain;

/// A JSON string behind its opening quote (RFC 8259 §7), which may not have come in full.
#[derive(Clone, Copy)]
pub(super) struct Json;

impl Spelling for Plain {
    fn first(raw: &[u8]) -> (Step, usize) {
        raw.first().map_or((Step::End, 0), |byte| (Step::Byte(*byte), 1))
    }
}

impl Spelling for Json {
    #[inline]
    fn first(raw: &[u8]) -> (Step, usize) {
        match raw {
            [] => (Step::Unknown, 0),
            [b'"', ..] => (Step::End, 0),
            [b'\\', escape @ ..] => unescape(escape),
            [byte, ..] => (Step::Byte(*byte), 1),
        }
    }
}

/// A slash may be escaped, as servers in PHP do, and any character may be written as its code point.
fn unescape(escape: &[u8]) -> (Step, usize) {
    match escape {
        [] => (Step::Unknown, 0),
        [b'/', ..] => (Step::Byte(b'/'), 2),
        [b'u', digits @ ..] => {
            let digits = digits.get(..4).unwrap_or(digits);
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return (Step::Foreign, 0);
            }
            if digits.len() < 4 {
                return (Step::Unknown, 0);
            }
            let point = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
            point.map_or((Step::Foreign, 0), |byte| (Step::Byte(byte), 6))
        }
        [..] => (Step::Foreign, 0),
    }
}

/// The path at the beginning of `raw` as its characters are, up to `most` bytes; `Unknown` if there is less and its end has
/// not come.
pub(super) fn path<S: Spelling>(raw: &[u8], most: usize) -> Result<Vec<u8>, Miss> {
    let (mut cursor, mut path) = (Cursor::<S>::new(raw), Vec::new());
    while cursor.taken() < most {
        match cursor.next() {
            Step::Byte(b'?' | b'#') | Step::End | Step::Foreign => break,
            Step::Byte(byte) => path.push(byte),
            Step::Unknown => return Err(Miss::Unknown),
        }
    }
    Ok(path)
}

/// A place in a text.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t, S> {
    rest: &'t [u8],
    taken: usize,
    spelling: std::marker::PhantomData<S>,
}

/// Why a text does not begin with a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// It begins otherwise.
    Other,
    /// It may yet: it has not come in full.
    Unknown,
}

impl<'t, S: Spelling> Cursor<'t, S> {
    /// The beginning of `raw`.
    pub(super) fn new(raw: &'t [u8]) -> Self {
        Self { rest: raw, taken: 0, spelling: std::marker::PhantomData }
    }

    /// How many bytes have been passed.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// What comes next, which is passed if it is a character.
    pub(super) fn next(&mut self) -> Step {
        let (step, length) = S::first(self.rest);
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.taken += length;
        step
    }

    /// What comes next.
    pub(super) fn peek(&self) -> Step {
        S::first(self.rest).0
    }

    /// Passes `expected`, if that comes next.
    pub(super) fn pass(&mut self, expected: &[u8], equal: impl Fn(u8, u8) -> bool) -> Result<(), Miss> {
        // Nearly always it is spelt as it is.
        if let Some(rest) = self.rest.strip_prefix(expected) {
            self.rest = rest;
            self.taken += expected.len();
            return Ok(());
        }
        for byte in expected {
            match self.next() {
                Step::Byte(found) if equal(found, *byte) => {}
                Step::Unknown => return Err(Miss::Unknown),
                Step::Byte(_) | Step::End | Step::Foreign => return Err(Miss::Other),
            }
        }
        Ok(())
    }
}

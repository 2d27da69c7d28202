//! The `Link` header (RFC 8288 §3). What its targets are is read; the rest stays as it is.

use std::ops::Range;

use super::bases::Bases;

/// The line with its targets pointed back; `None` if there is nothing to change, or it cannot be read.
pub(super) fn point_back(line: &[u8], bases: &Bases) -> Option<Vec<u8>> {
    let mut there: Option<Vec<u8>> = None;
    let mut from = 0;
    for target in targets(line)? {
        let Some(changed) = line.get(target.clone()).and_then(|target| bases.point_back(target)) else { continue };
        let there = there.get_or_insert_with(|| Vec::with_capacity(line.len() + 64));
        there.extend_from_slice(line.get(from..target.start)?);
        there.extend_from_slice(&changed);
        from = target.end;
    }
    let mut there = there?;
    there.extend_from_slice(line.get(from..)?);
    Some(there)
}

/// Where the targets stand: what is in `<…>`, in front of each link's parameters.
fn targets(line: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut reader = Reader { line, at: 0 };
    let mut targets = Vec::new();
    loop {
        // Elements of a list may be empty (RFC 9110 §5.6.1.2).
        reader.skip(|byte| is_space(byte) || byte == b',');
        if reader.peek().is_none() {
            return Some(targets);
        }
        reader.expect(b'<')?;
        let start = reader.at;
        reader.skip(|byte| byte != b'>' && byte != b'<');
        targets.push(start..reader.at);
        reader.expect(b'>')?;
        reader.parameters()?;
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

struct Reader<'l> {
    line: &'l [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&is_skipped) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    /// Passes `; name=value` and so on, up to the comma in front of the next link.
    fn parameters(&mut self) -> Option<()> {
        loop {
            self.skip(is_space);
            match self.peek() {
                None | Some(b',') => return Some(()),
                Some(b';') => self.at += 1,
                Some(_) => return None,
            }
            self.skip(is_space);
            self.skip(is_in_word);
            self.skip(is_space);
            if self.expect(b'=').is_some() {
                self.skip(is_space);
                self.value()?;
            }
        }
    }

    fn value(&mut self) -> Option<()> {
        if self.expect(b'"').is_none() {
            self.skip(is_in_word);
            return Some(());
        }
        loop {
            self.skip(|byte| byte != b'"' && byte != b'\\');
            match self.peek()? {
                b'\\' => self.at += 2,
                _ => return self.expect(b'"'),
            }
        }
    }
}

/// More than a token: values without quotes are seen with all kinds of characters.
fn is_in_word(byte: u8) -> bool {
    !is_space(byte) && !matches!(byte, b';' | b',' | b'=' | b'"' | b'<' | b'>')
}

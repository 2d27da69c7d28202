//! What of a file is not TOML, and what can be read in spite of it.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::DeTable;

/// How often a file is read anew after a broken line was taken out. Each round shows the faults behind the last one;
/// somebody who has this many broken lines is not helped by more.
const ROUNDS: usize = 32;

/// Something that is not TOML.
pub(super) struct SyntaxFault {
    pub(super) message: String,
    pub(super) span: Range<usize>,
}

/// Finds what in `text` is not TOML, at most one fault a line, and gives back the text with broken lines blanked out.
///
/// The parser recovers from most faults but leaves out everything after some, and what it makes of a broken line
/// would only earn further faults. Table headers stay: their keys would otherwise fall to the table before.
pub(super) fn split_off_faults(text: &str) -> (String, Vec<SyntaxFault>) {
    let mut legible = text.to_owned();
    let mut faults = Vec::new();
    let mut broken = BTreeSet::new();
    for _ in 0..ROUNDS {
        let (_, errors) = DeTable::parse_recoverable(&legible);
        let mut blank = Vec::new();
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let line = line_around(&legible, span.start);
            if broken.insert(line.start) {
                faults.push(SyntaxFault { message: error.message().to_owned(), span });
                blank.push(line);
            }
        }
        let blank: Vec<_> = blank.into_iter().filter(|line| !is_header(&legible, line)).collect();
        if blank.is_empty() {
            break;
        }
        legible = without(&legible, &blank);
    }
    (legible, faults)
}

/// The line with the byte at `offset`, without its newline. The end of a file belongs to its last line.
fn line_around(text: &str, offset: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let mut offset = offset.min(bytes.len());
    if offset == bytes.len() && bytes.last() == Some(&b'\n') {
        offset -= 1;
    }
    let (before, after) = bytes.split_at(offset);
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end = after.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| offset + length);
    start..end
}

fn is_header(text: &str, line: &Range<usize>) -> bool {
    text.get(line.clone()).is_some_and(|line| line.trim_start().starts_with('['))
}

/// `text` with as many spaces in place of `lines` as they have bytes, so that positions stay what they were.
fn without(text: &str, lines: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        if lines.iter().any(|line| line.contains(&index)) {
            kept.extend(std::iter::repeat_n(' ', character.len_utf8()));
        } else {
            kept.push(character);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of_faults(text: &str) -> Vec<usize> {
        let (_, faults) = split_off_faults(text);
        let line = |fault: &SyntaxFault| text[..line_around(text, fault.span.start).start].matches('\n').count() + 1;
        faults.iter().map(line).collect()
    }

    #[test]
    fn a_key_without_a_value_does_not_hide_what_comes_after_it() {
        assert_eq!(lines_of_faults("[a]\nb\nc = 1\nd\n[e]\nf = \n"), [2, 4, 6]);
    }

    #[test]
    fn a_broken_line_is_taken_out_and_the_rest_is_read() {
        let (legible, _) = split_off_faults("[a]\nb = \nc = 1\n");
        assert_eq!(legible, "[a]\n    \nc = 1\n");
    }

    #[test]
    fn a_file_of_toml_has_no_faults() {
        let (legible, faults) = split_off_faults("[a]\nb = 1\n");
        assert!(faults.is_empty());
        assert_eq!(legible, "[a]\nb = 1\n");
    }
}

//! Where the forms of a token stand in a text: one pass for all of them.
//!
//! Of each form two neighbouring bytes are looked for that texts seldom have; only where they stand, the form is compared.
//! The loop over a block has no branches, and compilers make of it what the processor has for many bytes at once.

use std::ops::Range;

use super::form::{Form, Start};

/// As many bytes are looked at before anything is decided.
const BLOCK: usize = 64;

/// The rare bytes are looked for among so many at the beginning of a form: those that come before the end of a text are
/// to be compared one by one.
const PROBE_OFFSET_MAX: usize = 16;

/// Two bytes that stand in every text that has the form.
pub(super) struct Probe {
    first: u8,
    second: u8,
    /// Where they stand in the form.
    offset: usize,
    /// Which form.
    form: usize,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Where the token stands; the places may overlap.
    pub(super) spans: Vec<Range<usize>>,
    /// From where on the text may be the beginning of one: what comes next decides.
    pub(super) open: Option<usize>,
}

/// What to look for to find `forms`.
pub(super) fn probes(forms: &[Form]) -> Vec<Probe> {
    let mut probes = Vec::with_capacity(forms.len());
    for (index, form) in forms.iter().enumerate() {
        let pairs = form.safe_start(PROBE_OFFSET_MAX).windows(2).enumerate();
        let pairs = pairs.filter_map(|(offset, pair)| match *pair {
            [first, second] => Some(Probe { first, second, offset, form: index }),
            _ => None,
        });
        match pairs.min_by_key(|probe| commonness(probe.first) + commonness(probe.second)) {
            Some(rarest) => probes.push(rarest),
            None => {
                let probe = |(first, second)| Probe { first, second, offset: 0, form: index };
                probes.extend(form.first_pairs().into_iter().map(probe));
            }
        }
    }
    probes
}

/// How often a byte is met in the answers of APIs, roughly.
fn commonness(byte: u8) -> u8 {
    match byte {
        b'J' | b'K' | b'Q' | b'V' | b'W' | b'X' | b'Y' | b'Z' => 0,
        b'A'..=b'Z' => 1,
        b'j' | b'k' | b'q' | b'v' | b'w' | b'x' | b'z' => 2,
        b'0'..=b'9' => 3,
        _ => 4,
    }
}

/// Looks through `text`, which goes on behind its end.
pub(super) fn scan(forms: &[Form], probes: &[Probe], text: &[u8]) -> Findings {
    let mut findings = whole(forms, probes, text);
    let mut last_form = None;
    for probe in probes {
        // All probes of a form stand at the same place in it.
        if last_form.replace(probe.form) == Some(probe.form) {
            continue;
        }
        let Some(form) = forms.get(probe.form) else { continue };
        for start in text.len().saturating_sub(probe.offset + 1)..text.len() {
            findings.note(form, start, text);
        }
    }
    findings
}

/// Looks through `text`, which ends where it ends: only what comes before the last probes may still be found open.
pub(super) fn whole(forms: &[Form], probes: &[Probe], text: &[u8]) -> Findings {
    let mut findings = Findings::default();
    if is_clear_and_short(probes, text) {
        return findings;
    }
    let seconds = text.get(1..).unwrap_or_default();
    let (first_blocks, _) = text.as_chunks::<BLOCK>();
    let (second_blocks, rest) = seconds.as_chunks::<BLOCK>();
    for (index, (firsts, seconds)) in first_blocks.iter().zip(second_blocks).enumerate() {
        if has_any(probes, firsts, seconds) {
            look(forms, probes, text, index * BLOCK..(index + 1) * BLOCK, &mut findings);
        }
    }
    // What is left is looked at in a block as well, which overlaps the one before it.
    let is_clear = match (text.split_last().and_then(|(_, firsts)| firsts.last_chunk()), seconds.last_chunk()) {
        (Some(firsts), Some(seconds)) => !has_any(probes, firsts, seconds),
        _ => false,
    };
    if !is_clear {
        look(forms, probes, text, seconds.len() - rest.len()..seconds.len(), &mut findings);
    }
    findings
}

/// Whether a text of less than a block, as most headers are, has no probe in it: looked at as a block all the same, with
/// zeros behind it, which are in no token.
fn is_clear_and_short(probes: &[Probe], text: &[u8]) -> bool {
    let mut block = [0; BLOCK + 1];
    let Some(start) = block.get_mut(..text.len()).filter(|_| text.len() <= BLOCK) else { return false };
    start.copy_from_slice(text);
    let (firsts, seconds) = (block.first_chunk(), block.last_chunk());
    firsts.zip(seconds).is_some_and(|(firsts, seconds)| !has_any(probes, firsts, seconds))
}

/// Whether any probe stands in a block, whose bytes are `firsts`; `seconds` are those one further on.
#[inline]
fn has_any(probes: &[Probe], firsts: &[u8; BLOCK], seconds: &[u8; BLOCK]) -> bool {
    let mut hits = [0; BLOCK];
    for probe in probes {
        for ((hit, first), second) in hits.iter_mut().zip(firsts).zip(seconds) {
            *hit |= u8::from(*first == probe.first) & u8::from(*second == probe.second);
        }
    }
    hits.iter().fold(0, |any, hit| any | hit) != 0
}

/// Looks for the forms whose probes begin within `range`.
fn look(forms: &[Form], probes: &[Probe], text: &[u8], range: Range<usize>, findings: &mut Findings) {
    let pairs = text.get(range.start..range.end + 1).unwrap_or_default().windows(2);
    for (at, pair) in range.zip(pairs) {
        for probe in probes {
            if *pair == [probe.first, probe.second]
                && let Some(start) = at.checked_sub(probe.offset)
                && let Some(form) = forms.get(probe.form)
            {
                findings.note(form, start, text);
            }
        }
    }
}

impl Findings {
    fn note(&mut self, form: &Form, start: usize, text: &[u8]) {
        match form.start_of(text.get(start..).unwrap_or_default()) {
            Start::Whole(length) => self.spans.push(start..start + length),
            Start::Part => self.open = Some(self.open.map_or(start, |open| open.min(start))),
            Start::Other => {}
        }
    }
}

//! The leak guard: the token that was sent to a provider must not come back in its answer.
//!
//! Headers and plain text are masked in place, byte for byte, so that lengths hold. Compressed text is forwarded as it
//! came while a decoded copy of it is watched, and cut off before the token leaves.
//!
//! What is looked for is in [`form`]. What is not covered: answers that are not text; codings other than gzip, deflate,
//! brotli and zstd, and one on top of another; the edges of a piece (206), and pieces of compressed text altogether; a
//! token that was taken apart, encrypted, or written down in any other way than those of [`form`].

use self::form::Form;
use self::scan::{Findings, Probe};

mod alarm;
mod fields;
mod form;
mod guarded;
mod headers;
mod parameters;
mod plain;
mod scan;
mod watch;

pub use alarm::{Alarm, Finding};
pub use fields::Fields;
pub use guarded::Guarded;
pub use parameters::Parameters;

/// Shorter tokens are not looked for: ordinary words are as long, and an answer with every "customer" masked in it would
/// be worth nothing. No provider's token is that short.
const TOKEN_LENGTH_MIN: usize = 8;

/// Knows the token by all its forms. It takes several times the token's length, so that few are kept: those of tokens that
/// were used last.
pub struct Guard {
    forms: Vec<Form>,
    probes: Vec<Probe>,
}

impl Guard {
    /// Looks for `token`, as it stands behind its prefix; `None` if that is too short to be told from ordinary text.
    #[must_use]
    pub fn new(token: &[u8]) -> Option<Self> {
        if token.len() < TOKEN_LENGTH_MIN {
            return None;
        }
        let forms = Form::all(token);
        let probes = scan::probes(&forms);
        Some(Self { forms, probes })
    }

    /// What there is of the token in `text`, which goes on behind its end.
    fn scan(&self, text: &[u8]) -> Findings {
        scan::scan(&self.forms, &self.probes, text)
    }

    /// What there is of the token in `text`, which is complete.
    fn scan_whole(&self, text: &[u8]) -> Findings {
        if self.forms.iter().all(|form| text.len() < form.len()) {
            return Findings::default();
        }
        scan::whole(&self.forms, &self.probes, text)
    }

    /// The most bytes that the beginning of a token can take without being the whole of it.
    fn reach(&self) -> usize {
        self.forms.iter().map(Form::len_max).max().unwrap_or_default()
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Guard(…)")
    }
}

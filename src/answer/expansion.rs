//! How much longer a compressed body may become.

use super::guard::Finding;

/// A body may be so many times longer unpacked (the text of APIs is ten or twenty times)…
const TIMES_MAX: u64 = 200;

/// … and any body so long, in bytes: what is all the same compresses to nothing.
const FREE: u64 = 4 << 20;

/// How long a body and its decoded copy are until now.
#[derive(Clone, Copy, Default)]
pub(super) struct Expansion {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl Expansion {
    /// Counts what was read and what it gave, both in bytes.
    ///
    /// # Errors
    /// [`Finding::Bomb`] when it gives too much.
    pub(super) fn grow(&mut self, input: usize, output: usize) -> Result<(), Finding> {
        self.input += input as u64;
        self.output += output as u64;
        let is_bomb = self.output > FREE.saturating_add(self.input.saturating_mul(TIMES_MAX));
        if is_bomb { Err(Finding::Bomb) } else { Ok(()) }
    }
}

//! What the guard tells about what it found.

use std::sync::Arc;

/// Hears of each [`Finding`], once for an answer and a place. One for each provider is enough: it is shared.
pub type Alarm = Arc<dyn Fn(Finding) + Send + Sync>;

/// What was found in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// The token, in a header or a trailer. It was masked.
    Header,
    /// The token, in a plain body. It was masked.
    Body,
    /// The token, in a compressed body. The answer was cut before it.
    Compressed,
    /// A compressed body that cannot be read. The answer was cut there: nobody knows what is in the rest.
    Unreadable,
    /// A compressed body that is some hundred times longer unpacked. The answer was cut there.
    Bomb,
}

impl Finding {
    /// Its name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Body => "body",
            Self::Compressed => "compressed",
            Self::Unreadable => "unreadable",
            Self::Bomb => "bomb",
        }
    }

    /// Whether the provider gave the token back, and not only an answer in which it could not be looked for.
    #[must_use]
    pub fn is_leak(self) -> bool {
        match self {
            Self::Header | Self::Body | Self::Compressed => true,
            Self::Unreadable | Self::Bomb => false,
        }
    }
}

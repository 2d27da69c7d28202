//! What a probe found out.

/// What a probe found out about one thing.
pub(super) struct Finding {
    /// What was looked at.
    pub(super) probe: &'static str,
    /// Which one.
    pub(super) about: String,
    pub(super) outcome: Outcome,
    /// What was found, without a full stop.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
    /// The key of the configuration that it is about.
    pub(super) key: Option<String>,
}

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As they should be.
    Fine,
    /// Nobody could look.
    Unknown,
    /// Not as they should be, but calls succeed.
    Warning,
    /// Something is wrong in the configuration, at the tenant or at a provider.
    Wrong,
    /// It could not be reached.
    OutOfReach,
}

impl Outcome {
    /// Its word in the table.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Unknown => "?",
            Self::Warning => "warning",
            Self::Wrong => "WRONG",
            Self::OutOfReach => "NO ANSWER",
        }
    }

    /// Its word in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
            Self::OutOfReach => "out_of_reach",
        }
    }
}

impl Finding {
    fn new(outcome: Outcome, probe: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self { probe, about: about.to_owned(), outcome, message: message.into(), hint: None, key: None }
    }

    pub(super) fn fine(probe: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self::new(Outcome::Fine, probe, about, message)
    }

    pub(super) fn unknown(probe: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self::new(Outcome::Unknown, probe, about, message)
    }

    pub(super) fn warning(probe: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self::new(Outcome::Warning, probe, about, message)
    }

    pub(super) fn wrong(probe: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self::new(Outcome::Wrong, probe, about, message)
    }

    pub(super) fn out_of_reach(probe: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self::new(Outcome::OutOfReach, probe, about, message)
    }

    /// The same, about this key.
    pub(super) fn at(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same, with what to do.
    pub(super) fn fix(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

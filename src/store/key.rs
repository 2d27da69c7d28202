//! What a row is about.

use std::fmt;
use std::sync::Arc;

/// What a row is about: one grant of one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The tenant's domain.
    pub tenant: Arc<str>,
    /// The user's id there.
    pub subject: Arc<str>,
    /// The connection's name.
    pub connection: Arc<str>,
    /// The account at the connection's provider.
    pub account: Arc<str>,
    /// What the tokens are for, where a provider tells tokens apart by that.
    pub audience: Arc<str>,
}

impl Key {
    pub(super) fn parts(&self) -> [&str; 5] {
        [&self.tenant, &self.subject, &self.connection, &self.account, &self.audience]
    }

    /// Reads what [`Key`]'s `Display` has written.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: [String; 5] = serde_json::from_str(text).ok()?;
        let [tenant, subject, connection, account, audience] = parts.map(Arc::from);
        Some(Self { tenant, subject, connection, account, audience })
    }
}

impl fmt::Display for Key {
    /// Unambiguous: the parts as a JSON list.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&serde_json::to_string(&self.parts()).unwrap_or_default())
    }
}

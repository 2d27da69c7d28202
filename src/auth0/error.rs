//! What can go wrong between us and the tenant. The display texts are ours; what the tenant or the network said stays
//! in the source, for the log.

use std::time::Duration;

/// Why the tenant gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// Not reached, or cut off, or no answer within `tenant_timeout`.
    #[error("the tenant could not be reached")]
    Unreachable(#[source] reqwest::Error),
    /// A 5xx.
    #[error("the tenant answered with status {0}")]
    Failing(u16),
    /// An answer that is not what the endpoint promises.
    #[error("the tenant's answer makes no sense: {0}")]
    Nonsense(&'static str, #[source] Option<Misfit>),
    /// 429, or our own budget for it is used up.
    #[error("the tenant is called as often as it allows")]
    RateLimited {
        /// When another call may succeed.
        retry_after: Duration,
    },
    /// No turn came within the caller's patience.
    #[error("the tenant did not answer in time")]
    TooSlow,
    /// 401 for our management token, also for a new one.
    #[error("the tenant refuses its own management token")]
    TokenRefused,
    /// The application is not set up as it must be; the text names the cure.
    #[error("{0}")]
    Misconfigured(&'static str),
}

/// Where an answer is not the JSON it should be. serde_json's own words quote the value that they complain of, which
/// may be a token.
#[derive(Debug, thiserror::Error)]
#[error("{kind:?} error at line {line}, column {column}")]
pub struct Misfit {
    kind: serde_json::error::Category,
    line: usize,
    column: usize,
}

impl TenantError {
    /// An answer that breaks its promise.
    #[must_use]
    pub fn nonsense(what: &'static str) -> Self {
        Self::Nonsense(what, None)
    }

    /// An answer that is not the JSON it should be.
    pub(super) fn misfit(error: &serde_json::Error) -> Self {
        let misfit = Misfit { kind: error.classify(), line: error.line(), column: error.column() };
        Self::Nonsense("it is not the expected JSON", Some(misfit))
    }

    /// When another call may succeed, if the tenant says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Unreachable(_)
            | Self::Failing(_)
            | Self::Nonsense(..)
            | Self::TooSlow
            | Self::TokenRefused
            | Self::Misconfigured(_) => None,
        }
    }

    /// The outcome's name in `idp_proxy_tenant_calls_total`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::TooSlow => "unreachable",
            Self::Failing(_) => "failing",
            Self::Nonsense(..) => "nonsense",
            Self::RateLimited { .. } => "rate_limited",
            Self::TokenRefused => "token_refused",
            Self::Misconfigured(_) => "misconfigured",
        }
    }
}

//! Why there is no token for a call.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Class;
use crate::auth0::TenantError;
use crate::store::StoreError;

/// Why there is no token for a call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// The user has no (such) account at the connection.
    #[error("you have no {}account connected at {connection}", if *.other_accounts { "such " } else { "" })]
    NotConnected {
        /// The connection's name.
        connection: Arc<str>,
        /// Whether there are accounts, only not the one that was asked for.
        other_accounts: bool,
    },
    /// Several accounts, and the call does not say which.
    #[error("you have several accounts there; say which with Idp-Proxy-Account")]
    AmbiguousAccount {
        /// Their ids.
        choices: Vec<String>,
    },
    /// The provider no longer renews the grant.
    #[error("the grant of your account at {connection} can no longer be renewed ({reason}); sign in there again")]
    Dead {
        /// The connection's name.
        connection: Arc<str>,
        /// What has become of it.
        reason: &'static str,
    },
    /// The user had it disconnected.
    #[error("you have disconnected your account at {connection}; sign in there again to use it")]
    Disconnected {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// Only the user can take it out of Token Vault, at the tenant.
    #[error(
        "Token Vault keeps your account at {connection}, and only you can take it out: DELETE \
         /me/v1/connected-accounts/accounts/ID at the tenant, with a token for its My Account API"
    )]
    InVault {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// The token has expired, and nothing can renew it.
    #[error("the access token of your account at {connection} has expired; sign in there again")]
    Expired {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// The provider refused the token, and the tenant holds no other.
    #[error("{connection} no longer accepts the access token of your account; sign in there again")]
    Rejected {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// The account is there, but the tenant holds no token for it.
    #[error("the tenant holds no access token for your account at {connection}; sign in there again")]
    NoToken {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// The account is there, but there is no refresh token to have one with for the provider's audience.
    #[error(
        "the tenant holds no refresh token for your account at {connection}, which a token for this provider is had with; \
         sign in there again, with offline access"
    )]
    NoOfflineAccess {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// Token Vault holds nothing for the account, or nothing that can be renewed.
    #[error("Token Vault holds no token for your account at {connection}; connect it (again)")]
    NotInVault {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// Token Vault cannot be used as the tenant is set up, or does not answer as Token Vault does.
    #[error("Token Vault gave no token: {cause}")]
    NoVault {
        /// What has to be set up.
        #[source]
        cause: Arc<TenantError>,
        /// Whether it is so for everybody at the connection, and not for this user or call alone.
        is_general: bool,
    },
    /// The caller's own token has expired since it was verified, so that nothing can be had for it.
    #[error("the access token has expired; get a new one from the tenant")]
    CallerExpired,
    /// A token with characters that no header can carry.
    #[error("the tenant's token for your account at {connection} cannot be sent in a header")]
    Unusable {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// OAuth 1.0a.
    #[error("your account at {connection} has an OAuth 1.0a token, which cannot be sent as a bearer")]
    OAuth1 {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// Blocked at the tenant.
    #[error("you are blocked at the tenant")]
    UserBlocked,
    /// The token's subject is no user of the tenant any more.
    #[error("the tenant no longer knows the user of this access token; sign in again")]
    UnknownUser,
    /// The tenant gave no answer, and nothing is held.
    #[error("your account could not be looked up: {0}")]
    Tenant(#[source] Arc<TenantError>),
    /// No answer within `token_wait`.
    #[error("your account could not be looked up in time")]
    TooSlow,
    /// The token has expired, and could not be renewed just now.
    #[error("the access token at {connection} has expired and could not be renewed: {}", class.reason())]
    Renewal {
        /// The connection's name.
        connection: Arc<str>,
        /// What kind of failure it was.
        class: Class,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The token has expired, and was not renewed within `token_wait`.
    #[error("the access token at {connection} has expired and was not renewed in time")]
    RenewalTooSlow {
        /// The connection's name.
        connection: Arc<str>,
    },
    /// The store gave no answer, and nothing is held in memory.
    #[error("the token store gives no answer")]
    Store(#[source] Arc<StoreError>),
    /// A task of ours died.
    #[error("the lookup of your account failed inside the proxy")]
    Died,
}

impl TokenError {
    /// What the user hears when neither of the tenant's worlds has a token: whatever says most about what to do.
    pub(super) fn of_both(of_identities: Self, of_vault: Self) -> Self {
        match (&of_identities, &of_vault) {
            (_, Self::UserBlocked | Self::UnknownUser | Self::CallerExpired) => of_vault,
            // It may be no tenant with a vault that answers so.
            (_, Self::Tenant(error)) if matches!(**error, TenantError::Nonsense(..)) => of_identities,
            (_, Self::NotInVault { .. } | Self::NotConnected { .. } | Self::NoVault { .. }) => of_identities,
            (ends_in_sign_in, _) if ends_in_sign_in.connection().is_some() => of_vault,
            (_, _) => of_identities,
        }
    }

    /// Whether Token Vault may have what is missing.
    pub(super) fn may_be_in_vault(&self) -> bool {
        // Who has disconnected an account does not mean that another way to it should be found.
        self.connection().is_some() && !matches!(self, Self::Disconnected { .. })
    }

    /// Whether it passes without anybody's doing.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Store(_)
                | Self::Tenant(_)
                | Self::NoVault { is_general: true, .. }
                | Self::Renewal { .. }
                | Self::RenewalTooSlow { .. }
                | Self::TooSlow
                | Self::Died
        )
    }

    /// When asking again may help, if it is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Renewal { retry_after, .. } => *retry_after,
            Self::Tenant(error) => error.retry_after(),
            Self::NotConnected { .. }
            | Self::AmbiguousAccount { .. }
            | Self::Dead { .. }
            | Self::Disconnected { .. }
            | Self::InVault { .. }
            | Self::Expired { .. }
            | Self::Rejected { .. }
            | Self::NoToken { .. }
            | Self::NoOfflineAccess { .. }
            | Self::NotInVault { .. }
            | Self::NoVault { .. }
            | Self::CallerExpired
            | Self::Unusable { .. }
            | Self::OAuth1 { .. }
            | Self::UserBlocked
            | Self::UnknownUser
            | Self::TooSlow
            | Self::RenewalTooSlow { .. }
            | Self::Store(_)
            | Self::Died => None,
        }
    }

    /// The connection at which the user must sign in (anew), if that is what it takes.
    #[must_use]
    pub fn connection(&self) -> Option<&str> {
        match self {
            Self::NotConnected { connection, .. }
            | Self::Dead { connection, .. }
            | Self::Disconnected { connection }
            | Self::Expired { connection }
            | Self::Rejected { connection }
            | Self::NoToken { connection }
            | Self::NoOfflineAccess { connection }
            | Self::NotInVault { connection } => Some(connection),
            Self::AmbiguousAccount { .. }
            | Self::InVault { .. }
            | Self::Unusable { .. }
            | Self::OAuth1 { .. }
            | Self::UserBlocked
            | Self::UnknownUser
            | Self::NoVault { .. }
            | Self::CallerExpired
            | Self::Tenant(_)
            | Self::TooSlow
            | Self::Renewal { .. }
            | Self::RenewalTooSlow { .. }
            | Self::Store(_)
            | Self::Died => None,
        }
    }
}

//! What is held about one user: all the accounts one read of the tenant showed. Pure: no I/O, time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::http::HeaderValue;

use super::TokenError;
use super::grant::{Lineage, Seed};
use crate::auth0::{Identity, User};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::secret::Secret;
use crate::store::Key;

/// A user as the tenant described it.
pub(super) struct Record {
    /// When it was read: from the question to the answer.
    pub(super) read: Range<Instant>,
    standing: Standing,
    accounts: Box<[Account]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    Blocked,
    /// The tenant has no such user (any more).
    Unknown,
}

/// A connection that some provider is configured with.
#[derive(PartialEq, Eq)]
pub(super) struct Connection {
    name: Arc<str>,
    tenant: Arc<str>,
    /// What the tokens are for that are renewed here, each audience once. None where nothing is renewed.
    audiences: Box<[Arc<str>]>,
}

/// Which of a user's accounts is meant.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'call> {
    pub(super) connection: &'call str,
    /// Which of several.
    pub(super) account: Option<&'call str>,
    /// Whether its token is renewed here: then it does not matter what has become of the one at the tenant.
    pub(super) is_renewed: bool,
    /// When the caller's own token was met.
    pub(super) met: Timestamp,
}

/// One account of a user at a configured connection.
pub(super) struct Account {
    connection: Arc<str>,
    id: Box<str>,
    /// The kind of identity provider, if it is not the connection's name.
    kind: Option<Box<str>>,
    /// Its place in the store: that of its grant, or where it is written that the user has disconnected it.
    key: Arc<Key>,
    /// The sign-in that left its tokens.
    lineage: Lineage,
    held: Held,
    /// What is good for nothing here but to have the grant ended, where nothing is renewed.
    refresh: Option<Secret>,
    /// Where a connection is renewed here: what a grant begins with, for each of its audiences.
    origins: Box<[Origin]>,
}

/// What the tenant holds to begin a grant with.
#[derive(Clone)]
pub(super) struct Origin {
    /// The grant's place in the store.
    pub(super) key: Arc<Key>,
    pub(super) seed: Seed,
}

/// What the tenant holds for an account.
enum Held {
    Token {
        /// `Bearer <token>`, ready to be put into a request.
        value: HeaderValue,
        /// The latest time at which it can still live, if the identity tells.
        expires: Option<Timestamp>,
        /// When the provider last refused it, in Unix milliseconds; 0 for never.
        refused: AtomicU64,
        /// Whether the tenant still showed this token when it was read after a refusal.
        confirmed: bool,
    },
    /// A token with characters that no header can carry.
    Unusable,
    /// An OAuth 1.0a token, of which no bearer can be made.
    OAuth1,
    /// A token that the user does not want used any more. With it what was granted can be taken back.
    Disconnected {
        value: HeaderValue,
        expires: Option<Timestamp>,
    },
    None,
}

/// Whether a record serves a call.
pub(super) enum Standpoint {
    /// This account's token does.
    Usable(usize),
    /// It does not, for this reason, unless a new read of the tenant shows otherwise.
    Refused(TokenError),
    /// The token was refused after this record was read: only a new read can tell.
    Doubtful,
}

/// The scheme that stands in front of a token in [`Record::value`].
pub(super) const BEARER: &str = "Bearer ";

impl Record {
    /// Keeps what of `user` belongs to one of `connections`. A refusal noted in `previous` is carried over to the
    /// same token.
    pub(super) fn new(
        user: Option<User>,
        subject: &Arc<str>,
        connections: &[Connection],
        previous: Option<&Self>,
        read: Range<Instant>,
    ) -> Self {
        let Some(user) = user else {
            return Self { read, standing: Standing::Unknown, accounts: Box::default() };
        };
        let last_login = user.last_login;
        let keep = |identity: Identity| {
            let connection = connections.iter().find(|connection| *connection.name == *identity.connection)?;
            Some(Account::new(identity, subject, connection, last_login))
        };
        let accounts: Box<[Account]> = user.identities.into_iter().filter_map(keep).collect();
        let standing = if user.blocked { Standing::Blocked } else { Standing::Good };
        let mut record = Self { read, standing, accounts };
        if let Some(previous) = previous {
            record.carry_over_refusals(previous);
        }
        record
    }

    /// Decides whether this record serves a call for the account that is `wanted`. A refused token rests for `rest`.
    pub(super) fn standpoint(&self, wanted: &Wanted<'_>, now: Timestamp, rest: Duration) -> Standpoint {
        if let Err(error) = self.standing() {
            return Standpoint::Refused(error);
        }
        let (index, account) = match self.choose(wanted.connection, wanted.account) {
            Ok(chosen) => chosen,
            Err(error) => return Standpoint::Refused(error),
        };
        let connection = || Arc::clone(&account.connection);
        match &account.held {
            _ if wanted.is_renewed => Standpoint::Usable(index),
            Held::Token { expires: Some(expires), .. } if *expires <= now => {
                Standpoint::Refused(TokenError::Expired { connection: connection() })
            }
            Held::Token { refused, confirmed, .. } => match refused.load(Ordering::Relaxed) {
                0 => Standpoint::Usable(index),
                at if now.since(Timestamp::from_unix_millis(at)) >= rest => Standpoint::Usable(index),
                _ if *confirmed => Standpoint::Refused(TokenError::Rejected { connection: connection() }),
                _ => Standpoint::Doubtful,
            },
            Held::Unusable => Standpoint::Refused(TokenError::Unusable { connection: connection() }),
            Held::OAuth1 => Standpoint::Refused(TokenError::OAuth1 { connection: connection() }),
            Held::Disconnected { .. } => Standpoint::Refused(TokenError::Disconnected { connection: connection() }),
            Held::None => Standpoint::Refused(TokenError::NoToken { connection: connection() }),
        }
    }

    /// Whether the user may be served at all.
    pub(super) fn standing(&self) -> Result<(), TokenError> {
        match self.standing {
            Standing::Good => Ok(()),
            Standing::Blocked => Err(TokenError::UserBlocked),
            Standing::Unknown => Err(TokenError::UnknownUser),
        }
    }

    /// The token of that account as a `Bearer` header value, if it has one.
    pub(super) fn value(&self, index: usize) -> Option<&HeaderValue> {
        match &self.accounts.get(index)?.held {
            Held::Token { value, .. } => Some(value),
            Held::Unusable | Held::OAuth1 | Held::Disconnected { .. } | Held::None => None,
        }
    }

    /// The account of that number, as its provider names it.
    pub(super) fn account(&self, index: usize) -> Option<&str> {
        self.accounts.get(index).map(|account| &*account.id)
    }

    /// The latest time at which the token of that account can still live, if the identity tells.
    pub(super) fn expires(&self, index: usize) -> Option<Timestamp> {
        match &self.accounts.get(index)?.held {
            Held::Token { expires, .. } => *expires,
            Held::Unusable | Held::OAuth1 | Held::Disconnected { .. } | Held::None => None,
        }
    }

    /// How many accounts the user has at a connection.
    pub(super) fn count_at(&self, connection: &str) -> usize {
        self.accounts.iter().filter(|account| *account.connection == *connection).count()
    }

    /// What a grant of that account for `audience` begins with, if such are renewed here.
    pub(super) fn origin(&self, index: usize, audience: &str) -> Option<&Origin> {
        self.accounts.get(index)?.origins.iter().find(|origin| *origin.key.audience == *audience)
    }

    /// Every account whose token is used as the tenant holds it, with its place in the store and the sign-in that left it.
    pub(super) fn unrenewed(&self) -> impl Iterator<Item = (usize, &Arc<Key>, Lineage)> {
        let held = self.accounts.iter().enumerate();
        let held = held.filter(|(_, account)| matches!(account.held, Held::Token { .. }));
        held.map(|(index, account)| (index, &account.key, account.lineage))
    }

    /// Whether an account's token is used as the tenant holds it, and `key` is its place in the store.
    pub(super) fn is_unrenewed(&self, key: &Key) -> bool {
        self.unrenewed().any(|(_, own, _)| **own == *key)
    }

    /// The user does not want that account's token used.
    pub(super) fn disconnect(&mut self, index: usize) {
        if let Some(account) = self.accounts.get_mut(index)
            && let Held::Token { value, expires, .. } = &account.held
        {
            account.held = Held::Disconnected { value: value.clone(), expires: *expires };
        }
    }

    /// The account that is meant, if the user may be served and there is one.
    pub(super) fn chosen(&self, connection: &str, wanted: Option<&str>) -> Result<usize, TokenError> {
        self.standing()?;
        self.choose(connection, wanted).map(|(index, _)| index)
    }

    /// Where in the store that account is, and what the tenant holds of it: one place for each audience, whether or not there
    /// is something to begin with, or one alone where nothing is renewed. None where it never had a place.
    pub(super) fn places(&self, index: usize) -> Vec<Origin> {
        let Some(account) = self.accounts.get(index) else { return Vec::new() };
        if !account.origins.is_empty() {
            return account.origins.to_vec();
        }
        match &account.held {
            Held::Token { value, expires, .. } | Held::Disconnected { value, expires } => {
                let token = value.as_bytes().get(BEARER.len()..).unwrap_or_default();
                let access = std::str::from_utf8(token).ok().map(Secret::new);
                let seed = Seed::new(access, account.refresh.clone(), *expires);
                vec![Origin { key: Arc::clone(&account.key), seed }]
            }
            Held::Unusable | Held::OAuth1 | Held::None => Vec::new(),
        }
    }

    /// What a grant at `key` begins with, if the user (still) has that account and may use it.
    pub(super) fn origin_of(&self, key: &Key) -> Option<&Origin> {
        let mut origins = self.accounts.iter().flat_map(|account| &account.origins);
        origins.find(|origin| *origin.key == *key).filter(|_| self.standing == Standing::Good)
    }

    /// Takes note that the provider refused this token, a [`Record::value`], if an account here still has it.
    pub(super) fn refuse(&self, token: &HeaderValue, now: Timestamp) {
        for account in &self.accounts {
            if let Held::Token { value, refused, .. } = &account.held
                && value == token
            {
                refused.store(now.unix_millis(), Ordering::Relaxed);
            }
        }
    }

    /// Never by position: which account comes first depends on when it was linked.
    fn choose(&self, connection: &str, wanted: Option<&str>) -> Result<(usize, &Account), TokenError> {
        let at_connection = || self.accounts.iter().enumerate().filter(|(_, a)| *a.connection == *connection);
        let mut candidates = at_connection().filter(|(_, account)| wanted.is_none_or(|name| account.is_named(name)));
        match (candidates.next(), candidates.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(TokenError::AmbiguousAccount {
                choices: at_connection().map(|(_, account)| account.id.to_string()).collect(),
            }),
            (None, _) => Err(TokenError::NotConnected {
                connection: Arc::from(connection),
                other_accounts: at_connection().next().is_some(),
            }),
        }
    }

    /// A token that the provider refused and the tenant still shows is the same dead token.
    fn carry_over_refusals(&mut self, previous: &Self) {
        for account in &mut self.accounts {
            let Held::Token { value, refused, confirmed, .. } = &mut account.held else { continue };
            let at = previous.accounts.iter().find_map(|old| match &old.held {
                Held::Token { value: old_value, refused, .. } if old_value == value => Some(refused),
                Held::Token { .. } | Held::Unusable | Held::OAuth1 | Held::Disconnected { .. } | Held::None => None,
            });
            if let Some(at) = at.map(|at| at.load(Ordering::Relaxed)).filter(|at| *at != 0) {
                *refused = AtomicU64::new(at);
                *confirmed = true;
            }
        }
    }
}

impl Connection {
    /// The connections of `config`, each once.
    pub(super) fn all(config: &Config) -> Arc<[Self]> {
        let tenant: Arc<str> = Arc::from(config.auth0.domain.as_str());
        let mut connections = BTreeMap::<_, BTreeSet<&str>>::new();
        for provider in config.providers.values() {
            let audience = provider.renewal.as_ref().map(|_| provider.audience.as_deref().unwrap_or_default());
            connections.entry(provider.connection.as_str()).or_default().extend(audience);
        }
        let connection = |(name, audiences): (&str, BTreeSet<&str>)| Self {
            name: Arc::from(name),
            tenant: Arc::clone(&tenant),
            audiences: audiences.into_iter().map(Arc::from).collect(),
        };
        connections.into_iter().map(connection).collect()
    }

    /// What grants of `identity` begin with.
    fn origins(&self, identity: &Identity, base: &Key, expires: Option<Timestamp>) -> Box<[Origin]> {
        if self.audiences.is_empty() {
            return Box::default();
        }
        let seed = Seed::new(identity.access_token.clone(), identity.refresh_token.clone(), expires);
        let origin = |audience: &Arc<str>| {
            let key = Key { audience: Arc::clone(audience), ..base.clone() };
            let seed = if audience.is_empty() { seed.clone() } else { seed.without_access() };
            Origin { key: Arc::new(key), seed }
        };
        self.audiences.iter().map(origin).collect()
    }

    /// The place in the store of what `identity` itself is for.
    fn key(&self, identity: &Identity, subject: &Arc<str>) -> Key {
        Key {
            tenant: Arc::clone(&self.tenant),
            subject: Arc::clone(subject),
            connection: Arc::clone(&self.name),
            account: Arc::from(format!("{}|{}", identity.provider, identity.user_id)),
            audience: Arc::from(""),
        }
    }
}

impl Account {
    fn new(identity: Identity, subject: &Arc<str>, connection: &Connection, last_login: Option<Timestamp>) -> Self {
        // The life counts from the issue, which is not told but cannot be after the last login.
        let expires = last_login.zip(identity.expires_in).map(|(login, life)| login.plus(life));
        let held = match (&identity.access_token, &identity.access_token_secret) {
            // Its grant has it, renewed or not; once in memory is enough.
            _ if !connection.audiences.is_empty() => Held::None,
            (None, _) => Held::None,
            (Some(_), Some(_)) => Held::OAuth1,
            (Some(token), None) => match bearer(token) {
                Some(value) => Held::Token { value, expires, refused: AtomicU64::new(0), confirmed: false },
                None => Held::Unusable,
            },
        };
        let key = connection.key(&identity, subject);
        let origins = connection.origins(&identity, &key, expires);
        let lineage = Lineage::of(identity.access_token.as_ref(), identity.refresh_token.as_ref());
        Self {
            kind: (identity.provider != identity.connection && !identity.provider.is_empty())
                .then(|| identity.provider.into_boxed_str()),
            id: identity.user_id.into_boxed_str(),
            connection: Arc::clone(&connection.name),
            key: Arc::new(key),
            lineage,
            refresh: identity.refresh_token.filter(|_| origins.is_empty()),
            held,
            origins,
        }
    }

    /// Whether a caller means this account by `name`: its id, or its kind and id as in `github|583231`.
    fn is_named(&self, name: &str) -> bool {
        let kind = self.kind.as_deref().unwrap_or(&self.connection);
        *name == *self.id || name.split_once('|').is_some_and(|(k, id)| k == kind && *id == *self.id)
    }
}

/// RFC 6750 §2.1, leniently: any visible ASCII, so that nothing in a token can end a header.
pub(super) fn bearer(token: &Secret) -> Option<HeaderValue> {
    let token = token.expose();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut bytes = Vec::with_capacity(BEARER.len() + token.len());
    bytes.extend_from_slice(BEARER.as_bytes());
    bytes.extend_from_slice(token.as_bytes());
    let mut value = HeaderValue::from_maybe_shared(hyper::body::Bytes::from(bytes)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;

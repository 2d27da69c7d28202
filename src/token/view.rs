//! A LOOK at what a caller would get, without getting it: nothing is renewed, exchanged or written, and no token is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver::Prospect;
use super::grant::{self, Demand};
use super::held::Held;
use super::source::Ask;
use super::users::{Found, REFUSAL_LIFE};
use super::{TokenError, Tokens, account_at};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::config::Source;
use crate::provider::Provider;

/// What a caller has at one provider.
#[derive(Clone, Debug)]
pub struct View {
    /// What a call would do for its token, or the error that it would be answered with.
    pub next: Result<Step, TokenError>,
    /// The account that is meant, as its provider names it.
    pub account: Option<Box<str>>,
    /// How many accounts the user has at the connection.
    pub accounts: usize,
    /// Where the access token is kept, if there is one.
    pub kept: Option<Kept>,
    /// When the access token came, if that is known.
    pub issued: Option<Timestamp>,
    /// When the access token expires, if that is known.
    pub expires: Option<Timestamp>,
    /// Its scopes, as far as the provider has told them: with a space between two.
    pub scope: Option<Box<str>>,
    /// How many renewals in a row were sent whose answers have not come (yet), and when the last was, if any.
    pub unanswered: Option<(u8, Timestamp)>,
    /// Whether this process has the access token at hand.
    pub is_in_memory: bool,
    /// Whether another access token can be had without the user.
    pub is_renewable: bool,
    /// How long ago the tenant was asked about the user.
    pub age: Option<Duration>,
}

/// What a call would do for its token.
#[derive(Clone, Debug)]
pub enum Step {
    /// Use the one that there is.
    Use,
    /// Use it, and have it renewed meanwhile.
    UseAndRenew,
    /// Renew it first.
    Renew,
    /// Exchange the caller's own token at Token Vault, of which nobody knows what it holds before it is asked.
    Exchange {
        /// Why there is none with the identities, where they were looked at first.
        of_identities: Option<TokenError>,
    },
}

/// Where an access token is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// At the tenant, with the user's identity.
    Identity,
    /// In the store, by the record that began with that identity and is renewed here.
    Grant {
        /// The record's generation; `None` for one that the next call begins.
        generation: Option<u64>,
    },
    /// In Token Vault.
    Vault,
}

impl View {
    /// In one of the words of `GET /connections`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match &self.next {
            Ok(Step::Use | Step::UseAndRenew | Step::Renew) => "connected",
            Err(TokenError::NotConnected { .. }) => "not_connected",
            Err(TokenError::AmbiguousAccount { .. }) => "ambiguous_account",
            Err(error) if error.connection().is_some() => "reconnect_required",
            Ok(Step::Exchange { .. }) | Err(_) => "unknown",
        }
    }

    fn of(next: Result<Step, TokenError>) -> Self {
        Self {
            next,
            account: None,
            accounts: 0,
            kept: None,
            issued: None,
            expires: None,
            scope: None,
            unanswered: None,
            is_in_memory: false,
            is_renewable: false,
            age: None,
        }
    }

    fn of_vault(held: Option<Arc<Held>>, of_identities: Option<TokenError>) -> Self {
        let Some(held) = held else {
            return Self { is_renewable: true, ..Self::of(Ok(Step::Exchange { of_identities })) };
        };
        let life = held.life();
        Self {
            kept: Some(Kept::Vault),
            issued: Some(life.issued),
            expires: life.expires,
            is_in_memory: true,
            is_renewable: true,
            ..Self::of(Ok(Step::Use))
        }
    }
}

impl Tokens {
    /// What can be known without asking Token Vault.
    async fn look(&self, caller: &Caller, provider: &Provider, account: Option<&str>, begun: Instant) -> View {
        let wanted = account_at(caller, provider, account);
        let now = self.clock.now();
        let in_vault = || {
            let held = self.vault.held(&self.vault_key(caller.subject(), provider, account));
            held.filter(|held| held.serves(None, now, Duration::ZERO))
        };
        match provider.source() {
            Source::TokenVault => View::of_vault(in_vault(), None),
            Source::Identities => self.identity_view(caller, provider, account, begun).await,
            Source::Auto => {
                let is_vault = self.worlds.is_vault(wanted.connection);
                if is_vault && !self.users.serves(caller.subject(), &wanted, begun) {
                    return View::of_vault(in_vault(), None);
                }
                let view = self.identity_view(caller, provider, account, begun).await;
                match &view.next {
                    Err(error) if error.may_be_in_vault() && self.worlds.may_be_vault(wanted.connection, now) => View {
                        accounts: view.accounts,
                        age: view.age,
                        ..View::of_vault(in_vault(), Some(error.clone()))
                    },
                    Ok(_) | Err(_) => view,
                }
            }
        }
    }

    /// What the caller has at `provider`, with this account if one is named. Whoever asks has waited since `begun`.
    ///
    /// It costs what a call would cost before it renews: the user's record, if it is not at hand, by the same flights and
    /// within the same budget. Where only Token Vault can tell, it is asked, as a call would, and what it gives is kept for
    /// the call.
    pub async fn view(&self, caller: &Caller, provider: &Provider, account: Option<&str>, begun: Instant) -> View {
        let view = self.look(caller, provider, account, begun).await;
        let Ok(Step::Exchange { of_identities }) = &view.next else { return view };
        let key = self.vault_key(caller.subject(), provider, account);
        let ask = Ask { key: &key, errand: caller, min_validity: Duration::ZERO, begun, met: caller.met() };
        let found = self.vault.token(&ask).await;
        self.worlds.learn(provider.connection(), found.as_ref(), self.clock.now());
        let of_vault = match found {
            Ok((held, _)) => {
                return View { accounts: view.accounts, age: view.age, ..View::of_vault(Some(held), None) };
            }
            Err(of_vault) => of_vault,
        };
        let view = match (of_identities, provider.source()) {
            (Some(error), _) => View { next: Err(error.clone()), is_renewable: false, ..view },
            (None, Source::Auto) => self.identity_view(caller, provider, account, begun).await,
            (None, Source::Identities | Source::TokenVault) => return View::of(Err(of_vault)),
        };
        View { next: view.next.map_err(|of_identities| TokenError::of_both(of_identities, of_vault)), ..view }
    }

    async fn identity_view(&self, caller: &Caller, provider: &Provider, account: Option<&str>, begun: Instant) -> View {
        let found = self.users.find(caller.subject(), &account_at(caller, provider, account), begun).await;
        let Found { record, account, .. } = match found {
            Ok(found) => found,
            Err(error) => return View::of(Err(error)),
        };
        let view = View {
            account: record.account(account).map(Box::from),
            accounts: record.count_at(provider.connection()),
            age: Some(self.clock.instant().saturating_duration_since(record.read.end)),
            ..View::of(Ok(Step::Use))
        };
        let Some(origin) = record.origin(account, provider.audience()).filter(|_| provider.is_renewed()) else {
            let expires = record.expires(account);
            return View { kept: Some(Kept::Identity), expires, is_in_memory: true, ..view };
        };
        let now = self.clock.now();
        let held = self.grants.held(&origin.key);
        let serving = held.as_ref().filter(|held| held.serves(Some(origin.seed.lineage), now, Duration::ZERO));
        let demand = match (&held, serving) {
            (Some(held), None) => held.demand(now, self.recheck),
            (_, _) => Demand::default(),
        };
        // A look since the caller's token was met is recent enough, whenever that was; and so is one of a moment ago.
        let since = REFUSAL_LIFE.min(now.since(caller.met()));
        let since = begun.checked_sub(since).unwrap_or(begun);
        let prospect = self.grants.source().foresee(&origin.key, &origin.seed, demand, since).await;
        let error = match prospect {
            Ok(prospect) => return view.with(&prospect, serving.is_some(), now),
            Err(error) => error,
        };
        // What is held in memory serves without the store; and what was refused is tried once more when it has rested.
        let serves = |held: &&Arc<Held>| {
            if matches!(error, TokenError::Rejected { .. }) {
                held.has_rested(now, self.recheck)
            } else {
                error.is_passing() && held.is_living(now)
            }
        };
        match serving.or_else(|| held.as_ref().filter(serves)) {
            Some(held) => {
                let life = held.life();
                let (issued, expires) = (Some(life.issued), life.expires);
                let kept = Some(Kept::Grant { generation: Some(life.born) });
                View { kept, issued, expires, is_in_memory: true, ..view }
            }
            None => View { next: Err(error), ..view },
        }
    }
}

impl View {
    fn with(self, prospect: &Prospect, is_in_memory: bool, now: Timestamp) -> Self {
        let Prospect { grant, step, terms, is_stored } = prospect;
        let access = grant.access.as_ref();
        Self {
            next: Ok(match step {
                grant::Step::UseAndRenew => Step::UseAndRenew,
                grant::Step::Renew if !is_in_memory => Step::Renew,
                grant::Step::Use | grant::Step::Renew | grant::Step::Reconnect(_) => Step::Use,
            }),
            kept: Some(Kept::Grant { generation: is_stored.then_some(grant.generation) }),
            // That of a token which the tenant holds is not told.
            issued: access.filter(|_| *is_stored).map(|access| access.life.issued),
            unanswered: grant.unanswered(),
            expires: access.and_then(|access| access.life.expires),
            scope: grant.scope.clone(),
            is_in_memory,
            is_renewable: grant.is_renewable(*terms, now),
            ..self
        }
    }
}

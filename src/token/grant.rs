//! THE RECORD of one grant: what a user's sign-in at a provider has become, renewal by renewal. Pure: no I/O, time is
//! an argument, and every change makes a new record with the next generation, for the store to compare and swap.
//!
//! ```text
//!                 adopt (the user signed in anew)
//!        ┌──────────────────────────────────────────────┐
//!        ▼                                              │
//!   ┌────────┐  begin   ┌──────────────────┐  die    ┌──────┐
//!   │ active │ ───────▶ │ active, attempted │ ──────▶ │ dead │
//!   └────────┘ ◀─────── └──────────────────┘         └──────┘
//!              succeed, withdraw                        ▲
//!                                     disconnect (from any state: the user wants it so)
//! ```
//!
//! A mark that stays (a lost answer, a crash) is counted by the next `begin`. At a provider that rotates, a second lost
//! answer is the last: the user signs in again, rather than have a refresh token spent a third time.

use std::time::Duration;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::endpoint::Granted;
use crate::clock::Timestamp;
use crate::config::{RefreshGrant, Renewal};
use crate::secret::Secret;

mod parted;
mod stored;

pub(super) use parted::{Pair, Remains};
pub(super) use stored::DecodeError;

/// How many times in a row a refresh token may be sent to a provider that rotates, when no answer came.
const ATTEMPTS_MAX: u8 = 2;
/// One grant, as one state of its record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    /// Grows with each write of the record.
    pub(super) generation: u64,
    pub(super) access: Option<Access>,
    /// The newest refresh token.
    pub(super) refresh: Option<Secret>,
    pub(super) scope: Option<Box<str>>,
    pub(super) state: State,
    /// The sign-in that this chain of tokens began with.
    lineage: Lineage,
    attempt: Option<Attempt>,
    /// What is still to be done about it, where it is disconnected. `None` if that can be done with what the tenant holds.
    pub(super) remains: Option<Remains>,
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Access {
    pub(super) value: Secret,
    pub(super) life: Life,
}

/// An access token's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    /// The generation in which it came.
    pub(super) born: u64,
    pub(super) issued: Timestamp,
    pub(super) expires: Option<Timestamp>,
}

/// Whether a grant can still be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Active,
    Dead(Death),
}

/// Why a grant cannot be renewed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Death {
    /// The provider no longer accepts the refresh token.
    Refused,
    /// At a provider that rotates, the answers to [`ATTEMPTS_MAX`] renewals were lost.
    AnswersLost,
    /// The user has it disconnected: nothing is held, and what that sign-in left at the tenant is not used.
    Disconnected,
}

/// A renewal that was sent, and whose answer has not been written (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Attempt {
    count: u8,
    at: u64,
}

/// Tells one access token from another, without being it: what a rejection is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u128);

/// A fingerprint of the tokens that a sign-in left at the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Lineage(u128);

/// What a sign-in left at the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seed {
    pub(super) access: Option<Secret>,
    pub(super) refresh: Option<Secret>,
    /// The latest time at which the access token can still live.
    pub(super) expires: Option<Timestamp>,
    pub(super) lineage: Lineage,
}

/// What is spent to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spends {
    /// RFC 6749 §6.
    RefreshToken,
    /// Facebook's exchange of an access token that still lives.
    AccessToken,
}

/// How a provider renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Terms {
    pub(super) spends: Spends,
    /// Whether a renewal replaces the refresh token and kills the old one.
    pub(super) rotates: bool,
    /// What an access token lives when the answer does not say.
    pub(super) lifetime: Option<Duration>,
    /// How long a refresh token rests after a renewal whose answer was lost. The provider may be at it still; and a
    /// short outage must not take both attempts.
    pub(super) rest: Duration,
}

/// What the caller of a flight needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Demand {
    /// Less life than this is too little, if more can be had.
    pub(super) min_validity: Duration,
    /// This access token was refused by the provider. Its value rests, wherever it turns up.
    pub(super) refused: Option<Fingerprint>,
    /// Another may have come by itself. Renewing has been tried, and does not help.
    pub(super) is_look: bool,
    /// Nobody waits: renew as soon as the renewal window is open.
    pub(super) is_behind: bool,
}

/// What a record asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Its access token serves.
    Use,
    /// Its access token serves, and should be renewed meanwhile.
    UseAndRenew,
    Renew,
    /// Nothing but a new sign-in helps.
    Reconnect(Option<Death>),
}

impl Death {
    /// What has become of the grant, in a few words.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Refused => "the provider no longer accepts its refresh token",
            Self::AnswersLost => "the provider's answers to its last renewals were lost",
            Self::Disconnected => "the user has disconnected it",
        }
    }
}

impl Fingerprint {
    /// The fingerprint of an access token.
    pub(super) fn of(token: &[u8]) -> Self {
        Self(digest([token]))
    }
}

impl Lineage {
    /// The fingerprint of a sign-in's tokens.
    pub(super) fn of(access: Option<&Secret>, refresh: Option<&Secret>) -> Self {
        Self(digest([access, refresh].map(|token| token.map_or(&[][..], |token| token.expose().as_bytes()))))
    }
}

/// SHA-256 of texts, each with its length, cut in half.
fn digest<const COUNT: usize>(texts: [&[u8]; COUNT]) -> u128 {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text);
    }
    let digest = context.finish();
    digest.as_ref().iter().take(16).fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

impl Terms {
    /// What the configuration says, for renewals that are given up after `timeout`.
    pub(super) fn of(renewal: &Renewal, timeout: Duration) -> Self {
        let spends = match renewal.grant {
            RefreshGrant::RefreshToken => Spends::RefreshToken,
            RefreshGrant::FacebookExchange => Spends::AccessToken,
        };
        Self { spends, rotates: renewal.rotates, lifetime: renewal.lifetime, rest: timeout * 2 }
    }
}

impl Grant {
    /// The first record of a grant: what the tenant holds, if it holds anything. Its generation is the time, so that a
    /// grant that was forgotten and begins anew does not come by generations that somebody still remembers.
    pub(super) fn new(seed: &Seed, now: Timestamp) -> Option<Self> {
        let generation = now.unix_millis().max(1);
        (seed.access.is_some() || seed.refresh.is_some()).then(|| Self {
            generation,
            access: seed.access(generation, now),
            refresh: seed.refresh.clone(),
            scope: None,
            state: State::Active,
            lineage: seed.lineage,
            attempt: None,
            remains: None,
        })
    }

    /// The record after the user signed in anew, if `seed` shows that. What a sign-in does not bring does not take away
    /// what is held: Google gives a refresh token once.
    pub(super) fn adopt(&self, seed: &Seed, now: Timestamp) -> Option<Self> {
        if seed.lineage == self.lineage || (seed.access.is_none() && seed.refresh.is_none()) {
            return None;
        }
        let mut next = self.next();
        // Where only a refresh token came, its own access token is had with it. The one that is held is of the sign-in
        // before, and may lack what was consented to in this one.
        next.access = seed.access(next.generation, now);
        match (&seed.refresh, self.state) {
            (Some(refresh), _) => (next.refresh, next.attempt) = (Some(refresh.clone()), None),
            (None, State::Active) => {}
            (None, State::Dead(_)) => (next.refresh, next.attempt) = (None, None),
        }
        next.state = State::Active;
        (next.lineage, next.remains) = (seed.lineage, None);
        Some(next)
    }

    /// The record just before a renewal is sent.
    pub(super) fn begin(&self, now: Timestamp) -> Self {
        let count = self.attempt.map_or(0, |attempt| attempt.count).saturating_add(1);
        Self { attempt: Some(Attempt { count, at: now.unix_millis() }), ..self.next() }
    }

    /// The record after a renewal that provably was not seen by the provider, or was refused without being spent.
    pub(super) fn withdraw(&self) -> Self {
        let earlier = self.attempt.filter(|attempt| attempt.count > 1);
        Self { attempt: earlier.map(|attempt| Attempt { count: attempt.count - 1, ..attempt }), ..self.next() }
    }

    /// The record after a renewal that was sent at `sent`. Of a grant that was disconnected meanwhile more remains by it, and
    /// that is all.
    pub(super) fn succeed(&self, granted: &Granted, terms: Terms, sent: Timestamp) -> Self {
        if let Some(Remains::Unrevoked(pair)) = &self.remains {
            return self.leaving(Some(Remains::Unrevoked(pair.succeed(granted, terms, sent))));
        }
        let mut next = self.next();
        let life = granted.expires_in.or(terms.lifetime);
        let life = Life { born: next.generation, issued: sent, expires: life.map(|life| sent.plus(life)) };
        next.access = Some(Access { value: granted.access_token.clone(), life });
        // RFC 6749 §6: a new refresh token need not come, and then the old one is kept.
        next.refresh = granted.refresh_token.clone().or(next.refresh);
        next.scope = granted.scope.as_deref().map(Box::from).or(next.scope);
        (next.state, next.attempt) = (State::Active, None);
        next
    }

    /// The record of a grant that cannot be renewed any more.
    pub(super) fn die(&self, death: Death) -> Self {
        Self { state: State::Dead(death), attempt: None, ..self.next() }
    }

    /// What this record asks for.
    pub(super) fn step(&self, now: Timestamp, terms: Terms, demand: Demand) -> Step {
        let living = self.living(now, demand.refused);
        let renewable = self.spendable(terms, now).is_some();
        match (living, self.state) {
            (None, State::Dead(death)) => Step::Reconnect(Some(death)),
            (None, State::Active) if !renewable || demand.is_look => Step::Reconnect(None),
            (None, State::Active) if self.is_exhausted(terms) => Step::Reconnect(Some(Death::AnswersLost)),
            (None, State::Active) => Step::Renew,
            (Some(_), State::Dead(_)) => Step::Use,
            (Some(_), State::Active) if !renewable || self.is_exhausted(terms) => Step::Use,
            (Some(access), State::Active) if !access.life.leaves(demand.min_validity, now) => Step::Renew,
            (Some(access), State::Active) if access.window_opens(terms.spends).is_some_and(|opens| opens <= now) => {
                Step::UseAndRenew
            }
            (Some(_), State::Active) => Step::Use,
        }
    }

    /// The access token, if it has not expired and is not the one that was refused.
    pub(super) fn living(&self, now: Timestamp, refused: Option<Fingerprint>) -> Option<&Access> {
        let access = self.access.as_ref().filter(|access| access.life.is_left(now))?;
        refused.is_none_or(|refused| access.fingerprint() != refused).then_some(access)
    }

    /// What a renewal would spend now.
    pub(super) fn spendable(&self, terms: Terms, now: Timestamp) -> Option<&Secret> {
        match terms.spends {
            Spends::RefreshToken => self.refresh.as_ref(),
            Spends::AccessToken => self.living(now, None).map(|access| &access.value),
        }
    }

    /// How many renewals in a row were sent whose answers have not been written (yet), and when the last was, if any.
    pub(super) fn unanswered(&self) -> Option<(u8, Timestamp)> {
        self.attempt.map(|attempt| (attempt.count, Timestamp::from_unix_millis(attempt.at)))
    }

    /// Whether a new access token can be had for it without the user, as far as is known.
    pub(super) fn is_renewable(&self, terms: Terms, now: Timestamp) -> bool {
        self.state == State::Active && self.spendable(terms, now).is_some() && !self.is_exhausted(terms)
    }

    /// Whether the answer to a renewal that spent `spent` belongs on top of this record: nobody has put a successor in
    /// its place yet.
    pub(super) fn awaits(&self, spent: &Secret, terms: Terms) -> bool {
        let newest = match &self.remains {
            Some(Remains::Unrevoked(pair)) => pair.clone(),
            Some(Remains::Revoked) | None => Pair::of(self),
        };
        let last = match terms.spends {
            Spends::RefreshToken => newest.refresh,
            Spends::AccessToken => newest.access,
        };
        last.as_ref() == Some(spent)
    }

    /// For how long the refresh token must not be sent yet, after a renewal whose answer is not at hand.
    pub(super) fn rests(&self, terms: Terms, now: Timestamp) -> Option<Duration> {
        let attempt = self.attempt.filter(|_| terms.rotates)?;
        let end = Timestamp::from_unix_millis(attempt.at).plus(terms.rest);
        (now < end).then(|| end.since(now))
    }

    #[cfg(test)]
    pub(super) fn is_marked(&self) -> bool {
        self.attempt.is_some()
    }

    /// The sign-in that it began with.
    pub(super) fn lineage(&self) -> Lineage {
        self.lineage
    }

    fn is_exhausted(&self, terms: Terms) -> bool {
        terms.rotates && self.attempt.is_some_and(|attempt| attempt.count >= ATTEMPTS_MAX)
    }

    fn next(&self) -> Self {
        Self { generation: self.generation + 1, ..self.clone() }
    }
}

impl Life {
    /// Whether it has not ended, as far as that is known.
    pub(super) fn is_left(self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// Whether `wanted` of it is left, or half of it: who asks for more than a token's life must not renew it at each
    /// call.
    pub(super) fn leaves(self, wanted: Duration, now: Timestamp) -> bool {
        self.expires
            .is_none_or(|expires| now < expires && expires.since(now) >= wanted.min(expires.since(self.issued) / 2))
    }
}

impl Access {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.value.expose().as_bytes())
    }

    /// When it should be renewed while it still serves: in the last tenth of its life; and at the most a minute before its
    /// end, where it is not what a renewal spends. Spread over the second half of that window, so that tokens issued
    /// together are not renewed together.
    pub(super) fn window_opens(&self, spends: Spends) -> Option<Timestamp> {
        let expires = self.life.expires?;
        let tenth = expires.since(self.life.issued) / 10;
        let window = match spends {
            Spends::RefreshToken => tenth.min(Duration::from_secs(60)),
            Spends::AccessToken => tenth,
        };
        let spread = self.fingerprint().0 % 64;
        let shortened = window / 128 * u32::try_from(spread).unwrap_or(0);
        Some(expires.minus(window.saturating_sub(shortened)))
    }
}

impl Seed {
    /// What `access` and `refresh` token of an identity amount to.
    pub(super) fn new(access: Option<Secret>, refresh: Option<Secret>, expires: Option<Timestamp>) -> Self {
        let lineage = Lineage::of(access.as_ref(), refresh.as_ref());
        Self { access, refresh, expires, lineage }
    }

    /// The same for an audience, for which the sign-in left no access token. Of that of the identity nothing is used but
    /// that another one tells of another sign-in.
    ///
    /// Every audience begins with the refresh token that the sign-in left, also where a sibling's record has a newer one by
    /// now: there are several audiences only where a provider goes on taking the old one. So no grant depends on another's
    /// row, and one that dies takes none along. What it costs: a first use so late that this token has lapsed unused ends in
    /// a new sign-in.
    pub(super) fn without_access(&self) -> Self {
        Self { access: None, expires: None, ..self.clone() }
    }

    fn access(&self, born: u64, now: Timestamp) -> Option<Access> {
        let value = self.access.clone()?;
        Some(Access { value, life: Life { born, issued: now, expires: self.expires } })
    }
}

#[cfg(test)]
mod tests;

//! The step that finds the token: which account, from where, what is held of it, and what a call would do.

use std::fmt;

use super::step::Steps;
use crate::clock::Timestamp;
use crate::config::Source;
use crate::error::Error;
use crate::provider::Call;
use crate::proxy::Proxy;
use crate::token::{Kept, Step, TokenError, View};

impl Proxy {
    /// Which account's token it would be sent with. Where only Token Vault can tell, it is asked, as a call would.
    pub(super) async fn token(&self, call: &Call, steps: &mut Steps) -> Result<(), Error> {
        let provider = call.provider();
        let view = self.tokens.view(call.caller(), provider, call.account(), self.clock.instant()).await;
        steps.begin("account");
        steps.note("connection", provider.connection());
        account(call, &view, steps);
        if let Err(error) = &view.next
            && is_about_account(error)
        {
            return Err(error.clone().into());
        }
        steps.pass();
        steps.begin("token");
        steps.note("source", source(provider.source(), provider.is_renewed(), &view));
        held(&view, self.clock.now(), steps);
        let next = view.next?;
        steps.note("to do", Next(&next));
        steps.pass();
        Ok(())
    }
}

fn account(call: &Call, view: &View, steps: &mut Steps) {
    if let Err(TokenError::AmbiguousAccount { choices }) = &view.next {
        steps.list("there are", choices);
    }
    if let Some(account) = &view.account {
        steps.note("is", account);
        if view.accounts > 1 {
            steps.note("of", format_args!("{} accounts there", view.accounts));
        }
    }
    let of_configuration = call.provider().account();
    match (call.account(), of_configuration) {
        (Some(named), Some(configured)) if named == configured => {
            steps.note("chosen by", format_args!("`account` of the provider: {named}"));
        }
        (Some(named), _) => steps.note("chosen by", format_args!("Idp-Proxy-Account: {named}")),
        (None, _) if view.account.is_some() => steps.note("chosen by", "being the only one there"),
        (None, _) => {}
    }
    if let Some(age) = view.age {
        steps.note("looked at", format_args!("the tenant, {} s ago", age.as_secs()));
    }
}

/// Whether it is the user or the account that is the matter, and not the token.
fn is_about_account(error: &TokenError) -> bool {
    match error {
        TokenError::NotConnected { .. }
        | TokenError::AmbiguousAccount { .. }
        | TokenError::UserBlocked
        | TokenError::UnknownUser
        | TokenError::Tenant(_)
        | TokenError::TooSlow => true,
        TokenError::Dead { .. }
        | TokenError::Disconnected { .. }
        | TokenError::InVault { .. }
        | TokenError::Expired { .. }
        | TokenError::Rejected { .. }
        | TokenError::NoToken { .. }
        | TokenError::NoOfflineAccess { .. }
        | TokenError::NotInVault { .. }
        | TokenError::NoVault { .. }
        | TokenError::CallerExpired
        | TokenError::Unusable { .. }
        | TokenError::OAuth1 { .. }
        | TokenError::Renewal { .. }
        | TokenError::RenewalTooSlow { .. }
        | TokenError::Store(_)
        | TokenError::Died => false,
    }
}

fn source(configured: Source, is_renewed: bool, view: &View) -> &'static str {
    match (&view.next, view.kept) {
        (_, Some(Kept::Vault)) | (Ok(Step::Exchange { .. }), _) => "Token Vault",
        (_, Some(Kept::Grant { .. })) => "the user's identity, renewed here",
        (_, Some(Kept::Identity)) => "the user's identity",
        (_, None) => match configured {
            Source::TokenVault => "Token Vault",
            Source::Auto | Source::Identities if is_renewed => "the user's identity, renewed here",
            Source::Auto | Source::Identities => "the user's identity",
        },
    }
}

fn held(view: &View, now: Timestamp, steps: &mut Steps) {
    match view.kept {
        Some(Kept::Grant { generation: Some(generation) }) => {
            steps.note("generation", generation);
            steps.note("in memory", if view.is_in_memory { "yes" } else { "no" });
        }
        Some(Kept::Grant { generation: None }) => {
            steps.note("generation", "none yet: a call begins with what the tenant holds");
        }
        Some(Kept::Identity | Kept::Vault) | None => {}
    }
    if let Some((count, at)) = view.unanswered {
        steps.note("unanswered", format_args!("{count} renewals in a row, the last at {at}"));
    }
    if let Some(issued) = view.issued {
        steps.note("issued", format_args!("{issued}, {} s ago", now.since(issued).as_secs()));
    }
    match view.expires {
        Some(expires) if expires <= now => {
            steps.note("expired", format_args!("{expires}, {} s ago", now.since(expires).as_secs()));
        }
        Some(expires) => steps.note("expires", format_args!("{expires}, in {} s", expires.since(now).as_secs())),
        None if view.kept.is_some() => steps.note("expires", "not known"),
        None => {}
    }
    if let Some(scope) = &view.scope {
        steps.note("scopes", scope);
    }
    steps.note("renewable", if view.is_renewable { "yes" } else { "no" });
}

/// What a call would do, in words.
struct Next<'step>(&'step Step);

impl fmt::Display for Next<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Step::Use => formatter.write_str("use it"),
            Step::UseAndRenew => formatter.write_str("use it, and have it renewed meanwhile"),
            Step::Renew => formatter.write_str("renew it first"),
            Step::Exchange { of_identities } => {
                formatter.write_str("exchange the caller's token there; what it holds is known only then")?;
                of_identities.as_ref().map_or(Ok(()), |error| write!(formatter, " (with the identities: {error})"))
            }
        }
    }
}

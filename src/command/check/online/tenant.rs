//! Probes of the tenant: whether it is who the configuration says, its keys, its clock, and what it grants us.

use std::sync::Arc;
use std::time::Duration;

use super::Surroundings;
use super::finding::Finding;
use crate::auth0::{Grant, Tenant, TenantError, VaultError};
use crate::caller::VerificationKey;
use crate::clock::Timestamp;
use crate::config::{Config, Source};
use crate::secret::Secret;
use crate::telemetry::chain;

/// Two clocks that are further apart than this are worth a word. At 60 s fresh tokens are refused (`exp`, `nbf`).
const CLOCK_WARNING: Duration = Duration::from_secs(5);
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);
/// Only this check needs it.
const OPTIONAL: &str = "read:connections";
const WHERE_TO_GRANT: &str =
    "in the Auth0 dashboard: Applications > APIs > Auth0 Management API > Machine to Machine Applications";

/// A failure of a call to the tenant.
pub(super) fn failure(probe: &'static str, about: &str, error: &TenantError) -> Finding {
    match error {
        TenantError::Misconfigured(why) => Finding::wrong(probe, about, *why).at("auth0.client_id").fix(WHERE_TO_GRANT),
        TenantError::Unreachable(_)
        | TenantError::Failing(_)
        | TenantError::Nonsense(..)
        | TenantError::RateLimited { .. }
        | TenantError::TooSlow
        | TenantError::TokenRefused => Finding::out_of_reach(probe, about, chain(error))
            .at("auth0.domain")
            .fix("check the domain and the network; SSL_CERT_FILE, if set, names the only authorities"),
    }
}

/// Whether the tenant calls itself what its tokens must name, and whether it has keys to check them with.
pub(super) async fn issuer(tenant: Arc<Tenant>, issuer: String) -> Vec<Finding> {
    let (name, keys) = tokio::join!(tenant.name(&issuer), tenant.key_set(&issuer));
    let named = match name {
        Ok(name) if name == issuer => Finding::fine("issuer", &issuer, "is what the tenant calls itself"),
        Ok(name) => Finding::wrong("issuer", &issuer, format!("the tenant calls itself {}", name.escape_debug()))
            .at("auth0.issuers")
            .fix("write it exactly as the tenant does, with the slash at its end; custom domains are listed each"),
        Err(error) => failure("issuer", &issuer, &error),
    };
    let keyed = match keys {
        Ok((keys, _)) => {
            let usable = keys.iter().filter(|key| key.common.key_id.is_some() && VerificationKey::of(key).is_some());
            match (usable.count(), keys.len()) {
                (0, _) => Finding::wrong("key set", &issuer, "it has no key for RS256 or PS256")
                    .at("auth0.issuers")
                    .fix("have the API sign with RS256: Applications > APIs > this API > Token Settings"),
                (usable, all) => {
                    Finding::fine("key set", &issuer, format!("{usable} of {all} keys are for RS256 or PS256"))
                }
            }
        }
        Err(error) => failure("key set", &issuer, &error),
    };
    vec![named, keyed]
}

/// How far our clock is from the tenant's.
pub(super) fn clock(config: &Config, theirs: Option<Timestamp>, ours: Timestamp) -> Finding {
    let about = &config.auth0.domain;
    let Some(theirs) = theirs else {
        return Finding::unknown("clock", about, "the tenant did not say what time it is");
    };
    let ahead = ours.since(theirs).max(theirs.since(ours));
    let message = format!("ours and the tenant's are {} s apart", ahead.as_secs());
    let fix = "set this machine's clock, by NTP for example";
    if ahead >= CLOCK_LEEWAY {
        Finding::wrong("clock", about, message + ": tokens seem expired, or not valid yet").fix(fix)
    } else if ahead > CLOCK_WARNING {
        Finding::warning("clock", about, message).fix(fix)
    } else {
        Finding::fine("clock", about, "ours and the tenant's agree")
    }
}

/// What our application has been granted, and what is too little or too much of it.
pub(super) fn grant(config: &Config, grant: &Result<Grant, TenantError>) -> Vec<Finding> {
    let about = &config.auth0.client_id;
    let grant = match grant {
        Ok(grant) => grant,
        Err(error) => return vec![failure("grant", about, error)],
    };
    let missing: Vec<&str> = Grant::needed().filter(|scope| !grant.has(scope)).collect();
    let is_needed = |scope: &str| scope == OPTIONAL || Grant::needed().any(|needed| needed == scope);
    let excess: Vec<&str> = grant.scopes.iter().map(String::as_str).filter(|scope| !is_needed(scope)).collect();
    let mut findings = Vec::new();
    if missing.is_empty() {
        findings.push(Finding::fine("grant", about, "the application may read users and their tokens"));
    } else {
        let message = format!("the application lacks {}", missing.join(" and "));
        findings.push(
            Finding::wrong("grant", about, message).at("auth0.client_id").fix(format!("add it {WHERE_TO_GRANT}")),
        );
    }
    if !excess.is_empty() {
        let message = format!("the application has scopes that it never uses: {}", excess.join(" ").escape_debug());
        let finding = Finding::warning("grant", about, message).at("auth0.client_id");
        findings
            .push(finding.fix(format!("take them away, for whoever steals its secret has them too, {WHERE_TO_GRANT}")));
    }
    findings
}

/// Whether the application that asks Token Vault may. It offers a token that nobody can have been given.
pub(super) async fn vault(tenant: Arc<Tenant>, config: Arc<Config>, around: Surroundings) -> Vec<Finding> {
    let provider = config.providers.values().max_by_key(|provider| match provider.source {
        Source::TokenVault => 2,
        Source::Auto => 1,
        Source::Identities => 0,
    });
    let Some(provider) = provider.filter(|provider| provider.source != Source::Identities) else { return Vec::new() };
    let is_wanted = config.auth0.vault.is_some() || provider.source == Source::TokenVault;
    let client = config.auth0.vault.as_ref().map_or(&config.auth0.client_id, |vault| &vault.client_id);
    let key = if config.auth0.vault.is_some() { "auth0.vault" } else { "auth0.client_id" };
    let deadline = around.clock.instant() + config.limits.tenant_timeout;
    let offered = Secret::new("idp-proxy.check.no-such-token");
    vec![match tenant.exchange(&offered, &provider.connection, None, deadline).await {
        Err(VaultError::Tenant(TenantError::Misconfigured(why))) if is_wanted => {
            Finding::wrong("token vault", client, why).at(key).fix(
                "in the Auth0 dashboard: Applications > APIs > this API > create a Custom API Client, grant type Token Vault",
            )
        }
        Err(VaultError::Tenant(TenantError::Misconfigured(_))) => {
            Finding::fine("token vault", client, "is not set up, and no provider says that it must be")
        }
        Err(VaultError::Tenant(error)) => failure("token vault", client, &error),
        Ok(_)
        | Err(
            VaultError::NotConnected
            | VaultError::NoSuchAccount
            | VaultError::RenewalFailed
            | VaultError::NotEnabled
            | VaultError::SubjectRefused
            | VaultError::Denied,
        ) => Finding::fine("token vault", client, "the application may exchange callers' tokens"),
    }]
}

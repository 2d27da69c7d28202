//! Probes of the connections that providers are configured with: whether they are there, which of the tenant's worlds they
//! live in, with whose client, and whether a sign-in brings what renewals spend.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding::Finding;
use super::{Surroundings, tenant};
use crate::auth0::{Connection, Grant, Tenant};
use crate::config::{Config, Provider, RefreshGrant, Source};

const PROBE: &str = "connection";

/// Looks at each connection once.
pub(super) async fn all(
    tenant: &Arc<Tenant>,
    config: &Arc<Config>,
    grant: &Grant,
    around: &Surroundings,
) -> Vec<Finding> {
    let mut connections: BTreeMap<&str, Vec<(&str, &Provider)>> = BTreeMap::new();
    for (name, provider) in &config.providers {
        connections.entry(&provider.connection).or_default().push((name, provider));
    }
    if !grant.has("read:connections") {
        let about = connections.into_keys().collect::<Vec<_>>().join(", ");
        let message = "not looked at: the application lacks read:connections, which only this check needs";
        return vec![Finding::unknown(PROBE, &about, message).fix("grant it for as long as you check")];
    }
    let mut findings = Vec::new();
    for (connection, providers) in connections {
        let deadline = around.clock.instant() + config.limits.tenant_timeout;
        match tenant.connection(grant, connection, deadline).await {
            Ok(Some(found)) => findings.extend(judge(connection, &found, &providers)),
            Ok(None) => findings.extend(providers.iter().map(|(name, _)| missing(connection, name))),
            Err(error) => findings.push(tenant::failure(PROBE, connection, &error)),
        }
    }
    findings
}

fn missing(connection: &str, provider: &str) -> Finding {
    Finding::wrong(PROBE, connection, "the tenant has no such connection")
        .at(format!("providers.{provider}.connection"))
        .fix("create it in the Auth0 dashboard (Authentication), or name the one that there is")
}

fn judge(name: &str, found: &Connection, providers: &[(&str, &Provider)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = providers.iter().flat_map(|provider| faults(name, found, *provider)).collect();
    if found.client_id.is_none() && findings.is_empty() {
        findings.push(
            Finding::warning(
                PROBE,
                name,
                "uses Auth0's developer keys: its tokens are those of Auth0's own application",
            )
            .fix("give the connection a client of your own at the provider: Authentication > this connection"),
        );
    }
    if findings.is_empty() {
        let world = match (found.signs_in, found.is_in_vault) {
            (true, true) => "identities and Token Vault",
            (false, true) => "Token Vault",
            (_, false) => "identities",
        };
        findings.push(Finding::fine(
            PROBE,
            name,
            format!("{}, {world}, with a client of its own", found.strategy.escape_debug()),
        ));
    }
    findings
}

fn faults(name: &str, found: &Connection, (provider, settings): (&str, &Provider)) -> Vec<Finding> {
    let key = |key: &str| format!("providers.{provider}.{key}");
    let mut findings = Vec::new();
    let world = match settings.source {
        Source::TokenVault if !found.is_in_vault => Some("is not for Token Vault, in which this provider's tokens are"),
        Source::Identities if !found.signs_in => Some("is not for signing in, so that no identity has a token of it"),
        Source::Auto if !found.signs_in && !found.is_in_vault => {
            Some("is for nothing: no token of it is kept anywhere")
        }
        Source::TokenVault | Source::Identities | Source::Auto => None,
    };
    if let Some(message) = world {
        let fix = "Authentication > this connection > Purpose, or say where its tokens are with `source`";
        findings.push(Finding::wrong(PROBE, name, message).at(key("source")).fix(fix));
    }
    let Some(renewal) = &settings.renewal else { return findings };
    if found.client_id.as_ref().is_some_and(|own| *own != renewal.client_id) {
        let message =
            "has another client than the one configured here: its refresh tokens cannot be renewed with this one";
        findings.push(
            Finding::wrong(PROBE, name, message)
                .at(key("client_id"))
                .fix("use the connection's own client_id and client_secret"),
        );
    }
    if found.client_id.is_none() {
        let message = "uses Auth0's developer keys, whose refresh tokens nobody but Auth0 can renew";
        let fix = "give the connection the client that is configured here";
        findings.push(Finding::wrong(PROBE, name, message).at(key("client_id")).fix(fix));
    }
    if renewal.grant == RefreshGrant::RefreshToken && asks_for_offline(settings) && !found.asks_for_offline_access {
        findings.push(
            Finding::warning(
                PROBE,
                name,
                "does not ask for a refresh token: only sign-ins that ask by themselves bring one",
            )
            .at(format!("providers.{provider}"))
            .fix("switch Offline Access on at the connection, or sign users in with the URL that `connect` carries"),
        );
    }
    findings
}

/// Whether the provider gives a refresh token only to those who ask for one, in its own way or that of OpenID Connect.
fn asks_for_offline(settings: &Provider) -> bool {
    let is_offline = |(name, value): &(String, String)| name == "access_type" && value == "offline";
    settings.sign_in.params.iter().any(is_offline)
        || settings.sign_in.scopes.iter().any(|scope| scope == "offline_access")
}

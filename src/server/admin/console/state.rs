//! What the page shows of the process: its providers, what the codes mean, and the figures of its charts.

use serde_json::{Map, Value, json};

use super::Console;
use crate::clock::Timestamp;
use crate::config::{Allow, Config, Provider, Source};
use crate::error::Code;
use crate::telemetry::feed::{FAULTS, Feed, TICK};

/// The process and its configuration, without a secret.
pub(super) fn of(console: &Console, config: &Config) -> Value {
    let users: Vec<&str> = console.users.iter().map(|(name, _)| *name).collect();
    let providers: Vec<Value> = config.providers.iter().map(|(name, own)| provider(name, own)).collect();
    let codes: Map<String, Value> = Code::ALL
        .iter()
        .map(|code| code.row())
        .map(|row| {
            let meaning = json!({ "title": row.title, "fault": row.fault.name(), "cure": row.cure });
            (row.code.to_owned(), meaning)
        })
        .collect();
    let public_url = config.server.public_url.clone();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "proxy": public_url.unwrap_or_else(|| console.live().url()),
        "lacks": console.live().lacks(),
        "tenant": config.auth0.domain,
        "audience": config.auth0.audience,
        "users": users,
        "providers": providers,
        "codes": codes,
    })
}

fn provider(name: &str, own: &Provider) -> Value {
    let source = match own.source {
        Source::Auto => "identities, then Token Vault",
        Source::Identities => "identities",
        Source::TokenVault => "Token Vault",
    };
    let renewal = own.renewal.as_ref().map(|renewal| if renewal.rotates { "rotates" } else { "kept" });
    let allow = match &own.allow {
        Allow::Read => vec!["GET, HEAD".to_owned()],
        Allow::All => vec!["every method".to_owned()],
        Allow::Rules(rules) => rules.iter().map(ToString::to_string).collect(),
    };
    json!({
        "name": name,
        "connection": own.connection,
        "base_url": own.base_url.to_string(),
        "host": own.host,
        "source": source,
        "renewal": renewal,
        "audience": own.audience,
        "allow": allow,
        "deny": own.deny.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "require": own.require,
    })
}

/// The last quarter of an hour.
pub(super) fn samples(feed: &Feed, now: Timestamp) -> Value {
    let samples = feed.history(now).into_iter().map(|sample| {
        let latency = sample.latency.map(|duration| duration.as_secs_f64() * 1000.0);
        json!({ "at": sample.at.unix_seconds(), "requests": sample.requests, "faults": sample.faults, "latency": latency })
    });
    let samples: Vec<Value> = samples.collect();
    json!({ "now": now.unix_seconds(), "tick": TICK.as_secs(), "faults": FAULTS, "samples": samples })
}

//! `idp-proxy check --online`: whether the tenant and the providers are as the configuration says. Every probe runs beside
//! the others, each call under `tenant_timeout`; nothing is spent, and no secret is printed.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::auth0::Tenant;
use crate::clock::Clock;
use crate::command::Exit;
use crate::config::Config;
use crate::store::{OpenError, Purpose, Store};
use crate::telemetry::chain;
use crate::telemetry::metrics::Metrics;

mod connection;
mod finding;
mod provider;
mod report;
mod tenant;

use finding::{Finding, Outcome};

/// What probes need beside the configuration.
#[derive(Clone)]
struct Surroundings {
    clock: Clock,
    metrics: Metrics,
}

/// Probes everything and reports to `out`. `text` is the file that `config` was read from.
///
/// # Errors
/// When `out` does not take the report, or the platform's TLS roots cannot be loaded.
pub(super) async fn run(
    config: Config,
    (path, text): (&Path, &str),
    clock: Clock,
    (json, color): (bool, bool),
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let findings = probe(Arc::new(config), Surroundings { clock, metrics: Metrics::new() }).await?;
    let report = if json { report::json(path, text, &findings) } else { report::table(path, text, &findings, color) };
    out.write_all(report.as_bytes())?;
    out.flush()?;
    Ok(exit(&findings))
}

/// What is wrong has to be mended by somebody, out of reach or not, so it goes first.
fn exit(findings: &[Finding]) -> Exit {
    let some = |outcome| findings.iter().any(|finding| finding.outcome == outcome);
    match (some(Outcome::Wrong), some(Outcome::OutOfReach)) {
        (true, _) => Exit::Misused,
        (false, true) => Exit::OutOfReach,
        (false, false) => Exit::Done,
    }
}

async fn probe(config: Arc<Config>, around: Surroundings) -> io::Result<Vec<Finding>> {
    // What a fleet shares of its budget is in its store. A check is one call or two, and goes without.
    let memory = Store::memory(&around.clock, config.limits.tokens);
    let tenant = Tenant::new(&config, &memory, around.metrics.clone(), &around.clock).map_err(io::Error::other)?;
    let tenant = Arc::new(tenant);
    let mut probes: Vec<JoinHandle<Vec<Finding>>> = Vec::new();
    for issuer in &config.auth0.issuers {
        probes.push(tokio::spawn(tenant::issuer(Arc::clone(&tenant), issuer.clone())));
    }
    probes.push(tokio::spawn(application(Arc::clone(&tenant), Arc::clone(&config), around.clone())));
    probes.push(tokio::spawn(tenant::vault(tenant, Arc::clone(&config), around.clone())));
    for name in provider::renewed(&config) {
        probes.push(tokio::spawn(provider::renews(Arc::clone(&config), name, around.clone())));
    }
    for name in config.providers.keys() {
        probes.push(tokio::spawn(provider::answers(Arc::clone(&config), name.clone())));
    }
    probes.push(tokio::spawn(async move { vec![store(&config, &around).await] }));
    let mut findings = Vec::new();
    for probe in probes {
        findings.extend(probe.await.map_err(io::Error::other)?);
    }
    Ok(findings)
}

/// What can be found out with our application's own token.
async fn application(tenant: Arc<Tenant>, config: Arc<Config>, around: Surroundings) -> Vec<Finding> {
    let (theirs, grant) = tenant.grant().await;
    let mut findings = vec![tenant::clock(&config, theirs, around.clock.now())];
    findings.extend(tenant::grant(&config, &grant));
    if let Ok(grant) = &grant {
        findings.extend(connection::all(&tenant, &config, grant, &around).await);
    }
    findings
}

/// Whether the store opens, beside whoever serves from it.
async fn store(config: &Config, around: &Surroundings) -> Finding {
    let probe = "store";
    let Some(settings) = &config.store else { return Finding::fine(probe, "memory", "nothing outlives the process") };
    let about = match &settings.place {
        crate::config::StorePlace::Sqlite(_) => "sqlite",
        crate::config::StorePlace::Postgres(_) => "postgres",
    };
    match Store::open(settings, Purpose::Tend, &around.metrics).await {
        Ok(_) => Finding::fine(probe, about, "opens with the configured keys"),
        Err(OpenError::Missing(_) | OpenError::NotPrepared) => {
            Finding::fine(probe, about, "is not there yet; `idp-proxy serve` makes it")
        }
        Err(error @ OpenError::Unavailable(_)) => {
            Finding::out_of_reach(probe, about, chain(&error)).at("store.url").fix("see whether the database runs")
        }
        Err(error @ (OpenError::WrongKeys | OpenError::BadKey)) => Finding::wrong(probe, about, chain(&error))
            .at("store.keys")
            .fix("the first key seals, and all of them open"),
        Err(
            error @ (OpenError::Newer { .. }
            | OpenError::UnknownParameter
            | OpenError::InUse(_)
            | OpenError::File { .. }
            | OpenError::Store(_)),
        ) => Finding::wrong(probe, about, chain(&error))
            .at("store.url")
            .fix("see that it is the proxy's own store, and this version's"),
    }
}

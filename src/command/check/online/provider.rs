//! Probes of the providers: whether their APIs answer, and whether their token endpoints accept our client.

use std::io;
use std::sync::Arc;

use super::Surroundings;
use super::finding::Finding;
use crate::config::{Config, Provider, Renewal};
use crate::telemetry::chain;
use crate::token::{Class, try_client};

/// Any answer will do: it is asked without a token.
pub(super) async fn answers(config: Arc<Config>, name: String) -> Vec<Finding> {
    let Some(provider) = config.providers.get(&name) else { return Vec::new() };
    let asked = match client(&config) {
        Ok(client) => {
            client.get(provider.base_url.to_string()).send().await.map_err(|error| chain(&error.without_url()))
        }
        Err(error) => Err(chain(&error)),
    };
    vec![match asked {
        Ok(answer) => {
            Finding::fine("provider", &name, format!("{} answers ({})", provider.base_url, answer.status().as_u16()))
        }
        Err(why) => Finding::out_of_reach("provider", &name, format!("{} gives no answer: {why}", provider.base_url))
            .at(format!("providers.{name}.base_url"))
            .fix("check the address and the network; SSL_CERT_FILE, if set, names the only authorities"),
    }]
}

fn client(config: &Config) -> io::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(config.limits.connect_timeout)
        .timeout(config.limits.tenant_timeout)
        .user_agent(concat!("idp-proxy/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(io::Error::other)
}

/// The providers that are renewed, one for each way of doing so: tables that share a connection share its client.
pub(super) fn renewed(config: &Config) -> Vec<String> {
    let mut found: Vec<(&String, &Renewal)> = Vec::new();
    for (name, provider) in &config.providers {
        if let Some(renewal) = &provider.renewal
            && !found.iter().any(|(_, known)| *known == renewal)
        {
            found.push((name, renewal));
        }
    }
    found.into_iter().map(|(name, _)| name.clone()).collect()
}

/// Whether the client of its renewals is accepted.
pub(super) async fn renews(config: Arc<Config>, name: String, around: Surroundings) -> Vec<Finding> {
    let Some(Provider { renewal: Some(renewal), .. }) = config.providers.get(&name) else { return Vec::new() };
    let key = |key: &str| format!("providers.{name}.{key}");
    let probe = "renewal";
    vec![match try_client(renewal, config.limits.tenant_timeout, &around.clock).await {
        Ok(()) => Finding::fine(probe, &name, format!("{} accepts the client", renewal.url)),
        Err(class @ Class::WrongClient) => Finding::wrong(probe, &name, class.reason())
            .at(key("client_secret"))
            .fix("use the client_id and client_secret that the connection has at the provider"),
        Err(class @ (Class::Network | Class::Provider5xx)) => {
            Finding::out_of_reach(probe, &name, format!("{}: {}", renewal.url, class.reason()))
                .at(key("token_url"))
                .fix("check the address and the network")
        }
        Err(class @ Class::Ours) => Finding::wrong(probe, &name, class.reason()).at(key("client_secret")),
        Err(class @ (Class::Provider4xx | Class::Malformed | Class::DeadGrant)) => Finding::warning(
            probe,
            &name,
            format!("{} does not say whether it accepts the client: {}", renewal.url, class.reason()),
        )
        .at(key("token_url"))
        .fix("see whether it is the token endpoint, and what `refresh_auth` and `refresh_body` it wants"),
    }]
}

//! The numbers of `/metrics`. Every label's values come from a closed set or from the configuration, so the number of
//! series is bounded and no user, token or path can become one.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::timer::Timer;

/// Every metric of one process; clones count into the same numbers.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    steps: Arc<[Timer; 3]>,
    tenant_calls: Family<TenantLabels, Counter>,
    token_lookups: Arc<[Counter; Outcome::ALL.len()]>,
    tokens_held: Gauge,
    renewals: Family<RenewalLabels, Counter>,
    store_failures: Family<StoreLabels, Counter>,
    leaks: Family<LeakLabels, Counter>,
    config_reloads: Family<ReloadLabels, Counter>,
    log_lines_lost: Counter,
    registry: Arc<Registry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    provider: Arc<str>,
    status: u16,
    fault: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    step: Step,
}

/// One of the steps of a request, timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Step {
    /// Who calls.
    #[expect(non_camel_case_types, reason = "the label's value")]
    verify,
    /// The token.
    #[expect(non_camel_case_types, reason = "the label's value")]
    token,
    /// The provider, from sending to the head of its answer.
    #[expect(non_camel_case_types, reason = "the label's value")]
    upstream,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    endpoint: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RenewalLabels {
    provider: Arc<str>,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    class: &'static str,
}

/// How a request's token was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In memory.
    Hit,
    /// By a read of the tenant.
    Miss,
    /// In memory, and looked at anew because it was due.
    Recheck,
    /// In memory, past its recheck, because the tenant gave no answer.
    ServedOn,
    /// By a renewal at the provider.
    Renewed,
    /// From Token Vault.
    Exchanged,
    /// Not at all.
    Refused,
}

impl Outcome {
    const ALL: [Self; 7] =
        [Self::Hit, Self::Miss, Self::Recheck, Self::ServedOn, Self::Renewed, Self::Exchanged, Self::Refused];

    /// Its name in log and metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Recheck => "recheck",
            Self::ServedOn => "served_on",
            Self::Renewed => "renewed",
            Self::Exchanged => "exchanged",
            Self::Refused => "refused",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeakLabels {
    provider: Arc<str>,
    place: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All numbers at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("idp_proxy");
        let requests = Family::default();
        registry.register(
            "requests",
            "Requests answered, by provider, status and whose fault a failure was",
            requests.clone(),
        );
        let steps = Family::<StepLabels, Timer>::default();
        registry.register("step_seconds", "What the steps of a request cost", steps.clone());
        let steps =
            [Step::verify, Step::token, Step::upstream].map(|step| steps.get_or_create(&StepLabels { step }).clone());
        let tenant_calls = Family::default();
        registry.register("tenant_calls", "Calls to the tenant, by endpoint and outcome", tenant_calls.clone());
        let token_lookups = Family::<LookupLabels, Counter>::default();
        registry.register("token_lookups", "How a request's token was found", token_lookups.clone());
        let tokens_held = Gauge::default();
        registry.register("tokens_held", "Users whose tokens are held in memory", tokens_held.clone());
        let renewals = Family::default();
        registry.register("renewals", "Renewals at providers, by provider and how they ended", renewals.clone());
        let store_failures = Family::default();
        registry.register("store_failures", "Failures of the token store, by class", store_failures.clone());
        let leaks = Family::default();
        registry.register("leaks", "What kept an access token from coming back, by provider and place", leaks.clone());
        let config_reloads = Family::default();
        registry.register("config_reloads", "Reloads of the configuration, by outcome", config_reloads.clone());
        let log_lines_lost = Counter::default();
        registry.register(
            "log_lines_lost",
            "Log lines dropped because they could not be written in time",
            log_lines_lost.clone(),
        );
        Self {
            requests,
            steps: Arc::new(steps),
            tenant_calls,
            // Looked up once: a request that finds its token in memory should not pay for finding its counter.
            token_lookups: Arc::new(
                Outcome::ALL
                    .map(|outcome| token_lookups.get_or_create(&LookupLabels { outcome: outcome.name() }).clone()),
            ),
            tokens_held,
            renewals,
            store_failures,
            leaks,
            config_reloads,
            log_lines_lost,
            registry: Arc::new(registry),
        }
    }

    /// Counts an answered request. `provider` is a configured name or `-`; `fault` is empty for a relayed answer.
    pub fn request(&self, provider: &Arc<str>, status: u16, fault: &'static str) {
        // RFC 9110 §15: nothing above is a status, and a provider that makes them up must not make series.
        let status = status.min(600);
        self.requests.get_or_create(&RequestLabels { provider: Arc::clone(provider), status, fault }).inc();
    }

    /// Records what one step cost.
    pub fn step(&self, step: Step, cost: Duration) {
        let [verify, token, upstream] = &*self.steps;
        let timer = match step {
            Step::verify => verify,
            Step::token => token,
            Step::upstream => upstream,
        };
        timer.observe(cost);
    }

    /// Counts a call to the tenant.
    pub fn tenant_call(&self, endpoint: &'static str, outcome: &'static str) {
        self.tenant_calls.get_or_create(&TenantLabels { endpoint, outcome }).inc();
    }

    /// Counts a token lookup.
    pub fn token_lookup(&self, outcome: Outcome) {
        let known = Outcome::ALL.iter().zip(&*self.token_lookups).find(|(known, _)| **known == outcome);
        if let Some((_, counter)) = known {
            counter.inc();
        }
    }

    /// Tells how many users' tokens are held now.
    pub fn tokens_held(&self, count: usize) {
        self.tokens_held.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a renewal at a provider; `class` is `ok` or the failure's.
    pub fn renewal(&self, provider: &Arc<str>, class: &'static str) {
        self.renewals.get_or_create(&RenewalLabels { provider: Arc::clone(provider), class }).inc();
    }

    /// Counts a failure of the token store.
    pub fn store_failure(&self, class: &'static str) {
        self.store_failures.get_or_create(&StoreLabels { class }).inc();
    }

    /// Counts a find of the leak guard.
    pub fn leak(&self, provider: &Arc<str>, place: &'static str) {
        self.leaks.get_or_create(&LeakLabels { provider: Arc::clone(provider), place }).inc();
    }

    /// Counts a reload of the configuration.
    pub fn config_reload(&self, outcome: &'static str) {
        self.config_reloads.get_or_create(&ReloadLabels { outcome }).inc();
    }

    /// Counts log lines that could not be kept.
    pub fn log_lines_lost(&self, count: u64) {
        self.log_lines_lost.inc_by(count);
    }

    /// Everything in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_those_of_the_contract() {
        let metrics = Metrics::new();
        metrics.request(&Arc::from("github"), 200, "");
        metrics.tenant_call("users", "ok");
        metrics.token_lookup(Outcome::Hit);
        metrics.renewal(&Arc::from("google"), "dead_grant");
        metrics.store_failure("silent");
        metrics.leak(&Arc::from("google"), "body");
        metrics.config_reload("ok");
        metrics.step(Step::verify, Duration::from_micros(3));
        let text = metrics.render();
        for line in [
            r#"idp_proxy_requests_total{provider="github",status="200",fault=""} 1"#,
            r#"idp_proxy_tenant_calls_total{endpoint="users",outcome="ok"} 1"#,
            r#"idp_proxy_token_lookups_total{outcome="hit"} 1"#,
            r#"idp_proxy_renewals_total{provider="google",class="dead_grant"} 1"#,
            r#"idp_proxy_store_failures_total{class="silent"} 1"#,
            r#"idp_proxy_leaks_total{provider="google",place="body"} 1"#,
            r#"idp_proxy_config_reloads_total{outcome="ok"} 1"#,
            r#"idp_proxy_step_seconds_count{step="verify"} 1"#,
            "idp_proxy_tokens_held 0",
        ] {
            assert!(text.contains(line), "{line} is missing from:\n{text}");
        }
    }
}

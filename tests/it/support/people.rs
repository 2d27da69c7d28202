//! Users other than alice, and what a test sees of them.

use std::collections::BTreeMap;
use std::path::Path;

use idp_proxy::command::dev::tenant::{Endpoint, Identity, User};
use idp_proxy::config::Config;
use tokio::task::JoinHandle;

use super::{Answer, Rig, Upstream, client};

/// The audience of every rig's tokens.
pub const AUDIENCE: &str = "https://idp-proxy.localhost/";

impl Rig {
    /// Adds a user with one account at `connection`, and this access token there.
    pub fn add(&self, sub: &str, connection: &str, token: &str) {
        self.tenant.add_user(User::new(sub).with(Identity::new(connection, "1").access_token(token)));
    }

    /// The proxy's answer to `GET path` from `sub`.
    pub async fn get_as(&self, sub: &str, path: &str) -> Answer {
        self.get_bearing(&self.tenant.token_for(sub), path).await
    }

    /// The proxy's answer to `GET path` with this bearer.
    pub async fn get_bearing(&self, token: &str, path: &str) -> Answer {
        self.send_as_is("GET", path, &[("authorization", &format!("Bearer {token}"))], b"").await
    }

    /// Begins a `GET path` with this bearer, in a task of its own.
    pub fn begin(&self, token: &str, path: &'static str) -> JoinHandle<Answer> {
        let (address, line) = (self.address(), format!("Bearer {token}"));
        tokio::spawn(async move { client::send(&address, "GET", path, &[("authorization", &line)], b"").await })
    }

    /// Begins a `GET path` from `sub`.
    pub fn begin_as(&self, sub: &str, path: &'static str) -> JoinHandle<Answer> {
        self.begin(&self.tenant.token_for(sub), path)
    }

    /// Puts the same configuration with one text replaced in force.
    pub async fn reload_with(&self, old: &str, new: &str) {
        assert!(self.toml.contains(old), "{old} is not in the configuration");
        let config = Config::parse(&self.toml.replace(old, new), Path::new("test.toml"), &BTreeMap::new());
        self.server.reload(config.unwrap_or_else(|faults| panic!("{faults}"))).await.unwrap();
        self.ready().await;
    }

    /// How often the tenant was asked for a user.
    pub fn reads(&self) -> u64 {
        self.tenant.calls(Endpoint::Users)
    }

    /// How often the tenant was asked for its keys.
    pub fn key_set_reads(&self) -> u64 {
        self.tenant.calls(Endpoint::Jwks)
    }
}

impl Upstream {
    /// The credential of the request that arrived last.
    pub fn last_token(&self) -> String {
        let credential = self.requests().last().map(|request| request.all("authorization")).unwrap_or_default();
        credential.strip_prefix("Bearer ").unwrap_or(&credential).to_owned()
    }

    /// The credentials of all requests that arrived.
    pub fn tokens(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.all("authorization").replace("Bearer ", "")).collect()
    }
}

/// Asserts that an answer is the proxy's own, with this status and code.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
    let proxy_status = answer.header("proxy-status").unwrap_or_default();
    assert!(proxy_status.contains("error=") && proxy_status.contains(&format!("details=\"{code}\"")), "{proxy_status}");
    let pause = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
    assert_eq!(pause.is_some_and(|seconds| seconds > 0), status == 503, "Retry-After: {pause:?}");
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{:?}", answer.headers);
}

/// Waits for the answers of calls that run at the same time.
pub async fn answers(calls: impl IntoIterator<Item = JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    // Collected first, so that all of them have begun before one is waited for.
    for call in calls.into_iter().collect::<Vec<_>>() {
        answers.push(call.await.unwrap());
    }
    answers
}

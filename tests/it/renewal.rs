//! The token's life: nobody is logged out by a race, and a dead token is never sent in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::provider::{Provider, Side};
use idp_proxy::command::dev::{ALICE, World, WorldSettings};
use idp_proxy::config::Config;
use idp_proxy::server::{Server, Surroundings};

use crate::support::durable::{self, KEY};
use crate::support::{Answer, client};

mod drain;
mod leaving;

/// Longer than the demo providers' access tokens live.
const HOUR: Duration = Duration::from_secs(3601);

/// A world with a proxy in front, whose grants are in a file.
struct Life {
    world: World,
    server: Server,
    file: PathBuf,
}

impl Life {
    async fn start(name: &str) -> Self {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("renewal-{name}-{}.db", std::process::id()));
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
        }
        let world = World::start(Clock::system(), WorldSettings::default()).await.unwrap();
        let server = serve(&world, &file).await;
        Self { world, server, file }
    }

    /// The same store under a new process, as far as a test can tell.
    async fn restart(self) -> Self {
        let Self { world, server, file } = self;
        assert!(server.stop().await);
        let server = serve(&world, &file).await;
        Self { world, server, file }
    }

    async fn get(&self, provider: &str) -> Answer {
        self.send("GET", &format!("/proxy/{provider}/user"), b"").await
    }

    async fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.world.alice());
        let headers = [("authorization", authorization.as_str())];
        client::send(&self.server.proxy().to_string(), method, path, &headers, body).await
    }

    /// Alice's answers to many calls at once.
    async fn flood(self: &Arc<Self>, provider: &'static str, count: usize) -> Vec<Answer> {
        let call = |_| {
            let life = Arc::clone(self);
            tokio::spawn(async move { life.get(provider).await })
        };
        let calls: Vec<_> = (0..count).map(call).collect();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap());
        }
        answers
    }

    fn later(&self) {
        self.world.clock.advance(HOUR);
    }

    fn access_token(&self, connection: &str) -> String {
        self.world.tenant.user(ALICE).unwrap().identity(connection).unwrap().access_token.clone().unwrap()
    }
}

async fn serve(world: &World, file: &Path) -> Server {
    let toml = world.proxy_toml("127.0.0.1:0", &format!("sqlite:{}", file.display()), KEY)
        + "\n[limits]\nreplay_body_bytes = 1000\n";
    durable::serve(world, &toml).await
}

fn calls(provider: &Provider) -> u64 {
    provider.calls(Side::Token)
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_for_everybody_who_waits() {
    let life = Arc::new(Life::start("once").await);
    assert_eq!(life.get("google").await.status, 200);
    life.later();
    for answer in life.flood("google", 100).await {
        assert_eq!((answer.status, answer.code()), (200, String::new()));
    }
    assert_eq!(calls(&life.world.google), 1);
}

#[tokio::test]
async fn a_rotating_grant_lives_through_many_renewals_without_a_reuse() {
    let life = Arc::new(Life::start("rotating").await);
    for round in 0..10 {
        for answer in life.flood("bitbucket", 10).await {
            assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
        }
        life.later();
    }
    assert_eq!((life.world.bitbucket.refreshes(), life.world.bitbucket.reuses()), (9, 0));
}

#[tokio::test]
async fn a_hundred_refusals_at_once_cause_one_renewal_and_nobody_notices() {
    let life = Arc::new(Life::start("refusals").await);
    assert_eq!(life.get("bitbucket").await.status, 200);
    life.world.bitbucket.kill_access_token(&life.access_token("bitbucket"));
    for answer in life.flood("bitbucket", 100).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!((life.world.bitbucket.refreshes(), life.world.bitbucket.reuses()), (1, 0));
}

#[tokio::test]
async fn a_refused_upload_is_sent_once_more_if_it_is_small_and_relayed_if_it_is_not() {
    let life = Life::start("upload").await;
    let small = vec![b's'; 1000];
    let large = vec![b'l'; 1001];
    assert_eq!(life.get("google").await.status, 200);
    life.world.google.kill_access_token(&life.access_token("google-oauth2"));
    let answer = life.send("POST", "/proxy/google/echo", &large).await;
    assert_eq!((answer.status, answer.code()), (401, String::new()), "relayed as it came");
    let answer = life.send("POST", "/proxy/google/echo", &large).await;
    assert_eq!(answer.status, 200, "the next call has the new token");
    assert_eq!(calls(&life.world.google), 1);

    let life = Life::start("upload-small").await;
    assert_eq!(life.get("google").await.status, 200);
    life.world.google.kill_access_token(&life.access_token("google-oauth2"));
    let answer = life.send("POST", "/proxy/google/echo", &small).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["body_length"], 1000);
}

#[tokio::test]
async fn a_renewal_outlives_the_caller_who_started_it() {
    let life = Arc::new(Life::start("leaver").await);
    assert_eq!(life.get("bitbucket").await.status, 200);
    life.later();
    life.world.bitbucket.delay(Side::Token, Duration::from_millis(400));
    let first = tokio::spawn({
        let life = Arc::clone(&life);
        async move { life.get("bitbucket").await }
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    first.abort();
    assert_eq!(life.get("bitbucket").await.status, 200);
    assert_eq!((life.world.bitbucket.refreshes(), life.world.bitbucket.reuses()), (1, 0));
}

#[tokio::test]
async fn what_was_rotated_survives_a_restart() {
    let mut life = Life::start("restart").await;
    for _ in 0..3 {
        assert_eq!(life.get("bitbucket").await.status, 200);
        life.later();
        assert_eq!(life.get("bitbucket").await.status, 200);
        life = life.restart().await;
        life.later();
    }
    assert_eq!(life.get("bitbucket").await.status, 200);
    assert_eq!(life.world.bitbucket.reuses(), 0);
}

#[tokio::test]
async fn a_failing_provider_does_not_take_a_token_that_still_lives() {
    let life = Life::start("failing").await;
    assert_eq!(life.get("google").await.status, 200);
    life.world.google.fail(Side::Token, Fault::Status(500, "{}".into()));
    // Within the renewal window, and before the end.
    life.world.clock.advance(Duration::from_secs(3590));
    for _ in 0..3 {
        assert_eq!(life.get("google").await.status, 200);
    }
    life.world.clock.advance(Duration::from_secs(11));
    let answer = life.get("google").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_protocol"));
    life.world.google.heal();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(life.get("google").await.status, 200);
}

#[tokio::test]
async fn a_revoked_grant_asks_for_a_new_sign_in_and_comes_to_life_with_it() {
    let life = Life::start("revoked").await;
    assert_eq!(life.get("bitbucket").await.status, 200);
    life.world.bitbucket.revoke_account("{8e5bd1a5-6d4a-4b1f-9a3e-0c9d2b7f1e60}");
    life.later();
    for _ in 0..3 {
        let answer = life.get("bitbucket").await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "reconnect_required"));
    }
    assert_eq!(calls(&life.world.bitbucket), 1, "a dead grant is not tried again");
    assert!(life.world.tenant.sign_in(ALICE, "bitbucket"));
    // Who comes back from it brings a new token of the tenant's, and waits for nothing.
    life.world.clock.advance(Duration::from_secs(1));
    assert_eq!(life.get("bitbucket").await.status, 200);
}

#[tokio::test]
async fn after_two_lost_answers_a_rotating_grant_is_given_up_and_said_so() {
    let life = Life::start("lost").await;
    assert_eq!(life.get("bitbucket").await.status, 200);
    life.later();
    life.world.bitbucket.fail(Side::Token, Fault::LoseAnswer.times(1));
    let answer = life.get("bitbucket").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"), "{}", answer.text());
    // The provider may be at it still: the last attempt is not wasted on the same bad moment.
    life.world.clock.advance(Duration::from_secs(2));
    let sent = life.world.bitbucket.calls(Side::Token);
    let answer = life.get("bitbucket").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"), "{}", answer.text());
    let wait: u64 = answer.header("retry-after").and_then(|seconds| seconds.parse().ok()).expect("when to come back");
    assert!((15..=20).contains(&wait), "{wait}");
    assert_eq!(life.world.bitbucket.calls(Side::Token), sent);
    life.world.clock.advance(Duration::from_secs(wait + 1));
    let answer = life.get("bitbucket").await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "reconnect_required"));
    assert!(life.world.tenant.sign_in(ALICE, "bitbucket"));
    life.world.clock.advance(Duration::from_secs(6));
    assert_eq!(life.get("bitbucket").await.status, 200);
}

#[tokio::test]
async fn a_wrong_client_is_the_operators_fault_and_costs_no_grant() {
    let life = Life::start("client").await;
    assert_eq!(life.get("bitbucket").await.status, 200);
    life.later();
    life.world.bitbucket.fail(Side::Token, Fault::Status(401, r#"{"error":"invalid_client"}"#.into()));
    let answer = life.get("bitbucket").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "provider_misconfigured"));
    life.world.bitbucket.heal();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(life.get("bitbucket").await.status, 200);
    assert_eq!(life.world.bitbucket.reuses(), 0);
}

#[tokio::test]
async fn a_caller_can_ask_for_a_token_that_lives_long_enough() {
    let life = Life::start("validity").await;
    assert_eq!(life.get("google").await.status, 200);
    life.world.clock.advance(Duration::from_secs(3000));
    let authorization = format!("Bearer {}", life.world.alice());
    let address = life.server.proxy().to_string();
    let ask = async |seconds: &str| {
        let headers = [("authorization", authorization.as_str()), ("idp-proxy-min-validity", seconds)];
        client::send(&address, "GET", "/proxy/google/user", &headers, b"").await
    };
    assert_eq!(ask("300").await.status, 200);
    assert_eq!(calls(&life.world.google), 0);
    assert_eq!(ask("900").await.status, 200);
    assert_eq!(calls(&life.world.google), 1);
    assert_eq!(ask("900").await.status, 200);
    assert_eq!(calls(&life.world.google), 1);
    assert_eq!(ask("soon").await.code(), "bad_request");
}

#[tokio::test]
async fn a_second_process_may_not_serve_from_the_same_file() {
    let life = Life::start("second").await;
    let toml = life.world.proxy_toml("127.0.0.1:0", &format!("sqlite:{}", life.file.display()), KEY);
    let config = Config::parse(&toml, Path::new("test.toml"), &BTreeMap::new()).unwrap();
    let refused = Server::start(config, Surroundings::default()).await.err().unwrap();
    assert!(refused.to_string().contains("is in use by another process"), "{refused}");
}

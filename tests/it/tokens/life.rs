//! How long a held token is used: until the user is blocked, gone or unlinked, until it expires, until the provider
//! refuses it. A dead one is not sent again, and a new sign-in counts at once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::provider::Issued;

use super::{USER, github};
use crate::support::people::answers;
use crate::support::rig::{ALICE, provider_token};
use crate::support::{Answer, Recorded, Rig, Upstream, refused, rig};

const RECHECK: Duration = Duration::from_secs(601);
/// Longer than a refusal is believed.
const SECONDS: Duration = Duration::from_secs(6);

/// A provider that answers 401 to the tokens that have been killed.
struct Killing {
    upstream: Upstream,
    dead: Arc<Mutex<HashSet<String>>>,
}

impl Killing {
    async fn start() -> Self {
        let dead = Arc::<Mutex<HashSet<String>>>::default();
        let killed = Arc::clone(&dead);
        let upstream = Upstream::recording(move |request: &Recorded| {
            let token = request.all("authorization").replace("Bearer ", "");
            let status = if killed.lock().unwrap().contains(&token) { 401 } else { 200 };
            Response::builder().status(status).body(Bytes::from_static(b"provider")).unwrap()
        });
        Self { upstream: upstream.await, dead }
    }

    fn kill(&self, token: &str) {
        self.dead.lock().unwrap().insert(token.to_owned());
    }

    /// How often that token arrived.
    fn count(&self, token: &str) -> usize {
        self.upstream.tokens().iter().filter(|arrived| *arrived == token).count()
    }
}

/// Alice signs in at github again and gets this token.
fn sign_in(rig: &Rig, token: &'static str, expires_in: Option<u64>) {
    let issue = move |_: &str| Issued { access_token: token.to_owned(), refresh_token: None, expires_in };
    rig.tenant.register("github", issue);
    assert!(rig.tenant.sign_in(ALICE, "github"));
}

#[tokio::test]
async fn a_user_who_is_blocked_deleted_or_unlinked_is_served_no_longer_than_recheck() {
    let (rig, github) = github().await;
    for sub in ["auth0|blocked", "auth0|deleted", "auth0|unlinked"] {
        rig.add(sub, "github", "tok");
        assert_eq!(rig.get_as(sub, USER).await.status, 200);
    }
    rig.tenant.with_user("auth0|blocked", |user| user.blocked = Some(true));
    rig.tenant.remove_user("auth0|deleted");
    rig.tenant.with_user("auth0|unlinked", |user| user.identities.clear());
    assert_eq!(rig.get_as("auth0|blocked", USER).await.status, 200, "nobody has looked yet");
    rig.clock.advance(RECHECK);
    let before = github.requests().len();
    refused(&rig.get_as("auth0|blocked", USER).await, 403, "user_blocked");
    refused(&rig.get_as("auth0|deleted", USER).await, 403, "no_user");
    refused(&rig.get_as("auth0|unlinked", USER).await, 403, "not_connected");
    assert_eq!(github.requests().len(), before);
}

#[tokio::test]
async fn a_user_who_signs_in_anew_is_served_within_seconds() {
    let (rig, github) = github().await;
    rig.add("auth0|u", "github", "");
    refused(&rig.get_as("auth0|u", USER).await, 403, "reconnect_required");
    refused(&rig.get_as("auth0|new", USER).await, 403, "no_user");
    rig.add("auth0|u", "github", "tok-u");
    rig.add("auth0|new", "github", "tok-new");
    rig.clock.advance(SECONDS);
    assert_eq!(rig.get_as("auth0|u", USER).await.status, 200);
    assert_eq!(github.last_token(), "tok-u");
    assert_eq!(rig.get_as("auth0|new", USER).await.status, 200);
    assert_eq!(github.last_token(), "tok-new");
}

#[tokio::test]
async fn a_token_in_use_is_looked_up_behind_the_caller_before_its_time_is_over() {
    let (rig, github) = github().await;
    assert_eq!(rig.get(USER).await.status, 200);
    sign_in(&rig, "tok-new", None);
    rig.clock.advance(Duration::from_secs(9 * 60));
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(github.last_token(), provider_token("github"), "nobody waits for it");
    for _ in 0..500 {
        if rig.get(USER).await.status == 200 && github.last_token() == "tok-new" {
            assert_eq!(rig.reads(), 2);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the new token was never used");
}

#[tokio::test]
async fn a_token_that_has_expired_is_not_sent() {
    let (rig, github) = github().await;
    sign_in(&rig, "tok-hour", Some(3600));
    assert_eq!(rig.get(USER).await.status, 200);
    rig.clock.advance(Duration::from_secs(3500));
    assert_eq!(rig.get(USER).await.status, 200);
    rig.clock.advance(Duration::from_secs(101));
    refused(&rig.get(USER).await, 403, "reconnect_required");
    assert_eq!(github.requests().len(), 2);
    sign_in(&rig, "tok-next", Some(3600));
    rig.clock.advance(SECONDS);
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(github.last_token(), "tok-next");
}

#[tokio::test]
async fn who_comes_back_from_a_sign_in_is_not_sent_away_with_the_old_refusal() {
    let (rig, github) = github().await;
    sign_in(&rig, "tok-hour", Some(3600));
    assert_eq!(rig.get(USER).await.status, 200);
    rig.clock.advance(Duration::from_secs(3601));
    for _ in 0..3 {
        refused(&rig.get(USER).await, 403, "reconnect_required");
    }
    let reads = rig.reads();
    // A token that was got silently says no more than the old one, and is looked into once.
    rig.clock.advance(Duration::from_secs(1));
    let silent = rig.tenant.token(ALICE).sign();
    for _ in 0..3 {
        refused(&with_token(&rig, &silent).await, 403, "reconnect_required");
    }
    assert_eq!(rig.reads(), reads + 1);
    sign_in(&rig, "tok-next", Some(3600));
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(with_token(&rig, &rig.tenant.token(ALICE).sign()).await.status, 200);
    assert_eq!((github.last_token(), rig.reads()), ("tok-next".to_owned(), reads + 2));
}

async fn with_token(rig: &Rig, token: &str) -> Answer {
    rig.send_as_is("GET", USER, &[("authorization", &format!("Bearer {token}"))], b"").await
}

#[tokio::test]
async fn a_providers_401_is_relayed_and_the_next_call_uses_the_token_of_a_new_sign_in() {
    let github = Killing::start().await;
    let rig = rig().provider("github", &github.upstream).start().await;
    let old = provider_token("github");
    assert_eq!(rig.get(USER).await.status, 200);
    github.kill(&old);
    sign_in(&rig, "tok-new", None);
    let answer = rig.get(USER).await;
    assert_eq!((answer.status, answer.text().as_str()), (401, "provider"));
    assert_eq!(answer.header("proxy-status"), Some("idp-proxy; received-status=401"));
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(github.upstream.tokens(), [&*old, &*old, "tok-new"]);
    assert_eq!(rig.reads(), 2);
}

#[tokio::test]
async fn a_refused_token_rests_and_is_tried_once_more_after_recheck() {
    let github = Killing::start().await;
    let rig = rig().provider("github", &github.upstream).start().await;
    let token = provider_token("github");
    github.kill(&token);
    for round in 1..=2 {
        assert_eq!(rig.get(USER).await.status, 401, "round {round}");
        for _ in 0..5 {
            refused(&rig.get(USER).await, 403, "reconnect_required");
        }
        rig.clock.advance(SECONDS);
        refused(&rig.get(USER).await, 403, "reconnect_required");
        assert_eq!(github.count(&token), round, "round {round}");
        rig.clock.advance(RECHECK);
    }
    sign_in(&rig, "tok-new", None);
    github.dead.lock().unwrap().clear();
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(github.upstream.last_token(), "tok-new");
}

#[tokio::test]
async fn a_caller_who_insists_on_a_dead_token_costs_the_tenant_one_read_in_seconds() {
    let github = Killing::start().await;
    let rig = rig().provider("github", &github.upstream).start().await;
    github.kill(&provider_token("github"));
    assert_eq!(rig.get(USER).await.status, 401);
    for _ in 0..20 {
        refused(&rig.get(USER).await, 403, "reconnect_required");
    }
    assert_eq!(rig.reads(), 2);
    sign_in(&rig, "tok-new", None);
    rig.clock.advance(SECONDS);
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(rig.reads(), 3);
}

#[tokio::test]
async fn a_hundred_refusals_at_once_cost_one_read() {
    let github = Killing::start().await;
    let rig = rig().provider("github", &github.upstream).start().await;
    assert_eq!(rig.get(USER).await.status, 200);
    github.kill(&provider_token("github"));
    for answer in answers((0..100).map(|_| rig.begin_as(ALICE, USER))).await {
        assert!([401, 403].contains(&answer.status), "{}", answer.text());
    }
    refused(&rig.get(USER).await, 403, "reconnect_required");
    assert_eq!(rig.reads(), 2);
}

#[tokio::test]
async fn a_refusal_that_arrives_after_the_record_was_read_anew_counts_as_well() {
    let github = Upstream::recording(|_| Response::new(Bytes::new())).await;
    // Answers 401 when the test says so.
    let (say, said) = tokio::sync::watch::channel(false);
    let slow = Upstream::raw(move |mut stream| {
        let mut said = said.clone();
        async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = said.wait_for(|said| *said).await;
            let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    let rig = rig().with("auth0", "recheck = \"30s\"").provider("github", &github);
    let rig = rig.provider_at("slow", &slow.base_url(), "allow = \"all\"").start().await;
    rig.reload_with("connection = \"slow\"", "connection = \"github\"").await;

    let refusal = rig.begin_as(ALICE, "/proxy/slow/x");
    while rig.reads() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    rig.clock.advance(Duration::from_secs(31));
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(rig.reads(), 2, "the record was read anew");
    say.send_replace(true);
    assert_eq!(refusal.await.unwrap().status, 401);
    refused(&rig.get(USER).await, 403, "reconnect_required");
    assert_eq!(github.requests().len(), 1, "the dead token was sent again");
}

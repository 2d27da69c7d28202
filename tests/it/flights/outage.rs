//! A tenant that is down, slow, throttling or out of its mind: users whose tokens are held notice nothing, the others hear
//! so in time, and it is over when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::tenant::Endpoint;

use super::{USER, cold, github};
use crate::support::people::answers;
use crate::support::rig::{ALICE, provider_token};
use crate::support::{Upstream, refused, rig};

const RECHECK: Duration = Duration::from_secs(601);

fn throttled(seconds: u64) -> Fault {
    let headers = vec![("retry-after", seconds.to_string())];
    Fault::Answer { status: 429, headers, body: r#"{"errorCode":"too_many_requests"}"#.to_owned() }
}

#[tokio::test]
async fn a_user_whose_token_is_held_is_served_whatever_becomes_of_the_tenant() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with("limits", "tenant_timeout = \"300ms\"").provider("github", &github).start().await;
    assert_eq!(rig.get(USER).await.status, 200);
    for (name, fault) in [
        ("failing", Fault::Status(500, "{}".to_owned())),
        ("throttled", throttled(60)),
        ("garbage", Fault::Garbage),
        ("an error with 200", Fault::Status(200, r#"{"error":"Internal Server Error"}"#.to_owned())),
        ("cut", Fault::Reset),
        ("hanging", Fault::Hang),
        ("forbidding", Fault::Status(403, "{}".to_owned())),
        ("refusing the management token", Fault::Status(401, "{}".to_owned())),
    ] {
        rig.tenant.fail(Endpoint::Users, fault);
        let reads = rig.reads();
        rig.clock.advance(RECHECK);
        for _ in 0..3 {
            let answer = rig.get(USER).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        }
        assert!(rig.reads() > reads, "{name}: it was never looked up");
    }
    rig.tenant.down().await;
    rig.clock.advance(RECHECK);
    assert_eq!(rig.get_as(ALICE, USER).await.status, 200);
    assert!(github.tokens().iter().all(|token| *token == provider_token("github")));
}

#[tokio::test]
async fn a_user_whose_token_is_not_held_hears_that_the_tenant_is_down_and_is_served_when_it_is_up() {
    let (rig, github) = github().await;
    let subs = cold(&rig, "u", 3);
    rig.tenant.down().await;
    for answer in answers(subs.iter().map(|sub| rig.begin_as(sub, USER))).await {
        refused(&answer, 503, "tenant_unavailable");
        assert_eq!(answer.json()["fault"], "tenant");
    }
    github.saw_nothing();
    rig.tenant.up().await.unwrap();
    rig.clock.advance(Duration::from_secs(2));
    for sub in &subs {
        assert_eq!(rig.get_as(sub, USER).await.status, 200);
    }
}

#[tokio::test]
async fn a_tenant_that_hangs_keeps_nobody_longer_than_token_wait() {
    for endpoint in [Endpoint::Users, Endpoint::Token] {
        let github = Upstream::replying("hello").await;
        let limits = "token_wait = \"400ms\"\ntenant_timeout = \"60s\"";
        let rig = rig().with("limits", limits).provider("github", &github).start().await;
        rig.tenant.fail(endpoint, Fault::Hang);
        let subs = cold(&rig, "u", 30);
        // Far below the tenant's own timeout, which is what would be met otherwise.
        for answer in answers(subs.iter().map(|sub| rig.begin_as(sub, USER))).await {
            refused(&answer, 503, "tenant_unavailable");
        }
        github.saw_nothing();
    }
}

#[tokio::test]
async fn users_whose_tokens_are_held_do_not_wait_for_a_tenant_that_hangs() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with("limits", "tenant_timeout = \"60s\"").provider("github", &github).start().await;
    assert_eq!(rig.get(USER).await.status, 200);
    rig.tenant.fail(Endpoint::Users, Fault::Hang);
    rig.clock.advance(RECHECK);
    let token = rig.token().to_owned();
    for answer in answers((0..50).map(|_| rig.begin(&token, USER))).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(rig.reads(), 2, "all share one look");
}

#[tokio::test]
async fn a_tenant_that_throttles_for_long_is_left_alone_until_it_said_so() {
    let (rig, github) = github().await;
    assert_eq!(rig.get(USER).await.status, 200);
    let subs = cold(&rig, "u", 10);
    for header in ["retry-after", "x-ratelimit-reset"] {
        let seconds = if header == "retry-after" { 40 } else { rig.clock.now().unix_seconds() + 50 };
        let headers = vec![(header, seconds.to_string())];
        let fault = Fault::Answer { status: 429, headers, body: "{}".to_owned() };
        rig.tenant.fail(Endpoint::Users, fault);
        let reads = rig.reads();
        let first = rig.get_as(&subs[0], USER).await;
        refused(&first, 503, "tenant_rate_limited");
        for sub in &subs[1..] {
            let answer = rig.get_as(sub, USER).await;
            refused(&answer, 503, "tenant_rate_limited");
            let pause: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((20..=50).contains(&pause), "{header}: {pause}");
        }
        assert_eq!(rig.reads(), reads + 1, "{header}: one 429 is enough for all");
        assert_eq!(rig.get(USER).await.status, 200, "{header}: a user whose token is held");
        rig.tenant.heal();
        rig.clock.advance(Duration::from_secs(51));
        let answer = rig.get_as(&subs[0], USER).await;
        assert_eq!(answer.status, 200, "{header}: {}", answer.text());
        rig.tenant.remove_user(&subs[0]);
        rig.clock.advance(RECHECK);
        refused(&rig.get_as(&subs[0], USER).await, 403, "no_user");
        rig.add(&subs[0], "github", "tok");
        rig.clock.advance(Duration::from_secs(6));
    }
    assert!(github.requests().len() >= 4);
}

#[tokio::test]
async fn a_throttled_token_endpoint_is_told_apart_and_left_alone_for_a_second() {
    let (rig, github) = github().await;
    rig.tenant.fail(Endpoint::Token, throttled(30));
    let subs = cold(&rig, "u", 20);
    for answer in answers(subs.iter().map(|sub| rig.begin_as(sub, USER))).await {
        refused(&answer, 503, "tenant_rate_limited");
    }
    assert!(rig.tenant.calls(Endpoint::Token) <= 2, "{}", rig.tenant.calls(Endpoint::Token));
    assert_eq!(rig.reads(), 0);
    github.saw_nothing();
}

#[tokio::test]
async fn a_look_behind_that_got_no_turn_does_not_refuse_a_caller_who_can_wait_for_one() {
    let is_dead = Arc::new(AtomicBool::new(false));
    let died = Arc::clone(&is_dead);
    let github = Upstream::recording(move |request| {
        let is_old = request.all("authorization").ends_with("tok-of-auth0|u0");
        let status = if is_old && died.load(Ordering::Relaxed) { 401 } else { 200 };
        Response::builder().status(status).body(Bytes::new()).unwrap()
    })
    .await;
    let rig = rig().with("auth0", "management_rps = 1").provider("github", &github).start().await;
    let subs = cold(&rig, "u", 2);
    assert_eq!(rig.get_as(&subs[0], USER).await.status, 200);
    rig.clock.advance(Duration::from_secs(9 * 60));
    rig.tenant.with_user(&subs[0], |user| user.identities[0].access_token = Some("tok-new".to_owned()));
    is_dead.store(true, Ordering::Relaxed);
    // Late in a record's life a call looks behind itself. Another user has just used the budget up.
    assert_eq!(rig.get_as(&subs[1], USER).await.status, 200);
    assert_eq!(rig.get_as(&subs[0], USER).await.status, 401);
    let answer = rig.get_as(&subs[0], USER).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(github.last_token(), "tok-new");
}

//! Many callers at once: one read for all who need the same, no user waits for another, and the tenant is never called
//! more often than it allows.

mod outage;

use std::time::Duration;

use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::tenant::{Endpoint, RateLimit, User};

use crate::support::people::answers;
use crate::support::rig::ALICE;
use crate::support::{Answer, Rig, Upstream, refused, rig};

const USER: &str = "/proxy/github/user";

async fn github() -> (Rig, Upstream) {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    (rig, github)
}

/// Users who have not called yet.
fn cold(rig: &Rig, kind: &str, count: usize) -> Vec<String> {
    let subs: Vec<_> = (0..count).map(|number| format!("auth0|{kind}{number}")).collect();
    for sub in &subs {
        rig.add(sub, "github", &format!("tok-of-{sub}"));
    }
    subs
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to that: {what}");
}

#[tokio::test]
async fn a_thousand_calls_of_a_cold_user_are_one_read() {
    let (rig, github) = github().await;
    rig.tenant.delay(Endpoint::Users, Duration::from_millis(300));
    let token = rig.token().to_owned();
    for answer in answers((0..1000).map(|_| rig.begin(&token, USER))).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!((rig.reads(), rig.tenant.calls(Endpoint::Token)), (1, 1));
    assert_eq!(github.requests().len(), 1000);
}

#[tokio::test]
async fn a_failure_is_shared_by_all_who_waited_for_it() {
    let away = Fault::Answer { status: 429, headers: vec![("retry-after", "60".to_owned())], body: "{}".to_owned() };
    for (fault, code) in [
        (Fault::Status(500, "{}".to_owned()), "tenant_unavailable"),
        (Fault::Reset, "tenant_unavailable"),
        (away, "tenant_rate_limited"),
    ] {
        let (rig, github) = github().await;
        rig.tenant.delay(Endpoint::Users, Duration::from_secs(2));
        rig.tenant.fail(Endpoint::Users, fault);
        let token = rig.token().to_owned();
        for answer in answers((0..200).map(|_| rig.begin(&token, USER))).await {
            refused(&answer, 503, code);
        }
        // Nearly always one. A machine that is busy with other things may let a straggler come seconds later.
        assert!(rig.reads() <= 2, "{code}: {}", rig.reads());
        github.saw_nothing();
    }
}

#[tokio::test]
async fn a_failure_is_forgotten_within_a_second() {
    let (rig, _github) = github().await;
    rig.tenant.fail(Endpoint::Users, Fault::Status(500, "{}".to_owned()).times(1));
    refused(&rig.get(USER).await, 503, "tenant_unavailable");
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(rig.reads(), 2);
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nobody_along() {
    let (rig, _github) = github().await;
    rig.tenant.delay(Endpoint::Users, Duration::from_millis(500));
    let first = rig.begin_as(ALICE, USER);
    until("a read is under way", || rig.reads() == 1).await;
    let others: Vec<_> = (0..10).map(|_| rig.begin_as(ALICE, USER)).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.abort();
    for answer in answers(others).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(rig.reads(), 1);
}

#[tokio::test]
async fn when_all_have_left_the_next_one_finds_what_they_waited_for() {
    let (rig, github) = github().await;
    rig.tenant.delay(Endpoint::Users, Duration::from_millis(500));
    let calls: Vec<_> = (0..10).map(|_| rig.begin_as(ALICE, USER)).collect();
    until("a read is under way", || rig.reads() == 1).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    let answer = rig.get(USER).await;
    assert_eq!(answer.status, 200);
    assert_eq!(rig.reads(), 1);
    assert_eq!(github.requests().len(), 1);
}

#[tokio::test]
async fn one_users_slow_read_keeps_no_other_user_waiting() {
    let (rig, _github) = github().await;
    let subs = cold(&rig, "quick", 5);
    rig.tenant.fail(Endpoint::Users, Fault::Delay(Duration::from_secs(8)).times(1));
    let slow = rig.begin_as(ALICE, USER);
    until("the slow read is under way", || rig.reads() == 1).await;
    for sub in &subs {
        assert_eq!(rig.get_as(sub, USER).await.status, 200);
    }
    assert!(!slow.is_finished(), "the slow one should have been slow");
    slow.abort();
}

#[tokio::test]
async fn cold_users_never_exceed_the_tenants_concurrency() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with("auth0", "tenant_concurrency = 3").provider("github", &github).start().await;
    rig.tenant.delay(Endpoint::Users, Duration::from_millis(40));
    let subs = cold(&rig, "u", 30);
    for answer in answers(subs.iter().map(|sub| rig.begin_as(sub, USER))).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!((rig.reads(), rig.tenant.calls_at_once_max(Endpoint::Users)), (30, 3));
}

#[tokio::test]
async fn the_budget_is_kept_first_come_first_served_and_nobody_is_refused_who_could_wait() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with("auth0", "management_rps = 10").provider("github", &github).start().await;
    let subs = cold(&rig, "u", 30);
    let began = rig.clock.instant();
    let mut calls = Vec::new();
    for sub in &subs {
        calls.push(rig.begin_as(sub, USER));
        // One after the other, so that there is an order to be kept.
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    for answer in answers(calls).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let took = rig.clock.instant() - began;
    assert!(took >= Duration::from_millis(1900), "ten at once and twenty at ten a second, not in {took:?}");
    let asked: Vec<_> = rig.tenant.users_asked();
    let out_of_turn = asked.iter().zip(&subs).filter(|(asked, sub)| asked != sub).count();
    // Turns are given in order; two calls on their way at once may overtake each other.
    assert!(out_of_turn <= 6, "{asked:?}");
}

#[tokio::test]
async fn who_cannot_be_served_in_time_hears_so_at_once() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with("auth0", "management_rps = 1").with("limits", "token_wait = \"2s\"");
    let rig = rig.provider("github", &github).start().await;
    let subs = cold(&rig, "u", 20);
    let answers = answers(subs.iter().map(|sub| rig.begin_as(sub, USER))).await;
    let (served, others): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!((2..=5).contains(&served.len()), "{}", served.len());
    for answer in others {
        refused(&answer, 503, "tenant_rate_limited");
    }
    assert_eq!(rig.reads(), served.len() as u64, "no call for those who were refused");
}

#[tokio::test]
async fn rechecks_of_served_users_do_not_keep_a_cold_user_from_its_turn() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with("auth0", "management_rps = 4").with("limits", "token_wait = \"3s\"");
    let rig = rig.provider("github", &github).start().await;
    let warm = cold(&rig, "warm", 60);
    for at_once in warm.chunks(4) {
        for answer in answers(at_once.iter().map(|sub| rig.begin_as(sub, USER))).await {
            assert_eq!(answer.status, 200);
        }
        rig.clock.advance(Duration::from_secs(1));
    }
    rig.clock.advance(Duration::from_secs(601));
    let rechecks: Vec<_> = warm.iter().map(|sub| rig.begin_as(sub, USER)).collect();
    until("rechecks are under way", || rig.reads() > 60).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let sub = &cold(&rig, "cold", 1)[0];
    let answer = rig.get_as(sub, USER).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for answer in answers(rechecks).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_throttling_tenant_is_waited_for_as_long_as_a_caller_waits() {
    let github = Upstream::replying("hello").await;
    for retry_after in [true, false] {
        let limit = RateLimit { per_second: 2.0, burst: 2, retry_after };
        let rig = rig().tenant(|tenant| tenant.rate_limit = Some(limit)).provider("github", &github).start().await;
        let subs = cold(&rig, "u", 6);
        for answer in answers(subs.iter().map(|sub| rig.begin_as(sub, USER))).await {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_blocked_user_is_found_out_although_new_users_take_every_turn() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with("auth0", "management_rps = 10").with("limits", "token_wait = \"2s\"");
    let rig = rig.provider("github", &github).start().await;
    assert_eq!(rig.get(USER).await.status, 200);
    let mut blocked = User::new(ALICE);
    blocked.blocked = Some(true);
    rig.tenant.add_user(blocked);
    rig.clock.advance(Duration::from_secs(601));
    let stream = async {
        for sub in cold(&rig, "new", 2000) {
            drop(rig.begin_as(&sub, USER));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found_out = async {
        // The queue is as long as it gets by then.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        while rig.get(USER).await.status == 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = stream => panic!("there are too few new users"),
        () = found_out => {}
        () = tokio::time::sleep(Duration::from_secs(17)) => panic!("served on and on"),
    }
    refused(&rig.get(USER).await, 403, "user_blocked");
}

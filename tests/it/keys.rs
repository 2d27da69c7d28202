//! The tenant's keys: a verified token is remembered, but not beyond its own end nor its key's; rotations are followed;
//! nobody can make us poll the tenant; an outage takes nothing away that was there.

use std::time::Duration;

use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::tenant::{Endpoint, Key, Tenant, TenantSettings};
use serde_json::json;

use crate::support::issuer::{self, Issuer, KID, sign, sign_pss};
use crate::support::people::answers;
use crate::support::rig::ALICE;
use crate::support::wire::until_so;
use crate::support::{Answer, Rig, Upstream, refused, rig};

const USER: &str = "/proxy/github/user";

async fn github() -> (Rig, Upstream) {
    let github = Upstream::replying("hello").await;
    let rig = rig().provider("github", &github).start().await;
    (rig, github)
}

/// A token under a key id that the tenant does not publish.
fn made_up(rig: &Rig, kid: &str) -> String {
    rig.tenant.token(ALICE).header("kid", kid).sign()
}

/// Asks until the answer is the one that is waited for.
async fn until(rig: &Rig, token: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    for _ in 0..500 {
        let answer = rig.get_bearing(token, USER).await;
        if wanted(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to that");
}

#[tokio::test]
async fn a_tokens_end_is_looked_at_in_every_request() {
    let (rig, _github) = github().await;
    let token = rig.tenant.token(ALICE).expires_in(3600).sign();
    assert_eq!(rig.get_bearing(&token, USER).await.status, 200);
    rig.clock.advance(Duration::from_secs(3600 + 30));
    assert_eq!(rig.get_bearing(&token, USER).await.status, 200, "within the leeway");
    rig.clock.advance(Duration::from_secs(31));
    refused(&rig.get_bearing(&token, USER).await, 401, "expired_token");
}

#[tokio::test]
async fn a_rotation_is_followed_with_the_first_token_under_the_new_key() {
    let (rig, _github) = github().await;
    let before = rig.token().to_owned();
    // The next key is published beforehand; after the second rotation the key in use is one that was not.
    rig.tenant.rotate_keys();
    assert_eq!(rig.get_as(ALICE, USER).await.status, 200);
    assert_eq!(rig.key_set_reads(), 1, "the next key was held already");
    rig.tenant.rotate_keys();
    assert_eq!(rig.get_as(ALICE, USER).await.status, 200);
    assert_eq!(rig.key_set_reads(), 2);
    refused(&rig.get_bearing(&before, USER).await, 401, "invalid_token");
}

#[tokio::test]
async fn trust_in_a_key_ends_when_it_is_seen_to_have_left_the_set() {
    let (rig, _github) = github().await;
    assert_eq!(rig.get(USER).await.status, 200);
    rig.tenant.rotate_keys();
    rig.tenant.revoke_previous_key();
    assert_eq!(rig.get(USER).await.status, 200, "remembered: nobody has looked at the set yet");
    assert_eq!(rig.get_bearing(&rig.tenant.token(ALICE).key(Key::Next).sign(), USER).await.status, 200);
    assert_eq!(rig.key_set_reads(), 2);
    refused(&rig.get(USER).await, 401, "invalid_token");
    assert_eq!(rig.get_as(ALICE, USER).await.status, 200, "the keys that are left count");
}

#[tokio::test]
async fn trust_in_a_key_ends_ten_minutes_after_it_left_the_set_with_nobody_else_calling() {
    let (rig, _github) = github().await;
    assert_eq!(rig.get(USER).await.status, 200);
    rig.tenant.rotate_keys();
    rig.tenant.revoke_previous_key();
    rig.clock.advance(Duration::from_secs(601));
    refused(&until(&rig, rig.token(), |answer| answer.status != 200).await, 401, "invalid_token");
    assert_eq!(rig.key_set_reads(), 3, "one look, and one for a key id that is unknown since");
}

#[tokio::test]
async fn made_up_key_ids_cause_one_fetch_per_cooldown_and_disturb_nobody() {
    let (rig, github) = github().await;
    assert_eq!(rig.get(USER).await.status, 200);
    for round in 1..=2 {
        let calls: Vec<_> =
            (0..30).map(|number| rig.begin(&made_up(&rig, &format!("{round}-{number}")), USER)).collect();
        assert_eq!(rig.get(USER).await.status, 200);
        for answer in answers(calls).await {
            refused(&answer, 401, "invalid_token");
        }
        assert_eq!(rig.key_set_reads(), 1 + round);
        rig.clock.advance(Duration::from_secs(31));
    }
    assert_eq!(github.requests().len(), 3);
}

#[tokio::test]
async fn an_outage_of_the_key_set_takes_no_key_away() {
    let github = Upstream::replying("hello").await;
    let limits = "key_set_cooldown = \"1s\"\ntenant_timeout = \"300ms\"";
    let rig = rig().with("limits", limits).provider("github", &github).start().await;
    let answer = |body: &str| Fault::Status(200, body.to_owned());
    for (name, fault) in [
        ("failing", Fault::Status(500, "{}".to_owned())),
        ("throttled", Fault::Status(429, "{}".to_owned())),
        ("gone", Fault::Status(404, "{}".to_owned())),
        ("cut", Fault::Reset),
        ("hanging", Fault::Hang),
        ("garbage", Fault::Garbage),
        ("no set", answer("{}")),
        ("empty set", answer(r#"{"keys":[]}"#)),
        ("no usable key", answer(r#"{"keys":[{"kty":"EC","kid":"a"},{"kty":"oct","k":"AA"},7,null]}"#)),
    ] {
        rig.tenant.fail(Endpoint::Jwks, fault);
        rig.clock.advance(Duration::from_secs(2));
        let stranger = rig.get_bearing(&made_up(&rig, name), USER).await;
        assert_eq!((stranger.status, stranger.code().as_str()), (503, "tenant_unavailable"), "{name}");
        refused(&stranger, 503, "tenant_unavailable");
        assert_eq!(rig.get(USER).await.status, 200, "{name}");
        assert_eq!(rig.get_as(ALICE, USER).await.status, 200, "{name}: a token not seen before");
        assert_eq!(rig.admin("/readyz").await.status, 200, "{name}");
    }
    rig.tenant.heal();
    rig.clock.advance(Duration::from_secs(2));
    refused(&rig.get_bearing(&made_up(&rig, "x"), USER).await, 401, "invalid_token");
}

#[tokio::test]
async fn keys_of_other_kinds_and_purposes_in_the_set_are_passed_over() {
    let issuer = Issuer::start().await;
    let ec = json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "alg": "ES256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    let altered = |name: &str, value: serde_json::Value| {
        let mut jwk = issuer::jwk();
        jwk["kid"] = json!(format!("{name} {value}"));
        jwk[name] = value;
        jwk
    };
    let mut with_ops_alone = altered("key_ops", json!(["encrypt"]));
    with_ops_alone.as_object_mut().unwrap().remove("use");
    let unusable = [
        json!({ "kty": "XYZ", "kid": "future" }),
        json!({ "kty": "oct", "kid": "secret", "k": "AAAA" }),
        json!({ "kty": "RSA", "kid": "no modulus", "e": "AQAB" }),
        ec,
        altered("use", json!("enc")),
        altered("alg", json!("RS512")),
        altered("alg", json!("RSA-OAEP")),
        altered("e", json!("")),
        with_ops_alone,
    ];
    let mut keys = unusable.to_vec();
    keys.extend([json!(7), json!(null), issuer::jwk(), altered("alg", json!("PS256"))]);
    issuer.publish(&keys);
    let github = Upstream::replying("hello").await;
    let issuers = format!("issuers = [\"{}\"]", issuer.name());
    let rig = rig().with("auth0", &issuers).provider("github", &github).start().await;
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid }).to_string();
    let claims = issuer.claims(ALICE).to_string();
    assert_eq!(rig.get_bearing(&issuer.token(ALICE), USER).await.status, 200);
    assert_eq!(rig.get_bearing(&sign_pss(&header("PS256", KID), claims.as_bytes()), USER).await.status, 200);
    let for_pss = header("PS256", "alg \"PS256\"");
    assert_eq!(rig.get_bearing(&sign_pss(&for_pss, claims.as_bytes()), USER).await.status, 200);
    let for_pss = header("RS256", "alg \"PS256\"");
    refused(&rig.get_bearing(&sign(&for_pss, claims.as_bytes()), USER).await, 401, "invalid_token");
    for key in &unusable {
        let kid = key["kid"].as_str().unwrap();
        let answer = rig.get_bearing(&sign(&header("RS256", kid), claims.as_bytes()), USER).await;
        assert_eq!(answer.status, 401, "{kid}");
        refused(&answer, 401, "invalid_token");
    }
}

#[tokio::test]
async fn each_issuer_vouches_with_its_own_keys_only() {
    let (rig, _github) = github().await;
    let other = Issuer::start().await;
    refused(&rig.get_bearing(&other.token(ALICE), USER).await, 401, "invalid_token");
    let issuers = format!("[auth0]\nissuers = [\"{}\", \"{}\"]\n", rig.tenant.issuer(), other.name());
    rig.reload_with("[auth0]\n", &issuers).await;
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(rig.get_bearing(&other.token(ALICE), USER).await.status, 200);
    let mut claims = other.claims(ALICE);
    claims["iss"] = json!(rig.tenant.issuer());
    let token = sign(&json!({ "alg": "RS256", "kid": KID }).to_string(), claims.to_string().as_bytes());
    refused(&rig.get_bearing(&token, USER).await, 401, "invalid_token");
    let token = rig.tenant.token(ALICE).issuer(&other.name()).sign();
    refused(&rig.get_bearing(&token, USER).await, 401, "invalid_token");
    assert!(other.fetches() >= 1);
}

#[tokio::test]
async fn tokens_of_another_tenant_are_worth_nothing() {
    let (rig, github) = github().await;
    let other = Tenant::start(rig.clock.clone(), TenantSettings::default()).await.unwrap();
    refused(&rig.get_bearing(&other.token_for(ALICE), USER).await, 401, "invalid_token");
    let disguised = other.token(ALICE).issuer(&rig.tenant.issuer()).sign();
    refused(&rig.get_bearing(&disguised, USER).await, 401, "invalid_token");
    github.saw_nothing();
    assert_eq!(other.calls(Endpoint::Jwks), 0, "no address comes from a token");
}

#[tokio::test]
async fn with_the_tenant_down_at_the_start_callers_hear_so_until_it_comes_up() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with_tenant_down().provider("github", &github).start().await;
    refused(&rig.get(USER).await, 503, "tenant_unavailable");
    refused(&rig.send_as_is("GET", USER, &[], b"").await, 401, "missing_token");
    assert_eq!(rig.admin("/readyz").await.status, 503);
    assert_eq!(rig.admin("/healthz").await.status, 200);
    github.saw_nothing();
    rig.tenant.up().await.unwrap();
    rig.ready().await;
    assert_eq!(rig.get(USER).await.status, 200);
}

#[tokio::test]
async fn callers_who_come_while_the_first_keys_are_on_their_way_wait_for_those() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with_tenant_down().provider("github", &github).start().await;
    rig.tenant.fail(Endpoint::Jwks, Fault::Delay(Duration::from_millis(700)));
    rig.tenant.up().await.unwrap();
    until_so("the first fetch", || rig.key_set_reads() == 1).await;
    assert_eq!(rig.get(USER).await.status, 200);
    assert_eq!(rig.key_set_reads(), 1, "the keys were fetched a second time");
}

#[tokio::test]
async fn an_outage_that_is_over_is_not_told_to_strangers_any_more() {
    let github = Upstream::replying("hello").await;
    let rig = rig().with("limits", "key_set_cooldown = \"2h\"").provider("github", &github).start().await;
    assert_eq!(rig.get(USER).await.status, 200);
    rig.tenant.fail(Endpoint::Jwks, Fault::Status(500, "{}".to_owned()));
    refused(&rig.get_bearing(&made_up(&rig, "x"), USER).await, 503, "tenant_unavailable");
    rig.tenant.heal();
    let reads = rig.key_set_reads();
    rig.clock.advance(Duration::from_secs(601));
    // Somebody finds that the keys have aged, and they are looked at again.
    assert_eq!(rig.get(USER).await.status, 200);
    until_so("another look", || rig.key_set_reads() > reads).await;
    until(&rig, &made_up(&rig, "x"), |answer| answer.status == 401).await;
}

//! The tenant as this proxy's own servant: one management token for everybody, renewed in time, and every way in which the
//! application is not set up as it must be told to the operator without a word of the tenant's own.

use std::time::Duration;

use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::tenant::{Endpoint, TenantSettings};
use jsonwebtoken::DecodingKey;
use rcgen::{KeyPair, PKCS_RSA_SHA256};

use crate::support::people::answers;
use crate::support::rig::ALICE;
use crate::support::{Answer, Rig, Upstream, refused, rig};

/// A change of the tenant.
type Change = Box<dyn FnOnce(&mut TenantSettings)>;

const USER: &str = "/proxy/github/user";

async fn github() -> (Rig, Upstream) {
    with_tenant(|_| {}).await
}

async fn with_tenant(change: impl FnOnce(&mut TenantSettings)) -> (Rig, Upstream) {
    let github = Upstream::replying("hello").await;
    let rig = rig().tenant(change).provider("github", &github).start().await;
    (rig, github)
}

fn grants(rig: &Rig) -> u64 {
    rig.tenant.calls(Endpoint::Token)
}

#[track_caller]
fn misconfigured(answer: &Answer, cure: &str) {
    refused(answer, 503, "tenant_misconfigured");
    let problem = answer.json();
    assert_eq!(problem["fault"], "tenant");
    assert!(problem["detail"].to_string().contains(cure), "{cure}: {}", problem["detail"]);
}

#[tokio::test]
async fn one_management_token_serves_all_users() {
    let (rig, _github) = github().await;
    let subs: Vec<_> = (0..40).map(|number| format!("auth0|{number}")).collect();
    for sub in &subs {
        rig.add(sub, "github", "tok");
    }
    for answer in answers(subs.iter().map(|sub| rig.begin_as(sub, USER))).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!((rig.reads(), grants(&rig)), (40, 1));
}

#[tokio::test]
async fn a_management_token_is_renewed_before_it_expires() {
    let (rig, _github) = with_tenant(|tenant| tenant.management_token_life = 300).await;
    for (number, (age, granted)) in [(0, 1), (200, 1), (50, 2), (60, 2)].into_iter().enumerate() {
        rig.clock.advance(Duration::from_secs(age));
        let sub = format!("auth0|{number}");
        rig.add(&sub, "github", "tok");
        assert_eq!(rig.get_as(&sub, USER).await.status, 200, "after {age} more seconds");
        assert_eq!(grants(&rig), granted, "after {age} more seconds");
    }
    assert_eq!(rig.reads(), 4, "no call with an expired one");
}

#[tokio::test]
async fn a_management_token_in_its_last_minute_is_used_while_no_other_can_be_had() {
    let (rig, _github) = with_tenant(|tenant| tenant.management_token_life = 300).await;
    assert_eq!(rig.get(USER).await.status, 200);
    rig.tenant.fail(Endpoint::Token, Fault::Status(500, "{}".to_owned()));
    rig.clock.advance(Duration::from_secs(270));
    rig.add("auth0|1", "github", "tok");
    assert_eq!(rig.get_as("auth0|1", USER).await.status, 200);
    rig.clock.advance(Duration::from_secs(60));
    rig.add("auth0|2", "github", "tok");
    refused(&rig.get_as("auth0|2", USER).await, 503, "tenant_unavailable");
}

#[tokio::test]
async fn a_management_token_that_the_tenant_dropped_is_replaced_once() {
    let (rig, _github) = github().await;
    assert_eq!(rig.get(USER).await.status, 200);
    // It was signed with the key that is revoked now.
    rig.tenant.rotate_keys();
    rig.tenant.revoke_previous_key();
    let subs: Vec<_> = (0..20).map(|number| format!("auth0|{number}")).collect();
    for sub in &subs {
        rig.add(sub, "github", "tok");
    }
    for answer in answers(subs.iter().map(|sub| rig.begin_as(sub, USER))).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(grants(&rig), 2);
}

#[tokio::test]
async fn a_tenant_that_refuses_every_management_token_is_not_asked_in_a_loop() {
    let (rig, github) = github().await;
    rig.tenant.fail(Endpoint::Users, Fault::Status(401, r#"{"message":"Invalid token"}"#.to_owned()));
    let answer = rig.get(USER).await;
    refused(&answer, 503, "tenant_unavailable");
    assert!(!answer.text().contains("Invalid token"));
    assert_eq!((rig.reads(), grants(&rig)), (2, 2));
    github.saw_nothing();
    rig.tenant.heal();
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(rig.get(USER).await.status, 200);
}

#[tokio::test]
async fn an_application_that_is_not_set_up_is_the_operators_fault_and_the_cure_is_named() {
    let scopes = |scopes: &'static [&str]| {
        move |tenant: &mut TenantSettings| tenant.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect()
    };
    let wrong_secret = |tenant: &mut TenantSettings| tenant.client_secret = "another".to_owned();
    let wrong_client = |tenant: &mut TenantSettings| tenant.client_id = "another".to_owned();
    let no_grant_type = |tenant: &mut TenantSettings| tenant.client_credentials = false;
    let cases: [(Change, &str); 6] = [
        (Box::new(scopes(&["read:users"])), "read:user_idp_tokens"),
        (Box::new(scopes(&["read:user_idp_tokens"])), "read:users"),
        (Box::new(scopes(&[])), "not authorized for the Management API"),
        (Box::new(wrong_secret), "client_secret"),
        (Box::new(wrong_client), "client_id"),
        (Box::new(no_grant_type), "grant type"),
    ];
    for (change, cure) in cases {
        let (rig, github) = github().await;
        rig.tenant.change(change);
        let answer = rig.get(USER).await;
        misconfigured(&answer, cure);
        for theirs in ["has not been granted", "client-grant", "Unauthorized", "not allowed for the client"] {
            assert!(!answer.text().contains(theirs), "{}", answer.text());
        }
        assert_eq!(rig.reads(), 0);
        github.saw_nothing();
    }
}

#[tokio::test]
async fn a_grant_that_turns_out_too_narrow_is_told_from_a_user_without_a_token() {
    for (scope, code) in
        [("read:users", "tenant_misconfigured"), ("read:users read:user_idp_tokens", "reconnect_required")]
    {
        let (rig, github) = github().await;
        let grant = serde_json::json!({ "access_token": rig.tenant.management_token(scope), "scope": scope,
            "expires_in": 86_400, "token_type": "Bearer" });
        rig.tenant.fail(Endpoint::Token, Fault::Status(200, grant.to_string()));
        rig.add(ALICE, "github", if code == "reconnect_required" { "" } else { "tok" });
        let answer = rig.get(USER).await;
        assert_eq!(answer.code(), code, "{scope}: {}", answer.text());
        if code == "tenant_misconfigured" {
            misconfigured(&answer, "read:user_idp_tokens");
        }
        github.saw_nothing();
    }
}

#[tokio::test]
async fn a_management_api_that_forbids_reading_users_is_the_operators_fault() {
    let (rig, github) = github().await;
    let theirs = "Insufficient scope, expected any of: read:users";
    rig.tenant.fail(Endpoint::Users, Fault::Status(403, format!(r#"{{"message":"{theirs}"}}"#)));
    let answer = rig.get(USER).await;
    misconfigured(&answer, "read:users");
    assert!(!answer.text().contains(theirs));
    assert_eq!(rig.reads(), 1, "it is not tried again at once");
    github.saw_nothing();
}

#[tokio::test]
async fn a_private_key_serves_in_place_of_a_secret() {
    let (rig, _github) = github().await;
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let public = DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap();
    rig.tenant.change(|tenant| {
        tenant.client_keys = vec![public];
        tenant.management_token_life = 30;
    });
    misconfigured(&rig.get(USER).await, "private_key");
    let secret = format!("client_secret = \"{}\"", rig.tenant.settings().client_secret);
    rig.reload_with(&secret, &format!("private_key = '''\n{}'''", key.serialize_pem())).await;
    assert_eq!(rig.get(USER).await.status, 200);
    // Each assertion is good for one use, so the second token needs one of its own.
    rig.clock.advance(Duration::from_secs(31));
    rig.add("auth0|1", "github", "tok");
    assert_eq!(rig.get_as("auth0|1", USER).await.status, 200);
}

#[tokio::test]
async fn what_makes_no_sense_is_never_taken_for_an_answer() {
    let (rig, github) = github().await;
    let ok = |body: &str| Fault::Status(200, body.to_owned());
    let endless = format!(r#"{{"identities":[],"x":"{}"}}"#, "x".repeat(2 << 20));
    let cases = [
        ("a page", Fault::Garbage),
        ("nothing", ok("")),
        ("half", ok(r#"{"identities":[{"connection":"github","user_id":"1","access_token":"tok"#)),
        ("null", ok("null")),
        ("no user", ok("{}")),
        ("an error with 200", ok(r#"{"statusCode":500,"error":"Internal Server Error"}"#)),
        ("a list", ok("[]")),
        ("identities are a text", ok(r#"{"identities":"none"}"#)),
        ("an identity without a connection", ok(r#"{"identities":[{"user_id":"1"}]}"#)),
        ("blocked is a text", ok(r#"{"identities":[],"blocked":"yes"}"#)),
        ("too large", ok(&endless)),
        ("moved", Fault::Answer { status: 302, headers: vec![("location", github.base_url())], body: String::new() }),
        ("no content", Fault::Status(204, String::new())),
        ("bad request", Fault::Status(400, "{}".to_owned())),
        ("teapot", Fault::Status(418, "{}".to_owned())),
        ("failing", Fault::Status(500, "{}".to_owned())),
        ("bad gateway", Fault::Status(502, "<html>".to_owned())),
        ("cut", Fault::Reset),
        ("lost", Fault::LoseAnswer),
    ];
    for (number, (name, fault)) in cases.into_iter().enumerate() {
        let sub = format!("auth0|{number}");
        rig.add(&sub, "github", "tok");
        rig.tenant.fail(Endpoint::Users, fault);
        let answer = rig.get_as(&sub, USER).await;
        assert_eq!(answer.code(), "tenant_unavailable", "{name}: {}", answer.text());
        refused(&answer, 503, "tenant_unavailable");
        github.saw_nothing();
    }
    let cases =
        [("a page", Fault::Garbage), ("no token", ok(r#"{"expires_in":1}"#)), ("empty", ok(r#"{"access_token":""}"#))];
    for (name, fault) in cases {
        let (rig, github) = self::github().await;
        rig.tenant.fail(Endpoint::Token, fault);
        let answer = rig.get(USER).await;
        assert_eq!(answer.code(), "tenant_unavailable", "{name}: {}", answer.text());
        assert_eq!(rig.reads(), 0, "{name}");
        github.saw_nothing();
    }
}

//! What a token says: from whom it is, for whom, until when, and of whom it speaks.

use serde_json::{Value, json};

use super::{all_accepted, all_refused, github};
use crate::support::issuer::{self, Issuer, KID};
use crate::support::rig::ALICE;
use crate::support::{Upstream, refused, rig};

#[tokio::test]
async fn a_token_must_tell_when_it_ends_and_not_have_ended() {
    let (rig, github) = github().await;
    let token = |name: &str, value: Value| rig.tenant.token(ALICE).claim(name, value).sign();
    let now = rig.clock.now().unix_seconds();
    let cases = [
        ("no exp", token("exp", Value::Null), "invalid_token"),
        ("exp is a text", token("exp", json!((now + 3600).to_string())), "invalid_token"),
        ("exp is true", token("exp", json!(true)), "invalid_token"),
        ("exp is a list", token("exp", json!([now + 3600])), "invalid_token"),
        ("exp is negative", token("exp", json!(-1)), "invalid_token"),
        ("exp beyond all clocks", token("exp", json!(1e300)), "invalid_token"),
        ("exp beyond all clocks, whole", token("exp", json!(u64::MAX)), "invalid_token"),
        ("exp is 0", token("exp", json!(0)), "expired_token"),
        ("expired yesterday", token("exp", json!(now - 86_400)), "expired_token"),
        ("expired beyond the leeway", token("exp", json!(now - 61)), "expired_token"),
        ("nbf is a text", token("nbf", json!("0")), "invalid_token"),
        ("nbf beyond the leeway", token("nbf", json!(now + 300)), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
    let cases = [
        ("expired within the leeway", token("exp", json!(now - 20))),
        ("with a fraction", token("exp", json!(3600.5 + (now as f64)))),
        ("nbf within the leeway", token("nbf", json!(now + 30))),
        ("nbf in the past", token("nbf", json!(now - 300))),
    ];
    all_accepted(&rig, &github, &cases).await;
}

#[tokio::test]
async fn a_token_must_be_from_the_issuer_byte_for_byte() {
    let (rig, github) = github().await;
    let token = |value: Value| rig.tenant.token(ALICE).claim("iss", value).sign();
    let issuer = rig.tenant.issuer();
    let cases = [
        ("without the slash", token(json!(issuer.trim_end_matches('/'))), "invalid_token"),
        ("with two", token(json!(format!("{issuer}/"))), "invalid_token"),
        ("with a tail", token(json!(format!("{issuer}x"))), "invalid_token"),
        ("a prefix", token(json!("http://127.0.0.1")), "invalid_token"),
        ("in capitals", token(json!(issuer.to_uppercase())), "invalid_token"),
        ("with a space", token(json!(format!("{issuer} "))), "invalid_token"),
        ("another tenant", token(json!("https://other.eu.auth0.com/")), "invalid_token"),
        ("a list", token(json!([issuer])), "invalid_token"),
        ("empty", token(json!("")), "invalid_token"),
        ("missing", token(Value::Null), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
}

#[tokio::test]
async fn a_token_must_be_for_this_api() {
    let (rig, github) = github().await;
    let token = |value: Value| rig.tenant.token(ALICE).claim("aud", value).sign();
    let ours = rig.tenant.settings().audience;
    let id_token_for_us = rig.tenant.token(ALICE).claim("nonce", "n").sign();
    let hybrid_id_token = rig.tenant.token(ALICE).claim("at_hash", "h").sign();
    let cases = [
        ("another API", token(json!("https://api.example.com")), "wrong_audience"),
        ("userinfo alone", token(json!([format!("{}userinfo", rig.tenant.issuer())])), "wrong_audience"),
        ("a prefix", token(json!(ours.trim_end_matches('/'))), "wrong_audience"),
        ("with a tail", token(json!(format!("{ours}x"))), "wrong_audience"),
        ("one text of two", token(json!(format!("{ours} other"))), "wrong_audience"),
        ("empty list", token(json!([])), "wrong_audience"),
        ("missing", token(Value::Null), "wrong_audience"),
        ("a number", token(json!(7)), "invalid_token"),
        ("a list in a list", token(json!([[ours]])), "invalid_token"),
        ("the management API", rig.tenant.management_token("read:users"), "wrong_audience"),
        ("ID token", rig.tenant.id_token(ALICE), "wrong_audience"),
        ("ID token whose client id is our audience", id_token_for_us, "wrong_audience"),
        ("ID token of the hybrid flow", hybrid_id_token, "wrong_audience"),
    ];
    all_refused(&rig, &github, &cases).await;
    let cases = [("a text", token(json!(ours))), ("the last of a list", token(json!(["a", "b", ours])))];
    all_accepted(&rig, &github, &cases).await;
}

#[tokio::test]
async fn a_token_that_is_no_persons_has_no_user_and_the_tenant_is_not_asked() {
    let (rig, github) = github().await;
    let subject = |sub: &str| rig.tenant.token(sub);
    let cases = [
        ("machine", rig.tenant.machine_token(), "no_user"),
        ("@clients alone", subject("abc|x@clients").claim("azp", "other").sign(), "no_user"),
        ("client credentials", subject("auth0|1").claim("gty", "client-credentials").sign(), "no_user"),
        ("bare client id", subject("abcDEF123").sign(), "no_user"),
        ("sub is azp", subject("auth0|1").claim("azp", "auth0|1").sign(), "no_user"),
        ("sub is client_id", subject("auth0|1").claim("client_id", "auth0|1").sign(), "no_user"),
        ("agent", subject("agt_0123456789").claim("sub_profile", "agent").sign(), "no_user"),
        ("agent with a bar", subject("agent|7").claim("sub_profile", "agent").sign(), "no_user"),
        ("no sub", subject(ALICE).claim("sub", Value::Null).sign(), "no_user"),
        ("empty sub", subject("").sign(), "no_user"),
        ("sub is a number", subject(ALICE).claim("sub", 583_231).sign(), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
    let cases = [
        (
            "RFC 9068 profile",
            subject(ALICE).header("typ", "at+jwt").claim("azp", Value::Null).claim("client_id", "c").sign(),
        ),
        ("a person's profile", subject(ALICE).claim("sub_profile", "user").sign()),
        ("password grant", subject(ALICE).claim("gty", "password").sign()),
    ];
    all_accepted(&rig, &github, &cases).await;
}

#[tokio::test]
async fn odd_claims_with_a_good_signature_crash_nothing() {
    let issuer = Issuer::start().await;
    let github = Upstream::replying("hello").await;
    let issuers = format!("issuers = [\"{}\"]", issuer.name());
    let rig = rig().with("auth0", &issuers).provider("github", &github).start().await;
    let header = json!({ "alg": "RS256", "kid": KID }).to_string();
    let good = issuer.claims(ALICE).to_string();
    let with = |more: &str| format!("{{{more},{}", &good[1..]).into_bytes();
    let nested = |name: &str| with(&format!(r#""{name}":{}1{}"#, "[".repeat(10_000), "]".repeat(10_000)));
    for (name, payload) in [
        ("sub twice", with(r#""sub":"github|1""#)),
        ("aud twice", with(r#""aud":"x""#)),
        ("exp twice", with(r#""exp":1"#)),
        ("exp too great for a number", good.replace(r#""exp":"#, r#""exp":1e999,"x":"#).into_bytes()),
        ("nested deeply", nested("azp")),
        ("not UTF-8", [&good.as_bytes()[..good.len() - 1], b",\"scope\":\"\xff\xfe\"}"].concat()),
        ("with a tail", format!("{good}x").into_bytes()),
        ("a list", b"[]".to_vec()),
        ("a text", b"\"claims\"".to_vec()),
        ("null", b"null".to_vec()),
        ("empty", Vec::new()),
        ("not JSON", b"sub=github|583231".to_vec()),
    ] {
        let answer = rig.get_bearing(&issuer::sign(&header, &payload), "/proxy/github/user").await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        refused(&answer, 401, "invalid_token");
    }
    github.saw_nothing();
    for (name, payload) in [("as it is", good.clone().into_bytes()), ("nested where nobody looks", nested("deep"))] {
        let answer = rig.get_bearing(&issuer::sign(&header, &payload), "/proxy/github/user").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
}

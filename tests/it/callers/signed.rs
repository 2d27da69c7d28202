//! Header and signature: the algorithms are ours, the keys are the tenant's, and nothing in a header is obeyed.

use idp_proxy::command::dev::tenant::{Key, Signing, TokenBuilder};
use serde_json::{Value, json};

use super::{all_accepted, all_refused, github};
use crate::support::issuer::{self, Issuer, KID, base64url};
use crate::support::rig::ALICE;
use crate::support::{Rig, Upstream, refused, rig};

fn signed(rig: &Rig, change: impl FnOnce(TokenBuilder) -> TokenBuilder) -> String {
    change(rig.tenant.token(ALICE)).sign()
}

/// The tenant's key set does not say which algorithm its keys are for.
async fn with_keys_for_anything() -> (Rig, Upstream) {
    let github = Upstream::replying("hello").await;
    let rig = rig().tenant(|tenant| tenant.key_set_alg = false).provider("github", &github).start().await;
    (rig, github)
}

#[tokio::test]
async fn only_rs256_and_ps256_count_whatever_the_header_says() {
    let (rig, github) = with_keys_for_anything().await;
    let cases = [
        ("none", signed(&rig, |token| token.algorithm(Signing::None)), "invalid_token"),
        ("NoNe", signed(&rig, |token| token.algorithm(Signing::None).header("alg", "NoNe")), "invalid_token"),
        ("empty alg", signed(&rig, |token| token.header("alg", "")), "invalid_token"),
        ("no alg", signed(&rig, |token| token.header("alg", Value::Null)), "invalid_token"),
        ("alg is a number", signed(&rig, |token| token.header("alg", 256)), "invalid_token"),
        ("alg is a list", signed(&rig, |token| token.header("alg", ["RS256"])), "invalid_token"),
        ("lower case", signed(&rig, |token| token.header("alg", "rs256")), "invalid_token"),
        ("HS256 with the public key", signed(&rig, |token| token.algorithm(Signing::Hs256)), "invalid_token"),
        (
            "HS256 that says RS256",
            signed(&rig, |token| token.algorithm(Signing::Hs256).header("alg", "RS256")),
            "invalid_token",
        ),
        ("RS384", signed(&rig, |token| token.algorithm(Signing::Rs384)), "invalid_token"),
        ("RS512", signed(&rig, |token| token.algorithm(Signing::Rs512)), "invalid_token"),
        ("PS384", signed(&rig, |token| token.algorithm(Signing::Ps384)), "invalid_token"),
        ("PS512", signed(&rig, |token| token.algorithm(Signing::Ps512)), "invalid_token"),
        ("ES256", signed(&rig, |token| token.header("alg", "ES256")), "invalid_token"),
        ("EdDSA", signed(&rig, |token| token.header("alg", "EdDSA")), "invalid_token"),
        (
            "RS384 that says RS256",
            signed(&rig, |token| token.algorithm(Signing::Rs384).header("alg", "RS256")),
            "invalid_token",
        ),
        (
            "PS256 that says RS256",
            signed(&rig, |token| token.algorithm(Signing::Ps256).header("alg", "RS256")),
            "invalid_token",
        ),
    ];
    all_refused(&rig, &github, &cases).await;
}

#[tokio::test]
async fn ps256_counts_with_a_key_that_is_not_set_aside_for_rs256() {
    let (rig, github) = with_keys_for_anything().await;
    let cases = [
        ("PS256", signed(&rig, |token| token.algorithm(Signing::Ps256))),
        ("RS256", signed(&rig, |token| token)),
        ("the next key", signed(&rig, |token| token.key(Key::Next))),
    ];
    all_accepted(&rig, &github, &cases).await;
}

#[tokio::test]
async fn a_key_set_aside_for_one_algorithm_verifies_no_other() {
    let (rig, github) = github().await;
    let cases = [("PS256", signed(&rig, |token| token.algorithm(Signing::Ps256)), "invalid_token")];
    all_refused(&rig, &github, &cases).await;
}

#[tokio::test]
async fn a_signature_that_is_not_the_keys_counts_for_nothing() {
    let (rig, github) = github().await;
    let good = rig.token().to_owned();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let payload = |claims: Value| {
        let header = message.split('.').next().unwrap();
        format!("{header}.{}.{signature}", base64url(claims.to_string().as_bytes()))
    };
    let flipped: String = signature
        .chars()
        .enumerate()
        .map(|(place, letter)| if place == 20 { if letter == 'A' { 'B' } else { 'A' } } else { letter })
        .collect();
    let iss = rig.tenant.issuer();
    let cases = [
        ("zeros", format!("{message}.{}", base64url(&[0; 256])), "invalid_token"),
        ("empty", format!("{message}."), "invalid_token"),
        ("one byte", format!("{message}.AA"), "invalid_token"),
        ("too long", format!("{message}.{}", base64url(&[1; 257])), "invalid_token"),
        ("one letter changed", format!("{message}.{flipped}"), "invalid_token"),
        ("a stranger's key under the tenant's id", signed(&rig, |token| token.key(Key::Foreign)), "invalid_token"),
        ("other claims", payload(json!({"iss": iss, "sub": "github|1", "exp": 4_000_000_000_u64})), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
}

#[tokio::test]
async fn key_ids_are_looked_up_and_never_interpreted() {
    let (rig, github) = github().await;
    let kid = |kid: Value| signed(&rig, |token| token.header("kid", kid));
    let cases = [
        ("missing", kid(Value::Null), "invalid_token"),
        ("number", kid(json!(7)), "invalid_token"),
        ("list", kid(json!(["a"])), "invalid_token"),
        ("empty", kid(json!("")), "invalid_token"),
        ("path", kid(json!("../../../../dev/null")), "invalid_token"),
        ("SQL", kid(json!("x' UNION SELECT 'AAAA")), "invalid_token"),
        ("URL", kid(json!("http://127.0.0.1:1/key")), "invalid_token"),
        ("with line ends", kid(json!("a\r\nb: c")), "invalid_token"),
        ("20 KB", kid(json!("k".repeat(20_000))), "invalid_token"),
        ("unknown", kid(json!("0123456789abcdef01234")), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
    assert!(rig.key_set_reads() <= 2, "one fetch for unknown keys, not one for each");
}

#[tokio::test]
async fn keys_and_addresses_of_keys_in_a_header_are_ignored() {
    let (rig, github) = github().await;
    let evil = Upstream::replying(r#"{"keys":[]}"#).await.allow(&["no authorization"]);
    let address = format!("{}/keys", evil.base_url());
    let own = |header: Value| {
        let mut whole = json!({ "alg": "RS256", "typ": "JWT" });
        whole.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        let exp = rig.clock.now().unix_seconds() + 3600;
        let claims =
            json!({ "iss": rig.tenant.issuer(), "sub": ALICE, "aud": rig.tenant.settings().audience, "exp": exp });
        issuer::sign(&whole.to_string(), claims.to_string().as_bytes())
    };
    let kid = jsonwebtoken::decode_header(rig.token()).unwrap().kid.unwrap();
    let cases = [
        ("jwk", own(json!({ "jwk": issuer::jwk() })), "invalid_token"),
        ("jwk under the tenant's id", own(json!({ "jwk": issuer::jwk(), "kid": kid })), "invalid_token"),
        ("jku", own(json!({ "jku": address, "kid": kid })), "invalid_token"),
        ("x5u", own(json!({ "x5u": address, "kid": kid })), "invalid_token"),
        ("x5c", own(json!({ "x5c": ["MIIB"], "kid": kid })), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
    evil.saw_nothing();
    assert_eq!(rig.key_set_reads(), 1, "a known key id causes no fetch");
    // On a token of the tenant's they change nothing.
    let cases = [("the tenant's own with jku", signed(&rig, |token| token.header("jku", &address)))];
    all_accepted(&rig, &github, &cases).await;
    evil.saw_nothing();
}

#[tokio::test]
async fn a_header_that_asks_for_understanding_is_refused() {
    let (rig, github) = github().await;
    let header = |name: &str, value: Value| signed(&rig, |token| token.header(name, value));
    let both = signed(&rig, |token| token.header("crit", ["b64"]).header("b64", false));
    let cases = [
        ("crit", header("crit", json!(["exp"])), "invalid_token"),
        ("crit of the unknown", header("crit", json!(["http://example.com/x"])), "invalid_token"),
        ("empty crit", header("crit", json!([])), "invalid_token"),
        ("crit is a text", header("crit", json!("b64")), "invalid_token"),
        ("crit and b64", both, "invalid_token"),
        ("b64 false", header("b64", json!(false)), "invalid_token"),
        ("b64 true", header("b64", json!(true)), "invalid_token"),
        ("logout token", header("typ", json!("logout+jwt")), "invalid_token"),
        ("proof", header("typ", json!("dpop+jwt")), "invalid_token"),
        ("security event", header("typ", json!("secevent+jwt")), "invalid_token"),
        ("typ is a number", header("typ", json!(1)), "invalid_token"),
    ];
    all_refused(&rig, &github, &cases).await;
    let cases = [
        ("JWT", header("typ", json!("JWT"))),
        ("jwt", header("typ", json!("jwt"))),
        ("at+jwt", header("typ", json!("at+jwt"))),
        ("with its prefix", header("typ", json!("application/at+jwt"))),
        ("absent", header("typ", Value::Null)),
    ];
    all_accepted(&rig, &github, &cases).await;
}

#[tokio::test]
async fn odd_headers_with_a_good_signature_crash_nothing() {
    let issuer = Issuer::start().await;
    let github = Upstream::replying("hello").await;
    let issuers = format!("issuers = [\"{}\"]", issuer.name());
    let rig = rig().with("auth0", &issuers).provider("github", &github).start().await;
    let claims = issuer.claims(ALICE).to_string();
    let nested = format!(r#"{{"alg":"RS256","kid":"{KID}","x":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    for (name, header) in [
        ("alg twice", format!(r#"{{"alg":"none","alg":"RS256","kid":"{KID}"}}"#)),
        ("kid twice", format!(r#"{{"alg":"RS256","kid":"x","kid":"{KID}"}}"#)),
        ("nested deeply", nested),
        ("not JSON", "alg=RS256".to_owned()),
        ("a list", r#"["RS256"]"#.to_owned()),
        ("with a tail", format!(r#"{{"alg":"RS256","kid":"{KID}"}} x"#)),
        ("empty", String::new()),
    ] {
        let answer = rig.get_bearing(&issuer::sign(&header, claims.as_bytes()), "/proxy/github/user").await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        refused(&answer, 401, "invalid_token");
    }
    github.saw_nothing();
    assert_eq!(rig.get_bearing(&issuer.token(ALICE), "/proxy/github/user").await.status, 200);
}

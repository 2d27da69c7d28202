//! Token Vault: the other world in which the tenant keeps its users' tokens, and how the proxy finds out which is which.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use http::Response;
use hyper::body::Bytes;
use idp_proxy::command::dev::fault::Fault;
use idp_proxy::command::dev::provider::Issued;
use idp_proxy::command::dev::tenant::{Endpoint, Identity, Purpose, User, Vaulted};

use crate::support::people::answers;
use crate::support::rig::{ALICE, provider_token};
use crate::support::{Rig, Upstream, refused, rig};

const PATH: &str = "/proxy/intranet/x";
/// The default of `recheck`.
const RECHECK: Duration = Duration::from_secs(600);
/// Longer than a refusal is believed.
const SECONDS: Duration = Duration::from_secs(6);

/// A proxy whose provider `intranet` has its tokens in this world, and a tenant that has both for it.
async fn intranet(source: &str) -> (Rig, Upstream) {
    let intranet = Upstream::replying("hello").await;
    (rig_with(source, &intranet).await, intranet)
}

async fn rig_with(source: &str, upstream: &Upstream) -> Rig {
    let lines = format!("source = \"{source}\"\nallow = \"all\"");
    let rig = rig().provider_at("intranet", &upstream.base_url(), &lines).start().await;
    rig.tenant.set_purpose("intranet", Purpose::Both);
    rig
}

/// An upstream that no longer accepts `tok-old` once the switch is on.
async fn revoking() -> (Upstream, Arc<AtomicBool>) {
    let is_revoked = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_revoked);
    let upstream = Upstream::recording(move |request| {
        let is_bad = is_revoked.load(Ordering::Relaxed) && request.all("authorization") == "Bearer tok-old";
        Response::builder().status(if is_bad { 401 } else { 200 }).body(Bytes::from_static(b"hello")).unwrap()
    });
    (upstream.await, switch)
}

impl Rig {
    /// A user with accounts in the vault, and no token with the identity.
    fn connect(&self, sub: &str, vaulted: impl IntoIterator<Item = Vaulted>) {
        let user = User::new(sub).with(Identity::new("intranet", "1"));
        self.tenant.add_user(vaulted.into_iter().fold(user, User::connected));
    }

    fn exchanges(&self) -> u64 {
        self.tenant.calls(Endpoint::Vault)
    }

    /// The vault renews from now on, each time to the next of `access-1`, `access-2` …
    fn renews(&self) {
        let count = AtomicU32::new(0);
        self.tenant.renew_by("intranet", move |_| {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            Some(Issued { access_token: format!("access-{number}"), refresh_token: None, expires_in: Some(3600) })
        });
    }
}

fn vaulted(token: &str) -> Vaulted {
    Vaulted::new("intranet", "1", token)
}

#[tokio::test]
async fn each_user_gets_the_vaults_token_of_that_user_by_one_exchange() {
    let (rig, intranet) = intranet("token_vault").await;
    let users = ["auth0|one", "auth0|two", "auth0|three"];
    for (number, sub) in users.iter().enumerate() {
        rig.connect(sub, [vaulted(&format!("tok-{number}"))]);
    }
    let calls = (0..60).map(|call| rig.begin_as(users[call % 3], PATH));
    assert!(answers(calls).await.iter().all(|answer| answer.status == 200));
    let mut tokens = intranet.tokens();
    tokens.sort();
    let expected: Vec<String> = (0..60).map(|call| format!("tok-{}", call / 20)).collect();
    assert_eq!(tokens, expected);
    for (number, sub) in users.iter().enumerate() {
        assert_eq!(rig.get_as(sub, PATH).await.status, 200);
        assert_eq!(intranet.last_token(), format!("tok-{number}"));
    }
    assert_eq!((rig.exchanges(), rig.reads()), (3, 0), "one exchange each, and no look at the identities");
}

#[tokio::test]
async fn a_token_of_the_vault_serves_until_it_ends_and_is_asked_for_again() {
    let (rig, intranet) = intranet("token_vault").await;
    rig.renews();
    let end = rig.clock.now().plus(Duration::from_secs(300));
    rig.connect(ALICE, [vaulted("access-0").expires(end)]);
    assert_eq!(rig.get(PATH).await.status, 200);
    rig.clock.advance(Duration::from_secs(290));
    assert_eq!(rig.get(PATH).await.status, 200);
    assert_eq!((intranet.last_token().as_str(), rig.exchanges()), ("access-0", 1));
    rig.clock.advance(Duration::from_secs(11));
    assert_eq!(rig.get(PATH).await.status, 200);
    assert_eq!((intranet.last_token().as_str(), rig.exchanges()), ("access-1", 2), "an ended token was sent");
}

#[tokio::test]
async fn a_refused_token_of_the_vault_is_asked_for_again_and_the_request_sent_once_more() {
    let (upstream, revoked) = revoking().await;
    let rig = rig_with("token_vault", &upstream).await;
    rig.connect(ALICE, [vaulted("tok-old")]);
    assert_eq!(rig.get(PATH).await.status, 200);
    revoked.store(true, Ordering::Relaxed);
    rig.connect(ALICE, [vaulted("tok-new")]);
    let answer = rig.send("POST", PATH, &[], b"body").await;
    assert_eq!((answer.status, rig.exchanges()), (200, 2), "the caller noticed");
    assert_eq!(upstream.tokens(), ["tok-old", "tok-old", "tok-new"]);
    assert_eq!(upstream.requests()[2].body, b"body");
}

#[tokio::test]
async fn a_refused_token_that_the_vault_still_gives_rests() {
    let (upstream, revoked) = revoking().await;
    let rig = rig_with("token_vault", &upstream).await;
    revoked.store(true, Ordering::Relaxed);
    rig.connect(ALICE, [vaulted("tok-old")]);
    assert_eq!(rig.get(PATH).await.status, 401, "the vault has no other");
    refused(&rig.get(PATH).await, 403, "reconnect_required");
    assert_eq!((upstream.requests().len(), rig.exchanges()), (1, 2));
    // After a while it is tried once more, in case the provider has changed its mind, and then it rests again.
    rig.clock.advance(RECHECK + SECONDS);
    assert_eq!(rig.get(PATH).await.status, 401);
    refused(&rig.get(PATH).await, 403, "reconnect_required");
    assert_eq!(upstream.requests().len(), 2);
    // Whoever connects anew is served within seconds.
    rig.connect(ALICE, [vaulted("tok-new")]);
    rig.clock.advance(SECONDS);
    assert_eq!(rig.get(PATH).await.status, 200);
    assert_eq!(upstream.last_token(), "tok-new");
}

#[tokio::test]
async fn auto_takes_what_the_identities_have_and_asks_the_vault_for_what_they_lack() {
    let (rig, intranet) = intranet("auto").await;
    assert_eq!(rig.get(PATH).await.status, 200);
    assert_eq!((intranet.last_token(), rig.exchanges()), (provider_token("intranet"), 0));
    rig.connect("auth0|vaulted", [vaulted("tok-vault")]);
    assert_eq!(rig.get_as("auth0|vaulted", PATH).await.status, 200);
    assert_eq!((intranet.last_token().as_str(), rig.exchanges()), ("tok-vault", 1));
    // An account that was connected and never signed in with is no identity at all.
    rig.tenant.add_user(User::new("auth0|connected").connected(vaulted("tok-connected")));
    assert_eq!(rig.get_as("auth0|connected", PATH).await.status, 200);
    assert_eq!(intranet.last_token(), "tok-connected");
}

#[tokio::test]
async fn auto_learns_where_a_connection_keeps_its_tokens() {
    let (rig, intranet) = intranet("auto").await;
    rig.connect("auth0|first", [vaulted("tok-first")]);
    rig.connect("auth0|second", [vaulted("tok-second")]);
    assert_eq!(rig.get_as("auth0|first", PATH).await.status, 200);
    assert_eq!((rig.reads(), rig.exchanges()), (1, 1));
    assert_eq!(rig.get_as("auth0|second", PATH).await.status, 200);
    assert_eq!((rig.reads(), rig.exchanges()), (1, 2), "the vault is asked first now");
    // Whoever is not there is found among the identities still.
    assert_eq!(rig.get(PATH).await.status, 200);
    assert_eq!((intranet.last_token(), rig.reads(), rig.exchanges()), (provider_token("intranet"), 2, 3));
}

#[tokio::test]
async fn where_the_vault_is_known_its_bad_days_are_not_those_of_the_identities() {
    let (rig, intranet) = intranet("auto").await;
    rig.connect("auth0|vaulted", [vaulted("tok-vault")]);
    assert_eq!(rig.get_as("auth0|vaulted", PATH).await.status, 200);
    rig.tenant.fail(Endpoint::Vault, Fault::Status(503, String::new()));
    assert_eq!(rig.get(PATH).await.status, 200, "the identity has a token");
    assert_eq!(intranet.last_token(), provider_token("intranet"));
    assert_eq!(rig.get_as("auth0|vaulted", PATH).await.status, 200, "held");
    rig.connect("auth0|cold", [vaulted("tok-cold")]);
    refused(&rig.get_as("auth0|cold", PATH).await, 503, "tenant_unavailable");
    rig.tenant.heal();
    // Who is served by the identity costs the vault nothing.
    let before = rig.exchanges();
    rig.clock.advance(SECONDS);
    assert_eq!(rig.get(PATH).await.status, 200);
    assert_eq!(rig.exchanges(), before);
}

#[tokio::test]
async fn one_users_denial_says_nothing_of_others() {
    let (rig, intranet) = intranet("auto").await;
    for number in 0..3 {
        rig.connect(&format!("auth0|{number}"), [vaulted(&format!("tok-{number}"))]);
    }
    assert_eq!(rig.get_as("auth0|0", PATH).await.status, 200);
    let denied = r#"{"error":"access_denied","error_description":"by an Action"}"#;
    rig.tenant.fail(Endpoint::Vault, Fault::Status(403, denied.into()).times(1));
    refused(&rig.get_as("auth0|1", PATH).await, 403, "reconnect_required");
    assert_eq!(rig.get_as("auth0|2", PATH).await.status, 200);
    assert_eq!(intranet.last_token(), "tok-2");
    assert_eq!(rig.get_as("auth0|0", PATH).await.status, 200);
}

#[tokio::test]
async fn a_callers_token_in_its_last_leeway_is_the_callers_matter() {
    let (rig, intranet) = intranet("token_vault").await;
    rig.connect(ALICE, [vaulted("tok")]);
    let token = rig.tenant.token(ALICE).expires_in(30).sign();
    rig.clock.advance(Duration::from_secs(40));
    refused(&rig.get_bearing(&token, PATH).await, 401, "expired_token");
    intranet.saw_nothing();
    rig.clock.advance(SECONDS);
    assert_eq!(rig.get(PATH).await.status, 200, "with a token that lives");
    assert_eq!(rig.get_bearing(&token, PATH).await.status, 200, "what is held needs no exchange");
}

#[tokio::test]
async fn nobody_can_make_the_tenant_exchange_without_end() {
    let (rig, intranet) = intranet("token_vault").await;
    rig.connect(ALICE, [vaulted("tok")]);
    let mut codes = std::collections::BTreeMap::new();
    for number in 0..60 {
        let answer = rig.get_with(PATH, &[("idp-proxy-account", &format!("made-up-{number}"))]).await;
        *codes.entry(answer.code()).or_insert(0) += 1;
    }
    assert_eq!(codes, [("not_connected".to_owned(), 40), ("tenant_rate_limited".to_owned(), 20)].into());
    assert_eq!(rig.exchanges(), 40);
    rig.connect("auth0|other", [vaulted("tok-other")]);
    assert_eq!(rig.get_as("auth0|other", PATH).await.status, 200, "others do not pay for it");
    rig.clock.advance(Duration::from_secs(11));
    assert_eq!(rig.get(PATH).await.status, 200);
    let long = "x".repeat(257);
    refused(&rig.get_with(PATH, &[("idp-proxy-account", &long)]).await, 400, "bad_request");
    assert_eq!(intranet.tokens(), ["tok-other", "tok"]);
}

#[tokio::test]
async fn auto_does_not_ask_a_vault_again_that_is_not_for_the_connection() {
    let (rig, intranet) = intranet("auto").await;
    rig.tenant.set_purpose("intranet", Purpose::Authentication);
    for number in 0..3 {
        rig.connect(&format!("auth0|{number}"), []);
        refused(&rig.get_as(&format!("auth0|{number}"), PATH).await, 403, "reconnect_required");
    }
    assert_eq!(rig.exchanges(), 1);
    intranet.saw_nothing();
    // The operator moves the connection to the vault while people use it.
    rig.tenant.set_purpose("intranet", Purpose::ConnectedAccounts);
    rig.connect("auth0|0", [vaulted("tok-moved")]);
    rig.clock.advance(RECHECK + SECONDS);
    assert_eq!(rig.get_as("auth0|0", PATH).await.status, 200);
    assert_eq!(intranet.last_token(), "tok-moved");
}

#[tokio::test]
async fn a_user_with_no_token_in_either_world_hears_what_the_identities_lack() {
    let (rig, intranet) = intranet("auto").await;
    rig.connect("auth0|signed-in", []);
    refused(&rig.get_as("auth0|signed-in", PATH).await, 403, "reconnect_required");
    rig.tenant.add_user(User::new("auth0|stranger"));
    refused(&rig.get_as("auth0|stranger", PATH).await, 403, "not_connected");
    rig.tenant.add_user(User::new("auth0|blocked").connected(vaulted("tok")));
    rig.tenant.with_user("auth0|blocked", |user| user.blocked = Some(true));
    refused(&rig.get_as("auth0|blocked", PATH).await, 403, "user_blocked");
    intranet.saw_nothing();
}

#[tokio::test]
async fn the_vaults_refusals_are_told_apart() {
    let (rig, intranet) = intranet("token_vault").await;
    let ended = vaulted("tok").expires(rig.clock.now());
    let two = [Vaulted::new("intranet", "7", "tok-7"), Vaulted::new("intranet", "8", "tok-8")];
    rig.connect("auth0|nothing", []);
    rig.connect("auth0|ended", [ended]);
    rig.connect("auth0|two", two);
    rig.connect("auth0|unlinked", [vaulted("tok")]);
    refused(&rig.get_as("auth0|nothing", PATH).await, 403, "reconnect_required");
    refused(&rig.get_as("auth0|ended", PATH).await, 403, "reconnect_required");
    let authorization = format!("Bearer {}", rig.tenant.token_for("auth0|two"));
    let of_account = async |account: &str| {
        let headers = [("authorization", authorization.as_str()), ("idp-proxy-account", account)];
        rig.send_as_is("GET", PATH, &headers, b"").await
    };
    refused(&of_account("9").await, 403, "not_connected");
    intranet.saw_nothing();
    assert_eq!(of_account("intranet|7").await.status, 200);
    assert_eq!(of_account("8").await.status, 200);
    assert_eq!(intranet.tokens(), ["tok-7", "tok-8"]);

    // The client is linked to another API. A user who is blocked is refused in the same words, and told so.
    rig.tenant.change(|tenant| tenant.vault_audience = Some("https://another.example/".to_owned()));
    let answer = rig.get_as("auth0|unlinked", PATH).await;
    refused(&answer, 503, "tenant_misconfigured");
    assert!(answer.text().contains("link the vault's client to this API"), "{}", answer.text());
    rig.tenant.with_user("auth0|nothing", |user| user.blocked = Some(true));
    rig.clock.advance(SECONDS);
    refused(&rig.get_as("auth0|nothing", PATH).await, 403, "user_blocked");
}

#[tokio::test]
async fn a_tenant_that_is_not_set_up_for_the_vault_is_told_from_one_that_is_busy_or_down() {
    let cases = [
        (Fault::Status(403, r#"{"error":"unauthorized_client"}"#.into()), "tenant_misconfigured"),
        (Fault::Status(401, r#"{"error":"invalid_client"}"#.into()), "tenant_misconfigured"),
        (Fault::Status(403, r#"{"error":"access_denied"}"#.into()), "tenant_misconfigured"),
        (Fault::Status(401, r#"{"error":"access_denied"}"#.into()), "tenant_misconfigured"),
        (Fault::Status(429, String::new()), "tenant_rate_limited"),
        (Fault::Status(503, String::new()), "tenant_unavailable"),
        (Fault::Garbage, "tenant_unavailable"),
        (Fault::Reset, "tenant_unavailable"),
        // A token of another kind is nobody's at a provider.
        (Fault::Status(200, r#"{"access_token":"tenants-own","token_type":"Bearer"}"#.into()), "tenant_unavailable"),
    ];
    for (fault, code) in cases {
        let upstream = Upstream::replying("hello").await;
        let lines = "source = \"token_vault\"";
        let limits = "token_wait = \"1s\"";
        let rig = rig().provider_at("intranet", &upstream.base_url(), lines).with("limits", limits).start().await;
        rig.tenant.set_purpose("intranet", Purpose::Both);
        rig.connect(ALICE, [vaulted("tok")]);
        rig.tenant.fail(Endpoint::Vault, fault);
        refused(&rig.get(PATH).await, 503, code);
        upstream.saw_nothing();
        let metrics = rig.admin("/metrics").await.text();
        assert!(metrics.contains("idp_proxy_tenant_calls_total{endpoint=\"vault\",outcome="), "{metrics}");
    }
}

#[tokio::test]
async fn who_is_held_is_served_while_the_tenant_is_down_and_not_after_disconnecting() {
    let (rig, intranet) = intranet("token_vault").await;
    rig.connect(ALICE, [vaulted("tok")]);
    rig.connect("auth0|gone", [vaulted("tok-gone")]);
    for sub in [ALICE, "auth0|gone"] {
        assert_eq!(rig.get_as(sub, PATH).await.status, 200);
    }
    rig.tenant.fail(Endpoint::Vault, Fault::Status(503, String::new()));
    rig.clock.advance(RECHECK);
    assert_eq!(rig.get(PATH).await.status, 200, "held, and not ended");
    rig.tenant.heal();
    rig.tenant.with_user("auth0|gone", |user| user.vault.clear());
    let before = intranet.requests().len();
    refused(&rig.get_as("auth0|gone", PATH).await, 403, "reconnect_required");
    assert_eq!(intranet.requests().len(), before);
}

#[tokio::test]
async fn an_exchange_outlives_the_caller_who_began_it() {
    let (rig, _intranet) = intranet("token_vault").await;
    rig.connect(ALICE, [vaulted("tok")]);
    rig.tenant.delay(Endpoint::Vault, Duration::from_millis(300));
    let first = rig.begin_as(ALICE, PATH);
    while rig.exchanges() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let others: Vec<_> = (0..20).map(|_| rig.begin_as(ALICE, PATH)).collect();
    first.abort();
    assert!(answers(others).await.iter().all(|answer| answer.status == 200));
    assert_eq!(rig.exchanges(), 1);
}

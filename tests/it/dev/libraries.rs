//! Libraries that are not ours accept the simulated tenant: a certified OpenID client signs a person in, and Auth0's own
//! Management SDK reads users and connections. `tests/run` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use idp_proxy::clock::Clock;
use idp_proxy::command::dev::{ALICE, BOB, World, WorldSettings};
use serde_json::{Value, json};

use crate::support::{child, program};

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tenant-clients");
    assert!(folder.join("node_modules/openid-client").exists(), "the libraries are missing; tests/run installs them");
    folder
}

/// Runs `tests/tenant-clients/NAME.js` at the tenant of `world`. What it printed last.
async fn run(name: &str, world: &World, environment: &[(&str, &str)]) -> Value {
    let script = folder().join(format!("{name}.js"));
    let mut command = Command::new("node");
    command.arg(&script).env("TENANT", world.tenant.base_url()).envs(environment.iter().copied());
    program::run(command, child::folder(), &script.display().to_string()).await
}

async fn world(change: impl FnOnce(&mut WorldSettings)) -> World {
    let mut settings = WorldSettings::default();
    change(&mut settings);
    World::start(Clock::system(), settings).await.unwrap()
}

#[tokio::test]
async fn a_certified_openid_client_signs_a_person_in() {
    let world = world(|settings| settings.tenant.device_interval = 1).await;
    let audience = world.tenant.settings().audience;
    let seen = run("openid-client", &world, &[("AUDIENCE", &audience), ("SUB", ALICE)]).await;
    let claims = &seen["claims"];
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["iss"]),
        (&json!(ALICE), &json!("demoSpaClient"), &json!(world.tenant.issuer()))
    );
    let profile = json!({
        "sub": ALICE, "name": "Alice", "nickname": "alice", "email": "alice@example.com", "email_verified": true,
    });
    assert_eq!(seen["userinfo"], profile);
    assert_eq!(seen["landed"], json!(["code", "state"]));
    assert_eq!((&seen["scope"], &seen["expiresIn"]), (&json!("openid profile email offline_access"), &json!(86_400)));
    assert_eq!(seen["renewed"], ALICE);
    assert_eq!(seen["fromDevice"], json!([ALICE, "demoLoginClient", "string"]));
    assert_eq!(seen["activated"], 200);
    for what in ["reused", "family", "revoked"] {
        assert_eq!(seen[what], "invalid_grant", "{what}");
    }
    let refusals = json!({
        "silentTooEarly": "login_required",
        "codeTwice": "invalid_grant",
        "wrongVerifier": "invalid_grant",
        "wrongNonce": "nonce",
        "unknownConnection": "invalid_request",
        "noPkce": "invalid_request",
        "wrongCallback": seen["refusals"]["wrongCallback"],
        "silentTooLate": "login_required",
    });
    assert_eq!(seen["refusals"], refusals);
    let page = seen["refusals"]["wrongCallback"].as_str().unwrap();
    assert!(page.starts_with("400: ") && page.contains("Callback URL mismatch"), "{page}");
    assert_eq!(seen["left"], "http://localhost:3000/");
}

#[tokio::test]
async fn auth0s_own_sdk_reads_users_and_connections_and_links_accounts() {
    let scopes = ["read:users", "read:user_idp_tokens", "read:connections", "update:users"];
    let world = world(|settings| settings.tenant.scopes = scopes.map(str::to_owned).to_vec()).await;
    let settings = world.tenant.settings();
    let narrow = world.tenant.management_token("read:users");
    let environment = [
        ("DOMAIN", settings.domain.as_str()),
        ("CLIENT_ID", &settings.client_id),
        ("CLIENT_SECRET", &settings.client_secret),
        ("PRIMARY", ALICE),
        ("SECONDARY", BOB),
        ("NARROW_TOKEN", &narrow),
    ];
    let seen = run("management", &world, &environment).await;
    let identities = json!([
        ["github", 583_231, "string"],
        ["google-oauth2", "109876543210987654321", "string"],
        ["bitbucket", "{8e5bd1a5-6d4a-4b1f-9a3e-0c9d2b7f1e60}", "string"],
    ]);
    assert_eq!(seen["user"], json!([ALICE, identities]));
    assert_eq!(seen["users"], json!([ALICE, BOB]));
    assert_eq!(seen["byEmail"], BOB);
    let connections = json!([
        ["bitbucket", "bitbucket", "demo-bitbucket-client"],
        ["github", "github", "demo-github-client"],
        ["google-oauth2", "google-oauth2", "demo-google-client"],
    ]);
    assert_eq!(seen["connections"], connections);
    assert_eq!(seen["some"], json!([{ "name": "bitbucket" }, { "name": "google-oauth2" }]));
    assert_eq!(seen["one"], "bitbucket");
    assert_eq!((&seen["linked"], &seen["unlinked"]), (&json!(5), &json!(4)), "bob has a second account");
    assert_eq!(seen["again"], json!([409, "identity_conflict"]));
    assert_eq!(seen["blocked"], true);
    assert_eq!(seen["unknown"], json!([404, "inexistent_user"]));
    assert_eq!(seen["narrow"], json!([403, "insufficient_scope"]));
    assert_eq!(seen["impostor"], json!([401, "access_denied"]));
}

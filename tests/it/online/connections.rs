//! Connections as the tenant has them, beside what the configuration takes them for.

use idp_proxy::command::dev::tenant::{ConnectionOptions, Purpose};

use super::*;

/// A site whose application may read connections.
async fn site() -> Site {
    let site = Site::new().await;
    site.world.tenant.change(|settings| settings.scopes.push("read:connections".to_owned()));
    site
}

/// What was found of one connection: outcomes, messages and keys.
fn of<'found>(found: &'found [Value], connection: &str) -> Vec<(&'found str, &'found str, &'found str)> {
    let text = |finding: &'found Value, name: &str| finding[name].as_str().unwrap_or_default();
    let about = found.iter().filter(|finding| finding["about"] == connection);
    about.map(|finding| (text(finding, "outcome"), text(finding, "message"), text(finding, "key"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_scope_that_only_this_check_needs_they_are_not_looked_at() {
    let site = Site::new().await;
    let (code, outcome, message, _) = site.only(AS_IT_IS, "connection").await;
    assert_eq!((code, &*outcome), (Some(0), "unknown"));
    assert_eq!(message, "not looked at: the application lacks read:connections, which only this check needs");
    assert_eq!(site.world.tenant.calls(Endpoint::Users), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_there_and_in_a_world_and_has_a_client_of_its_own() {
    let site = site().await;
    let (code, found) = site.found(AS_IT_IS, "connection").await;
    assert_eq!(code, Some(0), "{found:#?}");
    assert_eq!(of(&found, "github"), [("ok", "github, identities, with a client of its own", "")]);
    assert_eq!(
        of(&found, "google-oauth2"),
        [("ok", "google-oauth2, identities and Token Vault, with a client of its own", "")]
    );
    let missing = ("connection = \"github\"", "connection = \"guthib\"");
    let (code, found) = site.found(missing, "connection").await;
    let expected = [("wrong", "the tenant has no such connection", "providers.github.connection")];
    assert_eq!((code, of(&found, "guthib")), (Some(2), expected.to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_for_another_world_than_its_provider_says_is_found() {
    let site = site().await;
    let source = |source: &str| format!("[providers.github]\nsource = \"{source}\"\n");
    let (code, found) = site.found(("[providers.github]\n", &source("token_vault")), "connection").await;
    let not_vault = ("wrong", "is not for Token Vault, in which this provider's tokens are", "providers.github.source");
    assert_eq!((code, of(&found, "github")), (Some(2), vec![not_vault]));
    site.world.tenant.set_purpose("github", Purpose::ConnectedAccounts);
    let (code, found) = site.found(("[providers.github]\n", &source("identities")), "connection").await;
    let not_sign_in =
        ("wrong", "is not for signing in, so that no identity has a token of it", "providers.github.source");
    assert_eq!((code, of(&found, "github")), (Some(2), vec![not_sign_in]));
    let (code, found) = site.found(AS_IT_IS, "connection").await;
    assert_eq!(
        (code, of(&found, "github")),
        (Some(0), vec![("ok", "github, Token Vault, with a client of its own", "")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn auth0s_developer_keys_and_another_client_cannot_renew() {
    let site = site().await;
    let tenant = &site.world.tenant;
    tenant.set_connection("github", ConnectionOptions::new("github"));
    tenant.set_connection("bitbucket", ConnectionOptions::new("bitbucket"));
    let other = ConnectionOptions { client_id: "another".to_owned(), ..ConnectionOptions::new("google-oauth2") };
    tenant.set_connection("google-oauth2", ConnectionOptions { offline_access: true, ..other });
    let (code, found) = site.found(AS_IT_IS, "connection").await;
    assert_eq!(code, Some(2));
    let keys = "uses Auth0's developer keys: its tokens are those of Auth0's own application";
    assert_eq!(of(&found, "github"), [("warning", keys, "")]);
    let renewed = "uses Auth0's developer keys, whose refresh tokens nobody but Auth0 can renew";
    assert_eq!(of(&found, "bitbucket"), [("wrong", renewed, "providers.bitbucket.client_id")]);
    let another = "has another client than the one configured here: its refresh tokens cannot be renewed with this one";
    assert_eq!(of(&found, "google-oauth2"), [("wrong", another, "providers.google.client_id")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_asks_for_no_refresh_token_is_told_before_the_first_token_expires() {
    let site = site().await;
    let google = site.world.google.settings();
    let options = ConnectionOptions { offline_access: false, ..ConnectionOptions::at("google-oauth2", google) };
    site.world.tenant.set_connection("google-oauth2", options);
    let (code, found) = site.found(AS_IT_IS, "connection").await;
    let asks = "does not ask for a refresh token: only sign-ins that ask by themselves bring one";
    assert_eq!((code, of(&found, "google-oauth2")), (Some(0), vec![("warning", asks, "providers.google")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_says_where_and_how_to_mend_each() {
    let site = site().await;
    let tenant = &site.world.tenant;
    let fine = site.check(AS_IT_IS, &[]).await;
    assert_eq!((fine.code, &*fine.err), (Some(0), ""));
    let expected = "\
ok  issuer       TENANT/  is what the tenant calls itself
ok  key set      TENANT/  2 of 2 keys are for RS256 or PS256
ok  clock        dev.localhost            ours and the tenant's agree
ok  grant        demoProxyClient          the application may read users and their tokens
ok  connection   bitbucket                bitbucket, identities, with a client of its own
ok  connection   github                   github, identities, with a client of its own
ok  connection   google-oauth2            google-oauth2, identities and Token Vault, with a client of its own
ok  token vault  demoProxyClient          the application may exchange callers' tokens
ok  renewal      bitbucket                BITBUCKET/oauth/token accepts the client
ok  renewal      google                   GOOGLE/oauth/token accepts the client
ok  provider     bitbucket                BITBUCKET answers (401)
ok  provider     github                   GITHUB answers (401)
ok  provider     google                   GOOGLE answers (401)
ok  store        sqlite                   is not there yet; `idp-proxy serve` makes it

proxy.toml: 0 wrong, 0 without an answer, 0 with a warning
";
    assert_eq!(site.masked(&fine.out), expected);
    tenant.change(|settings| {
        settings.scopes = vec!["read:users".into(), "delete:users".into(), "read:connections".into()]
    });
    tenant.set_connection("bitbucket", ConnectionOptions::new("bitbucket"));
    site.world.github.down().await;
    let bad = site.check(("demo-google-secret", "mistyped"), &[]).await;
    assert_eq!((bad.code, &*bad.err), (Some(2), ""));
    let expected = "\
ok         issuer       TENANT/  is what the tenant calls itself
ok         key set      TENANT/  2 of 2 keys are for RS256 or PS256
ok         clock        dev.localhost            ours and the tenant's agree
WRONG      grant        demoProxyClient          the application lacks read:user_idp_tokens
           fix: add it in the Auth0 dashboard: Applications > APIs > Auth0 Management API > Machine to Machine Applications (proxy.toml:12:1)
warning    grant        demoProxyClient          the application has scopes that it never uses: delete:users
           fix: take them away, for whoever steals its secret has them too, in the Auth0 dashboard: Applications > APIs > Auth0 Management API > Machine to Machine Applications (proxy.toml:12:1)
WRONG      connection   bitbucket                uses Auth0's developer keys, whose refresh tokens nobody but Auth0 can renew
           fix: give the connection the client that is configured here (proxy.toml:42:1)
ok         connection   github                   github, identities, with a client of its own
ok         connection   google-oauth2            google-oauth2, identities and Token Vault, with a client of its own
ok         token vault  demoProxyClient          the application may exchange callers' tokens
ok         renewal      bitbucket                BITBUCKET/oauth/token accepts the client
WRONG      renewal      google                   the provider does not accept this proxy's client
           fix: use the client_id and client_secret that the connection has at the provider (proxy.toml:31:1)
ok         provider     bitbucket                BITBUCKET answers (401)
NO ANSWER  provider     github                   GITHUB gives no answer: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
           fix: check the address and the network; SSL_CERT_FILE, if set, names the only authorities (proxy.toml:21:1)
ok         provider     google                   GOOGLE answers (401)
ok         store        sqlite                   is not there yet; `idp-proxy serve` makes it

proxy.toml: 3 wrong, 1 without an answer, 1 with a warning
";
    assert_eq!(site.masked(&bad.out), expected);
}

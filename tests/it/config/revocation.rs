//! Where and how what a user has granted is taken back.

use idp_proxy::config::{Revocation, RevokeWith};

use super::{MINIMAL, config, the_fault};

const CLIENT: &str = "client_id = \"id\"\nclient_secret = \"hunter2\"\n";

fn revocation(name: &str, lines: &str) -> Option<Revocation> {
    let text = MINIMAL.replace("[providers.github]\n", "");
    config(&format!("{text}[providers.{name}]\n{lines}\n")).providers[name].revocation.clone()
}

#[test]
fn a_preset_knows_where_and_a_client_is_taken_where_there_is_one() {
    let google = revocation("google", "").unwrap();
    assert_eq!((&*google.url, google.with), ("https://oauth2.googleapis.com/revoke", RevokeWith::Token));
    assert!(google.client.is_none());
    let google = revocation("google", CLIENT).unwrap().client.unwrap();
    assert_eq!((&*google.id, &*google.audience), ("id", "https://oauth2.googleapis.com/token"));
    // An OAuth App's tokens never expire, and there is no endpoint to renew them at.
    let github = revocation("github", CLIENT).unwrap();
    assert_eq!(
        (&*github.url, github.with),
        ("https://api.github.com/applications/{client_id}/grant", RevokeWith::GitHub)
    );
    assert_eq!(github.client.unwrap().id, "id");
    assert_eq!(revocation("facebook", "").unwrap().with, RevokeWith::Delete);
    assert_eq!(revocation("slack", "").unwrap().with, RevokeWith::Bearer);
    assert_eq!(revocation("microsoft", ""), None);
}

#[test]
fn no_token_goes_to_the_presets_provider_when_the_provider_is_said_to_be_elsewhere() {
    let elsewhere = "base_url = \"https://git.example/api\"\n";
    let token_url = "token_url = \"https://git.example/oauth/token\"\n";
    assert_eq!(revocation("gitlab", elsewhere), None);
    assert_eq!(revocation("gitlab", token_url), None);
    let own = "revoke_url = \"https://git.example/oauth/revoke\"\n";
    assert_eq!(
        revocation("gitlab", &format!("{elsewhere}{token_url}{own}")).unwrap().url,
        "https://git.example/oauth/revoke"
    );
    assert!(revocation("facebook", "base_url = \"https://graph.facebook.com/v25.0\"\n").is_some());
}

#[test]
fn what_cannot_be_meant_is_a_fault() {
    for (lines, expected) in [
        ("revoke_url = \"login.example\"", "`revoke_url` must be a URL"),
        ("revoke_url = \"http://127.0.0.1:8080/x\"", "`revoke_url` must not be the proxy itself"),
        ("revoke_with = \"post\"", "`revoke_with` must be \"token\", \"bearer\", \"delete\" or \"github\""),
        (
            "source = \"token_vault\"\nrevoke_url = \"https://a.example/\"",
            "nothing comes of `revoke_url` beside source = \"token_vault\"",
        ),
    ] {
        let message = the_fault(&format!("{MINIMAL}[providers.google]\n{lines}\n")).message;
        assert!(message.starts_with(expected), "{message}");
    }
}

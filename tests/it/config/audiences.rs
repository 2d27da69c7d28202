//! What tokens are for: which tables on one connection may tell that apart, and what each then asks for.

use idp_proxy::config::fault::Code;
use idp_proxy::config::{Provider, Source};

use super::*;

const CLIENT: &str = "client_id = \"id\"\nclient_secret = \"hunter2\"\n";
/// SharePoint on Microsoft's connection.
const SHAREPOINT: &str = "[providers.sharepoint]\nconnection = \"waad\"\nbase_url = \"https://acme.sharepoint.com\"\n\
                          audience = \"https://acme.sharepoint.com\"\n";
const MICROSOFT: &str = "[providers.microsoft]\n";
const STORE: &str = "[store]\nurl = \"sqlite:a.db\"\nkeys = [\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n";

fn provider(name: &str, tables: &str) -> Provider {
    config(&format!("{MINIMAL}{tables}")).providers[name].clone()
}

fn scope(name: &str, tables: &str) -> Option<String> {
    provider(name, tables).renewal.unwrap().scope
}

#[test]
fn each_audience_asks_for_its_own_tokens_in_the_name_of_one_client() {
    // Whichever table comes first, and whichever has the client.
    for tables in [
        format!("{MICROSOFT}{CLIENT}{SHAREPOINT}"),
        format!("{SHAREPOINT}{MICROSOFT}{CLIENT}"),
        format!("{MICROSOFT}{SHAREPOINT}{CLIENT}"),
    ] {
        let (microsoft, sharepoint) = (provider("microsoft", &tables), provider("sharepoint", &tables));
        assert_eq!((microsoft.audience, sharepoint.audience.as_deref()), (None, Some("https://acme.sharepoint.com")));
        // Token Vault can be asked for what the sign-in was for, and for nothing else.
        assert_eq!((microsoft.source, sharepoint.source), (Source::Auto, Source::Identities));
        let (graphs, own) = (microsoft.renewal.unwrap(), sharepoint.renewal.unwrap());
        assert_eq!((&own.url, &own.client_id, &own.proof), (&graphs.url, &graphs.client_id, &graphs.proof));
        assert_eq!(graphs.scope, None);
        assert_eq!(own.scope.as_deref(), Some("https://acme.sharepoint.com/.default offline_access"));
    }
}

#[test]
fn a_scope_holds_for_the_tables_of_one_audience() {
    let scopes = "scope = \"https://acme.sharepoint.com/Sites.Read.All offline_access\"\n";
    let both = format!("{MICROSOFT}{CLIENT}scope = \"User.Read\"\n{SHAREPOINT}{scopes}");
    assert_eq!(scope("microsoft", &both).as_deref(), Some("User.Read"));
    assert_eq!(
        scope("sharepoint", &both).as_deref(),
        Some("https://acme.sharepoint.com/Sites.Read.All offline_access")
    );
    let search = SHAREPOINT.replace("providers.sharepoint", "providers.search");
    assert_eq!(scope("search", &format!("{both}{search}")), scope("sharepoint", &both));
    let told = headlines(&format!("{MINIMAL}{both}{search}scope = \"other\"\n"));
    let [told] = &told[..] else { panic!("{told:?}") };
    assert!(told.contains("`scope` is not that of [providers.sharepoint], which has the same connection"), "{told}");
}

#[test]
fn an_audience_without_a_client_is_told_what_it_lacks() {
    let text = format!("{MINIMAL}{MICROSOFT}{SHAREPOINT}");
    let told = faults(&text);
    let lacks = |key| format!("proxy.toml:10:1: error: missing key `{key}` in [providers.sharepoint]");
    assert_eq!(headlines(&text), [lacks("client_id"), lacks("client_secret")]);
    assert!(told.as_slice()[0].hint.as_ref().unwrap().contains("`audience`"), "{told}");
}

#[test]
fn one_refresh_token_that_rotates_is_not_spent_for_two_audiences() {
    let rotates = "rotates = true\n";
    let fault = the_fault(&format!("{MINIMAL}{STORE}{MICROSOFT}{CLIENT}{rotates}{SHAREPOINT}"));
    assert_eq!(
        (fault.code, &*fault.message, fault.line),
        (
            Code::Conflict,
            "`audience` is not that of [providers.microsoft], with which it shares a refresh token that rotates \
             (proxy.toml:12)",
            Some(19)
        )
    );
    assert!(fault.hint.unwrap().contains("rotates = false"));
    // The other way round, and of two that both have one.
    let fault = the_fault(&format!("{MINIMAL}{STORE}{SHAREPOINT}{MICROSOFT}{CLIENT}{rotates}"));
    assert_eq!(fault.line, Some(15), "{}", fault.message);
    assert!(fault.message.contains("[providers.microsoft]") && fault.message.ends_with("(proxy.toml:16)"));
    let mine = SHAREPOINT.replace("providers.sharepoint", "providers.mine").replace("//acme.", "//acme-my.");
    let fault = the_fault(&format!("{MINIMAL}{STORE}{SHAREPOINT}{CLIENT}{rotates}{mine}"));
    assert_eq!(fault.line, Some(22), "{}", fault.message);
    assert!(fault.message.ends_with("(proxy.toml:15)"), "{}", fault.message);
    // One audience spends it alone, however many tables are for it.
    let search = SHAREPOINT.replace("providers.sharepoint", "providers.search");
    config(&format!("{MINIMAL}{STORE}{SHAREPOINT}{CLIENT}{rotates}{search}"));
}

#[test]
fn token_vault_and_an_exchange_know_no_audience() {
    let vault = "source = \"token_vault\"\n";
    for tables in [format!("{SHAREPOINT}{vault}"), format!("{SHAREPOINT}{MICROSOFT}{vault}")] {
        let fault = the_fault(&format!("{MINIMAL}{tables}"));
        assert_eq!((fault.code, fault.key.as_deref()), (Code::Conflict, Some("providers.sharepoint.audience")));
        assert!(fault.message.starts_with("`audience` does not go with source = \"token_vault\" (proxy.toml:"));
        assert!(fault.hint.unwrap().contains("source = \"identities\""));
    }
    let facebook = "[providers.facebook]\naudience = \"https://graph.facebook.com\"\n";
    let fault = the_fault(&format!("{MINIMAL}{facebook}{CLIENT}"));
    assert_eq!(fault.message, "`audience` does not go with refresh_grant = \"fb_exchange_token\"");
}

#[test]
fn an_audience_is_one_identifier() {
    for (audience, expected) in [
        ("", "must be visible ASCII without spaces, quotes and backslashes"),
        ("https://a.example https://b.example", "must be visible ASCII without spaces, quotes and backslashes"),
        ("https://acme.sharepoint.com/.default", "must be the audience alone"),
    ] {
        let table =
            SHAREPOINT.replace("audience = \"https://acme.sharepoint.com\"", &format!("audience = {audience:?}"));
        let fault = the_fault(&format!("{MINIMAL}{table}{CLIENT}{MICROSOFT}"));
        assert_eq!((fault.message, fault.line), (format!("`audience` {expected}"), Some(12)), "{audience}");
    }
    for audience in ["00000003-0000-0ff1-ce00-000000000000", "api://intranet"] {
        let table =
            SHAREPOINT.replace("audience = \"https://acme.sharepoint.com\"", &format!("audience = {audience:?}"));
        let scope = scope("sharepoint", &format!("{table}{CLIENT}"));
        assert_eq!(scope, Some(format!("{audience}/.default offline_access")));
    }
}

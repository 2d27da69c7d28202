//! `[connect]`, and what providers say about signing in and about scopes.

use idp_proxy::config::fault::Code;
use idp_proxy::config::{Application, HeaderTest, NeededScopes, ScopePlace, SignIn, Wanted};

use super::{MINIMAL, config, faults, headlines, the_fault};

const CALLBACK: &str = "https://app.example.com/callback";

fn connect(lines: &str) -> String {
    format!("{MINIMAL}\n[connect]\n{lines}\n")
}

fn provider(lines: &str) -> String {
    format!("{MINIMAL}{lines}\n")
}

#[test]
fn an_application_has_an_id_and_a_place_to_come_back_to() {
    assert_eq!(config(MINIMAL).connect, None);
    assert_eq!(config(&connect("")).connect, None, "nothing stands in it");
    for uri in [CALLBACK, "http://127.0.0.1:3000/", "http://localhost:5173", "https://app.example.com/cb?from=auth0"] {
        let application = Application { client_id: "spa".to_owned(), redirect_uri: uri.to_owned() };
        assert_eq!(
            config(&connect(&format!("client_id = \"spa\"\nredirect_uri = \"{uri}\""))).connect,
            Some(application)
        );
    }
}

#[test]
fn half_an_application_is_a_fault_and_so_is_a_place_that_anybody_can_read() {
    let fault = the_fault(&connect("client_id = \"spa\""));
    assert_eq!((fault.code, &*fault.message), (Code::MissingKey, "missing key `redirect_uri` in [connect]"));
    assert!(fault.hint.unwrap().contains("Allowed Callback URLs"));
    let fault = the_fault(&connect(&format!("redirect_uri = \"{CALLBACK}\"")));
    assert_eq!((fault.code, &*fault.message), (Code::MissingKey, "missing key `client_id` in [connect]"));
    assert!(fault.hint.unwrap().contains("not of the one in [auth0]"));
    for (uri, message) in [
        ("http://app.example.com/callback", "must be https"),
        ("https://app.example.com/#callback", "must have no query and no fragment"),
        ("https://app.example.com/?a#b", "must have a query of URL characters alone (RFC 3986 §3.4), and no fragment"),
        ("https://me@app.example.com/", "must have no user name or password"),
        ("javascript:alert(1)", "must be a URL"),
        ("app.example.com", "must be a URL"),
        ("", "must be a URL"),
    ] {
        let fault = the_fault(&connect(&format!("client_id = \"spa\"\nredirect_uri = \"{uri}\"")));
        assert_eq!(fault.message, format!("`redirect_uri` {message}"), "{uri}");
    }
    let fault =
        the_fault(&connect(&format!("client_id = \"spa\"\nredirect_uri = \"{CALLBACK}\"\nredirect_url = \"\"")));
    assert_eq!(fault.message, "unknown key `redirect_url` in [connect]; did you mean `redirect_uri`?");
}

#[test]
fn a_sign_in_asks_for_what_the_preset_or_the_file_says() {
    let text = provider("\n[providers.google]\n[providers.microsoft]\nconnect_params = {}");
    let config = config(&text);
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let sign_in = |name: &str| config.providers[name].sign_in.clone();
    assert_eq!(sign_in("github"), SignIn { params: pairs(&[("prompt", "login")]), scopes: Vec::new() });
    let offline = pairs(&[("access_type", "offline"), ("prompt", "consent")]);
    assert_eq!(sign_in("google"), SignIn { params: offline, scopes: Vec::new() });
    assert_eq!(sign_in("microsoft"), SignIn { params: Vec::new(), scopes: vec!["offline_access".to_owned()] });
}

#[test]
fn what_a_sign_in_has_anyway_is_not_for_a_provider_to_say() {
    for name in ["client_id", "redirect_uri", "state", "connection_scope", "code_challenge"] {
        let fault = the_fault(&provider(&format!("connect_params = {{ {name} = \"x\" }}")));
        let message = format!("`connect_params.{name}` is a parameter that the proxy or the application sets");
        assert_eq!((fault.code, fault.message), (Code::Conflict, message));
    }
    for (lines, message) in [
        ("connect_params = { a = \"\" }", "`connect_params.a` must not be empty"),
        ("connect_params = { a = 1 }", "`connect_params.a` must be a string, not an integer"),
        ("connect_scopes = [\"a,b\"]", "`connect_scopes[0]` must be one scope"),
        ("connect_scopes = [\"a b\"]", "`connect_scopes[0]` must be one scope"),
        ("connect_scopes = \"a\"", "`connect_scopes` must be a list, not a string"),
    ] {
        assert_eq!(the_fault(&provider(lines)).message, message, "{lines}");
    }
}

#[test]
fn needed_scopes_stand_in_a_header_or_in_json() {
    let read = |lines: &str| config(&provider(lines)).providers["github"].needed_scopes.clone();
    let all = |place| NeededScopes { place, any: false, prefer: Vec::new() };
    assert_eq!(read("needed_scopes = { header = \"WWW-Authenticate\" }"), all(ScopePlace::Challenge));
    assert_eq!(read("needed_scopes = { json = \"/a/0\" }"), all(ScopePlace::Json("/a/0".to_owned())));
    let named = ScopePlace::Header("x-needed".parse().unwrap());
    assert_eq!(
        read("needed_scopes = { header = \"X-Needed\", any = true, prefer = \"read\" }"),
        NeededScopes { place: named, any: true, prefer: vec!["read".to_owned()] }
    );
    let intranet =
        "\n[providers.intranet]\nconnection = \"a\"\nbase_url = \"https://a.example\"\nsource = \"token_vault\"";
    let intranet = config(&provider(intranet)).providers["intranet"].needed_scopes.clone();
    assert_eq!(intranet, all(ScopePlace::Challenge), "RFC 6750");
}

#[test]
fn a_place_for_scopes_that_is_none_is_a_fault() {
    for (written, message) in [
        ("{}", "missing key `header` in [providers.github.needed_scopes]"),
        ("\"x\"", "`needed_scopes` must be a table, not a string"),
        ("{ header = \"a\", json = \"/a\" }", "`json` and `header` must not both be there"),
        ("{ header = \"a b\" }", "`header` must be a header name"),
        ("{ json = \"a\" }", "`json` must be a JSON pointer (RFC 6901)"),
        ("{ json = \"/a\", any = 1 }", "`any` must be true or false, not an integer"),
        ("{ json = \"/a\", prefer = \"read\" }", "`prefer` is for `any = true`: there is no choice if all are needed"),
        (
            "{ json = \"/a\", prefr = \"a\" }",
            "unknown key `prefr` in [providers.github.needed_scopes]; did you mean `prefer`?",
        ),
    ] {
        let headlines = headlines(&provider(&format!("needed_scopes = {written}")));
        assert!(headlines.len() == 1 && headlines[0].ends_with(&format!(" error: {message}")), "{headlines:?}");
    }
}

#[test]
fn a_rule_may_compare_two_headers() {
    let rule = |test: &str| format!("expired_when = [{{ status = 403, header = {test}, means = \"scope\" }}]");
    let text = provider(&rule("{ name = \"A\", none_in = \"B\" }"));
    let expected =
        HeaderTest { name: "a".parse().unwrap(), wanted: Wanted::Anything, none_in: Some("b".parse().unwrap()) };
    assert_eq!(config(&text).providers["github"].expired_when[0].header, Some(expected));
    assert_eq!(faults(&provider(&rule("{ name = \"A\", none_in = \"\" }"))).as_slice().len(), 1);
}

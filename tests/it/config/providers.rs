//! Providers: presets, what they may be called, and what they may not be.

use idp_proxy::config::fault::Code;
use idp_proxy::config::rule::Rule;
use idp_proxy::config::{Allow, GuardMode, Params, Rewrite};

use super::{MINIMAL, config, headlines, the_fault};

#[test]
fn a_provider_inherits_its_preset_and_replaces_what_it_names() {
    let github = config(MINIMAL).providers["github"].clone();
    assert_eq!(github.connection, "github");
    assert_eq!(github.base_url.to_string(), "https://api.github.com");
    assert_eq!(github.allow, Allow::Read);
    assert_eq!(github.headers, [("user-agent".parse().unwrap(), "idp-proxy".parse().unwrap())]);

    let text = format!("{MINIMAL}base_url = \"https://ghe.example/api/v3\"\nheaders = {{}}\nallow = \"all\"\n");
    let github = config(&text).providers["github"].clone();
    assert_eq!(github.connection, "github");
    assert_eq!(github.base_url.to_string(), "https://ghe.example/api/v3");
    assert_eq!(github.allow, Allow::All);
    assert!(github.headers.is_empty());
}

#[test]
fn links_are_looked_for_where_the_preset_or_the_file_says() {
    let with = |lines: &str| format!("{MINIMAL}{lines}\n[providers.slack]\nsource = \"token_vault\"\n");
    let rewrite = |lines: &str, name: &str| config(&with(lines)).providers[name].rewrite;
    assert_eq!(rewrite("", "github"), Rewrite::Json);
    assert_eq!(rewrite("", "slack"), Rewrite::Headers);
    assert_eq!(rewrite("rewrite = \"headers\"", "github"), Rewrite::Headers);
    assert_eq!(rewrite("rewrite = \"off\"", "github"), Rewrite::Off);
    let fault = the_fault(&with("rewrite = \"html\""));
    assert_eq!(fault.message, "`rewrite` must be \"off\", \"headers\" or \"json\"");
}

#[test]
fn paths_that_are_links_lie_under_the_base_and_are_looked_for_in_json() {
    let with = |lines: &str| format!("{MINIMAL}base_url = \"https://ghe.example/api\"\n{lines}\n");
    let paths = config(&with("rewrite_paths = [\"/api/v3\", \"/api\"]")).providers["github"].rewrite_paths.clone();
    assert_eq!(paths, ["/api/v3", "/api"]);
    let message = |lines: &str| the_fault(&with(lines)).message;
    for (bad, why) in [
        ("/", "a path of a segment or more"),
        ("/api/", "a path of a segment or more"),
        ("api", "a path of a segment or more"),
        ("/api?x", "a path of a segment or more"),
        ("/apis/v3", "under the path of `base_url`"),
        ("/v3", "under the path of `base_url`"),
    ] {
        assert!(message(&format!("rewrite_paths = [\"{bad}\"]")).ends_with(why), "{bad}");
    }
    let without = message("rewrite = \"headers\"\nrewrite_paths = [\"/api\"]");
    assert_eq!(without, "`rewrite_paths` has no effect without `rewrite = \"json\"`");
    // A preset's own are no fault of who wants no rewriting.
    let salesforce = "source = \"token_vault\"\nbase_url = \"https://acme.my.salesforce.com\"";
    config(&format!("{MINIMAL}\n[providers.salesforce]\n{salesforce}\nrewrite = \"off\"\n"));
}

#[test]
fn a_preset_says_what_only_the_customer_knows() {
    let fault = the_fault(&format!("{MINIMAL}\n[providers.sharepoint]\n"));
    assert_eq!(fault.message, "missing key `vars.tenant` in [providers.sharepoint]");
    let hint = "`base_url` is https://{tenant}.sharepoint.com: say vars = { tenant = \"…\" }, or all of `base_url`";
    assert_eq!((fault.hint.as_deref(), fault.line), (Some(hint), Some(10)));
    let connection = the_fault(&format!("{MINIMAL}\n[providers.microsoft-china]\n"));
    let hint = "the preset `microsoft-china` cannot know it: it differs from customer to customer";
    assert_eq!(connection.hint.as_deref(), Some(hint));
}

#[test]
fn what_differs_from_customer_to_customer_is_filled_in_from_the_file_alone() {
    let client = "client_id = \"id\"\nclient_secret = \"hunter2\"\n";
    let with = |lines: &str| format!("{MINIMAL}[providers.sharepoint]\n{client}{lines}\n");
    let sharepoint = |lines: &str| config(&with(lines)).providers["sharepoint"].clone();
    let acme = sharepoint("vars = { tenant = \"acme\" }\naudience = \"https://{tenant}.sharepoint.com\"");
    assert_eq!(acme.base_url.to_string(), "https://acme.sharepoint.com");
    assert_eq!(acme.audience.as_deref(), Some("https://acme.sharepoint.com"));
    let renewal = acme.renewal.unwrap();
    assert_eq!(renewal.url, "https://login.microsoftonline.com/common/oauth2/v2.0/token");
    assert_eq!(renewal.scope.as_deref(), Some("https://acme.sharepoint.com/.default offline_access"));
    // Each name of the preset's goes on standing for what it says, until the file says it.
    let lines = "vars.tenant = \"acme\"\nvars.directory = \"acme.onmicrosoft.com\"\nscope = \"{tenant}/a b\"";
    let renewal = sharepoint(lines).renewal.unwrap();
    assert_eq!(renewal.url, "https://login.microsoftonline.com/acme.onmicrosoft.com/oauth2/v2.0/token");
    assert_eq!(renewal.scope.as_deref(), Some("acme/a b"));
    // Who says all of an address has nothing to fill in.
    assert_eq!(sharepoint("base_url = \"https://a.example\"").base_url.to_string(), "https://a.example");
}

#[test]
fn what_is_filled_in_leads_nowhere_else_and_is_used() {
    let told = |lines: &str| headlines(&format!("{MINIMAL}[providers.sharepoint]\n{lines}\n"));
    for bad in ["evil.example/", "evil.example/?", "a@b", "a:1", "", "..", "a..b", ".", "a b", "é", "{tenant}"] {
        let fault = "`vars.tenant` must be letters, digits and hyphens, with single dots between";
        assert_eq!(
            told(&format!("vars = {{ tenant = {bad:?} }}")),
            [format!("proxy.toml:10:10: error: {fault}")],
            "{bad}"
        );
    }
    let unused = "error: `vars.tennant` is in none of the provider's addresses";
    let missing = "proxy.toml:9:1: error: missing key `vars.tenant` in [providers.sharepoint]";
    assert_eq!(told("vars = { tennant = \"acme\" }"), [missing.to_owned(), format!("proxy.toml:10:10: {unused}")]);
    assert_eq!(told("vars = 1").len(), 2);
    assert_eq!(
        told("vars = { tenant = 1 }"),
        ["proxy.toml:10:10: error: `vars.tenant` must be a string, not an integer"]
    );
    // A template of the user's own, of which nothing is shown.
    let own = format!("{}base_url = \"https://{{realm}}.example\"\n", MINIMAL);
    let fault = the_fault(&own);
    assert_eq!(fault.message, "missing key `vars.realm` in [providers.github]");
    assert_eq!(
        fault.hint.as_deref(),
        Some("`base_url` has {realm} in it: say vars = { realm = \"…\" }, or all of `base_url`")
    );
}

#[test]
fn a_provider_without_a_preset_is_told_which_there_are() {
    let text = format!("{MINIMAL}\n[providers.gogle]\nconnection = \"google-oauth2\"\n");
    assert_eq!(
        the_fault(&text).hint.as_deref(),
        Some("there is no preset `gogle` to take it from; did you mean `google`? (`idp-proxy providers` lists them)")
    );
}

#[test]
fn what_clashes_with_a_preset_is_told_at_the_header() {
    let fault = the_fault(&format!("{MINIMAL}auth_header = \"User-Agent\"\n"));
    assert_eq!(fault.message, "`headers.User-Agent` must not be the header that carries the token");
    assert_eq!((fault.line, fault.column), (Some(8), Some(1)));
}

#[test]
fn the_tokens_of_facebook_stay_out_of_reach() {
    let config = config(&MINIMAL.replace("github", "facebook"));
    let is_denied = |path| config.providers["facebook"].deny.iter().any(|rule| rule.matches(&http::Method::GET, path));
    assert!(is_denied("/oauth/access_token"));
    assert!(is_denied("/v25.0/oauth/access_token"));
    assert!(is_denied("//v25.0//debug_token"));
    assert!(!is_denied("/v25.0/me"));
}

#[test]
fn no_provider_is_the_proxy_itself() {
    for (server, base_url) in [
        ("public_url = \"https://proxy.example.com\"", "https://proxy.example.com/proxy/github"),
        ("public_url = \"https://proxy.example.com\"", "https://PROXY.example.com:443"),
        ("listen = \"127.0.0.1:8081\"", "http://127.0.0.1:8081"),
    ] {
        let fault = the_fault(&format!("{MINIMAL}base_url = \"{base_url}\"\n[server]\n{server}\n"));
        assert_eq!((fault.code, &*fault.message), (Code::Conflict, "`base_url` must not be the proxy itself"));
        let text =
            MINIMAL.replace("[providers.github]", "[providers.google]\nclient_id = \"a\"\nclient_secret = \"b\"");
        let fault = the_fault(&format!("{text}refresh_url = \"{base_url}?a=b\"\n[server]\n{server}\n"));
        assert_eq!((fault.code, &*fault.message), (Code::Conflict, "`refresh_url` must not be the proxy itself"));
    }
}

#[test]
fn a_host_leads_to_one_provider() {
    let server = "[server]\npublic_url = \"https://proxy.example.com\"\n";
    let text = format!("{MINIMAL}host = \"a.example\"\n[providers.google]\nhost = \"a.example\"\n{server}");
    assert_eq!(headlines(&text), ["proxy.toml:11:8: error: `host` is the host of another provider already"]);
    let text = format!("{MINIMAL}host = \"proxy.example.com\"\n{server}");
    assert_eq!(headlines(&text), ["proxy.toml:9:8: error: `host` must not be the host of `public_url`"]);
}

#[test]
fn two_providers_may_share_a_connection() {
    let gmail = "[providers.gmail]\nconnection = \"google-oauth2\"\nbase_url = \"https://gmail.googleapis.com\"\n";
    assert_eq!(config(&format!("{MINIMAL}\n[providers.google]\n{gmail}")).providers.len(), 3);
}

#[test]
fn one_header_in_two_spellings_is_a_fault() {
    let fault = the_fault(&format!("{MINIMAL}headers = {{ X-A = \"1\", x-a = \"2\" }}\n"));
    assert_eq!(fault.message, "`headers.x-a` stands there twice");
}

#[test]
fn what_may_be_called_is_read_into_rules() {
    let text = format!("{MINIMAL}allow = [\"GET /**\", \"POST /repos/*/*/issues\"]\ndeny = [\"/admin/**\"]\n");
    let github = config(&text).providers["github"].clone();
    let rules = |rules: &[&str]| rules.iter().map(|rule| Rule::parse(rule).unwrap()).collect::<Vec<_>>();
    assert_eq!(github.allow, Allow::Rules(rules(&["GET /**", "POST /repos/*/*/issues"])));
    assert_eq!(github.deny, rules(&["* /admin/**"]));
    let fault = the_fault(&format!("{MINIMAL}allow = \"write\"\n"));
    assert_eq!(fault.message, "`allow` must be \"read\", \"all\" or a list of rules");
}

#[test]
fn the_guard_is_on_unless_it_is_switched_off_in_so_many_words() {
    assert_eq!(config(MINIMAL).providers["github"].guard, GuardMode::On);
    assert_eq!(config(&format!("{MINIMAL}guard = \"off\"\n")).providers["github"].guard, GuardMode::Off);
    let fault = the_fault(&format!("{MINIMAL}guard = \"no\"\n"));
    assert_eq!(fault.message, "`guard` must be \"on\" or \"off\"");
}

#[test]
fn secret_parameters_are_named_one_by_one() {
    assert!(config(MINIMAL).providers["github"].secret_params.is_empty());
    let text = format!("{MINIMAL}secret_params = [\"access_token\", \"appsecret_proof\"]\n");
    assert_eq!(config(&text).providers["github"].secret_params, ["access_token", "appsecret_proof"]);
    the_fault(&format!("{MINIMAL}secret_params = [\"a=b\"]\n"));
}

#[test]
fn calls_are_proven_with_the_connections_own_secret_and_not_without_one() {
    let facebook = MINIMAL.replace("github", "facebook");
    let proof = |lines: &str| config(&format!("{facebook}{lines}")).providers["facebook"].proof.clone();
    let client = "client_id = \"app\"\nclient_secret = [\"hunter2\", \"hunter1\"]\n";
    assert_eq!(proof(client), None);
    assert_eq!(proof(&format!("{client}proof = \"off\"\n")), None);
    assert_eq!(proof(&format!("{client}proof = \"appsecret\"\n")).unwrap().expose(), "hunter2");
    let fault = the_fault(&format!("{facebook}proof = \"appsecret\"\n"));
    assert_eq!(
        (fault.code, &*fault.message, fault.key.as_deref(), fault.line),
        (
            Code::Conflict,
            "`proof` = \"appsecret\" needs the connection's `client_secret`",
            Some("providers.facebook.proof"),
            Some(9)
        )
    );
    assert!(fault.hint.unwrap().contains("client_secret"));
    let fault = the_fault(&format!("{facebook}proof = \"appsecret\"\nsource = \"token_vault\"\n"));
    assert_eq!(fault.key.as_deref(), Some("providers.facebook.proof"));
    // What a client lacks is told once.
    let fault = the_fault(&format!("{facebook}proof = \"appsecret\"\nclient_id = \"app\"\n"));
    assert_eq!((fault.code, fault.key.as_deref()), (Code::MissingKey, Some("providers.facebook.client_secret")));
    let fault = the_fault(&format!("{facebook}proof = true\n"));
    assert_eq!(fault.message, "`proof` must be a string, not a boolean");
    assert_eq!(the_fault(&format!("{facebook}proof = \"on\"\n")).message, "`proof` must be \"off\" or \"appsecret\"");
}

#[test]
fn parameters_that_are_not_data_alone_are_the_presets_and_a_token_in_the_query_is_nobodys_default() {
    let facebook = MINIMAL.replace("github", "facebook");
    let params = config(&facebook).providers["facebook"].params.clone();
    assert_eq!(
        (params.token, params.method.as_deref(), params.batch.as_deref()),
        (None, Some("method"), Some("batch"))
    );
    assert_eq!(params.dropped, ["suppress_response_codes", "appsecret_proof", "appsecret_time"]);
    assert_eq!(config(MINIMAL).providers["github"].params, Params::default());
    let params = config(&format!("{facebook}token_param = \"access_token\"\ndrop_params = []\n"));
    assert_eq!(params.providers["facebook"].params.token.as_deref(), Some("access_token"));
    assert!(params.providers["facebook"].params.dropped.is_empty());
    for key in ["token_param = \"a=b\"", "method_param = \"\"", "batch_param = \"a b\"", "drop_params = [\"%61\"]"] {
        let message = the_fault(&format!("{MINIMAL}{key}\n")).message;
        assert!(message.ends_with("letters, digits, `_`, `-` and `.`, 64 at most"), "{message}");
    }
}

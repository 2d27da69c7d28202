//! `expired_when`: which answers say that a token is dead.

use idp_proxy::config::fault::Code;
use idp_proxy::config::{ExpiredWhen, HeaderTest, JsonTest, JsonValue, Means, Wanted};

use super::{MINIMAL, config, faults, headlines, the_fault};

fn with(rules: &str) -> String {
    format!("{MINIMAL}expired_when = {rules}\n")
}

fn rules(rules: &str) -> Vec<ExpiredWhen> {
    config(&with(rules)).providers["github"].expired_when.clone()
}

fn on(status: u16, means: Means) -> ExpiredWhen {
    ExpiredWhen { status: vec![status.try_into().unwrap()], header: None, json: None, means }
}

#[test]
fn where_nobody_says_anything_401_is_expired() {
    let text = format!(
        "{MINIMAL}\n[providers.intranet]\nconnection = \"intranet\"\nbase_url = \"https://intranet.example\"\nsource = \"token_vault\"\n"
    );
    assert_eq!(config(&text).providers["intranet"].expired_when, [on(401, Means::Expired)]);
    assert_eq!(rules("[]"), [], "none at all is somebody's word");
}

#[test]
fn a_rule_names_statuses_a_header_and_a_place_in_json() {
    let json = |pointer: &str, wanted| Some(JsonTest { pointer: pointer.to_owned(), wanted });
    let text = |text: &str| JsonValue::Text(text.to_owned());
    let read = rules(
        r#"[
            { status = 401, header = { name = "X-GitHub-SSO" }, means = "scope" },
            { status = [400, 401], header = { name = "WWW-Authenticate", contains = "invalid_token" }, means = "expired" },
            { status = 400, json = { pointer = "/error/error_subcode", equals = [458, 0x1cb] }, means = "revoked" },
            { status = 200, json = { pointer = "/ok", equals = false }, means = "expired" },
            { status = 401, json = { pointer = "/a~1b~0/0", equals = "x" }, means = "expired" },
            { status = 403, means = "scope" },
        ]"#,
    );
    let header = |name: &str, wanted| Some(HeaderTest { name: name.parse().unwrap(), wanted, none_in: None });
    let expected = [
        ExpiredWhen { header: header("x-github-sso", Wanted::Anything), ..on(401, Means::Scope) },
        ExpiredWhen {
            status: vec![http::StatusCode::BAD_REQUEST, http::StatusCode::UNAUTHORIZED],
            header: header("www-authenticate", Wanted::Contains("invalid_token".to_owned())),
            ..on(401, Means::Expired)
        },
        ExpiredWhen {
            json: json("/error/error_subcode", Wanted::Equals(vec![JsonValue::Number(458), JsonValue::Number(459)])),
            ..on(400, Means::Revoked)
        },
        ExpiredWhen { json: json("/ok", Wanted::Equals(vec![JsonValue::Bool(false)])), ..on(200, Means::Expired) },
        ExpiredWhen { json: json("/a~1b~0/0", Wanted::Equals(vec![text("x")])), ..on(401, Means::Expired) },
        on(403, Means::Scope),
    ];
    assert_eq!(read, expected);
}

#[test]
fn rules_may_stand_in_tables_of_their_own() {
    let text = format!("{MINIMAL}\n[[providers.github.expired_when]]\nstatus = 403\nmeans = \"expired\"\n");
    assert_eq!(config(&text).providers["github"].expired_when, [on(403, Means::Expired)]);
}

#[test]
fn what_is_wrong_with_a_rule_is_told_at_its_place() {
    let rule = |rest: &str| format!("[{{ status = 401, means = \"expired\"{rest} }}]");
    for (written, place, message) in [
        ("401", "401", "`expired_when` must be a list, not an integer"),
        ("[401]", "401", "`expired_when[0]` must be a table, not an integer"),
        (
            &*rule(", mean = 1"),
            "mean = 1",
            "unknown key `mean` in [providers.github.expired_when[0]]; did you mean `means`?",
        ),
        (
            &rule(", json = { pointr = \"/a\", pointer = \"/b\" }"),
            "pointr",
            "unknown key `pointr` in [providers.github.expired_when[0].json]; did you mean `pointer`?",
        ),
        ("[{ status = 401 }]", "{", "missing key `means` in [providers.github.expired_when[0]]"),
        ("[{ means = \"scope\" }]", "{", "missing key `status` in [providers.github.expired_when[0]]"),
        (
            &rule(", header = { contains = \"a\" }"),
            "{ contains",
            "missing key `name` in [providers.github.expired_when[0].header]",
        ),
        ("[{ status = 600, means = \"expired\" }]", "600", "`status` must be between 200 and 599"),
        ("[{ status = [403, 401, 403], means = \"expired\" }]", "403]", "`status[2]` stands in the list twice"),
        ("[{ status = [], means = \"expired\" }]", "[]", "`status` must not be empty: nothing would ever match"),
        (&rule(", header = { name = \"a b\" }"), "\"a b", "`name` must be a header name"),
        (&rule(", header = { name = \"a\", contains = \"\" }"), "\"\"", "`contains` must not be empty"),
        (
            &rule(", header = { name = \"a\", equals = \"b\", contains = \"c\" }"),
            "\"c\"",
            "`contains` and `equals` must not both be there",
        ),
        (&rule(", json = { pointer = \"error\" }"), "\"error", "`pointer` must be a JSON pointer (RFC 6901)"),
        (&rule(", json = { pointer = \"/a~2\" }"), "\"/a", "`pointer` must be a JSON pointer (RFC 6901)"),
        (
            &rule(", json = { pointer = \"/a\", equals = 1.5 }"),
            "1.5",
            "`equals` must be a string, a whole number, true or false, not a float",
        ),
        ("[{ status = 200, means = \"expired\" }]", "{", "`expired_when[0]` would take every success for a dead token"),
    ] {
        let column = format!("expired_when = {written}").rfind(place).unwrap() + 1;
        assert_eq!(headlines(&with(written)), [format!("proxy.toml:9:{column}: error: {message}")], "{written}");
    }
    let fault = the_fault(&with("[{ status = 401, means = \"dead\" }]"));
    assert_eq!((fault.code, fault.key.as_deref()), (Code::BadValue, Some("providers.github.expired_when[0].means")));
}

#[test]
fn a_rule_behind_one_that_says_all_of_it_is_a_fault() {
    let scope = "{ status = 401, json = { pointer = \"/message\", contains = \"scope\" }, means = \"scope\" }";
    let any = "{ status = [401, 403], means = \"expired\" }";
    assert_eq!(rules(&format!("[{scope}, {any}]")).len(), 2);
    for late in [format!("[{any}, {scope}]"), format!("[{scope}, {scope}]")] {
        let fault = the_fault(&with(&late));
        assert_eq!(
            (fault.code, &*fault.message),
            (Code::Conflict, "`expired_when[1]` is never reached: a rule before it matches the same answers")
        );
    }
}

#[test]
fn a_faulty_test_is_told_once_and_hides_no_other_fault() {
    let written = "[{ status = 401, json = { pointer = 1 }, means = \"dead\" }, { status = 99, means = \"expired\" }]";
    let faults = faults(&with(written));
    let keys: Vec<_> = faults.as_slice().iter().filter_map(|fault| fault.key.as_deref()).collect();
    assert_eq!(
        keys,
        [
            "providers.github.expired_when[0].json.pointer",
            "providers.github.expired_when[0].means",
            "providers.github.expired_when[1].status",
        ]
    );
}

//! Tables of URLs and headers: what is a provider's own, and where it leads.

use std::path::Path;

use hyper::http::Response;

use super::*;
use crate::config::Config;

/// Providers as a file would have them, at `https://proxy.example.com`.
fn links(public_url: &str) -> HashMap<String, Links> {
    let text = r#"
[auth0]
domain = "acme.eu.auth0.com"
audience = "a"
client_id = "c"
client_secret = "s"
[providers.github]
host = "github.proxy.example.com"
[providers.github-uploads]
connection = "github"
base_url = "https://uploads.github.com"
[providers.bitbucket]
source = "token_vault"
host = "bitbucket.proxy.example.com"
[providers.graph]
connection = "waad"
base_url = "https://graph.microsoft.com"
host = "graph.proxy.example.com"
[providers.graph-beta]
connection = "waad"
base_url = "https://graph.microsoft.com/beta"
rewrite = "off"
[providers.local]
connection = "local"
source = "token_vault"
base_url = "http://127.0.0.1:4400/api"
rewrite = "json"
[providers.six]
connection = "six"
source = "token_vault"
base_url = "https://[2001:db8::1]:8443"
"#;
    let config = Config::parse(text, Path::new("proxy.toml"), &BTreeMap::<&str, &str>::new()).unwrap();
    Links::of_each(&config.providers, public_url)
}

const PUBLIC: &str = "https://proxy.example.com";

/// What becomes of a header of the provider's answer.
fn header(provider: &str, door: Door, name: &str, value: &str) -> String {
    let mut head = Response::builder().status(302).header(name, value).body(()).unwrap().into_parts().0;
    links(PUBLIC)[provider].point_back(door, &mut head.headers);
    head.headers[name].to_str().unwrap().to_owned()
}

fn location(provider: &str, door: Door, value: &str) -> String {
    header(provider, door, "location", value)
}

/// Each URL, and what stands in place of its beginning, if it is the provider's own.
fn check(provider: &str, door: Door, table: &[(&str, &str)]) {
    for (url, expected) in table {
        assert_eq!(location(provider, door, url), *expected, "{provider}: {url}");
    }
}

fn check_untouched(provider: &str, door: Door, urls: &[&str]) {
    check(provider, door, &urls.iter().map(|url| (*url, *url)).collect::<Vec<_>>());
}

#[test]
fn a_providers_own_urls_lead_back_by_the_door_the_caller_came_in() {
    let prefix = [
        ("https://api.github.com/user/repos?page=2#x", "https://proxy.example.com/proxy/github/user/repos?page=2#x"),
        ("https://api.github.com", "https://proxy.example.com/proxy/github"),
        ("https://api.github.com/", "https://proxy.example.com/proxy/github/"),
        ("https://api.github.com?a", "https://proxy.example.com/proxy/github?a"),
        ("https://api.github.com#a", "https://proxy.example.com/proxy/github#a"),
        ("https://api.github.com//a%2Fb//", "https://proxy.example.com/proxy/github//a%2Fb//"),
        ("HTTPS://API.GitHub.COM/A", "https://proxy.example.com/proxy/github/A"),
        ("https://api.github.com:443/a", "https://proxy.example.com/proxy/github/a"),
        ("https://api.github.com:/a", "https://proxy.example.com/proxy/github/a"),
        ("https://api.github.com/a{/sha}", "https://proxy.example.com/proxy/github/a{/sha}"),
        ("https://api.github.com{/sha}", "https://proxy.example.com/proxy/github{/sha}"),
        ("https://api.github.com/a/..b/c.", "https://proxy.example.com/proxy/github/a/..b/c."),
        ("https://api.github.com/a?b=/../c", "https://proxy.example.com/proxy/github/a?b=/../c"),
        ("//api.github.com/a", "https://proxy.example.com/proxy/github/a"),
        ("https://uploads.github.com/a", "https://proxy.example.com/proxy/github-uploads/a"),
    ];
    check("github", Door::Prefix, &prefix);
    let host = [
        ("https://api.github.com/user", "https://github.proxy.example.com/user"),
        ("https://api.github.com", "https://github.proxy.example.com"),
        // It has no host of its own.
        ("https://uploads.github.com/a", "https://proxy.example.com/proxy/github-uploads/a"),
    ];
    check("github", Door::Host, &host);
    // A provider on the same connection leads to the one whose base it is.
    check("github-uploads", Door::Prefix, &[("https://api.github.com/a", "https://proxy.example.com/proxy/github/a")]);
    check("local", Door::Prefix, &[("http://127.0.0.1:4400/api/a", "https://proxy.example.com/proxy/local/a")]);
    check("six", Door::Prefix, &[("https://[2001:DB8::1]:8443/a", "https://proxy.example.com/proxy/six/a")]);
}

#[test]
fn what_only_looks_like_a_base_stays() {
    let others = [
        "https://api.github.com.evil.example/a",
        "https://api.github.com@evil.example/a",
        "https://api.github.com:443@evil.example/a",
        "https://api.github.com:@evil.example/a",
        "https://api.github.comx",
        "https://api.github.com-evil.example",
        "https://api.github.com%2eevil.example/",
        "https://api.github.com\\@evil.example/",
        "https://api.github.com./a",
        "https://api.github.com{.evil}/a",
        "https://api.github.com{x}/a",
        "https://api.github.com{",
        "https://api.github.com:8443/a",
        "https://api.github.com:4433/a",
        "https://api.github.com:44/a",
        "https://me@api.github.com/a",
        "https://xapi.github.com/a",
        "https://github.com/a",
        "http://api.github.com/a",
        "https:/api.github.com/a",
        "https:api.github.com/a",
        "xhttps://api.github.com/a",
        " https://api.github.com/a",
        "//api.github.com.evil.example/a",
        "//evil.example/https://api.github.com/a",
        "https://evil.example/?https://api.github.com/a",
        "https://codeload.github.com/a",
        "",
        "h",
        "https://",
        "//",
    ];
    for door in [Door::Prefix, Door::Host] {
        check_untouched("github", door, &others[1..]);
    }
    check_untouched(
        "six",
        Door::Prefix,
        &["https://[2001:db8::1]/a", "https://[2001:db8::1]:443/a", "https://[2001:db8::1]:/a"],
    );
    check_untouched(
        "local",
        Door::Prefix,
        &["https://127.0.0.1:4400/api", "http://127.0.0.1/api", "http://127.0.0.1:44000/api"],
    );
    // Another connection's.
    check_untouched("bitbucket", Door::Prefix, &["https://api.github.com/a"]);
}

#[test]
fn a_base_path_is_compared_by_segments_and_the_longest_base_wins() {
    let table = [
        ("https://api.bitbucket.org/2.0/a", "https://proxy.example.com/proxy/bitbucket/a"),
        ("https://api.bitbucket.org/2.0", "https://proxy.example.com/proxy/bitbucket"),
        ("https://api.bitbucket.org/2.0?page=2", "https://proxy.example.com/proxy/bitbucket?page=2"),
        ("https://api.bitbucket.org/2.0{?page}", "https://proxy.example.com/proxy/bitbucket{?page}"),
    ];
    check("bitbucket", Door::Prefix, &table);
    let outside = [
        "https://api.bitbucket.org/2.00/a",
        "https://api.bitbucket.org/2x0/a",
        "https://api.bitbucket.org//2.0/a",
        "https://api.bitbucket.org/2.0;a/b",
        "https://api.bitbucket.org/2%2e0/a",
        "https://api.bitbucket.org/internal/a",
        "https://api.bitbucket.org",
    ];
    check_untouched("bitbucket", Door::Prefix, &outside);
    let nested = [
        ("https://graph.microsoft.com/v1.0/me", "https://proxy.example.com/proxy/graph/v1.0/me"),
        ("https://graph.microsoft.com/beta/me", "https://proxy.example.com/proxy/graph-beta/me"),
        ("https://graph.microsoft.com/beta", "https://proxy.example.com/proxy/graph-beta"),
        ("https://graph.microsoft.com/betamax", "https://proxy.example.com/proxy/graph/betamax"),
    ];
    check("graph", Door::Prefix, &nested);
}

#[test]
fn a_path_leads_to_the_same_as_it_did_at_the_provider() {
    let table = [
        ("/2.0/x?y", "/proxy/bitbucket/x?y"),
        ("/2.0", "/proxy/bitbucket"),
        ("/2.0//evil.example/x", "/proxy/bitbucket//evil.example/x"),
    ];
    check("bitbucket", Door::Prefix, &table);
    let by_host = [
        ("/2.0/x?y", "https://bitbucket.proxy.example.com/x?y"),
        ("/2.0", "https://bitbucket.proxy.example.com"),
        ("/2.0?y", "https://bitbucket.proxy.example.com?y"),
        // A path alone would be another host's: //evil.example/x.
        ("/2.0//evil.example/x", "https://bitbucket.proxy.example.com//evil.example/x"),
    ];
    check("bitbucket", Door::Host, &by_host);
    check_untouched("bitbucket", Door::Prefix, &["/", "/x", "/2.00/x", "x", "../x", "?page=2", "#x", "/2.0/../x"]);
    check("github", Door::Prefix, &[("/x", "/proxy/github/x"), ("/", "/proxy/github/")]);
    check_untouched("github", Door::Host, &["/x", "/", "x"]);
    // Nothing is rewritten there.
    check_untouched("graph-beta", Door::Prefix, &["/beta/x", "https://graph.microsoft.com/beta/x"]);
    check("graph", Door::Prefix, &[("/beta/x", "/proxy/graph-beta/x"), ("/v1.0/x", "/proxy/graph/v1.0/x")]);
    check("graph", Door::Host, &[("/beta/x", "https://proxy.example.com/proxy/graph-beta/x"), ("/v1.0/x", "/v1.0/x")]);
}

#[test]
fn a_header_that_would_lead_beside_the_provider_stays() {
    for path in ["/../slack/api", "/a/./b", "/%2E%2e/slack", "/.%2e", "/a\\..\\..\\slack", "/.."] {
        let url = format!("https://api.github.com{path}");
        check_untouched("github", Door::Prefix, &[&*url, path]);
    }
}

#[test]
fn only_the_targets_of_a_link_header_change() {
    let next = "<https://api.github.com/repositories/1000/issues?per_page=3&page=2>; rel=\"next\"";
    let there = "<https://proxy.example.com/proxy/github/repositories/1000/issues?per_page=3&page=2>; rel=\"next\"";
    let table = [
        (next.to_owned(), there.to_owned()),
        (format!("{next}, {next},{next}"), format!("{there}, {there},{there}")),
        (format!(",, {next} ,\t"), format!(",, {there} ,\t")),
        (format!("<https://other.example/>; rel=a, {next}"), format!("<https://other.example/>; rel=a, {there}")),
        (
            format!("<https://other.example/>;title=\"a, <https://api.github.com/x>; \\\" b\", {next}"),
            format!("<https://other.example/>;title=\"a, <https://api.github.com/x>; \\\" b\", {there}"),
        ),
        (
            format!("{next}; anchor=\"https://api.github.com/x\"; title*=UTF-8''%e2%82%ac; crossorigin ;"),
            format!("{there}; anchor=\"https://api.github.com/x\"; title*=UTF-8''%e2%82%ac; crossorigin ;"),
        ),
        (
            "<https://api.github.com/a,b;c>;rel=x".to_owned(),
            "<https://proxy.example.com/proxy/github/a,b;c>;rel=x".to_owned(),
        ),
        ("</x>; rel = \"next\"".to_owned(), "</proxy/github/x>; rel = \"next\"".to_owned()),
        (
            "<https://api.github.com/x{?page}>;rel=a/b:c".to_owned(),
            "<https://proxy.example.com/proxy/github/x{?page}>;rel=a/b:c".to_owned(),
        ),
    ];
    for (line, expected) in table {
        assert_eq!(header("github", Door::Prefix, "link", &line), expected, "{line}");
    }
}

#[test]
fn a_link_header_that_cannot_be_read_stays() {
    let url = "https://api.github.com/x";
    for line in [
        format!("{url}; rel=next"),
        format!("<{url}; rel=next"),
        format!("<{url}"),
        format!("<{url}> rel=next"),
        format!("<{url}>; rel=\"next"),
        format!("<{url}>; rel=\"next\\"),
        format!("<{url}>; rel=\"next\"x"),
        format!("<{url}>; rel=next, {url}"),
        format!("<{url}>; rel=next <{url}>"),
        format!("<<{url}>>"),
        format!("< {url}>; rel=next"),
        "<>".to_owned(),
        ",".to_owned(),
    ] {
        assert_eq!(header("github", Door::Prefix, "link", &line), line);
    }
}

#[test]
fn every_line_is_looked_at_and_no_other_header() {
    let mut head = Response::builder()
        .header("link", "<https://api.github.com/a>; rel=next")
        .header("link", "<https://other.example/b>; rel=prev, <https://api.github.com/b>; rel=last")
        .header("content-location", "https://api.github.com/c")
        .header("x-url", "https://api.github.com/d")
        .header("content-length", "7")
        .header("etag", "\"e\"")
        .header("content-type", "text/plain")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    links(PUBLIC)["github"].point_back(Door::Prefix, &mut head.headers);
    let lines: Vec<_> =
        head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(
        lines,
        [
            "link: <https://proxy.example.com/proxy/github/a>; rel=next",
            "link: <https://other.example/b>; rel=prev, <https://proxy.example.com/proxy/github/b>; rel=last",
            "content-location: https://proxy.example.com/proxy/github/c",
            "x-url: https://api.github.com/d",
            "content-length: 7",
            "etag: \"e\"",
            "content-type: text/plain",
        ]
    );
}

#[test]
fn a_host_stands_at_the_scheme_and_port_of_the_public_url() {
    for (public_url, there) in [
        ("https://proxy.example.com", "https://github.proxy.example.com/x"),
        ("http://127.0.0.1:8080", "http://github.proxy.example.com:8080/x"),
        ("http://[::1]:8080", "http://github.proxy.example.com:8080/x"),
        ("http://[::1]", "http://github.proxy.example.com/x"),
    ] {
        let location = ("location", "https://api.github.com/x");
        let mut head = Response::builder().header(location.0, location.1).body(()).unwrap().into_parts().0;
        links(public_url)["github"].point_back(Door::Host, &mut head.headers);
        assert_eq!(head.headers["location"], there, "{public_url}");
    }
}

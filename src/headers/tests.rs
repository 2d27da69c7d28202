//! Whatever headers come, in whatever spelling and nominated by whatever `Connection`.

use hyper::http::{Request, Response};
use proptest::prelude::*;
use proptest::sample::select;

use super::content::private;
use super::proxy_status::speak_for_us_alone;
use super::*;

/// What the caller's headers say in these tests; nothing of ours does.
const THEIRS: &str = "theirs";

/// What must never go on, in either direction or in one.
const FOR_ONE_HOP: [&str; 9] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
];
const ABOUT_THE_CALLER: [&str; 14] = [
    "authorization",
    "baggage",
    "client-ip",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "idp-proxy-account",
    "origin",
    "proxy-authorization",
    "referer",
    "traceparent",
    "x-forwarded-for",
    "x-real-ip",
];
const ABOUT_OUR_ORIGIN: [&str; 9] = [
    "access-control-allow-origin",
    "alt-svc",
    "clear-site-data",
    "nel",
    "public-key-pins",
    "report-to",
    "reporting-endpoints",
    "set-cookie",
    "strict-transport-security",
];
const END_TO_END: [&str; 6] = ["accept", "content-length", "user-agent", "x-authorization", "x-request-id", "via"];

fn names() -> impl Strategy<Value = &'static str> {
    let all = [&FOR_ONE_HOP[..], &ABOUT_THE_CALLER, &ABOUT_OUR_ORIGIN, &END_TO_END].concat();
    select(all)
}

/// Some spelling of a name: letters of any case, `_` for any `-`.
fn spelled(name: impl Strategy<Value = &'static str>) -> impl Strategy<Value = String> {
    (name, any::<u64>()).prop_map(|(name, bits)| {
        let spell = |(at, letter): (usize, char)| match (letter, bits >> (at % 32) & 1 == 1) {
            ('-', true) if bits & (1 << 40) != 0 => '_',
            (letter, true) => letter.to_ascii_uppercase(),
            (letter, false) => letter,
        };
        name.chars().enumerate().map(spell).collect()
    })
}

/// Lines of headers, some of them `Connection` lines that nominate any of the others.
fn lines() -> impl Strategy<Value = Vec<(String, String)>> {
    let field = spelled(names()).prop_map(|name| (name, THEIRS.to_owned()));
    let separator = select(vec![",", ", ", " ,,", ",\t"]);
    let nominations = (proptest::collection::vec(spelled(names()), 0..5), separator)
        .prop_map(|(names, separator)| ("Connection".to_owned(), names.join(separator)));
    proptest::collection::vec(prop_oneof![4 => field, 1 => nominations], 0..24)
}

fn header_map(lines: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn nominated(lines: &[(String, String)]) -> Vec<String> {
    let connection = lines.iter().filter(|(name, _)| name == "Connection");
    connection.flat_map(|(_, value)| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn rewrite(headers: HeaderMap, auth_header: &'static str) -> HeaderMap {
    let (mut head, ()) = Request::new(()).into_parts();
    head.headers = headers;
    let defaults = [(header::USER_AGENT, HeaderValue::from_static("ours"))];
    let token = HeaderValue::from_static("Bearer ours");
    let rules = Rules::new("edge".to_owned(), false).unwrap();
    rules.rewrite(&mut head, &defaults, &HeaderName::from_static(auth_header), &token);
    head.headers
}

proptest! {
    #[test]
    fn no_headers_of_a_caller_take_our_credential_away_or_bring_one(
        lines in lines(),
        auth_header in select(vec!["authorization", "x-authorization"]),
    ) {
        let sent = rewrite(header_map(&lines), auth_header);
        let credentials: Vec<_> = sent.get_all(auth_header).iter().collect();
        prop_assert_eq!(credentials, vec!["Bearer ours"]);
        prop_assert_eq!(sent.get_all("via").iter().next_back().unwrap(), "1.1 edge");
        prop_assert!(sent.contains_key("user-agent"));
        for (name, value) in &sent {
            let dashed = name.as_str().replace('_', "-");
            prop_assert!(!FOR_ONE_HOP.contains(&&*dashed), "{name}");
            let is_ours = name == auth_header;
            prop_assert!(is_ours || !ABOUT_THE_CALLER.contains(&&*dashed), "{name}");
            prop_assert!(!is_ours || value != THEIRS, "{name}");
        }
    }

    #[test]
    fn what_no_rule_names_goes_on_in_its_order(lines in lines()) {
        let (before, after) = (header_map(&lines), rewrite(header_map(&lines), "authorization"));
        let nominated = nominated(&lines);
        for name in ["accept", "content-length", "x-authorization", "x-request-id", "set-cookie"] {
            let kept = before.get_all(name).iter().filter(|_| !nominated.iter().any(|known| known == name));
            prop_assert_eq!(after.get_all(name).iter().collect::<Vec<_>>(), kept.collect::<Vec<_>>(), "{}", name);
        }
    }

    #[test]
    fn no_answer_speaks_for_our_origin_or_about_its_own_connection(lines in lines()) {
        let (mut head, ()) = Response::new(()).into_parts();
        head.headers = header_map(&lines);
        for_caller(&mut head, CallerSide { version: Version::HTTP_11, takes_trailers: false, has_token_in_query: false }).unwrap();
        for name in head.headers.keys() {
            prop_assert!(!FOR_ONE_HOP.contains(&name.as_str()) && !ABOUT_OUR_ORIGIN.contains(&name.as_str()), "{name}");
        }
        prop_assert_eq!(head.headers.get("x-content-type-options").unwrap(), "nosniff");
        let nominated = nominated(&lines);
        let is_nominated = nominated.iter().any(|name| name == "x-request-id");
        let came = lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-request-id") && !is_nominated).count();
        prop_assert_eq!(head.headers.get_all("x-request-id").iter().count(), came);
    }

    #[test]
    fn a_shared_cache_never_learns_that_an_answer_is_public(text in "[a-z0-9=\", -]{0,10}(public|s-maxage=9|PUBLIC ?)[a-z0-9=, -]{0,20}") {
        let Ok(value) = HeaderValue::from_str(&text) else { return Ok(()) };
        let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, value)]);
        let is_shared = |text: &str| text.split(',').any(|directive| {
            let name = directive.split('=').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case("public") || name.eq_ignore_ascii_case("s-maxage")
        });
        let Some(private) = private(&headers) else {
            prop_assert!(!is_shared(&text));
            return Ok(());
        };
        let private = private.to_str().unwrap();
        prop_assert!(private.starts_with("private") && !is_shared(private), "{text} became {private}");
    }
}

#[test]
fn our_own_name_in_proxy_status_is_for_us_alone() {
    for (theirs, kept) in [
        ("edge; received-status=200", "edge; received-status=200"),
        ("idp-proxy; error=http_request_denied", ""),
        ("edge;details=\"a, idp-proxy\", idp-proxy;error=x, cdn", "edge;details=\"a, idp-proxy\", cdn"),
        ("\"idp-proxy\";error=x,IDP-Proxy", ""),
        ("idp-proxy-2; error=x", "idp-proxy-2; error=x"),
        ("edge;details=\"\\\"\", idp-proxy;error=x", "edge;details=\"\\\"\""),
    ] {
        let (mut head, ()) = Response::new(()).into_parts();
        head.headers.append(PROXY_STATUS, HeaderValue::from_str(theirs).unwrap());
        assert_eq!(speak_for_us_alone(&mut head), Ok(()));
        let left = head.headers.get(PROXY_STATUS).map_or("", |value| value.to_str().unwrap());
        assert_eq!(left, kept, "{theirs}");
    }
}

#[test]
fn each_line_of_cache_control_counts_whatever_bytes_another_holds() {
    for (lines, private_) in [
        (&[&b"x=\xff"[..], b"public, max-age=60"][..], Some(&b"private, x=\xff, max-age=60"[..])),
        (&[b"max-age=60", b"S-Maxage=9"], Some(b"private, max-age=60")),
        (&[b"no-store", b"x=\xff"], None),
        (&[], None),
    ] {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_bytes(line).unwrap());
        }
        assert_eq!(private(&headers).as_ref().map(HeaderValue::as_bytes), private_, "{lines:?}");
    }
}

#[test]
fn every_line_of_trailer_announces_and_none_announces_what_will_not_come() {
    let side = CallerSide { version: Version::HTTP_11, takes_trailers: true, has_token_in_query: false };
    let (mut head, ()) = Response::new(()).into_parts();
    for line in ["x-sum, Set-Cookie", "content-length", "X-Status,,"] {
        head.headers.append("trailer", HeaderValue::from_static(line));
    }
    for_caller(&mut head, side).unwrap();
    assert_eq!(head.headers.get_all("trailer").iter().collect::<Vec<_>>(), ["x-sum, X-Status"]);
}

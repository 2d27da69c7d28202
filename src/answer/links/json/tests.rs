//! Bodies: what changes, what stays to the byte, and that chunks make no difference.

use hyper::http::uri::Scheme;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::answer::links::bases::{Base, Entrance};
use crate::config::BaseUrl;

const API: &str = "https://api.example/2.0";
const PROXY: &str = "http://p/proxy/a";

fn links() -> JsonLinks {
    links_with(&["/2.0/data"])
}

fn links_with(paths: &[&str]) -> JsonLinks {
    let base_url = |authority: &str, path: &str| BaseUrl {
        scheme: Scheme::HTTPS,
        authority: authority.parse().unwrap(),
        path: path.to_owned(),
    };
    let entrance = |path: &str| Entrance { origin: "http://p".to_owned(), path: path.to_owned() };
    let own = base_url("api.example", "/2.0");
    let deeper = Base::new(&base_url("api.example", "/2.0/deep/er"), entrance("/proxy/d"));
    let mut bases = vec![Base::new(&own, entrance("/proxy/a")), deeper];
    bases.extend(paths.iter().map(|path| Base::path(path, &own, entrance("/proxy/a"))));
    JsonLinks::new(Arc::new(Bases::new(&own, bases)))
}

/// The body, given in pieces of such lengths (the last of them again and again), as it is handed on.
fn in_pieces(body: &[u8], lengths: &[usize]) -> Vec<u8> {
    let (mut links, mut out, mut rest) = (links(), Vec::new(), Bytes::copy_from_slice(body));
    let mut lengths = lengths.iter().copied();
    let mut length = body.len();
    while !rest.is_empty() {
        length = lengths.next().unwrap_or(length).clamp(1, rest.len());
        out.extend_from_slice(&links.push(rest.split_to(length)).unwrap());
        length = length.max(1);
    }
    out.extend_from_slice(&links.end().unwrap());
    out
}

/// A body that is all there becomes what it would in chunks.
fn check_at_once(body: &str) {
    let body = Bytes::copy_from_slice(body.as_bytes());
    for paths in [&["/2.0/data"][..], &[]] {
        let (mut whole, mut chunks) = (links_with(paths), links_with(paths));
        let expected = joined(chunks.push(body.clone()).unwrap(), chunks.end().unwrap());
        assert_eq!(whole.whole(body.clone()), Ok(expected), "{body:?}");
    }
}

/// What becomes of a body, however it is cut.
fn rewritten(body: &str) -> String {
    let whole = in_pieces(body.as_bytes(), &[]);
    check_at_once(body);
    for length in 1..40 {
        assert_eq!(in_pieces(body.as_bytes(), &[length]), whole, "{body} by {length}");
    }
    String::from_utf8(whole).unwrap()
}

fn check_untouched(body: &str) {
    assert_eq!(rewritten(body), body);
}

#[test]
fn a_path_that_leads_into_the_provider_is_a_link_and_other_paths_are_not() {
    let body = r#"{"next":"/2.0/data/v60/q-2000","a":"\/2.0\/data?b","/2.0/data":"/2.0/data"}"#;
    let expected = r#"{"next":"/proxy/a/data/v60/q-2000","a":"/proxy/a/data?b","/2.0/data":"/proxy/a/data"}"#;
    assert_eq!(rewritten(body), expected);
    for untouched in [r#"["/2.0/database","/2.0","/","/2.0/Data/x","//2.0/data","x/2.0/data"]"#, r#""2.0/data/x""#] {
        check_untouched(untouched);
    }
}

#[test]
fn a_link_that_would_lead_beside_the_provider_stays() {
    for untouched in [
        r#"["https://api.example/2.0/../3.0/x"]"#,
        r#"["https://api.example/2.0/a/%2e%2E/b"]"#,
        r#"["https:\/\/api.example\/2.0\/.\/x"]"#,
        r#"["https://api.example/2.0/a/\u002e./b"]"#,
    ] {
        check_untouched(untouched);
    }
    let harmless = r#"["https://api.example/2.0/v1.0/.well-known?a=/../"]"#;
    assert_eq!(rewritten(harmless), r#"["http://p/proxy/a/v1.0/.well-known?a=/../"]"#);
    let long = format!("[\"https://api.example/2.0/{}\"]", "x/".repeat(2000));
    assert!(rewritten(&long).starts_with("[\"http://p/proxy/a/x/x"));
}

#[test]
fn a_byte_order_mark_is_in_nobodys_way() {
    assert_eq!(rewritten("\u{feff}[\"https://api.example/2.0/x\"]"), "\u{feff}[\"http://p/proxy/a/x\"]");
}

#[test]
fn strings_that_begin_with_a_base_change_and_nothing_else() {
    for (body, expected) in [
        (r#""https://api.example/2.0/x""#, r#""http://p/proxy/a/x""#),
        (r#"["https://api.example/2.0"]"#, r#"["http://p/proxy/a"]"#),
        (
            r#"{ "url" : "https://api.example/2.0/x" , "n":[ 1.50e+3,true,null, "https://api.example/2.0?y", {} ] }"#,
            r#"{ "url" : "http://p/proxy/a/x" , "n":[ 1.50e+3,true,null, "http://p/proxy/a?y", {} ] }"#,
        ),
        // As servers write who escape more than they must.
        (r#"{"next":"https:\/\/api.example\/2.0\/x\/y"}"#, r#"{"next":"http://p/proxy/a\/x\/y"}"#),
        (r#"["\u0068ttps:\u002f\u002Fapi.example\u002f2.0\u002fx"]"#, r#"["http://p/proxy/a\u002fx"]"#),
        (r#"["HTTPS://Api.Example:443/2.0/x"]"#, r#"["http://p/proxy/a/x"]"#),
        // A template is whoever expands it's.
        (r#"["https://api.example/2.0/git/commits{/sha}"]"#, r#"["http://p/proxy/a/git/commits{/sha}"]"#),
        (r#"["https://api.example/2.0{?page,per_page}"]"#, r#"["http://p/proxy/a{?page,per_page}"]"#),
        (r#"["https:\/\/api.example\/2.0{\/privacy}"]"#, r#"["http://p/proxy/a{\/privacy}"]"#),
        // The longest base.
        (
            r#"["https://api.example/2.0/deep/er/x","https://api.example/2.0/deep/x","https://api.example/2.0/deep"]"#,
            r#"["http://p/proxy/d/x","http://p/proxy/a/deep/x","http://p/proxy/a/deep"]"#,
        ),
        // One after another, as in JSON Lines.
        (
            "\"https://api.example/2.0\"\n{\"a\":\"https://api.example/2.0\"}\n",
            "\"http://p/proxy/a\"\n{\"a\":\"http://p/proxy/a\"}\n",
        ),
        (r#"["a\\","https://api.example/2.0"]"#, r#"["a\\","http://p/proxy/a"]"#),
        (r#"["\"","https://api.example/2.0"]"#, r#"["\"","http://p/proxy/a"]"#),
        ("[\"\u{20ac}\",\"https://api.example/2.0/\u{20ac}\"]", "[\"\u{20ac}\",\"http://p/proxy/a/\u{20ac}\"]"),
    ] {
        assert_eq!(rewritten(body), expected, "{body}");
    }
}

#[test]
fn keys_and_what_only_looks_like_a_base_stay() {
    check_untouched(
        r#"{"https://api.example/2.0/x":1,"b":{"https://api.example/2.0":[]},"https://api.example/2.0":0}"#,
    );
    for other in [
        "https://api.example/2.0x",
        "https://api.example/2.00/x",
        "https://api.example/x",
        "https://api.example",
        "https://api.example.evil/2.0",
        "https://api.example@evil/2.0",
        "https://api.example:8443/2.0",
        "https://api.example/2.0{x}",
        "https://api.example/2.0{",
        "http://api.example/2.0",
        " https://api.example/2.0",
        "see https://api.example/2.0/x",
        r"https://api.example/2.0\\x",
        r"https://api.example/2.0\u00e9",
        r"https:\u002\u002fapi.example/2.0",
        r"\u1168ttps://api.example/2.0",
        "/2.0/x",
        "h",
        "",
    ] {
        check_untouched(&format!("[\"{other}\",{{\"a\":\"{other}\"}}]"));
    }
}

#[test]
fn what_is_not_json_stays() {
    for other in [
        "",
        "<a href=\"https://api.example/2.0/x\">",
        "callback([\"https://api.example/2.0/x\"])",
        "for (;;);[\"https://api.example/2.0/x\"]",
        ")]}',\n[\"https://api.example/2.0/x\"]",
        "var x = \"https://api.example/2.0/x\";",
        "next: \"https://api.example/2.0/x\"",
        "{next: \"https://api.example/2.0/x\"}",
        "['https://api.example/2.0/x']",
        "{\"a\" \"https://api.example/2.0/x\"}",
        "{\"a\":,\"https://api.example/2.0/x\":1}",
        "[1}, \"https://api.example/2.0/x\"]",
        "{\"a\":1], [\"https://api.example/2.0/x\"]",
        "[1 \"https://api.example/2.0/x\"]",
        "[,\"https://api.example/2.0/x\"]",
        "[] , \"https://api.example/2.0/x\"",
        "[\u{0}\"https://api.example/2.0/x\"",
    ] {
        check_untouched(other);
    }
}

#[test]
fn what_breaks_off_is_handed_on_to_the_last_byte() {
    let body = r#"{"a":"https://api.example/2.0/x","b":"https://api.example/2.0"#;
    for end in 0..=body.len() {
        // Before its end it may lead anywhere.
        let is_decided = end >= r#"{"a":"https://api.example/2.0/x""#.len();
        let changed = if is_decided { body.replacen(API, PROXY, 1) } else { body.to_owned() };
        let shorter = if is_decided { API.len() - PROXY.len() } else { 0 };
        assert_eq!(rewritten(&body[..end]), changed[..end - shorter], "{end}");
    }
}

#[test]
fn what_turns_out_broken_is_left_alone_from_there_on() {
    let body = r#"["https://api.example/2.0/x"] ] ["https://api.example/2.0/x"]"#;
    assert_eq!(rewritten(body), body.replacen(API, PROXY, 1));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}\"{API}\"{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(rewritten(&nested(128)), nested(128).replace(API, PROXY));
    check_untouched(&nested(129));
    check_untouched(&"[{\"a\":".repeat(200));
}

#[test]
fn little_waits_for_the_next_chunk() {
    let escaped: String = API.chars().map(|character| format!("\\u{:04x}", character as u32)).collect();
    let body = format!("[\"{escaped}/deep/e\",\"{}\",{}", "x".repeat(100_000), "[".repeat(1000));
    let mut links = links();
    let (mut waiting, mut most) = (0, 0);
    for byte in body.bytes() {
        waiting += 1;
        waiting -= links.push(Bytes::copy_from_slice(&[byte])).unwrap().len().min(waiting);
        most = most.max(links.held.len());
    }
    assert!((100..=6 * ("https://api.example:443/2.0/deep/er".len() + 2)).contains(&most), "{most}");
    assert!(links.held.capacity() < 1024, "{}", links.held.capacity());
}

#[test]
fn a_chunk_without_links_is_not_copied() {
    let chunk = Bytes::from_static(br#"{"a":["b",{"c":"https://other.example/2.0"}]}"#);
    let out = links().push(chunk.clone()).unwrap();
    assert_eq!((out.as_ptr(), out.len()), (chunk.as_ptr(), chunk.len()));
}

/// Texts that are links now and then.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        "(https?|HTTPS)://(api|API)[.]example(:443|:44|:)?/2[.]0(/deep)?(/er)?[/?#x]?[a-z\"\\\\é]{0,3}",
        "https://api[.]example/2[.]0[{][/?.x][a-z]{0,2}[}]",
        any::<String>(),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        string().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let members = proptest::collection::vec((string(), inner.clone()), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same by other means: a parsed document, and a text that is taken apart at once.
fn expected(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(expected_text(&text)),
        Value::Array(values) => values.into_iter().map(expected).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, expected(value))).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn expected_text(text: &str) -> String {
    let ends = |rest: &str| {
        ["", "/", "?", "#", "{/", "{?", "{#"].iter().any(|end| match *end {
            "" => rest.is_empty(),
            end => rest.starts_with(end),
        })
    };
    let origin = "https://api.example";
    let after_origin = || {
        let (head, rest) = text.split_at_checked(origin.len())?;
        let rest = rest.strip_prefix(":443").or_else(|| rest.strip_prefix(":")).unwrap_or(rest);
        head.eq_ignore_ascii_case(origin).then_some(rest)
    };
    let Some(path) = after_origin() else { return text.to_owned() };
    for (base, there) in [("/2.0/deep/er", "http://p/proxy/d"), ("/2.0", "http://p/proxy/a")] {
        if let Some(rest) = path.strip_prefix(base).filter(|rest| ends(rest)) {
            return format!("{there}{rest}");
        }
    }
    text.to_owned()
}

proptest! {
    #[test]
    fn a_document_changes_as_a_parser_would_see_it(
        document in document(),
        is_pretty: bool,
        is_escaped: bool,
        lengths in proptest::collection::vec(1_usize..20, 0..50),
    ) {
        let mut body = if is_pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
        if is_escaped {
            body = body.replace('/', "\\/");
        }
        let whole = in_pieces(body.as_bytes(), &[]);
        check_at_once(&body);
        prop_assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), expected(document.clone()));
        if expected(document.clone()) == document {
            prop_assert_eq!(&whole, body.as_bytes());
        }
        prop_assert_eq!(in_pieces(body.as_bytes(), &lengths), whole);
    }

    #[test]
    fn any_bytes_pass_in_any_chunks(
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"", "\\", "\"https://api.example/2.0", "/", "1", " ", "\\u00"])
                    .prop_map(|piece| piece.as_bytes().to_vec()),
                proptest::collection::vec(any::<u8>(), 0..4),
            ],
            0..60,
        ),
        lengths in proptest::collection::vec(1_usize..12, 0..50),
    ) {
        let body = pieces.concat();
        let whole = in_pieces(&body, &[]);
        prop_assert_eq!(&in_pieces(&body, &lengths), &whole);
        prop_assert_eq!(&in_pieces(&body, &[1]), &whole);
    }
}

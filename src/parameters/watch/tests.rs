//! The names of a body's parameters are found in whatever chunks it comes.

use proptest::prelude::*;

use super::*;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=XyX";
const JSON: &str = "application/json";

fn watch(content_type: &str) -> Watch {
    made(&[("content-type", content_type)]).unwrap().unwrap()
}

fn made(lines: &[(&'static str, &str)]) -> Result<Option<Watch>, Unreadable> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    Watch::new(&headers, &Names::new(["method", "batch"]))
}

/// What is found in a body that comes in chunks of these sizes, and how many bytes went on before.
fn found(content_type: &str, body: &[u8], sizes: &[usize]) -> Option<(Found, usize)> {
    let (mut watch, mut passed, mut sizes) = (watch(content_type), 0, sizes.iter().cycle());
    while passed < body.len() {
        let end = (passed + sizes.next().unwrap()).min(body.len());
        if let Some(found) = watch.find(&body[passed..end]) {
            return Some((found, passed));
        }
        passed = end;
    }
    None
}

fn is_found(content_type: &str, body: &str) -> bool {
    let at_once = found(content_type, body.as_bytes(), &[usize::MAX >> 1]).is_some();
    assert_eq!(found(content_type, body.as_bytes(), &[1]).is_some(), at_once, "{body:?} in crumbs");
    at_once
}

fn part(disposition: &str, content: &str) -> String {
    format!("--XyX\r\nContent-Disposition: {disposition}\r\n\r\n{content}\r\n--XyX--\r\n")
}

#[test]
fn a_form_is_looked_through_in_every_spelling() {
    for body in
        ["method=delete", "a=1&method=delete", "a&%6Dethod=x", "a=b=method&+METHOD[]=x", "batch=[]", "&&batch=1"]
    {
        assert!(is_found(FORM, body), "{body}");
        let target = format!("/?{body}");
        assert!(super::super::query::has(&target, &Names::new(["method", "batch"])), "a query knows it: {body}");
    }
    let blanks = format!("{}method=delete", "+%20".repeat(5000));
    assert!(is_found(FORM, &blanks));
    for body in ["", "a=method", "methods=1", "a=method=1", "xmethod=1", "message=a+method+%26batch=1", "method"] {
        assert!(!is_found(FORM, body), "{body}");
    }
}

#[test]
fn keys_of_the_outermost_object_are_parameters_and_strings_elsewhere_are_not() {
    for body in [
        r#"{"method":"delete"}"#,
        "{\"a\":{\"b\":[1]}, \"batch\" \n: []}",
        r#"{"a":"\"","m\u0065thod":1}"#,
        r#"{"a":"x\\","Method":1}"#,
    ] {
        assert!(is_found(JSON, body), "{body}");
        assert!(is_found("Application/Problem+JSON; charset=utf-8", body), "{body}");
    }
    for body in
        [r#"{"a":"method"}"#, r#"{"a":{"method":1}}"#, r#"["method"]"#, r#"{"a":"\"method\":"}"#, "{}", r#""method""#]
    {
        assert!(!is_found(JSON, body), "{body}");
    }
}

#[test]
fn a_part_is_known_by_its_name_however_it_is_written() {
    for disposition in [
        "form-data; name=\"method\"",
        "form-data; name=method",
        "form-data; NAME='method'",
        "form-data; name = \"me\\thod\"",
        "form-data; filename=\"x\"; name=\"method\"",
        "form-data; name*=UTF-8''%6dethod",
        "form-data; name=\"%6Dethod\"",
        "form-data;\r\n name=\"batch\"",
        "form-data; name=\"a\"; name=\"batch[0]\"",
    ] {
        assert!(is_found(MULTIPART, &part(disposition, "x")), "{disposition}");
        assert!(
            is_found(MULTIPART, &part(disposition, "x").replace("\r\n", "\n")),
            "{disposition} with bare line feeds"
        );
        let second = part("form-data; name=\"a\"", "--Xy\r\n--X").replace("--XyX--\r\n", &part(disposition, "x"));
        assert!(is_found(MULTIPART, &second), "{second}");
    }
    for (disposition, content) in [
        ("form-data; name=\"source\"; filename=\"method\"", "name=\"method\""),
        ("form-data; name=\"message\"", "\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\n"),
        ("form-data; name=\"a\"; filename=\"name.method\"", "--Xy--Xy"),
    ] {
        assert!(!is_found(MULTIPART, &part(disposition, content)), "{disposition}");
    }
    let long = part(&format!("form-data; x=\"{}\"", "x".repeat(10_000)), "");
    assert!(matches!(found(MULTIPART, long.as_bytes(), &[100]), Some((Found::Unreadable, _))));
}

#[test]
fn what_has_parameters_and_cannot_be_looked_into_is_unreadable() {
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=a,b",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; xboundary=a",
        "multipart/form-data; boundary=\"a\"b",
    ] {
        assert!(made(&[("content-type", content_type)]).is_err(), "{content_type}");
    }
    assert!(made(&[("content-type", FORM), ("content-encoding", "gzip")]).is_err());
    assert!(made(&[("content-type", "text/plain"), ("content-type", FORM)]).is_err());
    for lines in [&[][..], &[("content-type", "video/mp4"), ("content-encoding", "gzip")], &[("content-type", "")]] {
        assert!(matches!(made(lines), Ok(None)), "{lines:?}");
    }
    for fine in
        ["multipart/form-data; boundary=\"a-b\"; charset=utf-8", "Multipart/Form-Data;boundary=----WebKitFormBoundary7"]
    {
        assert!(matches!(made(&[("content-type", fine)]), Ok(Some(_))), "{fine}");
    }
    assert!(is_found("application/x-www-form-urlencoded, text/plain", "method=x"), "as PHP reads it");
}

proptest! {
    #[test]
    fn chunking_changes_nothing(
        kind in 0..3_usize,
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("method"), Just("=x"), Just("&"), Just("%6d"), Just("ethod"), Just("\""), Just("{"), Just("}"),
                Just(":"), Just("\\"), Just("--XyX"), Just("--Xy"), Just("\r\n"), Just("\r\n\r\n"), Just("\n"),
                Just("Content-Disposition: form-data; name=\"batch\""), Just("name="), Just("batch"), Just("[")
            ],
            0..24,
        ),
        sizes in proptest::collection::vec(1..9_usize, 1..6),
    ) {
        let (content_type, body) = ([FORM, MULTIPART, JSON][kind], pieces.concat());
        let at_once = found(content_type, body.as_bytes(), &[usize::MAX >> 1]).map(|(found, _)| found);
        let in_chunks = found(content_type, body.as_bytes(), &sizes);
        prop_assert_eq!(in_chunks.clone().map(|(found, _)| found), at_once);
        if let Some((_, passed)) = in_chunks {
            prop_assert!(passed < body.len(), "something is kept from the provider");
        }
    }

    #[test]
    fn nothing_that_comes_makes_it_panic(kind in 0..3_usize, chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let mut watch = watch([FORM, MULTIPART, JSON][kind]);
        for chunk in chunks {
            let _ = watch.find(&chunk);
        }
    }
}

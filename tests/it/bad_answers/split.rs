//! The token in so many pieces that no piece shows it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{Scene, TOKEN};

/// The token as encoders write it, and what must not come out of it.
fn written() -> Vec<(String, String)> {
    let escaped = |replace: fn(char) -> String| TOKEN.chars().map(replace).collect::<String>();
    let percent = escaped(|character| match character {
        'A'..='Z' | 'a'..='z' | '0'..='9' => character.to_string(),
        other => format!("%{:02x}", u32::from(other)),
    });
    let json = escaped(|character| match character {
        '/' => "\\/".to_owned(),
        '+' | '=' | '|' => format!("\\u{:04X}", u32::from(character)),
        other => other.to_string(),
    });
    let html = escaped(|character| match character {
        '/' | '+' | '=' | '|' => format!("&#{};", u32::from(character)),
        other => other.to_string(),
    });
    let mut all: Vec<_> = [TOKEN.to_owned(), percent, json, html].map(|form| (form.clone(), form)).into();
    for before in ["", "a", "ab"] {
        let text = format!("{before}{TOKEN}:x");
        for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            // Its ends have bits of its neighbours.
            let inner = encoded[4..encoded.len() - 8].to_owned();
            all.push((encoded, inner));
        }
    }
    all
}

const TEXT: &str = "content-type: text/plain\r\ntransfer-encoding: chunked\r\n";

#[tokio::test]
async fn in_a_hundred_chunks_no_form_of_it_comes_out_and_the_rest_does() {
    let mut scene = Scene::with("rewrite = \"headers\"").await;
    for (form, inner) in written() {
        let body = format!("{{\"before\":\"{}\",\"token\":\"{form}\",\"behind\":1}}", "1gho".repeat(20));
        for size in [1, 2, 3] {
            let pieces: Vec<_> = body.as_bytes().chunks(size).collect();
            assert!(size > 1 || pieces.len() > 100);
            let came = scene.answered(TEXT, &pieces).await;
            let text = came.answer.text();
            assert!(came.answer.complete && came.is_whole_by_http2, "{form}");
            assert!(!text.contains(&inner) && !text.contains(TOKEN), "{form} by {size}: {text}");
            // Masked in place: every other byte is there.
            assert_eq!(text.len(), body.len(), "{form} by {size}: {text}");
            let masked = text.matches('*').count();
            assert!(masked >= inner.len() && masked <= form.len(), "{form} by {size}: {text}");
            let stars = text.find('*').unwrap();
            assert!(body.starts_with(&text[..stars]) && body.ends_with(&text[stars + masked..]), "{form}: {text}");
        }
    }
    let metrics = scene.rig.metrics.render();
    assert!(metrics.contains("idp_proxy_leaks_total{provider=\"github\",place=\"body\"}"), "{metrics}");
}

#[tokio::test]
async fn what_is_rewritten_as_well_has_no_token_in_it_either() {
    let mut scene = Scene::with("rewrite = \"json\"").await;
    let base = scene.base.clone();
    let body = format!("{{\"url\":\"{base}/a?access_token={TOKEN}\",\"next\":\"{base}/b\"}}");
    for size in [1, 5, 4000] {
        let head = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
        let came = scene.answered(head, &body.as_bytes().chunks(size).collect::<Vec<_>>()).await;
        let ours = format!("http://{}/proxy/github", scene.rig.address());
        let stars = "*".repeat(TOKEN.len());
        let expected = format!("{{\"url\":\"{ours}/a?access_token={stars}\",\"next\":\"{ours}/b\"}}");
        assert_eq!(came.answer.text(), expected);
        assert!(came.answer.complete && came.is_whole_by_http2);
    }
}

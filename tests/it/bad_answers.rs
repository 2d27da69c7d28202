//! Answers that are broken, or meant to mislead: each passes as it is or is visibly cut, is never half rewritten, and never
//! has the token in it.

use std::collections::BTreeSet;

use crate::support::frames::{Frames, Outcome};
use crate::support::wire::{Connections, Wire, by_hand, head_with};
use crate::support::{Answer, Recorded, Rig, Upstream, rig};

mod compressed;
mod elsewhere;
mod split;

const SUBJECT: &str = "github|77";
/// With characters in it that are escaped on some ways.
const TOKEN: &str = "1/gho|16C7e42F+292c6912E7710c838347Ae178B4a=";

/// A proxy whose provider, `github`, answers by the byte.
struct Scene {
    rig: Rig,
    base: String,
    connections: Connections,
    _upstream: Upstream,
}

/// What came of one answer.
struct Came {
    /// By HTTP/1.1.
    answer: Answer,
    /// Whether it was whole by HTTP/2 too, where a stream that breaks off is reset.
    is_whole_by_http2: bool,
}

impl Scene {
    async fn with(lines: &str) -> Self {
        let (upstream, connections) = by_hand().await;
        let base = upstream.base_url();
        let rig = rig().provider_at("github", &base, lines).start().await;
        rig.add(SUBJECT, "github", TOKEN);
        Self { rig, base, connections, _upstream: upstream }
    }

    /// What becomes of an answer with this head, which ends its lines, and these pieces, of which each arrives as one.
    async fn answered(&mut self, head: &str, pieces: &[&[u8]]) -> Came {
        let token = self.rig.tenant.token_for(SUBJECT);
        let mut caller = Wire::to(&self.rig.address()).await;
        caller.send(head_with(&self.rig, &token, "GET /proxy/github/x", "accept-encoding: gzip, br, zstd\r\n")).await;
        self.play(head, pieces).await;
        let answer = caller.answer("GET").await;

        let (address, bearer) = (self.rig.address(), format!("Bearer {token}"));
        let mut frames = Frames::to(&address).await;
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", &address),
            (":path", "/proxy/github/x"),
            ("authorization", &bearer),
        ];
        frames.headers(1, &fields, true).await;
        self.play(head, pieces).await;
        let outcome = frames.outcome(1).await;
        assert_ne!(outcome, Outcome::Closed, "other streams of the connection would end with this one");
        Came { answer, is_whole_by_http2: matches!(outcome, Outcome::Answered(_)) }
    }

    /// Answers one request on a connection, and closes it.
    async fn play(&mut self, head: &str, pieces: &[&[u8]]) {
        let mut provider = self.connections.next().await;
        let asked = provider.head().await;
        assert!(asked.contains(&format!("authorization: Bearer {TOKEN}\r\n")), "{asked}");
        let is_chunked = head.contains("chunked");
        provider.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n")).await;
        for piece in pieces {
            let sent = if is_chunked {
                provider.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await
            } else {
                provider.send(piece).await
            };
            if !sent {
                return;
            }
        }
        if is_chunked {
            provider.send("0\r\n\r\n").await;
        }
    }
}

const JSON: &str = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";

#[tokio::test]
async fn json_that_is_broken_changes_in_whole_links_alone() {
    let mut scene = Scene::with("rewrite = \"json\"").await;
    let (base, ours) = (scene.base.clone(), format!("http://{}/proxy/github", scene.rig.address()));
    let half = &base[..base.len() - 2];
    let bodies = [
        format!("{{\"url\":\"{base}/a\",\"next\":"),
        format!("{{\"url\":\"{base}/a\",\"next\":\"{half}"),
        format!("{{\"url\":\"{base}/a\" \"next\":\"{base}/b\"}}"),
        format!("{{\"url\":\"{base}/a\"}}}}{{\"next\":\"{base}/b\"}}"),
        format!("{{'url':'{base}/a'}}"),
        format!("for(;;);{{\"url\":\"{base}/a\"}}"),
        format!("<html><a href=\"{base}/a\">"),
        format!("[\"{base}/a\",\"\u{0}{base}\",\"\\uD800{base}/b\", nul]"),
        format!("{}\"{base}/a\"", "[".repeat(300)),
        String::new(),
        "\u{feff}{}".to_owned(),
    ];
    let mut rewritten = 0;
    for body in &bodies {
        for size in [1, 7, 1000] {
            let pieces: Vec<_> = body.as_bytes().chunks(size).collect();
            let came = scene.answered(JSON, &pieces).await;
            assert!(came.answer.complete && came.is_whole_by_http2, "{body}");
            let text = came.answer.text();
            assert_eq!(text.replace(&ours, &base), *body, "{body:?} became {text:?}");
            rewritten += text.matches(&ours).count();
        }
    }
    assert!(rewritten > 0, "nothing was rewritten at all");
}

#[tokio::test]
async fn json_that_is_not_text_passes_byte_for_byte() {
    let mut scene = Scene::with("rewrite = \"json\"").await;
    for body in [&b"{\"a\":\"\xff\xfe\"}"[..], b"\xff\xfe{\0}\0", b"\x1f\x8b\x08\0{}", b"{\"a\":\"\xc3"] {
        let came = scene.answered(JSON, &[body]).await;
        assert!(came.answer.complete && came.is_whole_by_http2);
        assert_eq!(came.answer.body, body);
    }
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_cut_and_one_that_is_longer_ends_there() {
    let mut metrics = BTreeSet::new();
    for lines in ["rewrite = \"json\"", "rewrite = \"headers\"", "rewrite = \"off\"\nguard = \"off\""] {
        let mut scene = Scene::with(lines).await;
        let body = format!("{{\"url\":\"{}/a\"}}", scene.base);
        let head = |length: usize| format!("content-type: application/json\r\ncontent-length: {length}\r\n");
        for missing in [1, 5, 1000] {
            let came = scene.answered(&head(body.len() + missing), &[body.as_bytes()]).await;
            assert!(!came.answer.complete && !came.is_whole_by_http2, "{lines}: {missing} bytes are missing");
        }
        // The rest is nobody's answer.
        let came = scene.answered(&head(body.len()), &[body.as_bytes(), b"HTTP/1.1 200 OK\r\n\r\nmore"]).await;
        assert!(came.answer.complete && came.is_whole_by_http2, "{lines}");
        assert!(!came.answer.text().contains("more"), "{lines}");
        let came = scene.answered(&head(9), &[body.as_bytes()]).await;
        assert!(came.answer.complete && came.is_whole_by_http2 && came.answer.text() == body[..9], "{lines}");
        metrics.insert(scene.rig.metrics.render().contains("idp_proxy_leaks_total{"));
    }
    assert_eq!(metrics, BTreeSet::from([false]), "an alarm without a token");
}

#[tokio::test]
async fn a_link_header_that_cannot_be_read_passes_as_it_is_but_for_the_token() {
    let upstream = Upstream::recording(|request: &Recorded| {
        let base = format!("http://{}", request.all("host"));
        let mut answer = http::Response::builder().header("content-type", "text/plain");
        for line in LINKS {
            answer = answer.header("link", line.replace("BASE", &base).replace("TOKEN", TOKEN));
        }
        answer.body(hyper::body::Bytes::new()).unwrap()
    })
    .await;
    let rig = rig().provider_at("github", &upstream.base_url(), "").start().await;
    rig.add(SUBJECT, "github", TOKEN);
    let answer = rig.get_as(SUBJECT, "/proxy/github/x").await;
    let lines: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "link").map(|(_, line)| line).collect();
    let stars = "*".repeat(TOKEN.len());
    let expected = LINKS.map(|line| line.replace("BASE", &upstream.base_url()).replace("TOKEN", &stars));
    assert_eq!(lines, expected.iter().collect::<Vec<_>>());
}

/// None of these is RFC 8288's.
const LINKS: [&str; 9] = [
    "BASE/x; rel=next",
    "<BASE/x; rel=\"next\"",
    "<BASE/x>; rel=\"next",
    "<BASE/x> rel=\"next\"",
    "<BASE/x>; rel=\"next\", BASE/y>",
    "<<BASE/x>>; rel=next",
    "rel=\"next\"; <BASE/x>",
    "<BASE/x?access_token=TOKEN; rel=next",
    "BASE/x?access_token=TOKEN",
];

//! Compressed text that is cut off, broken, a bomb, or has the token in it.

use super::{Scene, TOKEN};
use crate::support::squeeze::{CODINGS, squeezed, unsqueezed};

fn head(coding: &str) -> String {
    format!("content-type: application/json\r\ncontent-encoding: {coding}\r\ntransfer-encoding: chunked\r\n")
}

/// Text that does not compress to nothing.
fn text() -> Vec<u8> {
    let line = |number: u32| format!("{{\"id\":{},\"name\":\"user {number}\"}},\n", number * 7919 % 10_007);
    (0..300).map(line).collect::<String>().into_bytes()
}

async fn scene() -> Scene {
    Scene::with("rewrite = \"headers\"").await
}

fn alarms(scene: &Scene, place: &str) -> bool {
    scene.rig.metrics.render().contains(&format!("idp_proxy_leaks_total{{provider=\"github\",place=\"{place}\"}}"))
}

#[tokio::test]
async fn what_is_cut_off_passes_as_far_as_it_goes_or_is_cut_where_all_see_it() {
    let mut scene = scene().await;
    for coding in CODINGS {
        let body = squeezed(coding, &text(), 1);
        for end in [1, 10, body.len() / 2, body.len() - 1, body.len()] {
            let pieces: Vec<_> = body[..end].chunks(100).collect();
            let came = scene.answered(&head(coding), &pieces).await;
            assert!(body[..end].starts_with(&came.answer.body), "{coding} at {end}: other bytes came out");
            let is_all = came.answer.body.len() == end;
            assert_eq!((came.answer.complete, came.is_whole_by_http2), (is_all, is_all), "{coding} at {end}");
            assert!(is_all || coding == "zstd", "{coding} at {end}");
        }
    }
}

#[tokio::test]
async fn what_is_not_what_it_says_is_cut() {
    let mut scene = scene().await;
    let broken = |coding| {
        let mut body = squeezed(coding, &text(), 1);
        let middle = body.len() / 2;
        body[middle..middle + 64].fill(0xff);
        body
    };
    for (coding, body) in [("gzip", text()), ("gzip", broken("gzip")), ("zstd", text()), ("zstd", broken("zstd"))] {
        let came = scene.answered(&head(coding), &[&body]).await;
        assert!(!came.answer.complete && !came.is_whole_by_http2, "{coding}");
        assert!(body.starts_with(&came.answer.body), "{coding}");
    }
    assert!(alarms(&scene, "unreadable"));
}

#[tokio::test]
async fn a_bomb_is_cut_and_costs_the_next_caller_nothing() {
    let mut scene = scene().await;
    for coding in CODINGS {
        let bomb = squeezed(coding, &vec![b' '; 1 << 20], 6);
        let came = scene.answered(&head(coding), &bomb.chunks(1 << 12).collect::<Vec<_>>()).await;
        assert!(!came.answer.complete && !came.is_whole_by_http2, "{coding}");
        assert!(came.answer.body.len() < bomb.len() && bomb.starts_with(&came.answer.body), "{coding}");
        let small = squeezed(coding, &text(), 1);
        let came = scene.answered(&head(coding), &[&small]).await;
        assert!(came.answer.complete && came.is_whole_by_http2 && came.answer.body == small, "{coding}");
    }
    assert!(alarms(&scene, "bomb") && !alarms(&scene, "compressed"));
}

#[tokio::test]
async fn the_token_is_not_in_what_comes_of_it_however_it_is_divided() {
    let mut scene = scene().await;
    let with_token = [&text()[..], TOKEN.as_bytes(), b"\n", &text()].concat();
    for coding in CODINGS {
        let body = squeezed(coding, &with_token, 1);
        for size in [1, 50, body.len()] {
            let came = scene.answered(&head(coding), &body.chunks(size).collect::<Vec<_>>()).await;
            assert!(!came.answer.complete && !came.is_whole_by_http2, "{coding} by {size}");
            assert!(body.starts_with(&came.answer.body), "{coding} by {size}");
            let read = unsqueezed(coding, &came.answer.body);
            assert!(with_token.starts_with(&read), "{coding} by {size}");
            // The beginning of it tells nobody anything.
            assert!(read.len() < text().len() + TOKEN.len(), "{coding} by {size}: the token can be read");
        }
    }
    assert!(alarms(&scene, "compressed"));
}

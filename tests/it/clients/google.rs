//! Google's clients in Node: by the proxy's path where each call is told of it, by a host name where it is told once.

use super::*;
use crate::support::node::Node;
use crate::support::rig;

/// Drive, at the host that it shares with others.
fn drive(request: &Recorded) -> Option<Response<Bytes>> {
    let session = "/upload/drive/v3/files?uploadType=resumable&upload_id=abc";
    let files = |names: &[&str]| Value::from_iter(names.iter().map(|name| json!({ "name": name })));
    let body = String::from_utf8_lossy(&request.body);
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/drive/v3/files?pageSize=2") => ok(&json!({ "files": files(&["a", "b"]), "nextPageToken": "p/2=" })),
        ("GET", "/drive/v3/files?pageSize=2&pageToken=p%2F2%3D") => ok(&json!({ "files": files(&["c"]) })),
        ("POST", "/upload/drive/v3/files?uploadType=multipart") => {
            let is_whole = body.contains("{\"name\":\"a.txt\"}") && body.contains("\r\n\r\nin one piece\r\n--");
            is_whole.then(|| answer(200, &json!({ "id": "one" })))
        }
        ("POST", "/upload/drive/v3/files?uploadType=resumable") => {
            Some(with(answer(200, &json!({})), "location", &format!("{}{session}", own(request))))
        }
        ("PUT", target) if target == session => match (request.all("content-range").as_str(), body.as_ref()) {
            // Not a redirect: more is awaited.
            ("bytes 0-4/10", "01234") => {
                let empty = Response::builder().status(308).header("range", "bytes=0-4").body(Bytes::new());
                Some(empty.unwrap())
            }
            ("bytes 5-9/10", "56789") => ok(&json!({ "id": "two" })),
            _ => Some(answer(400, &json!({}))),
        },
        _ => None,
    }
}

fn gmail(request: &Recorded) -> Option<Response<Bytes>> {
    let is_known = request.target == "/gmail/v1/users/al%2B1%40example.com/messages?labelIds=INBOX&labelIds=UNREAD";
    is_known.then(|| answer(200, &json!({ "messages": [{ "id": "m1" }] })))
}

const WRITES: &str = "allow = [\"GET /**\", \"POST /upload/drive/v3/files\", \"PUT /upload/drive/v3/files\"]";

#[tokio::test]
async fn googles_clients_keep_the_path_that_each_call_is_told() {
    let (drive, gmail) = (provider("google", drive).await, provider("gmail", gmail).await);
    let rig = rig().provider_at("google", &drive.base_url(), WRITES);
    let rig = rig.provider_at("gmail", &gmail.base_url(), "").start().await;
    let told = Node::snippet("google", &rig).run().await;
    assert_eq!(told, json!({ "names": ["a", "b", "c"], "uploaded": "one", "mail": ["m1"] }));
    let expected = [
        "GET /drive/v3/files?pageSize=2",
        "GET /drive/v3/files?pageSize=2&pageToken=p%2F2%3D",
        "POST /upload/drive/v3/files?uploadType=multipart",
    ];
    assert_eq!(asked(&drive), expected);
    let expected = ["GET /gmail/v1/users/al%2B1%40example.com/messages?labelIds=INBOX&labelIds=UNREAD"];
    assert_eq!(asked(&gmail), expected);
}

#[tokio::test]
async fn googles_clients_are_told_once_where_the_provider_has_a_host_name() {
    let drive = provider("google", drive).await;
    let lines = format!("host = \"google.localhost\"\n{WRITES}");
    let rig = rig().provider_at("google", &drive.base_url(), &lines).start().await;
    let told = Node::snippet("google-by-host", &rig).run().await;
    let port = rig.server.proxy().port();
    let session = "/upload/drive/v3/files?uploadType=resumable&upload_id=abc";
    let expected = json!({
        "names": ["a", "b", "c"],
        "session": format!("http://google.localhost:{port}{session}"),
        "half": { "status": 308, "range": "bytes=0-4" },
        "whole": "two",
    });
    assert_eq!(told, expected);
    let expected = [
        "GET /drive/v3/files?pageSize=2".to_owned(),
        "GET /drive/v3/files?pageSize=2&pageToken=p%2F2%3D".to_owned(),
        "POST /upload/drive/v3/files?uploadType=resumable".to_owned(),
        format!("PUT {session}"),
        format!("PUT {session}"),
    ];
    assert_eq!(asked(&drive), expected);
}

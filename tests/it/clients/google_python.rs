//! Google's client in Python, which is told an address that stands for an API's own.

use super::*;
use crate::support::https::Authority;
use crate::support::python::Python;
use crate::support::{child, rig};

fn gmail(request: &Recorded) -> Option<Response<Bytes>> {
    let target = request.target.strip_prefix("/gmail/v1/users/me/messages?")?;
    match target {
        "labelIds=INBOX&labelIds=UNREAD&alt=json" => {
            ok(&json!({ "messages": [{ "id": "m1" }, { "id": "m2" }], "nextPageToken": "0+2/=" }))
        }
        "labelIds=INBOX&labelIds=UNREAD&pageToken=0%2B2%2F%3D&alt=json" => ok(&json!({ "messages": [{ "id": "m3" }] })),
        _ => None,
    }
}

#[tokio::test]
async fn googles_client_keeps_the_path_and_repeats_keys() {
    let gmail = provider("gmail", gmail).await;
    let rig = rig().provider_at("gmail", &gmail.base_url(), "").start().await;
    let told = Python::snippet("google", &rig).run().await;
    assert_eq!(told, json!({ "ids": ["m1", "m2", "m3"] }));
    let expected = [
        "GET /gmail/v1/users/me/messages?labelIds=INBOX&labelIds=UNREAD&alt=json",
        "GET /gmail/v1/users/me/messages?labelIds=INBOX&labelIds=UNREAD&pageToken=0%2B2%2F%3D&alt=json",
    ];
    assert_eq!(asked(&gmail), expected);
}

const SESSION: &str = "/upload/drive/v3/files?uploadType=resumable&alt=json&upload_id=abc";
const PIECE: usize = 256 * 1024;

fn drive(request: &Recorded) -> Option<Response<Bytes>> {
    let files = |names: &[&str]| Value::from_iter(names.iter().map(|name| json!({ "name": name })));
    let body = String::from_utf8_lossy(&request.body);
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/drive/v3/files?pageSize=2&alt=json") => {
            ok(&json!({ "files": files(&["a", "b"]), "nextPageToken": "p/2=" }))
        }
        ("GET", "/drive/v3/files?pageSize=2&alt=json&pageToken=p%2F2%3D") => ok(&json!({ "files": files(&["c"]) })),
        ("POST", "/upload/drive/v3/files?alt=json&uploadType=multipart") => {
            let is_whole = body.contains("{\"name\": \"a.txt\"}") && body.contains("\n\nin one piece\n--");
            is_whole.then(|| answer(200, &json!({ "id": "one" })))
        }
        ("POST", "/upload/drive/v3/files?alt=json&uploadType=resumable") => {
            Some(with(answer(200, &json!({})), "location", &format!("{}{SESSION}", own(request))))
        }
        ("PUT", SESSION) => match (request.all("content-range").as_str(), body.len()) {
            // Not a redirect: more is awaited.
            ("bytes 0-262143/262149", PIECE) => {
                let empty = Response::builder().status(308).header("range", "bytes=0-262143").body(Bytes::new());
                Some(empty.unwrap())
            }
            ("bytes 262144-262148/262149", 5) if body == "12345" => ok(&json!({ "id": "two" })),
            _ => Some(answer(400, &json!({}))),
        },
        _ => None,
    }
}

#[tokio::test]
async fn googles_client_uploads_by_a_host_name_over_tls() {
    let drive = provider("google", drive).await;
    let (authority, folder) = (Authority::new(), child::folder());
    authority.certificate("localhost").put(&folder);
    let [cert, key] = ["cert.pem", "key.pem"].map(|file| folder.join(file).display().to_string());
    let tls = format!("tls = {{ cert = \"{cert}\", key = \"{key}\" }}");
    let lines = "host = \"localhost\"\nallow = [\"GET /**\", \"* /upload/drive/v3/files\"]";
    let rig = rig().provider_at("google", &drive.base_url(), lines).with("server", &tls).start().await;

    let told = Python::snippet("google-by-host", &rig).trusting(&authority.file()).run().await;
    let expected = json!({
        "names": ["a", "b", "c"],
        "one": "one",
        "session": format!("https://localhost:{}{SESSION}", rig.server.proxy().port()),
        "half": PIECE,
        "two": "two",
    });
    assert_eq!(told, expected);
    let expected = [
        "GET /drive/v3/files?pageSize=2&alt=json".to_owned(),
        "GET /drive/v3/files?pageSize=2&alt=json&pageToken=p%2F2%3D".to_owned(),
        "POST /upload/drive/v3/files?alt=json&uploadType=multipart".to_owned(),
        "POST /upload/drive/v3/files?alt=json&uploadType=resumable".to_owned(),
        format!("PUT {SESSION}"),
        format!("PUT {SESSION}"),
    ];
    assert_eq!(asked(&drive), expected);
}

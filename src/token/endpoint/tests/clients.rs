//! With which of several secrets a client proves itself, and over which connection.

use super::*;

const GRANTED: &str = r#"{"access_token":"a"}"#;
const WRONG_CLIENT: &str = r#"{"error":"invalid_client"}"#;

#[tokio::test]
async fn of_two_secrets_the_one_that_is_accepted_is_remembered() {
    for wrong in [
        (401, WRONG_CLIENT),
        // Slack's and Facebook's way to say so.
        (200, r#"{"ok":false,"error":"bad_client_secret"}"#),
        (400, r#"{"error":{"message":"Error validating client secret.","type":"OAuthException","code":1}}"#),
    ] {
        let answers = [wrong, (200, GRANTED), (200, GRANTED)];
        assert_eq!(with_two_secrets(2, &answers).await.1, ["new", "old", "old"], "{wrong:?}");
    }
    // And back to the first, once the other is refused.
    let answers = [(401, WRONG_CLIENT), (200, GRANTED), (401, WRONG_CLIENT), (200, GRANTED)];
    assert_eq!(with_two_secrets(2, &answers).await.1, ["new", "old", "old", "new"]);
    // A grant that is refused was looked at, so the client was accepted.
    let answers = [(401, WRONG_CLIENT), (400, r#"{"error":"invalid_grant"}"#), (200, GRANTED)];
    assert_eq!(with_two_secrets(2, &answers).await.1, ["new", "old", "old"]);
}

#[tokio::test]
async fn nothing_but_a_wrong_client_has_the_grant_sent_again() {
    for answer in [(400, r#"{"error":"invalid_grant"}"#), (400, "{}"), (429, ""), (500, ""), (200, "{}")] {
        let (_, secrets) = with_two_secrets(1, &[answer, (200, GRANTED)]).await;
        assert_eq!(secrets, ["new"], "{answer:?}");
    }
    let (outcomes, secrets) = with_two_secrets(1, &[(401, WRONG_CLIENT), (401, WRONG_CLIENT)]).await;
    assert_eq!((outcomes, secrets), (vec!["wrong_client".to_owned()], vec!["new".to_owned(), "old".to_owned()]));
}

/// What a client of the secrets `new` and `old` makes of these answers, renewing `times`, and the secrets it sent.
async fn with_two_secrets(times: usize, answers: &[(u16, &str)]) -> (Vec<String>, Vec<String>) {
    let answers: Vec<String> = answers.iter().map(|(status, body)| answer(*status, body)).collect();
    let (url, asked) = scripted(&answers.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let proof = ClientProof::Post(vec![Secret::new("new"), Secret::new("old")]);
    let endpoint = TokenEndpoint::new(&settings(&url, proof), Duration::from_secs(5), &Clock::system()).unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..times {
        outcomes.push(told(&endpoint.renew(&Secret::new("r")).await));
    }
    let secret = |request: &String| request.rsplit_once("client_secret=").unwrap().1.to_owned();
    let secrets = asked.lock().unwrap().iter().map(secret).collect();
    (outcomes, secrets)
}

/// One that the provider closes at that moment would make an answer look lost that was never asked for.
#[tokio::test]
async fn a_connection_is_not_used_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let endpoint = TokenEndpoint::new(&settings(&url, post()), Duration::from_secs(5), &Clock::system()).unwrap();
    let mut open = Vec::new();
    for _ in 0..2 {
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(answer(200, GRANTED).replace("connection: close\r\n", "").as_bytes()).await.unwrap();
            stream
        };
        let renewing = async { endpoint.renew(&Secret::new("r")).await.unwrap() };
        // One on the connection before would find nobody.
        open.push(tokio::join!(answering, renewing).0);
    }
    assert_eq!(open.len(), 2);
}

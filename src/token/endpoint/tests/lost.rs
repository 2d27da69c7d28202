//! What is known of a refresh token when no whole answer came.

use super::*;

#[tokio::test]
async fn a_lost_answer_is_told_from_a_request_that_never_left() {
    let (url, _) = scripted(&["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access"]).await;
    assert_eq!(renew(&settings(&url, post())).await, Err(Failure::ambiguous(Class::Network)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/", listener.local_addr().unwrap());
    assert_eq!(renew(&settings(&silent, post())).await, Err(Failure::ambiguous(Class::Network)));
    drop(listener);
    assert_eq!(renew(&settings(&silent, post())).await, Err(Failure::clean(Class::Network)));
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_ambiguous_unless_its_head_is_a_refusal() {
    let cut = |status| answer(status, "{}").replace("content-length: 2", "content-length: 9");
    for (answer, expected) in [
        (String::new(), "network, perhaps spent"),
        ("HTTP/1.1 200".to_owned(), "network, perhaps spent"),
        ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), "network, perhaps spent"),
        (cut(200), "network, perhaps spent"),
        (cut(503), "network, perhaps spent"),
        (cut(400), "provider_4xx"),
    ] {
        let (url, asked) = scripted(&[&answer]).await;
        assert_eq!(told(&renew(&settings(&url, post())).await), expected, "{answer}");
        assert_eq!(asked.lock().unwrap().len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let fits = format!("{{\"access_token\":\"a\",\"more\":\"{}\"}}", "x".repeat(ANSWER_BYTES_MAX - 40));
    let too_large = format!("{{\"access_token\":\"a\",\"more\":\"{}\"}}", "x".repeat(ANSWER_BYTES_MAX));
    assert_eq!(meaning(200, &fits).await, "a - -");
    assert_eq!(meaning(200, &too_large).await, "malformed, perhaps spent");
    assert_eq!(meaning(400, &too_large).await, "provider_4xx");
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_in_time_has_spent_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/token", silent.local_addr().unwrap());
    assert_eq!(told(&renew(&settings(&url, post())).await), "network");
}

#[tokio::test]
async fn what_was_never_sent_has_spent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let speaks_no_tls = format!("https://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _whatever = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    assert_eq!(told(&renew(&settings(&speaks_no_tls, post())).await), "network");
    assert_eq!(told(&renew(&settings("http://", post())).await), "ours");
}

#[tokio::test]
async fn when_to_ask_again_is_believed_up_to_a_minute() {
    for (header, expected) in [("7", Some(7)), ("99999999", Some(60)), ("soon", None)] {
        let busy = answer(429, "").replace("connection:", &format!("retry-after: {header}\r\nconnection:"));
        let (url, _) = scripted(&[&busy]).await;
        let failure = renew(&settings(&url, post())).await.unwrap_err();
        assert_eq!((failure.class, failure.retry_after), (Class::Provider4xx, expected.map(Duration::from_secs)));
    }
}

//! What is played with every provider.

use super::facts::{Facts, Grant, Next, Said};
use super::play::{Caller, Play, SignedIn};
use crate::support::{Answer, refused};

/// All of it, one after the other.
pub async fn all(facts: Facts) {
    let play = Play::start(facts).await;
    let alice = play.caller(SignedIn::Now);
    serves(&play, &alice).await;
    withholds(&play, &alice).await;
    pages(&play, &alice).await;
    denies(&play, &alice).await;
    match facts.renewal.map(|renewal| renewal.grant) {
        None => ends(&play).await,
        Some(Grant::Exchange) => {
            // Side by side: both wait for most of the time.
            tokio::join!(exchanges(&play), ends(&play));
        }
        Some(Grant::RefreshToken) => {
            renews(&play).await;
            renews_ahead(&play).await;
            loses_the_grant(&play).await;
        }
    }
    play.end().await;
}

#[track_caller]
fn served(play: &Play, answer: &Answer) {
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"ok":true,"id":"1"}"#), "{}", play.facts.preset);
}

/// The provider's own answer, to the byte.
#[track_caller]
fn relayed(play: &Play, answer: &Answer, said: &Said) {
    assert_eq!((answer.status, answer.text().as_str()), (said.status, said.body), "{}", play.facts.preset);
    for (name, value) in said.headers {
        assert_eq!(answer.header(name), Some(*value), "{}: {name}", play.facts.preset);
    }
    let marked = answer.header("proxy-status").unwrap_or_default();
    assert!(!marked.contains("error="), "{}: {marked}", play.facts.preset);
}

#[track_caller]
fn must_reconnect(play: &Play, answer: &Answer) {
    assert_eq!(answer.code(), "reconnect_required", "{}: {}", play.facts.preset, answer.text());
    refused(answer, 403, "reconnect_required");
    assert_eq!(answer.json()["connect"]["connection"], play.connection, "{}", play.facts.preset);
}

async fn serves(play: &Play, alice: &Caller) {
    served(play, &play.read(alice).await);
    assert_eq!(play.stand_in.last_token(), alice.access_token);
}

/// A shortage of scope is the caller's to know, and costs no token.
async fn withholds(play: &Play, alice: &Caller) {
    for (way, said) in play.facts.scope.iter().enumerate() {
        play.stand_in.withhold(Some(way));
        let requests = play.stand_in.requests();
        relayed(play, &play.read(alice).await, said);
        assert_eq!(play.stand_in.requests(), requests + 1, "{}: {said:?}", play.facts.preset);
        play.stand_in.withhold(None);
        served(play, &play.read(alice).await);
        assert_eq!(play.stand_in.last_token(), alice.access_token, "{}: {said:?}", play.facts.preset);
    }
}

/// The second page is found as a client of this provider finds it, and comes through the proxy.
async fn pages(play: &Play, alice: &Caller) {
    let Some(pages) = play.facts.pages else { return };
    let (name, base) = (play.facts.preset, play.base());
    let method = if matches!(pages.next, Next::Posted(..)) { "POST" } else { "GET" };
    let first = play.send(alice, method, pages.at, b"").await;
    assert_eq!(first.status, 200, "{name}: {}", first.text());
    let told = |pointer: &str| {
        let body = first.json();
        let value = body.pointer(pointer).unwrap_or_else(|| panic!("{name}: nothing at {pointer} in {body}"));
        value.as_str().unwrap().to_owned()
    };
    let followed = |url: &str| match url.strip_prefix(&base) {
        Some(path) => path.to_owned(),
        None => panic!("{name}: {url} leads past the proxy"),
    };
    let (path, body) = match pages.next {
        Next::Link(_) => {
            let link = first.header("link").expect("a Link header");
            let next = link.split(',').find(|link| link.contains("rel=\"next\"")).unwrap();
            (followed(next.trim().trim_start_matches('<').split('>').next().unwrap()), String::new())
        }
        Next::Url(pointer) => (followed(&told(pointer)), String::new()),
        Next::Path(pointer) => {
            // A client joins it with the host that it was told of.
            let path = told(pointer);
            let behind = path.strip_prefix(&format!("/proxy/{name}")).unwrap_or_else(|| panic!("{name}: {path}"));
            (behind.to_owned(), String::new())
        }
        Next::Cursor(pointer, before) => (format!("{before}{}", told(pointer)), String::new()),
        Next::Posted(pointer, path) => (path.to_owned(), format!(r#"{{"cursor":"{}"}}"#, told(pointer))),
    };
    let second = play.send(alice, method, &path, body.as_bytes()).await;
    assert_eq!((second.status, second.text().as_str()), (200, r#"{"page":2}"#), "{name}: {path}");
    assert_eq!(play.stand_in.last_token(), alice.access_token);
}

/// Where tokens are handed out or ended, nobody is let through.
async fn denies(play: &Play, alice: &Caller) {
    let requests = play.stand_in.requests();
    for path in play.facts.denied {
        for method in ["GET", "POST", "DELETE"] {
            let answer = play.send(alice, method, path, b"").await;
            assert_eq!(answer.code(), "not_allowed", "{}: {method} {path}: {}", play.facts.preset, answer.text());
        }
    }
    assert_eq!(play.stand_in.requests(), requests, "{}", play.facts.preset);
}

/// A token that is called dead is renewed once and for everybody, and the caller does not notice.
async fn renews(play: &Play) {
    for (way, said) in play.facts.dead.iter().enumerate() {
        let caller = play.caller(SignedIn::Now);
        served(play, &play.read(&caller).await);
        let (granted, refused) = play.stand_in.renewals();
        play.stand_in.kill(&caller.access_token, way);
        let answer = play.read(&caller).await;
        assert_eq!(answer.status, 200, "{}: {said:?} was relayed: {}", play.facts.preset, answer.text());
        served(play, &answer);
        let renewed = play.stand_in.last_token();
        assert_ne!(renewed, caller.access_token, "{}", play.facts.preset);
        served(play, &play.read(&caller).await);
        assert_eq!(play.stand_in.last_token(), renewed, "{}", play.facts.preset);
        assert_eq!(play.stand_in.renewals(), (granted + 1, refused), "{}: {said:?}", play.facts.preset);
    }
}

/// A token that is known to have ended is not sent; and what has been renewed is renewed once more, with what the first
/// renewal has left.
async fn renews_ahead(play: &Play) {
    if play.facts.life.is_none() {
        return;
    }
    let caller = play.caller(SignedIn::LongAgo);
    let (granted, dead) = (play.stand_in.renewals().0, play.stand_in.dead_calls());
    served(play, &play.read(&caller).await);
    let first = play.stand_in.last_token();
    assert_eq!(play.stand_in.dead_calls(), dead, "{}: a dead token was sent", play.facts.preset);
    play.stand_in.kill(&first, 0);
    served(play, &play.read(&caller).await);
    served(play, &play.read(&caller).await);
    assert_ne!(play.stand_in.last_token(), first, "{}", play.facts.preset);
    assert_eq!(play.stand_in.renewals().0, granted + 2, "{}", play.facts.preset);
    assert_eq!(play.stand_in.dead_calls(), dead + 1, "{}: a dead token was sent again", play.facts.preset);
}

/// A grant that is over takes a new sign-in, which is believed.
async fn loses_the_grant(play: &Play) {
    let renewal = play.facts.renewal.expect("what renews");
    let mut last = None;
    for (way, said) in renewal.dead.iter().enumerate() {
        let caller = play.caller(SignedIn::LongAgo);
        play.stand_in.kill(&caller.access_token, 0);
        play.stand_in.revoke(caller.refresh_token.as_deref().expect("a refresh token"), way);
        let refused = play.stand_in.renewals().1;
        if play.facts.life.is_none() {
            // Nobody knew before it was tried.
            relayed(play, &play.read(&caller).await, &play.facts.dead[0]);
        }
        let answer = play.read(&caller).await;
        assert_eq!(answer.status, 403, "{}: after {said:?} came {}", play.facts.preset, answer.text());
        must_reconnect(play, &answer);
        must_reconnect(play, &play.read(&caller).await);
        assert_eq!(play.stand_in.renewals().1, refused + 1, "{}: it was tried again", play.facts.preset);
        last = Some(caller);
    }
    revives(play, &last.expect("a way to say it")).await;
}

/// A token that cannot be replaced: the caller hears what the provider says, once, and then what to do.
async fn ends(play: &Play) {
    let mut last = None;
    for (way, said) in play.facts.dead.iter().enumerate() {
        let caller = play.caller(SignedIn::Now);
        served(play, &play.read(&caller).await);
        play.stand_in.kill(&caller.access_token, way);
        relayed(play, &play.read(&caller).await, said);
        let dead = play.stand_in.dead_calls();
        must_reconnect(play, &play.read(&caller).await);
        must_reconnect(play, &play.read(&caller).await);
        assert_eq!(play.stand_in.dead_calls(), dead, "{}: it was sent again", play.facts.preset);
        last = Some(caller);
    }
    revives(play, &last.expect("a way to say it")).await;
}

async fn revives(play: &Play, caller: &Caller) {
    play.sign_in(caller);
    play.read_until(caller, |answer| answer.status == 200).await;
    served(play, &play.read(caller).await);
}

/// What lives still is exchanged before it ends, while it serves; and what has ended is not sent.
async fn exchanges(play: &Play) {
    let late = play.caller(SignedIn::LongAgo);
    must_reconnect(play, &play.read(&late).await);
    let caller = play.caller(SignedIn::AlmostTooLongAgo);
    served(play, &play.read(&caller).await);
    assert_eq!(play.stand_in.renewals().0, 0, "{}: there is time still", play.facts.preset);
    let has_been_used = |renewed: String| play.stand_in.has_seen(&renewed);
    play.read_until(&caller, |_| play.stand_in.last_granted().is_some_and(has_been_used)).await;
    served(play, &play.read(&caller).await);
    assert_eq!(play.stand_in.renewals().0, 1, "{}", play.facts.preset);
    assert!(!play.stand_in.has_seen(&late.access_token), "{}: a dead token was sent", play.facts.preset);
}

//! Who has come in by a link: a browser, by its cookie.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use hyper::http::header::{self, HeaderMap};

use crate::clock::Timestamp;
use crate::random;

/// How long a session lasts.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 3600);
/// Sessions at a time. A new one takes the place of the oldest.
const SESSIONS_MAX: usize = 8;

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// The sessions. What opens one is held as its hash alone, which also makes comparing it in constant time needless.
pub(super) struct Sessions {
    /// A browser sends the cookies of a host to all its ports, and keeps one of each name: proxies beside each other
    /// would sign each other out.
    cookie: String,
    open: Mutex<Vec<Session>>,
}

struct Session {
    digest: Digest,
    end: Timestamp,
}

impl Sessions {
    /// Sessions at an admin listener's port.
    pub(super) fn new(port: u16) -> Self {
        Self { cookie: format!("__Host-idp-proxy-console-{port}"), open: Mutex::default() }
    }

    /// Opens a session, and gives the cookie to set. `None` where the system has no randomness to give.
    pub(super) fn open(&self, now: Timestamp) -> Option<String> {
        let name = random::name()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|session| now < session.end);
        if open.len() == SESSIONS_MAX {
            open.remove(0);
        }
        open.push(Session { digest: digest_of(&name), end: now.plus(LIFE) });
        // RFC 6265bis §4.1.3: with this prefix a browser takes it from us alone, for this host alone. Loopback is as
        // trustworthy to it as HTTPS.
        let attributes = format!("Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}", LIFE.as_secs());
        Some(format!("{}={name}; {attributes}", self.cookie))
    }

    /// Whether these headers are of a session that lasts.
    pub(super) fn is_open(&self, headers: &HeaderMap, now: Timestamp) -> bool {
        let Some(digest) = self.digest(headers) else { return false };
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().any(|session| session.digest == digest && now < session.end)
    }

    /// Ends the session that these headers are of, and gives the cookie to set in its place.
    pub(super) fn close(&self, headers: &HeaderMap) -> String {
        let digest = self.digest(headers);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|session| Some(session.digest) != digest);
        format!("{}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0", self.cookie)
    }

    fn digest(&self, headers: &HeaderMap) -> Option<Digest> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, value)| digest_of(value))
    }
}

fn digest_of(text: &str) -> Digest {
    let mut bytes = Digest::default();
    // Both are as long as SHA-256 is.
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = cookie.split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("a=b; {pair}; c=d").parse().unwrap());
        headers
    }

    #[test]
    fn a_session_lasts_until_it_is_ended_or_over() {
        let sessions = Sessions::new(9090);
        let (one, two) = (headers(&sessions.open(NOW).unwrap()), headers(&sessions.open(NOW).unwrap()));
        assert!(sessions.is_open(&one, NOW) && sessions.is_open(&two, NOW));
        sessions.close(&one);
        assert!(!sessions.is_open(&one, NOW) && sessions.is_open(&two, NOW));
        assert!(!sessions.is_open(&two, NOW.plus(LIFE)));
        assert!(!sessions.is_open(&HeaderMap::new(), NOW));
        assert!(!sessions.is_open(&headers("__Host-idp-proxy-console-9090=x"), NOW));
    }

    #[test]
    fn there_are_few_and_the_oldest_goes() {
        let sessions = Sessions::new(9090);
        let first = headers(&sessions.open(NOW).unwrap());
        let second = headers(&sessions.open(NOW).unwrap());
        for _ in 0..SESSIONS_MAX - 1 {
            sessions.open(NOW).unwrap();
        }
        assert!(!sessions.is_open(&first, NOW) && sessions.is_open(&second, NOW));
    }
}

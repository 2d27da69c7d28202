//! The one-time link into the console.
//!
//! Its code proves that whoever made it can read the configuration's client secret, with which one can do more at the
//! tenant than the console ever shows. So a link needs no way into the running process: `idp-proxy console` makes one from
//! the same file, in the same container, as the same user.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::{Clock, Timestamp};
use crate::config::{ClientCredential, Config};

/// How long a link is good for.
pub const LINK_LIFE: Duration = Duration::from_secs(600);

/// What keeps this use of the secret apart from any other.
const PURPOSE: &[u8] = b"idp-proxy console link 1";
/// When it was made (milliseconds), and what makes it one of its kind.
const STAMP_BYTES: usize = 8;
const NONCE_BYTES: usize = 16;

/// Where the console is at an admin listener's address, if it can be reached there at all.
fn url(admin: SocketAddr, code: &str) -> Option<String> {
    let ip = if admin.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { admin.ip() };
    ip.is_loopback().then(|| format!("http://{}/admin/?code={code}", SocketAddr::new(ip, admin.port())))
}

/// A link into the console of a process that runs with this configuration and listens at `admin`. `None` where the console
/// cannot be reached there, for it answers loopback alone, or where the system has no randomness to give.
#[must_use]
pub fn link(config: &Config, admin: SocketAddr, clock: &Clock) -> Option<String> {
    url(admin, &code(&config.auth0.credential, clock.now())?)
}

fn code(credential: &ClientCredential, now: Timestamp) -> Option<String> {
    let mut message = now.unix_millis().to_be_bytes().to_vec();
    let mut nonce = [0; NONCE_BYTES];
    rand::fill(&mut nonce).ok()?;
    message.extend_from_slice(&nonce);
    let tag = sign(credential, &message);
    message.extend_from_slice(tag.as_ref());
    Some(URL_SAFE_NO_PAD.encode(message))
}

fn key(credential: &ClientCredential) -> hmac::Key {
    let (ClientCredential::Secret(secret) | ClientCredential::PrivateKey(secret)) = credential;
    hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())
}

fn purposed(message: &[u8]) -> Vec<u8> {
    [PURPOSE, message].concat()
}

fn sign(credential: &ClientCredential, message: &[u8]) -> hmac::Tag {
    hmac::sign(&key(credential), &purposed(message))
}

/// Why a link does not open the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LinkError {
    #[error("this is not a link of this process's configuration")]
    Foreign,
    #[error("this link is more than ten minutes old, or older than the process")]
    Old,
    #[error("this link has been used")]
    Spent,
}

/// The links that were used, until they are too old to be used once more.
pub(super) struct Links {
    /// Links from before are refused: which of them were used is not known any more.
    started: Timestamp,
    spent: Mutex<HashMap<[u8; NONCE_BYTES], Timestamp>>,
}

impl Links {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { started: now, spent: Mutex::default() }
    }

    /// Uses a link's code, which works once.
    pub(super) fn redeem(&self, code: &str, credential: &ClientCredential, now: Timestamp) -> Result<(), LinkError> {
        let code = URL_SAFE_NO_PAD.decode(code).map_err(|_| LinkError::Foreign)?;
        let (message, tag) = code.split_at_checked(STAMP_BYTES + NONCE_BYTES).ok_or(LinkError::Foreign)?;
        // In constant time.
        hmac::verify(&key(credential), &purposed(message), tag).map_err(|_| LinkError::Foreign)?;
        let (stamp, nonce) = message.split_first_chunk::<STAMP_BYTES>().ok_or(LinkError::Foreign)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| LinkError::Foreign)?;
        let made = Timestamp::from_unix_millis(u64::from_be_bytes(*stamp));
        // One of the future would be good for longer.
        if made < self.started || made > now || now >= made.plus(LINK_LIFE) {
            return Err(LinkError::Old);
        }
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, made| now < made.plus(LINK_LIFE));
        if spent.insert(nonce, made).is_some() { Err(LinkError::Spent) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn credential(text: &str) -> ClientCredential {
        ClientCredential::Secret(Secret::new(text))
    }

    const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_link_works_once_and_for_ten_minutes() {
        let (links, own) = (Links::new(START), credential("own"));
        let code_at = |seconds| code(&own, after(seconds)).unwrap();
        let code = code_at(10);
        assert_eq!(links.redeem(&code, &own, after(609)), Ok(()));
        assert_eq!(links.redeem(&code, &own, after(609)), Err(LinkError::Spent));
        assert_eq!(links.redeem(&code_at(10), &own, after(610)), Err(LinkError::Old));
        // When it is forgotten that it was used, it is too old.
        assert_eq!(links.redeem(&code, &own, after(611)), Err(LinkError::Old));
        assert_eq!(links.redeem(&code_at(700), &own, after(699)), Err(LinkError::Old));
    }

    #[test]
    fn a_link_from_before_the_process_is_refused_since_it_may_have_been_used() {
        let (own, old) = (credential("own"), code(&credential("own"), after(0)).unwrap());
        assert_eq!(Links::new(after(1)).redeem(&old, &own, after(2)), Err(LinkError::Old));
    }

    #[test]
    fn what_another_secret_made_or_somebody_changed_is_foreign() {
        let (links, own) = (Links::new(START), credential("own"));
        let made = code(&own, START).unwrap();
        assert_eq!(links.redeem(&made, &credential("other"), START), Err(LinkError::Foreign));
        for at in 0..made.len() {
            let mut bytes = made.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(links.redeem(&changed, &own, START), Err(LinkError::Foreign), "{at}");
            assert_eq!(links.redeem(&made[..at], &own, START), Err(LinkError::Foreign), "{at}");
        }
        assert_eq!(links.redeem(&format!("{made}A"), &own, START), Err(LinkError::Foreign));
        assert_eq!(links.redeem(&made, &own, START), Ok(()));
    }

    #[test]
    fn a_link_leads_to_loopback_or_nowhere() {
        for (admin, host) in [
            ("127.0.0.1:9090", "127.0.0.1:9090"),
            ("[::1]:9090", "[::1]:9090"),
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "127.0.0.1:9090"),
        ] {
            assert_eq!(url(admin.parse().unwrap(), "x"), Some(format!("http://{host}/admin/?code=x")));
        }
        assert_eq!(url("10.0.0.1:9090".parse().unwrap(), "x"), None);
    }
}

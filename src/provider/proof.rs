//! `appsecret_proof`: Facebook's proof that a call comes from the app whose token it bears.

use aws_lc_rs::hmac;

use crate::clock::Timestamp;
use crate::secret::Secret;

/// The parameters that make up a proof.
pub(super) const PARAMETERS: [&str; 2] = ["appsecret_proof", "appsecret_time"];

/// Proves calls of one app.
pub(crate) struct Proof(hmac::Key);

impl Proof {
    /// Proofs with the app's secret.
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// `target` with the proof of a call with `token` at the time `now`. The provider accepts it for five minutes.
    pub(crate) fn add_to(&self, target: &str, token: &[u8], now: Timestamp) -> String {
        let seconds = now.unix_seconds().to_string();
        let mut message = hmac::Context::with_key(&self.0);
        for part in [token, b"|", seconds.as_bytes()] {
            message.update(part);
        }
        let [proof, time] = PARAMETERS;
        let sign = match target.split_once('?') {
            Some((_, "")) => "",
            Some(_) => "&",
            None => "?",
        };
        let mut proven = format!("{target}{sign}{proof}=");
        for byte in message.sign().as_ref() {
            for digit in [byte >> 4, byte & 15] {
                proven.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
            }
        }
        proven + "&" + time + "=" + &seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_the_hmac_of_token_and_time_behind_what_there_is() {
        // Made with `printf 'token|1700000000' | openssl dgst -sha256 -hmac secret`.
        let hmac = "3c81f1bf0544f53adccadbaf135235bf73451aadede41a90a122c46e93dcae64";
        let proof = Proof::new(&Secret::new("secret"));
        let now = Timestamp::from_unix_millis(1_700_000_000_999);
        for (target, before) in [("/me", "/me?"), ("/me?", "/me?"), ("/me?a=1&", "/me?a=1&&"), ("/me?a", "/me?a&")] {
            let expected = format!("{before}appsecret_proof={hmac}&appsecret_time=1700000000");
            assert_eq!(proof.add_to(target, b"token", now), expected);
        }
    }
}

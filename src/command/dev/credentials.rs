//! HTTP Basic credentials of an OAuth client (RFC 6749 §2.3.1).

use super::encoding::base64;
use crate::percent::{self, Kept};

/// What form encoding leaves as it is (URL Standard §5.2).
const FORM: Kept = Kept::ALPHANUMERIC.and(b"*-._");

/// Whether an `Authorization` value is Basic with exactly this id and secret. Both the form-encoded texts that the RFC
/// asks for and the plain ones that most clients send are understood; for most ids and secrets they are the same.
pub(super) fn basic_matches(authorization: &[u8], client_id: &str, client_secret: &str) -> bool {
    let Some((scheme, sent)) = authorization.split_at_checked("Basic ".len()) else {
        return false;
    };
    let encoded = |text: &str| percent::encode(text.as_bytes(), FORM);
    let plain = base64(format!("{client_id}:{client_secret}").as_bytes());
    let formed = format!("{}:{}", encoded(client_id), encoded(client_secret));
    scheme.eq_ignore_ascii_case(b"Basic ") && (sent == plain.as_bytes() || sent == base64(formed.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_pair_matches() {
        let sent = format!("basic {}", base64(b"my-id:s.e_c:ret"));
        assert!(basic_matches(sent.as_bytes(), "my-id", "s.e_c:ret"));
        assert!(!basic_matches(sent.as_bytes(), "my-id", "secret"));
        assert!(!basic_matches(b"Bearer x", "my-id", "secret"));
        assert!(!basic_matches(b"", "", ""));
    }

    #[test]
    fn form_encoded_credentials_match_too() {
        let sent = format!("Basic {}", base64(b"my-id:a%2Fb%3Ac"));
        assert!(basic_matches(sent.as_bytes(), "my-id", "a/b:c"));
    }
}

//! Header names and values of the configuration.

use hyper::http::{HeaderName, HeaderValue};

use super::value::{Invalid, Item, text};

/// Fields that are about one connection or frame the message (RFC 9110 §7.6.1, RFC 9112 §6). The proxy makes them
/// anew for each hop; set from configuration they would corrupt or smuggle requests. In the order of the alphabet.
const FRAMING: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Reads the name of a header that a provider may be sent.
pub(super) fn header_name(text: &str) -> Result<HeaderName, Invalid> {
    let name = HeaderName::try_from(text).map_err(|_| Invalid::value("must be a header name"))?;
    if FRAMING.contains(&name.as_str()) {
        return Err(Invalid::value("must not be a header of the connection or the framing")
            .hint(format!("the proxy makes these itself: {}", FRAMING.join(", "))));
    }
    Ok(name)
}

/// Reads what stands before the token in its header.
pub(super) fn auth_prefix(text: &str) -> Result<String, Invalid> {
    header_value(text)?;
    if text.starts_with(' ') {
        return Err(Invalid::value("must not begin with a space"));
    }
    if text.ends_with(|last: char| last.is_ascii_alphanumeric()) {
        return Err(Invalid::value("must not run into the token").hint("end it in a space, such as \"Bearer \""));
    }
    Ok(text.to_owned())
}

/// Reads one header of a provider's `headers`, which may be any but `auth_header`.
pub(super) fn header(
    name: &str,
    value: &Item<'_>,
    auth_header: &HeaderName,
) -> Result<(HeaderName, HeaderValue), Invalid> {
    let name = header_name(name)?;
    if name == auth_header {
        return Err(Invalid::conflict("must not be the header that carries the token"));
    }
    Ok((name, text(header_value)(value)?))
}

fn header_value(text: &str) -> Result<HeaderValue, Invalid> {
    if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(Invalid::value("must be visible ASCII and spaces"));
    }
    HeaderValue::try_from(text).map_err(|_| Invalid::value("must be a header value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_not_for_configuration() {
        assert_eq!(header_name("X-Shopify-Access-Token").unwrap(), "x-shopify-access-token");
        for bad in FRAMING {
            assert!(header_name(&bad.to_uppercase()).unwrap_err().hint.is_some(), "{bad}");
        }
        for bad in ["", "a b", "a:", "é", "a\n"] {
            assert_eq!(header_name(bad).unwrap_err().message, "must be a header name", "{bad}");
        }
    }

    #[test]
    fn a_prefix_leaves_the_token_whole() {
        for fine in ["Bearer ", "", "token=", "Zoho-oauthtoken "] {
            assert_eq!(auth_prefix(fine).as_deref(), Ok(fine));
        }
        for bad in ["Bearer", " Bearer ", "Bearer\n", "Bëarer "] {
            assert!(auth_prefix(bad).is_err(), "{bad}");
        }
    }
}

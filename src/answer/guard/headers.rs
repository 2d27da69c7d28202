//! Headers and trailers: complete when they are looked at.

use hyper::http::HeaderMap;
use hyper::http::HeaderValue;

use super::plain::masked;
use super::{Alarm, Finding, Guard};

impl Guard {
    /// Masks the token in the value of every field, and tells `alarm` if it stood in one.
    pub fn mask_fields(&self, fields: &mut HeaderMap, alarm: &Alarm) {
        if self.mask_headers(fields) > 0 {
            alarm(Finding::Header);
        }
    }

    /// Masks the token in every value, length for length, and says in how many it stood.
    fn mask_headers(&self, headers: &mut HeaderMap) -> usize {
        let mut count = 0;
        for value in headers.values_mut() {
            let spans = self.scan_whole(value.as_bytes()).spans;
            if spans.is_empty() {
                continue;
            }
            count += 1;
            // What was a value stays one when characters of it become `*`. If it did not, nothing of it would pass.
            *value = HeaderValue::from_bytes(&masked(value.as_bytes(), &spans))
                .unwrap_or_else(|_| HeaderValue::from_static(""));
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_masked_in_which_the_token_stands_and_no_other_changes() {
        let guard = Guard::new(b"gho_16C7e42F292c6912E7").unwrap();
        let mut headers = HeaderMap::new();
        let lines = [
            ("x-echo", "Bearer gho_16C7e42F292c6912E7"),
            ("x-echo", "nothing"),
            ("location", "/a?t=gho_16C7e42F292c6912E7&t=gho_16C7e42F292c6912E7#x"),
            ("x-basic", "Basic dTpnaG9fMTZDN2U0MkYyOTJjNjkxMkU3"),
            ("x-near", "gho_16C7e42F292c6912E6"),
            ("x-part", "gho_16C7e42F292c6912E"),
        ];
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        assert_eq!(guard.mask_headers(&mut headers), 3);
        let values: Vec<_> = headers.values().map(|value| value.to_str().unwrap()).collect();
        let expected = [
            "Bearer **********************",
            "nothing",
            "/a?t=**********************&t=**********************#x",
            "Basic dTp*****************************",
            "gho_16C7e42F292c6912E6",
            "gho_16C7e42F292c6912E",
        ];
        for (value, expected) in values.iter().zip(expected) {
            // Up to three characters of Base64 at either end belong to what stands beside the token.
            let is_same = |(a, b): (char, char)| a == b || b == '*' && expected.starts_with("Basic");
            assert!(value.len() == expected.len() || expected.starts_with("Basic"), "{value}");
            assert!(value.chars().zip(expected.chars()).all(is_same), "{value}");
        }
        assert_eq!(guard.mask_headers(&mut headers), 0);
    }
}

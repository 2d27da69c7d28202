//! Hides the secrets in the text of a configuration file before a line of it is shown.
//!
//! This works on characters, not on the parsed tree: the line that is shown is often the one that did not parse, or
//! the one whose key is misspelt. It would rather hide a harmless text than show a secret.

use std::ops::Range;

use super::key_bytes;
use super::nearest::distance;

/// What makes a key that of a secret, wherever it stands within the key. The last two are names of headers.
const TELLTALES: [&str; 8] = ["secret", "passw", "privat", "api_key", "api-key", "apikey", "authorization", "cookie"];

/// The keys whose values are secrets; what is nearly one of them is taken for it.
const SECRET_KEYS: [&str; 3] = ["client_key", "client_secret", "private_key"];

/// The one that many words are near to.
const KEYS: &str = "keys";

/// No secret, though it is as near to `client_key` as a misspelling.
const CLIENT_ID: &str = "client_id";

/// `text` with the characters of every secret replaced by as many bytes of `*`, so that positions stay what they were.
pub(super) fn mask(text: &str) -> String {
    let mut hidden = secrets(text);
    hidden.extend(user_information(text));
    hidden.extend(store_keys(text));
    hidden.extend(private_keys(text));
    hidden.sort_by_key(|range| range.start);
    let mut hidden = hidden.into_iter().peekable();
    let mut end = 0;
    let mut masked = String::with_capacity(text.len());
    for (index, character) in text.char_indices() {
        while let Some(range) = hidden.next_if(|range| range.start <= index) {
            end = end.max(range.end);
        }
        if index < end && !matches!(character, '\n' | '\r') {
            masked.extend(std::iter::repeat_n('*', character.len_utf8()));
        } else {
            masked.push(character);
        }
    }
    masked
}

/// The values of all keys that look like a secret's.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
        let skipped = rest.find(is_key_character).unwrap_or(rest.len());
        let key = rest.get(skipped..).unwrap_or_default();
        let key = key.get(..key.find(|c| !is_key_character(c)).unwrap_or(key.len())).unwrap_or_default();
        let key_start = from + skipped;
        let key_end = key_start + key.len();
        from = key_end;
        if is_secret(key) {
            let (before, after) = text.split_at(key_end);
            let opens_line = before.get(..key_start).is_some_and(|before| {
                before.trim_end_matches([' ', '\t', '"', '\'']).chars().next_back().is_none_or(|c| c == '\n')
            });
            if let Some(value) = value(after, opens_line) {
                from = key_end + value.end;
                found.push(key_end + value.start..from);
            }
        }
    }
    found
}

fn is_key_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

fn is_secret(key: &str) -> bool {
    // No key is longer, and the distance takes time in proportion to the product of both lengths.
    if key.is_empty() || key.len() > 64 {
        return false;
    }
    let key = key.to_ascii_lowercase();
    key == KEYS
        || TELLTALES.iter().any(|telltale| key.contains(telltale))
        || key != CLIENT_ID && SECRET_KEYS.iter().any(|secret| distance(&key, secret) <= 3)
}

/// Where in `after`, the text behind a secret's key, the secret stands; `None` if there is none.
fn value(after: &str, opens_line: bool) -> Option<Range<usize>> {
    let start = |rest: &str| after.len() - rest.len();
    let unquoted = after.strip_prefix(['"', '\'']).unwrap_or(after);
    let rest = unquoted.trim_start_matches([' ', '\t']);
    if let Some(dotted) = rest.strip_prefix('.') {
        let name_end = dotted.find(|c| !is_key_character(c)).unwrap_or(dotted.len());
        let assigns = dotted.get(name_end..).is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with('='));
        let is_secret = (assigns || opens_line) && !is_place(dotted);
        return is_secret.then(|| start(dotted)..line_end(after, start(dotted)));
    }
    let Some(rest) = rest.strip_prefix(['=', ':']) else {
        let bare_value = rest.starts_with(['"', '\'']) || (opens_line && rest.len() < unquoted.len());
        return bare_value.then(|| start(rest)..line_end(after, start(rest)));
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    let closing = match rest {
        _ if rest.starts_with("\"\"\"") => "\"\"\"",
        _ if rest.starts_with("'''") => "'''",
        _ if rest.starts_with('[') => "]",
        _ if rest.starts_with('{') => {
            let inside = rest.trim_start_matches(['{', ' ', '\t']);
            let alone = inside.find('}').and_then(|end| inside.get(..end)).is_some_and(is_lone_place);
            if alone {
                return None;
            }
            "}"
        }
        _ => return Some(start(rest)..line_end(after, start(rest))),
    };
    let opened = start(rest) + closing.len();
    let closed = after.get(opened..).and_then(|inside| inside.find(closing)).map(|length| opened + length);
    Some(start(rest)..closed.map_or(after.len(), |closed| line_end(after, closed)))
}

/// Whether the text begins with `env =` or `file =`: it says where the secret is, not what it is.
fn is_place(text: &str) -> bool {
    let text = text.trim_start();
    let named = text.strip_prefix("env").or_else(|| text.strip_prefix("file"));
    named.is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with('='))
}

/// Whether the text is `env = "NAME"` or `file = "PATH"` and nothing besides. What is no name of a variable may be the
/// secret itself, put in the wrong place.
fn is_lone_place(text: &str) -> bool {
    let Some((place, value)) = text.split_once('=') else { return false };
    let value = value.trim();
    let quoted = value.strip_prefix(['"', '\'']).and_then(|value| value.strip_suffix(['"', '\'']));
    let is_name = |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match place.trim() {
        "env" => quoted.is_some_and(is_name),
        "file" => quoted.is_some_and(|path| !path.contains(['"', '\''])),
        _ => false,
    }
}

/// `name:password` of every URL that has them.
fn user_information(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(index, separator)| {
        let start = index + separator.len();
        let rest = text.get(start..)?;
        let url = rest.split(['"', '\'', '\n']).next()?;
        url.rfind('@').map(|length| start..start + length)
    })
}

/// Whatever looks like a store's key: the word before it may be a misspelt `keys`, which many words are near to.
fn store_keys(text: &str) -> impl Iterator<Item = Range<usize>> {
    // Each of these is one byte long.
    let words = text.split(['"', '\'', ' ', '\t', '\r', '\n', ',', '[', ']', '{', '}', '#']);
    let places = words.scan(0, |end, word| {
        let start = *end;
        *end = start + word.len() + 1;
        Some((word, start..start + word.len()))
    });
    places.filter(|(word, _)| key_bytes(word).is_some()).map(|(_, place)| place)
}

/// What is PEM, under whatever key it stands: from the end of its first line on, to its last.
fn private_keys(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("-----BEGIN ").filter_map(|(index, head)| {
        let label = text.get(index + head.len()..)?;
        let (kind, rest) = label.split_once("-----")?;
        let start = text.len() - rest.len();
        kind.ends_with("PRIVATE KEY").then(|| start..start + rest.find("-----END").unwrap_or(rest.len()))
    })
}

fn line_end(text: &str, from: usize) -> usize {
    text.get(from..).and_then(|rest| rest.find('\n')).map_or(text.len(), |length| from + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stores_key_is_hidden_wherever_it_stands() {
        const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        for line in ["kyes = [\"KEY\"]", "key = 'KEY'", "ring = KEY", "url = \"KEY\" # KEY", "keyss = [\"a\", \"KEY\"]"]
        {
            let text = format!("[störe]\n{}\n", line.replace("KEY", KEY));
            let masked = mask(&text);
            assert!(!masked.contains("AAEC") && !masked.contains("Hh8="), "{masked}");
            assert_eq!(masked.len(), text.len(), "{masked}");
        }
        let short = "kyes = [\"AAECAwQFBgcICQoLDA0ODw==\"]\n";
        assert_eq!(mask(short), short, "no key of a store is so short");
    }

    #[test]
    fn a_private_key_is_hidden_under_any_key() {
        for line in
            ["key = \"-----BEGIN PRIVATE KEY-----hunter2\"", "-----BEGIN EC PRIVATE KEY-----\nhunter2\nhunter2\n"]
        {
            for end in ["", "-----END PRIVATE KEY-----\nlisten = 1"] {
                let text = format!("[server]\n{line}{end}");
                let masked = mask(&text);
                assert!(!masked.contains("hunter2") && masked.ends_with(end), "{masked}");
                assert_eq!(masked.len(), text.len(), "{masked}");
            }
        }
    }

    #[test]
    fn a_secret_is_hidden_however_its_line_is_broken() {
        let lines = [
            "client_secret = \"hunter2\"",
            "client_secret=\"hunter2\" # a comment",
            "client_secret = 'hunter2'",
            "client_secret = \"hunter2",
            "client_secret = hunter2",
            "client_secret \"hunter2\"",
            "client_secret hunter2",
            "client_secret: hunter2",
            "\"client_secret\" = \"hunter2\"",
            "client_secret = \"abc\"hunter2\"",
            "client_secret = \"\"\"\nhunter2\n\"\"\"",
            "client_secret = '''\nhunter2",
            "client_secret = { text = \"hunter2\" }",
            "client_secret = { env = \"A\", text = \"hunter2\" }",
            "client_secret = { env = \"hunter2 \" }",
            "client_secret = { text = \n\"hunter2\" }",
            "client_secret = [\"hunter2\"]",
            "client_secret.text = \"hunter2\"",
            "client_secrt = \"hunter2\"",
            "clent-secret = \"hunter2\"",
            "CLIENT_SECRET = \"hunter2\"",
            "privte_key = \"hunter2\"",
            "auth0 = { client_id = \"x\", client_secret = \"hunter2\" }",
            "headers = { Authorization = \"Bearer hunter2\" }",
            "headers = { X-Api-Key = \"hunter2\" }",
            "base_url = \"https://me:hunter2@host\"",
            "base_url = \"https://me:hunter2@@host\"",
        ];
        for line in lines {
            let text = format!("[auth0]\n{line}\n");
            let masked = mask(&text);
            assert!(!masked.contains("hunter2"), "{masked}");
            assert_eq!(masked.len(), text.len(), "{masked}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let lines = [
            "client_secret = { env = \"AUTH0_CLIENT_SECRET\" }",
            "private_key = { file = \"private_key.pem\" } # the private key",
            "client_secret.env = \"NAME\"",
            "[providers.my-secret-api]",
            "# the client_secret is kept elsewhere",
            "client_id = \"abc\"",
            "base_url = \"https://host/a\"",
            "tokens = 5",
            "key_set_cooldown = \"30s\"",
        ];
        for line in lines {
            assert_eq!(mask(line), line);
        }
    }

    #[test]
    fn the_text_around_a_secret_stays() {
        assert_eq!(mask("a = 1\nclient_secret = \"é\"\nb = 2"), "a = 1\nclient_secret = ****\nb = 2");
    }

    proptest! {
        #[test]
        fn any_text_keeps_its_length_and_its_lines(text in "(client_secret|[={}\\[\\]\"'. :/@a-zé\n]){0,60}") {
            let masked = mask(&text);
            prop_assert_eq!(masked.len(), text.len());
            prop_assert_eq!(masked.lines().count(), text.lines().count());
        }
    }
}

//! However a body is divided, what comes out is what a replacement in the whole of it gives.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::answer::guard::form::{Form, Start};

/// The body after the edit, and how often the alarm was given.
fn edited<'chunk>(token: &[u8], chunks: impl IntoIterator<Item = &'chunk [u8]>) -> (Vec<u8>, usize) {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let alarm: Alarm = Arc::new(move |finding| {
        assert_eq!(finding, Finding::Body);
        counting.fetch_add(1, Ordering::Relaxed);
    });
    let mut edit = Plain::new((Arc::new(Guard::new(token).unwrap()), alarm));
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend(edit.push(Bytes::copy_from_slice(chunk)).unwrap());
    }
    out.extend(edit.end().unwrap());
    (out, count.load(Ordering::Relaxed))
}

/// Looks for each form at each place of the whole body.
fn by_hand(token: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = body.to_vec();
    for form in Form::all(token) {
        for from in 0..body.len() {
            if let Start::Whole(length) = form.start_of(&body[from..]) {
                out[from..from + length].fill(b'*');
            }
        }
    }
    out
}

const TOKEN: &str = "EwB4/A8l+6BA==";

/// Forms of the token, whole and broken off, among other text.
fn piece() -> impl Strategy<Value = String> {
    let whole = prop_oneof![
        Just(TOKEN.to_owned()),
        Just("EwB4%2FA8l%2b6BA%3D%3D".to_owned()),
        Just(r"EwB4\/A8l\u002B6BA==".to_owned()),
        Just("EwB4&#x2F;A8l&#43;6BA==".to_owned()),
        "[a-z]{0,3}".prop_map(|before| STANDARD.encode(before + TOKEN + "…")),
        Just(STANDARD.encode(TOKEN).replace('+', "-").replace('/', "_")),
    ];
    let part = (whole.clone(), any::<prop::sample::Index>()).prop_map(|(text, end)| {
        let end = end.index(text.len());
        text.get(..end).unwrap_or_default().to_owned()
    });
    prop_oneof![2 => whole, 3 => part, 2 => "[ -~é]{0,80}", 1 => Just(String::new())]
}

proptest! {
    #[test]
    fn any_body_in_any_chunks(pieces in prop::collection::vec(piece(), 0..8), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let body = pieces.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([0, body.len()]).collect();
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
        let expected = by_hand(TOKEN.as_bytes(), &body);
        let alarms = usize::from(expected != body);
        let mut whole = Plain::new((Arc::new(Guard::new(TOKEN.as_bytes()).unwrap()), Arc::new(|_| {})));
        prop_assert_eq!(whole.whole(Bytes::from(body.clone())), Ok(Bytes::from(expected.clone())));
        prop_assert_eq!(edited(TOKEN.as_bytes(), chunks), (expected, alarms));
    }

    #[test]
    fn any_body_of_a_token_that_contains_its_own_beginning(body in "(ababababab|ab|c|abababababab){0,9}", size in 1..40_usize) {
        let token = b"ababababab";
        let expected = by_hand(token, body.as_bytes());
        prop_assert_eq!(edited(token, body.as_bytes().chunks(size)).0, expected);
    }

    #[test]
    fn any_token(token in "[A-Za-z0-9+/=._|~-]{8,60}", before in "[ -~]{0,150}", after in "[ -~]{0,150}", size in 1..90_usize) {
        let body = format!("{before}{token}{after}");
        let (out, _) = edited(token.as_bytes(), body.as_bytes().chunks(size));
        prop_assert_eq!(out.len(), body.len());
        prop_assert!(!String::from_utf8(out.clone()).unwrap().contains(&token));
        prop_assert_eq!(out, by_hand(token.as_bytes(), body.as_bytes()));
    }
}

#[test]
fn a_token_is_masked_wherever_the_body_is_divided() {
    let body = format!("{{\"a\":\"{TOKEN}{TOKEN}\",\"b\":\"{TOKEN}\"}}");
    let expected = body.replace(TOKEN, &"*".repeat(TOKEN.len()));
    for size in 1..=body.len() {
        assert_eq!(edited(TOKEN.as_bytes(), body.as_bytes().chunks(size)), (expected.clone().into_bytes(), 1));
    }
    let alone = edited(TOKEN.as_bytes(), [TOKEN.as_bytes()]).0;
    assert_eq!(alone, "*".repeat(TOKEN.len()).into_bytes());
}

#[test]
fn what_only_began_like_a_token_comes_at_the_end_and_only_that_waits() {
    let mut edit =
        Plain::new((Arc::new(Guard::new(TOKEN.as_bytes()).unwrap()), Arc::new(|_| panic!("nothing was there"))));
    assert_eq!(edit.push("hello EwB4%2".into()).unwrap(), "hello ");
    assert_eq!(edit.push("FA8l".into()).unwrap(), "");
    assert_eq!(edit.push("! Ew".into()).unwrap(), "EwB4%2FA8l! ");
    assert_eq!(edit.end().unwrap(), "Ew");
}

#[test]
fn a_chunk_with_nothing_in_it_is_not_copied() {
    let mut edit =
        Plain::new((Arc::new(Guard::new(TOKEN.as_bytes()).unwrap()), Arc::new(|_| panic!("nothing was there"))));
    let chunk = Bytes::from(vec![b'.'; 10_000]);
    let place = chunk.as_ptr();
    let out = edit.push(chunk).unwrap();
    assert_eq!((out.as_ptr(), out.len()), (place, 10_000));
}

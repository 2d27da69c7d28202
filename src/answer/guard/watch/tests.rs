//! Whatever the coding and however the body is divided: it passes as it came, and ends before the token.

use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::answer::decoder::encoding::{ENCODINGS, Encoding};

const TOKEN: &str = "gho_16C7e42F292c6912E7710c838347Ae178B4a";

/// What a client reads of a body that may have been cut, with a decoder that has nothing to do with the guard's steps.
fn decompress(coding: Coding, body: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(coding);
    let (mut input, mut all, mut room) = (body, Vec::new(), vec![0; 1 << 20]);
    while let Ok(count) = decoder.decode(&mut input, &mut room) {
        all.extend_from_slice(&room[..count]);
        if decoder.wants_more(input) {
            break;
        }
    }
    all
}

struct Watched {
    out: Vec<u8>,
    is_cut: bool,
    findings: Vec<Finding>,
}

fn watched<'chunk>(coding: Coding, chunks: impl IntoIterator<Item = &'chunk [u8]>) -> Watched {
    let findings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&findings);
    let alarm: Alarm = Arc::new(move |finding| heard.lock().unwrap().push(finding));
    let mut edit = Watch::new((Arc::new(Guard::new(TOKEN.as_bytes()).unwrap()), alarm), coding);
    let mut out = Vec::new();
    let mut is_cut = false;
    for chunk in chunks {
        match edit.push(Bytes::copy_from_slice(chunk)) {
            Ok(bytes) => out.extend(bytes),
            Err(Cut) => is_cut = true,
        }
    }
    match edit.end() {
        Ok(bytes) => out.extend(bytes),
        Err(Cut) => is_cut = true,
    }
    let findings = findings.lock().unwrap().clone();
    Watched { out, is_cut, findings }
}

fn text(lines: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|line| format!("{{\"id\":{},\"name\":\"user {line}\"}},\n", line * 7919 % 10_007).into_bytes())
        .collect()
}

#[test]
fn a_body_without_the_token_passes_byte_for_byte_however_it_is_divided() {
    let text = text(400);
    for encoding in ENCODINGS {
        let body = encoding.compress(&[&text]);
        for size in [1, 2, 3, 7, 100, 1000, body.len()] {
            let watched = watched(encoding.coding(), body.chunks(size));
            assert!(watched.out == body && !watched.is_cut && watched.findings.is_empty(), "{encoding:?} by {size}");
        }
    }
}

#[test]
fn a_body_is_cut_before_the_token_wherever_it_is_divided() {
    let forms = [TOKEN.to_owned(), {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("user:{TOKEN}"))
    }];
    for (encoding, form) in ENCODINGS.into_iter().flat_map(|encoding| forms.iter().map(move |form| (encoding, form))) {
        let (before, after) = (text(12), text(2));
        let whole = [&*before, form.as_bytes(), &after].concat();
        let (start, end) = form.split_at(11);
        // What Base64 has of the user's name is no part of the token.
        let harmless = &whole[..before.len() + if form == TOKEN { 0 } else { 7 }];
        for pieces in [&[&*whole][..], &[&before, start.as_bytes(), end.as_bytes(), &after]] {
            let body = encoding.compress(pieces);
            for cut in 0..=body.len() {
                let (first, second) = body.split_at(cut);
                let watched = watched(encoding.coding(), [first, second]);
                let read = decompress(encoding.coding(), &watched.out);
                assert!(watched.is_cut && watched.findings == [Finding::Compressed], "{encoding:?} at {cut}");
                assert!(
                    body.starts_with(&watched.out) && harmless.starts_with(&read),
                    "{encoding:?} at {cut}: {}",
                    read.len()
                );
            }
            let byte_by_byte = watched(encoding.coding(), body.chunks(1));
            assert!(byte_by_byte.is_cut && harmless.starts_with(&decompress(encoding.coding(), &byte_by_byte.out)));
        }
    }
}

#[test]
fn nothing_of_a_zstd_block_goes_on_before_it_is_whole() {
    let body = Encoding::Zstd.compress(&[&text(20), &text(20)]);
    // Magic number, descriptor, window: then the first block, whose header has its size.
    let header = u32::from_le_bytes([body[6], body[7], body[8], 0]);
    let end = 9 + usize::try_from(header >> 3).unwrap();
    assert!(end > 100 && end < body.len());
    for length in 9..=end {
        let out = watched(Coding::Zstd, body[..length].chunks(7)).out;
        assert_eq!(out.len(), if length < end { 9 } else { end }, "of {length}");
    }
}

#[test]
fn what_was_flushed_goes_on_at_once_and_only_what_may_begin_the_token_waits() {
    for encoding in ENCODINGS {
        let pieces: [&[u8]; 4] = [b"data: 1\n\n", b"data: gho_16C7e4", b"2F!\n\n", b"data: 3\n\n"];
        let bodies: Vec<Vec<u8>> = (1..=pieces.len()).map(|count| encoding.compress(&pieces[..count])).collect();
        let whole = &bodies[3];
        // A flushed piece ends where the bodies with and without a further one part, give or take the stream's end.
        let common = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let ends = [common(&bodies[0], whole), common(&bodies[1], whole), common(&bodies[2], whole), whole.len()];
        let mut edit = Watch::new(
            (Arc::new(Guard::new(TOKEN.as_bytes()).unwrap()), Arc::new(|finding| panic!("{finding:?}"))),
            encoding.coding(),
        );
        let mut out = Vec::new();
        let mut read = Vec::new();
        let mut from = 0;
        for end in ends {
            out.extend(edit.push(Bytes::copy_from_slice(&whole[from..end])).unwrap());
            from = end;
            read.push(decompress(encoding.coding(), &out).len());
        }
        out.extend(edit.end().unwrap());
        assert_eq!(&out, whole);
        assert_eq!(read, [9, 9, 30, 39], "{encoding:?}");
    }
}

#[test]
fn a_truncated_body_passes_as_far_as_it_can_be_read() {
    let text = text(300);
    for encoding in ENCODINGS {
        let body = encoding.compress(&[&text]);
        for end in (0..body.len()).step_by(5) {
            let watched = watched(encoding.coding(), body[..end].chunks(64));
            let is_whole = watched.out == body[..end];
            // Of a zstd block nobody can be told what is in the first half.
            assert!(is_whole != watched.is_cut || end == 0, "{encoding:?} at {end}");
            assert!(is_whole || matches!(encoding, Encoding::Zstd), "{encoding:?} at {end}");
            assert!(body.starts_with(&watched.out));
        }
    }
}

#[test]
fn a_broken_body_is_cut_where_it_cannot_be_read() {
    for encoding in ENCODINGS {
        let mut body = encoding.compress(&[&text(50), &text(500)]);
        let middle = body.len() / 2;
        body[middle..middle + 64].fill(0xff);
        let watched = watched(encoding.coding(), body.chunks(50));
        assert!(body.starts_with(&watched.out));
        // Without a checksum anything may still mean something.
        if matches!(encoding, Encoding::Deflate | Encoding::Brotli) && !watched.is_cut {
            continue;
        }
        assert!(watched.is_cut && watched.findings == [Finding::Unreadable], "{encoding:?}: {:?}", watched.findings);
    }
    let plain = watched(Coding::Gzip, [&b"{\"not\": \"compressed\"}"[..]]);
    assert!(plain.is_cut && plain.out.is_empty());
}

#[test]
fn a_bomb_is_cut_before_it_costs_much() {
    for encoding in ENCODINGS {
        let spaces = vec![b' '; 1 << 20];
        let body = encoding.compress(&[&*spaces; 12]);
        let watched = watched(encoding.coding(), [&*body]);
        assert!(watched.is_cut && watched.findings == [Finding::Bomb], "{encoding:?}: {:?}", watched.findings);
    }
}

#[test]
fn a_stream_behind_a_stream_is_watched_and_so_is_what_is_none() {
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let body = [encoding.compress(&[b"harmless"]), encoding.compress(&[b"and so on"])].concat();
        let fine = watched(encoding.coding(), body.chunks(9));
        assert!(fine.out == body && !fine.is_cut, "{encoding:?}");
        let body = [encoding.compress(&[b"harmless"]), encoding.compress(&[TOKEN.as_bytes()])].concat();
        assert_eq!(watched(encoding.coding(), body.chunks(9)).findings, [Finding::Compressed], "{encoding:?}");
    }
    let padded = [Encoding::Gzip.compress(&[b"harmless"]), vec![0; 30]].concat();
    assert_eq!(watched(Coding::Gzip, padded.chunks(9)).out, padded);
    let padded = [Encoding::Gzip.compress(&[b"harmless"]), TOKEN.into()].concat();
    let watched = watched(Coding::Gzip, padded.chunks(9));
    assert_eq!(watched.findings, [Finding::Compressed]);
    assert!(!watched.out.windows(5).any(|window| window == b"gho_1"));
}

#[test]
fn a_token_in_the_head_of_a_stream_is_found_too() {
    let body = Encoding::Gzip.compress(&[b"harmless"]);
    let named = [&body[..3], &[8], &body[4..10], TOKEN.as_bytes(), b"\0", &body[10..]].concat();
    for size in [1, 10, 100] {
        assert_eq!(watched(Coding::Gzip, named.chunks(size)).findings, [Finding::Compressed], "by {size}");
    }
    let named = [&body[..3], &[8], &body[4..10], b"gho_16\0", &body[10..]].concat();
    assert_eq!(watched(Coding::Gzip, named.chunks(4)).out, named);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_body_in_any_pieces_and_chunks(
        pieces in prop::collection::vec(prop_oneof!["[ -~]{0,300}", Just(TOKEN[..20].to_owned()), Just(TOKEN[20..].to_owned()), Just(TOKEN[..39].to_owned())], 1..6),
        encoding in prop::sample::select(&ENCODINGS),
        size in 1..200_usize,
    ) {
        let text = pieces.concat();
        let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
        let body = encoding.compress(&pieces);
        let watched = watched(encoding.coding(), body.chunks(size));
        prop_assert_eq!(watched.is_cut, text.contains(TOKEN));
        prop_assert!(body.starts_with(&watched.out));
        let read = decompress(encoding.coding(), &watched.out);
        match text.find(TOKEN) {
            Some(at) => prop_assert!(read.len() <= at && text.as_bytes().starts_with(&read)),
            None => prop_assert_eq!(watched.out, body),
        }
    }
}

#[test]
fn what_follows_a_stream_is_watched_as_well() {
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let first = encoding.compress(&[b"nothing in it, and rather much of that: ", &[b'x'; 70_000]]);
        let second = encoding.compress(&[b"here it is: ", TOKEN.as_bytes(), b" and more"]);
        let body = [first.clone(), first, second].concat();
        let findings = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&findings);
        let alarm: Alarm = Arc::new(move |finding| heard.lock().unwrap().push(finding));
        for size in [1000, 60_000, body.len()] {
            let guard = Arc::new(Guard::new(TOKEN.as_bytes()).unwrap());
            let mut watch = Watch::new((guard, Arc::clone(&alarm)), encoding.coding());
            let is_cut = body.chunks(size).any(|chunk| watch.push(Bytes::copy_from_slice(chunk)).is_err());
            assert!(is_cut || watch.end().is_err(), "{encoding:?} by {size}");
            assert_eq!(findings.lock().unwrap().drain(..).collect::<Vec<_>>(), [Finding::Compressed], "{encoding:?}");
        }
    }
}

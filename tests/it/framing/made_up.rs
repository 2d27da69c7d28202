//! Whatever framing somebody makes up: exactly the body that is meant arrives, once, or none does; and no byte of a body
//! is ever taken for a request.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

use super::rig_with_upstream;
use crate::support::wire::{Wire, head, head_with};
use crate::support::{Rig, Upstream};

/// Where the smuggled request stands in a body: it has a good token, so it would be forwarded if it were read as one.
const SMUGGLED: char = 'S';

/// A request with a body, as somebody made it up.
#[derive(Clone, Debug)]
struct MadeUp {
    lines: String,
    /// The pieces of the body; each is a chunk where the body is chunked.
    pieces: Vec<String>,
    is_chunked: bool,
    /// How each chunk's size is written.
    size: fn(usize) -> String,
    /// What is done to the body as it is sent.
    damage: Option<Damage>,
    /// Whether there is but one opinion about it: then it must be forwarded.
    is_sound: bool,
    /// Where the bytes are cut up on their way.
    cuts: Vec<Index>,
}

/// Bytes of a chunked body that are replaced where they stand for the n-th time.
type Damage = (&'static str, &'static str, Index);

/// Framing by a length, and whether there is but one opinion about it. `#` is the length.
const LENGTHS: [(&str, bool); 11] = [
    ("content-length: #", true),
    ("Content-Length:\t#  ", true),
    ("content-length: 00#", true),
    ("content-length: #\r\ncontent-length: #", false),
    ("content-length: #, #", false),
    ("content-length: #\r\ncontent-length: 1", false),
    ("content-length: +#", false),
    ("content-length: -#", false),
    ("content-length: #\x0b", false),
    ("content-length : #", false),
    ("content-length: #\r\ntransfer-encoding: identity", false),
];

/// Framing by chunks.
const CODINGS: [(&str, bool); 12] = [
    ("transfer-encoding: chunked", true),
    ("Transfer-Encoding:\tCHUNKED ", true),
    ("transfer-encoding: chunked\r\ncontent-length: #", false),
    ("content-length: 3\r\ntransfer-encoding: chunked", false),
    ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", false),
    ("transfer-encoding: chunked, identity", false),
    ("transfer-encoding: gzip, chunked", false),
    ("transfer-encoding: xchunked", false),
    ("transfer-encoding : chunked", false),
    ("transfer-encoding:\x0bchunked", false),
    ("x: y\r\n transfer-encoding: chunked", false),
    ("transfer-encoding:\r\n chunked", false),
];

const SIZES: [fn(usize) -> String; 4] = [
    |size| format!("{size:x}"),
    |size| format!("{size:X}"),
    |size| format!("000{size:x}"),
    |size| format!("{size:x};a=b;c=\"d\""),
];

const DAMAGES: [(&str, &str); 9] = [
    ("\r\n", "\n"),
    ("\r\n", ""),
    ("\r\n", "\r"),
    ("\r\n", " \r\n\r\n"),
    ("\r\n", "\r\n+"),
    ("\r\n", "\r\n0x"),
    ("\r\n", "\r\nffffffffffffffff"),
    ("\r\n", "\r\n-"),
    ("0\r\n\r\n", "0\r\n"),
];

fn made_up() -> impl Strategy<Value = MadeUp> {
    let pieces = || vec(prop_oneof![3 => "[a-f0-9\\r\\n ]{1,20}", 1 => Just(SMUGGLED.to_string())], 0..5);
    let by_length = (select(&LENGTHS[..]), pieces())
        .prop_map(|((lines, is_sound), pieces)| (lines.to_owned(), pieces, false, SIZES[0], None, is_sound));
    let damage = prop::option::weighted(0.4, (select(&DAMAGES[..]), any::<Index>()));
    let by_chunks = (select(&CODINGS[..]), pieces(), select(&SIZES[..]), damage).prop_map(
        |((lines, is_sound), pieces, size, damage)| {
            let damage = damage.map(|((from, to), at)| (from, to, at));
            let is_sound = is_sound && damage.is_none();
            (lines.to_owned(), pieces, true, size, damage, is_sound)
        },
    );
    (prop_oneof![1 => by_length, 2 => by_chunks], vec(any::<Index>(), 0..4)).prop_map(
        |((lines, pieces, is_chunked, size, damage, is_sound), cuts)| MadeUp {
            lines,
            pieces,
            is_chunked,
            size,
            damage,
            is_sound,
            cuts,
        },
    )
}

impl MadeUp {
    fn pieces(&self, smuggled: &str) -> Vec<String> {
        self.pieces.iter().map(|piece| piece.replace(SMUGGLED, smuggled)).collect()
    }

    /// The body as it goes over the wire.
    fn sent(&self, smuggled: &str) -> String {
        let pieces = self.pieces(smuggled);
        if !self.is_chunked {
            return pieces.concat();
        }
        let chunk = |piece: &String| format!("{}\r\n{piece}\r\n", (self.size)(piece.len()));
        let mut sent = pieces.iter().map(chunk).collect::<String>() + "0\r\n\r\n";
        if let Some((from, to, at)) = self.damage {
            let places: Vec<usize> = sent.match_indices(from).map(|(place, _)| place).collect();
            let place = places[at.index(places.len())];
            sent.replace_range(place..place + from.len(), to);
        }
        sent
    }
}

/// Sends the request and another behind it, cut up anyhow; gives the statuses of all answers.
async fn exchange(rig: &Rig, made_up: &MadeUp, number: usize, smuggled: &str) -> Vec<u16> {
    let length = made_up.pieces(smuggled).concat().len().to_string();
    let lines = made_up.lines.replace('#', &length) + "\r\n";
    let next = head(rig, &format!("GET /proxy/github/{number}/next"), "connection: close\r\n");
    let first = head_with(rig, rig.token(), &format!("POST /proxy/github/{number}/body"), &lines);
    let bytes = first + &made_up.sent(smuggled) + &next;
    let mut cuts: Vec<usize> = made_up.cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let mut wire = Wire::to(&rig.address()).await;
    for cut in cuts.windows(2) {
        wire.send(&bytes.as_bytes()[cut[0]..cut[1]]).await;
        tokio::task::yield_now().await;
    }
    if !made_up.is_sound {
        // The proxy may rightly wait for more of it.
        wire.half_close().await;
    }
    let received = String::from_utf8_lossy(&wire.rest().await).into_owned();
    received.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

/// What arrived of requests up to that number: whole bodies as they were meant, each once, and nothing of theirs as a request.
fn judge(github: &Upstream, meant: &BTreeMap<String, Vec<u8>>) -> Result<(), TestCaseError> {
    let mut counts = BTreeMap::<String, usize>::new();
    for request in github.requests() {
        let body = meant.get(&request.target);
        prop_assert!(body.is_some(), "nobody sent a request to {}", request.target);
        prop_assert!(!request.complete || body == Some(&request.body), "another body arrived: {request:#?}");
        *counts.entry(request.target).or_default() += 1;
    }
    prop_assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    Ok(())
}

#[test]
fn the_body_that_is_meant_arrives_once_or_none_does_and_no_byte_of_it_becomes_a_request() {
    let runtime = Runtime::new().unwrap();
    let (rig, github) = runtime.block_on(rig_with_upstream());
    let smuggled = head(&rig, "GET /proxy/github/smuggled", "");
    let state = std::cell::RefCell::new((0, BTreeMap::new()));
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&made_up(), |made_up| {
        let (number, meant) = &mut *state.borrow_mut();
        *number += 1;
        meant.insert(format!("/{number}/body"), made_up.pieces(&smuggled).concat().into_bytes());
        meant.insert(format!("/{number}/next"), Vec::new());
        let statuses = runtime.block_on(exchange(&rig, &made_up, *number, &smuggled));
        if made_up.is_sound {
            prop_assert_eq!(statuses, [200, 200]);
            let arrived = github.requests().into_iter().filter(|request| request.target == format!("/{number}/body"));
            prop_assert_eq!(arrived.filter(|request| request.complete).count(), 1);
        }
        judge(&github, meant)
    });
    ran.unwrap();
    // What was broken off may have arrived a little later.
    std::thread::sleep(std::time::Duration::from_millis(200));
    judge(&github, &state.borrow().1).unwrap();
}

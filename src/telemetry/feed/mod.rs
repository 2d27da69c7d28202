//! The last requests, for somebody who watches: their lines, and what they add up to. Nobody watches as a rule, and then
//! a request pays for one look at a number. While somebody does, it pays for its line a second time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::access::Record;
use super::line::Lines;
use crate::clock::Timestamp;

mod history;

pub use history::{FAULTS, Sample, TICK};

use history::History;

/// Lines that are kept. Who reads more slowly than they come misses some, and is told how many.
pub const LINES_MAX: usize = 500;

/// A handle to the feed; clones share it.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    /// Until when somebody watches, in milliseconds as a [`Timestamp`] has them. It is compared with the time that a
    /// request has noted anyway.
    until: AtomicU64,
    kept: Mutex<Kept>,
    /// The number of the next line.
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Arc<str>>,
    /// The number of the next line.
    next: u64,
    writer: Lines,
    history: History,
}

/// Lines that were not read before.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// Each is a JSON object, the same as in the log.
    pub lines: Vec<Arc<str>>,
    /// How many went before they could be read.
    pub missed: u64,
    /// The number of the line after them, to go on with.
    pub next: u64,
}

impl Default for Feed {
    fn default() -> Self {
        let (until, kept, next) = (AtomicU64::new(0), Mutex::default(), watch::Sender::new(0));
        Self(Arc::new(Shared { until, kept, next }))
    }
}

impl Feed {
    /// Somebody watches, until `end` at the least.
    pub fn watch_until(&self, end: Timestamp) {
        self.0.until.fetch_max(end.unix_millis(), Ordering::Relaxed);
    }

    /// A request has ended.
    pub(super) fn request(&self, record: &Record) {
        if record.at.unix_millis() >= self.0.until.load(Ordering::Relaxed) {
            return;
        }
        let mut kept = self.lock();
        let mut line = String::with_capacity(400);
        kept.writer.write_json(record, &mut line);
        if kept.lines.len() == LINES_MAX {
            kept.lines.pop_front();
        }
        kept.lines.push_back(line.trim_end().into());
        kept.history.add(record);
        kept.next += 1;
        let next = kept.next;
        drop(kept);
        self.0.next.send_if_modified(|known| std::mem::replace(known, next.max(*known)) < next);
    }

    /// The lines from number `from` on, as far as they are kept.
    #[must_use]
    pub fn since(&self, from: u64) -> Batch {
        let kept = self.lock();
        let first = kept.next - kept.lines.len() as u64;
        // A number of the future is one of another process.
        let from = if from > kept.next { first } else { from };
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let lines = kept.lines.iter().skip(skipped).cloned().collect();
        Batch { lines, missed: first.saturating_sub(from), next: kept.next }
    }

    /// Waits until there is a line of number `from`.
    pub async fn grown(&self, from: u64) {
        // The sender lives as long as this does.
        let _ = self.0.next.subscribe().wait_for(|next| *next > from).await;
    }

    /// What the last quarter of an hour adds up to, by [`TICK`]s; those in which nothing ended are left out.
    #[must_use]
    pub fn history(&self, now: Timestamp) -> Vec<Sample> {
        self.lock().history.since(now)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A line that is not there is the worst that a panic elsewhere can have left.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::http::Method;

    use super::*;
    use crate::clock::Clock;
    use crate::telemetry::access::{Book, RequestId};
    use crate::telemetry::metrics::Metrics;

    fn book(feed: &Feed, clock: &Clock) -> Book {
        Book::new(None, Metrics::new(), clock.clone(), feed.clone())
    }

    fn request(book: &Book, path: &str) {
        let target = path.parse().unwrap();
        drop(book.begin(RequestId(*b"abcdefghijklmnopqrstuvwx"), &Method::GET, Some(&target)));
    }

    #[test]
    fn only_what_ends_while_somebody_watches_is_kept() {
        let (feed, clock) = (Feed::default(), Clock::system());
        let book = book(&feed, &clock);
        request(&book, "/before");
        feed.watch_until(clock.now().plus(Duration::from_secs(60)));
        request(&book, "/meanwhile?q=hunter2");
        clock.advance(Duration::from_secs(61));
        request(&book, "/after");
        let batch = feed.since(0);
        assert_eq!(batch.lines.len(), 1, "{batch:?}");
        let line: serde_json::Value = serde_json::from_str(&batch.lines[0]).unwrap();
        assert_eq!(line["path"], "/meanwhile?q=…");
        assert_eq!((batch.missed, batch.next), (0, 1));
        assert_eq!(feed.since(1).lines.len(), 0);
    }

    #[test]
    fn who_reads_too_slowly_is_told_what_was_missed() {
        let (feed, clock) = (Feed::default(), Clock::system());
        feed.watch_until(clock.now().plus(Duration::from_secs(60)));
        let book = book(&feed, &clock);
        for index in 0..LINES_MAX + 7 {
            request(&book, &format!("/{index}"));
        }
        let batch = feed.since(2);
        assert_eq!((batch.missed, batch.lines.len(), batch.next), (5, LINES_MAX, LINES_MAX as u64 + 7));
        assert!(batch.lines[0].contains("\"path\":\"/7\""), "{}", batch.lines[0]);
        // A page that was open when the process was started anew.
        assert_eq!(feed.since(u64::MAX).lines.len(), LINES_MAX);
    }

    #[tokio::test]
    async fn a_reader_is_woken_by_the_line_it_waits_for() {
        let (feed, clock) = (Feed::default(), Clock::system());
        feed.watch_until(clock.now().plus(Duration::from_secs(60)));
        let book = book(&feed, &clock);
        let waiting = tokio::spawn({
            let feed = feed.clone();
            async move { feed.grown(1).await }
        });
        request(&book, "/one");
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        request(&book, "/two");
        waiting.await.unwrap();
    }
}

//! The log: lines are queued by whoever has them and written by one thread, many at a time, so no request waits for a
//! terminal or a pipe. What cannot be written in time is counted and dropped, never waited for.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::access::Record;
use super::line::Lines;
use super::metrics::Metrics;

/// How long the writer collects lines after the first.
const BATCH: Duration = Duration::from_millis(50);
/// Lines that wait to be written at the most; a request's is some 300 bytes.
const WAITING_MAX: usize = 50_000;

/// A handle to the log; clones write to the same one.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    emptied: Condvar,
    metrics: Metrics,
}

#[derive(Default)]
struct Queue {
    items: Vec<Item>,
    lost: u64,
    /// Whether the writer is at work on a batch it has taken.
    writing: bool,
    urgent: bool,
}

enum Item {
    Request(Box<Record>),
    /// A finished line of the diagnostic log.
    Line(Vec<u8>),
}

impl Log {
    /// Starts the writer of a log to `sink`: JSON lines, or text for people.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(json: bool, sink: impl Write + Send + 'static, metrics: Metrics) -> io::Result<Self> {
        let queue = Mutex::default();
        let log = Self(Arc::new(Shared { queue, filled: Condvar::new(), emptied: Condvar::new(), metrics }));
        let writer = Writer { shared: Arc::downgrade(&log.0), json, lines: Lines::default(), sink: Box::new(sink) };
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run())?;
        Ok(log)
    }

    /// Queues a request's line.
    pub fn request(&self, record: Box<Record>) {
        self.push(Item::Request(record));
    }

    /// Waits until everything queued so far is written, a second at the most.
    pub fn flush(&self) {
        let mut queue = self.0.lock();
        queue.urgent = true;
        self.0.filled.notify_one();
        let unwritten = |queue: &mut Queue| queue.writing || !queue.items.is_empty();
        drop(self.0.emptied.wait_timeout_while(queue, Duration::from_secs(1), unwritten));
    }

    fn push(&self, item: Item) {
        let mut queue = self.0.lock();
        if queue.items.len() >= WAITING_MAX {
            queue.lost += 1;
            return;
        }
        queue.items.push(item);
        let is_first = queue.items.len() == 1;
        drop(queue);
        // One wake-up for a batch, not for a line.
        if is_first {
            self.0.filled.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole after every statement: a panic elsewhere cannot have broken it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    shared: std::sync::Weak<Shared>,
    json: bool,
    lines: Lines,
    sink: Box<dyn Write + Send>,
}

impl Writer {
    fn run(mut self) {
        let mut text = String::new();
        // Ends when the last handle is gone and nothing is left to write.
        while let Some(items) = self.next_batch() {
            text.clear();
            for item in items {
                match item {
                    Item::Request(record) if self.json => self.lines.write_json(&record, &mut text),
                    Item::Request(record) => self.lines.write_text(&record, &mut text),
                    Item::Line(line) => text.push_str(&String::from_utf8_lossy(&line)),
                }
            }
            // A log that cannot be written is no reason to stop serving.
            let _ = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush());
        }
    }

    fn next_batch(&self) -> Option<Vec<Item>> {
        let shared = self.shared.upgrade()?;
        let mut queue = shared.lock();
        queue.writing = false;
        shared.emptied.notify_all();
        // Not for ever: the handles may be gone, and then nobody would notify.
        let patience = Duration::from_secs(1);
        queue = shared.filled.wait_timeout_while(queue, patience, |queue| queue.items.is_empty()).ok()?.0;
        if !queue.urgent && !queue.items.is_empty() {
            queue = shared.filled.wait_timeout_while(queue, BATCH, |queue| !queue.urgent).ok()?.0;
        }
        queue.urgent = false;
        queue.writing = true;
        let lost = std::mem::take(&mut queue.lost);
        if lost > 0 {
            shared.metrics.log_lines_lost(lost);
        }
        Some(std::mem::take(&mut queue.items))
    }
}

/// Lines of the diagnostic log (`tracing`) go the same way.
impl<'writer> MakeWriter<'writer> for Log {
    type Writer = Line;

    fn make_writer(&'writer self) -> Line {
        Line { log: self.clone(), bytes: Vec::new() }
    }
}

/// One line in the making.
pub struct Line {
    log: Log,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.log.push(Item::Line(std::mem::take(&mut self.bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Sink(mpsc::Sender<String>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_together_and_in_order() {
        let (sender, receiver) = mpsc::channel();
        let log = Log::start(true, Sink(sender), Metrics::new()).unwrap();
        for line in ["a\n", "b\n", "c\n"] {
            log.make_writer().write_all(line.as_bytes()).unwrap();
        }
        log.flush();
        let written: String = receiver.try_iter().collect();
        assert_eq!(written, "a\nb\nc\n");
    }
}

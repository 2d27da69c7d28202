//! The log: lines are put down in memory by whoever has them and written out by one thread, many at a time, so no
//! request waits for a terminal or a pipe. What cannot be written in time is counted and dropped, never waited for.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::access::Record;
use super::line::Lines;
use super::metrics::Metrics;

/// How long the writer collects lines after the first.
const BATCH: Duration = Duration::from_millis(50);
/// Bytes that wait to be written at the most: some 50,000 lines.
const WAITING_MAX: usize = 16 << 20;
/// What a buffer may keep of a burst for the next lines.
const KEPT_MAX: usize = 1 << 20;

/// A handle to the log; clones write to the same one.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    json: bool,
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
    metrics: Metrics,
}

#[derive(Default)]
struct Waiting {
    text: String,
    lines: Lines,
    lost: u64,
    /// Whether the writer is at work on what it has taken.
    writing: bool,
    urgent: bool,
}

impl Log {
    /// Starts the writer of a log to `sink`: JSON lines, or text for people.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(json: bool, sink: impl Write + Send + 'static, metrics: Metrics) -> io::Result<Self> {
        let (waiting, filled, emptied) = (Mutex::default(), Condvar::new(), Condvar::new());
        let log = Self(Arc::new(Shared { json, waiting, filled, emptied, metrics }));
        let writer = Writer { shared: Arc::downgrade(&log.0), sink: Box::new(sink) };
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run())?;
        Ok(log)
    }

    /// Puts a request's line down. It is made here and not by the writer: what one thread allocates and another frees
    /// costs both more than the line.
    pub fn request(&self, record: &Record) {
        let json = self.0.json;
        self.put(
            |Waiting { text, lines, .. }| {
                if json { lines.write_json(record, text) } else { lines.write_text(record, text) }
            },
        );
    }

    /// Waits until everything put down so far is written, a second at the most.
    pub fn flush(&self) {
        let mut waiting = self.0.lock();
        waiting.urgent = true;
        self.0.filled.notify_one();
        let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.text.is_empty();
        drop(self.0.emptied.wait_timeout_while(waiting, Duration::from_secs(1), unwritten));
    }

    fn put(&self, write: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.0.lock();
        if waiting.text.len() >= WAITING_MAX {
            waiting.lost += 1;
            return;
        }
        let is_first = waiting.text.is_empty();
        write(&mut waiting);
        drop(waiting);
        // One wake-up for a batch, not for a line.
        if is_first {
            self.0.filled.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Half a line is the worst that a panic elsewhere can have left.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    shared: std::sync::Weak<Shared>,
    sink: Box<dyn Write + Send>,
}

impl Writer {
    fn run(mut self) {
        let mut text = String::new();
        // Ends when the last handle is gone and nothing is left to write.
        while self.take_batch(&mut text).is_some() {
            // A log that cannot be written is no reason to stop serving.
            let _ = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush());
            text.clear();
            text.shrink_to(KEPT_MAX);
        }
    }

    /// Waits for lines and takes them, leaving the emptied buffer in their place.
    fn take_batch(&self, text: &mut String) -> Option<()> {
        let shared = self.shared.upgrade()?;
        let mut waiting = shared.lock();
        waiting.writing = false;
        shared.emptied.notify_all();
        // Not for ever: the handles may be gone, and then nobody would notify.
        let patience = Duration::from_secs(1);
        waiting = shared.filled.wait_timeout_while(waiting, patience, |waiting| waiting.text.is_empty()).ok()?.0;
        if !waiting.urgent && !waiting.text.is_empty() {
            waiting = shared.filled.wait_timeout_while(waiting, BATCH, |waiting| !waiting.urgent).ok()?.0;
        }
        waiting.urgent = false;
        waiting.writing = true;
        std::mem::swap(&mut waiting.text, text);
        let lost = std::mem::take(&mut waiting.lost);
        if lost > 0 {
            shared.metrics.log_lines_lost(lost);
        }
        Some(())
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
            self.log.put(|waiting| waiting.text.push_str(&String::from_utf8_lossy(&self.bytes)));
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

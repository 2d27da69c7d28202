//! A connection's last moments. When the last answer has been written while its request is still on the way, closing at
//! once would have TCP reset the connection, and the caller would lose the answer that says why (RFC 9112 §9.6).

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a caller may go on sending what nobody wants any more.
const WHOLE: Duration = Duration::from_secs(30);
/// How long it may be silent meanwhile.
const QUIET: Duration = Duration::from_secs(5);

/// Reads what still comes, and throws it away.
pub(super) struct Linger {
    patience: Duration,
    whole: Pin<Box<Sleep>>,
    quiet: Pin<Box<Sleep>>,
}

impl Linger {
    /// From here on. Nothing is written any more.
    pub(super) fn begin() -> Box<Self> {
        Box::new(Self::new(WHOLE, QUIET))
    }

    fn new(whole: Duration, quiet: Duration) -> Self {
        Self { patience: quiet, whole: Box::pin(sleep(whole)), quiet: Box::pin(sleep(quiet)) }
    }

    /// Ready when the caller has closed its side, or has taken too long to.
    pub(super) fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut scratch = [MaybeUninit::uninit(); 4096];
            let mut buffer = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.quiet = Box::pin(sleep(self.patience)),
                Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        if self.whole.as_mut().poll(context).is_ready() { Poll::Ready(()) } else { self.quiet.as_mut().poll(context) }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    async fn end(mut linger: Linger, mut ours: DuplexStream) {
        poll_fn(|context| linger.poll(&mut ours, context)).await;
    }

    #[tokio::test]
    async fn a_caller_that_leaves_ends_it_and_so_does_one_that_never_will() {
        let (moment, age) = (Duration::from_millis(20), Duration::from_secs(3600));
        let (ours, theirs) = duplex(64);
        drop(theirs);
        end(Linger::new(age, age), ours).await;

        let (ours, _silent) = duplex(64);
        end(Linger::new(age, moment), ours).await;

        let (ours, mut busy) = duplex(64);
        let sending = tokio::spawn(async move { while busy.write_all(b"more").await.is_ok() {} });
        end(Linger::new(moment, age), ours).await;
        // Its writes fail from here on.
        sending.await.unwrap();
    }
}

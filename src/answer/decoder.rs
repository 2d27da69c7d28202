//! A decoded copy of a compressed body, piece by piece.

use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{BrotliDecoder, DecodeV2, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};

#[cfg(test)]
pub mod encoding;
mod zstd;

use zstd::Parts;

/// How a body is compressed (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `deflate`: in zlib's frame as it should be, or bare as some send it.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

/// RFC 9659 §3: nothing on the web has a larger window. It is the memory that an answer may take.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

const GZIP_MAGIC: u8 = 0x1f;

/// As much is fed to a decoder at a time, and may have to wait for what follows.
const STEP: usize = 512;

/// It cannot be decoded.
#[derive(Debug)]
pub struct Unreadable;

/// What comes next of a compressed body.
pub struct Step {
    /// How many bytes it has.
    pub length: usize,
    /// Whether all that they and those before them can tell has been decoded behind them.
    pub is_complete: bool,
}

/// Decodes one body.
pub struct Decoder {
    coding: Coding,
    codec: Option<Box<dyn DecodeV2 + Send>>,
    parts: Parts,
    at: At,
    /// Whether the codec may have more to give without more input.
    is_full: bool,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first byte.
    Start,
    Stream,
    /// Behind a stream, where gzip and zstd may have another.
    End,
    /// Where no stream is any more. Clients leave it alone.
    Behind,
}

impl Decoder {
    pub fn new(coding: Coding) -> Self {
        Self { coding, codec: None, parts: Parts::default(), at: At::Start, is_full: false }
    }

    /// How much of `input` to decode next.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, Unreadable> {
        match self.coding {
            Coding::Zstd => {
                let (length, is_complete) = self.parts.next(input).map_err(|_| Unreadable)?;
                Ok(Step { length, is_complete })
            }
            // These show each symbol as soon as they have its last bit; of a symbol that is not complete nobody else could
            // tell more.
            Coding::Gzip | Coding::Deflate | Coding::Brotli => {
                Ok(Step { length: input.len().min(STEP), is_complete: true })
            }
        }
    }

    /// Decodes from `input`, which it shortens, into `output`, and says how many bytes that gave. To be called until
    /// [`Decoder::wants_more`].
    pub fn decode(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, Unreadable> {
        if let Some(first) = input.first() {
            self.begin(*first)?;
        }
        let codec = match &mut self.codec {
            Some(codec) if self.at == At::Stream => codec,
            _ => {
                *input = &[];
                return Ok(0);
            }
        };
        let mut read = PartialBuffer::new(*input);
        let mut written = WriteBuffer::new_initialized(output);
        let has_ended = if input.is_empty() {
            codec.flush(&mut written).map_err(|_| Unreadable)?;
            false
        } else {
            codec.decode(&mut read, &mut written).map_err(|_| Unreadable)?
        };
        let (taken, given) = (read.written_len(), written.written_len());
        if taken == 0 && given == 0 && !has_ended && !input.is_empty() {
            return Err(Unreadable);
        }
        self.is_full = written.has_no_spare_space() && !has_ended;
        self.at = if has_ended { At::End } else { At::Stream };
        *input = input.get(taken..).unwrap_or_default();
        Ok(given)
    }

    /// Whether all of the input was decoded and all that it gave was handed out.
    pub fn wants_more(&self, input: &[u8]) -> bool {
        input.is_empty() && !self.is_full
    }

    /// Whether the body may end here: a stream has ended, or none has begun. To be asked when all of it was decoded.
    pub fn may_end(&mut self) -> bool {
        match &mut self.codec {
            // Who has just filled the room up may not have seen the end behind it.
            Some(codec) if self.at == At::Stream => {
                let mut more = [0; 1];
                codec.finish(&mut WriteBuffer::new_initialized(&mut more)).unwrap_or(false)
            }
            Some(_) | None => true,
        }
    }

    /// Begins a stream if one begins with `first`.
    fn begin(&mut self, first: u8) -> Result<(), Unreadable> {
        match (self.at, self.coding) {
            (At::Stream | At::Behind, _) => return Ok(()),
            (At::Start, _) => self.codec = Some(codec(self.coding, first)),
            (At::End, Coding::Zstd) => self.again()?,
            (At::End, Coding::Gzip) if first == GZIP_MAGIC => self.again()?,
            (At::End, Coding::Gzip | Coding::Deflate | Coding::Brotli) => {
                self.at = At::Behind;
                return Ok(());
            }
        }
        self.at = At::Stream;
        Ok(())
    }

    fn again(&mut self) -> Result<(), Unreadable> {
        self.codec.as_mut().map_or(Ok(()), |codec| codec.reinit()).map_err(|_| Unreadable)
    }
}

fn codec(coding: Coding, first: u8) -> Box<dyn DecodeV2 + Send> {
    match coding {
        Coding::Gzip => Box::new(GzipDecoder::new()),
        // Zlib's frame begins with the number of the method. A bare stream that did would pad with ones.
        Coding::Deflate if first & 0x0f == 8 => Box::new(ZlibDecoder::new()),
        Coding::Deflate => Box::new(DeflateDecoder::new()),
        Coding::Brotli => Box::new(BrotliDecoder::new()),
        Coding::Zstd => Box::new(ZstdDecoder::new_with_params(&[DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)])),
    }
}

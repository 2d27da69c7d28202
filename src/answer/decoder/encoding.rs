//! For tests: bodies as providers compress them.

use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::flate::params::FlateEncoderParams;
use compression_codecs::{BrotliEncoder, DeflateEncoder, EncodeV2, GzipEncoder, ZlibEncoder, ZstdEncoder};

use super::Coding;

/// A way to compress, and how the answer's head calls it.
#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    Gzip,
    Zlib,
    Deflate,
    Brotli,
    Zstd,
}

pub const ENCODINGS: [Encoding; 5] =
    [Encoding::Gzip, Encoding::Zlib, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];

impl Encoding {
    pub fn coding(self) -> Coding {
        match self {
            Self::Gzip => Coding::Gzip,
            Self::Zlib | Self::Deflate => Coding::Deflate,
            Self::Brotli => Coding::Brotli,
            Self::Zstd => Coding::Zstd,
        }
    }

    fn encoder(self) -> Box<dyn EncodeV2> {
        let level = FlateEncoderParams::from(Level::Default);
        match self {
            Self::Gzip => Box::new(GzipEncoder::new(level)),
            Self::Zlib => Box::new(ZlibEncoder::new(level)),
            Self::Deflate => Box::new(DeflateEncoder::new(level)),
            Self::Brotli => Box::new(BrotliEncoder::new(compression_codecs::brotli::params::EncoderParams::default())),
            Self::Zstd => Box::new(ZstdEncoder::new(3)),
        }
    }

    /// Compresses the pieces, each flushed.
    pub fn compress(self, pieces: &[&[u8]]) -> Vec<u8> {
        let mut encoder = self.encoder();
        let mut all = Vec::new();
        let mut room = vec![0; 1 << 16];
        let mut take = |step: &mut dyn FnMut(&mut WriteBuffer<'_>) -> bool| loop {
            let mut output = WriteBuffer::new_initialized(&mut room);
            let is_done = step(&mut output);
            all.extend_from_slice(output.written());
            if is_done {
                break;
            }
        };
        // To compress nothing is an error to some encoders.
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let mut input = PartialBuffer::new(*piece);
            take(&mut |output| {
                encoder.encode(&mut input, output).unwrap();
                input.unwritten().is_empty()
            });
            take(&mut |output| encoder.flush(output).unwrap());
        }
        take(&mut |output| encoder.finish(output).unwrap());
        all
    }
}

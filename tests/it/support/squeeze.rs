//! Compressed bodies.

use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::flate::params::FlateEncoderParams;
use compression_codecs::{
    BrotliDecoder, BrotliEncoder, DecodeV2, EncodeV2, GzipDecoder, GzipEncoder, ZstdDecoder, ZstdEncoder, brotli,
};

/// The codings, by their names in `Content-Encoding`.
pub const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

/// `text` in this coding, that many times over.
pub fn squeezed(coding: &str, text: &[u8], times: usize) -> Vec<u8> {
    let mut encoder: Box<dyn EncodeV2> = match coding {
        "gzip" => Box::new(GzipEncoder::new(FlateEncoderParams::from(Level::Default))),
        "br" => Box::new(BrotliEncoder::new(brotli::params::EncoderParams::default())),
        "zstd" => Box::new(ZstdEncoder::new(3)),
        _ => panic!("{coding} is no coding"),
    };
    let (mut all, mut room) = (Vec::new(), vec![0; 1 << 16]);
    let mut take = |step: &mut dyn FnMut(&mut WriteBuffer<'_>) -> bool| loop {
        let mut output = WriteBuffer::new_initialized(&mut room);
        let is_done = step(&mut output);
        all.extend_from_slice(output.written());
        if is_done {
            break;
        }
    };
    for _ in 0..times {
        let mut input = PartialBuffer::new(text);
        take(&mut |output| {
            encoder.encode(&mut input, output).unwrap();
            input.unwritten().is_empty()
        });
    }
    take(&mut |output| encoder.finish(output).unwrap());
    all
}

/// What a client can read of a body that may have been cut.
pub fn unsqueezed(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut decoder: Box<dyn DecodeV2> = match coding {
        "gzip" => Box::new(GzipDecoder::new()),
        "br" => Box::new(BrotliDecoder::new()),
        "zstd" => Box::new(ZstdDecoder::new()),
        _ => panic!("{coding} is no coding"),
    };
    let (mut all, mut room) = (Vec::new(), vec![0; 1 << 16]);
    let mut input = PartialBuffer::new(body);
    loop {
        let mut output = WriteBuffer::new_initialized(&mut room);
        // Where there is no more input, some call that an error.
        let is_over = decoder.decode(&mut input, &mut output).unwrap_or(true);
        all.extend_from_slice(output.written());
        if is_over || output.written().is_empty() {
            return all;
        }
    }
}

//! How a zstd stream is divided (RFC 8878 §3.1): frames of blocks.
//!
//! A block gives nothing until all of it is there, but who has the beginning of one can read much of it by other means than
//! a decoder. So blocks are let go whole or not at all, which delays nobody: no decoder shows less than a block.

/// Walks from one part of a stream to the next.
pub(super) struct Parts {
    part: Part,
    /// How many bytes of the part are still to come.
    missing: usize,
    /// The last four bytes, little-endian: all that there is to know of a part, read when it is complete.
    last: u32,
    has_checksum: bool,
}

#[derive(Clone, Copy)]
enum Part {
    Magic,
    Descriptor,
    FrameHeader,
    BlockHeader,
    Block { is_last: bool },
    Checksum,
    SkippedSize,
    Skipped,
}

/// It is no zstd stream.
#[derive(Debug)]
pub(super) struct NotZstd;

impl Default for Parts {
    fn default() -> Self {
        Self { part: Part::Magic, missing: 4, last: 0, has_checksum: false }
    }
}

impl Parts {
    /// How many bytes at the beginning of `input` belong to the part that is being read, and whether it ends with them.
    pub(super) fn next(&mut self, input: &[u8]) -> Result<(usize, bool), NotZstd> {
        let taken = input.get(..self.missing).unwrap_or(input);
        for byte in taken.iter().rev().take(4).rev() {
            self.last = self.last >> 8 | u32::from(*byte) << 24;
        }
        self.missing -= taken.len();
        let is_complete = self.missing == 0;
        // Some parts are empty.
        while self.missing == 0 {
            self.begin()?;
        }
        Ok((taken.len(), is_complete))
    }

    /// Goes on to what follows the part that is complete.
    fn begin(&mut self) -> Result<(), NotZstd> {
        (self.part, self.missing) = match self.part {
            Part::Magic => match self.last {
                0xfd2f_b528 => (Part::Descriptor, 1),
                0x184d_2a50..=0x184d_2a5f => (Part::SkippedSize, 4),
                _ => return Err(NotZstd),
            },
            Part::Descriptor => self.frame_header(),
            Part::FrameHeader => (Part::BlockHeader, 3),
            Part::BlockHeader => {
                let header = self.last >> 8;
                let size = if header >> 1 & 3 == 1 { 1 } else { header >> 3 };
                (Part::Block { is_last: header & 1 == 1 }, usize::try_from(size).map_err(|_| NotZstd)?)
            }
            Part::Block { is_last: false } => (Part::BlockHeader, 3),
            Part::Block { is_last: true } if self.has_checksum => (Part::Checksum, 4),
            Part::Block { is_last: true } | Part::Checksum | Part::Skipped => (Part::Magic, 4),
            Part::SkippedSize => (Part::Skipped, usize::try_from(self.last).map_err(|_| NotZstd)?),
        };
        Ok(())
    }

    fn frame_header(&mut self) -> (Part, usize) {
        let descriptor = self.last >> 24;
        self.has_checksum = descriptor & 4 != 0;
        let is_single_segment = descriptor & 0x20 != 0;
        let dictionary = match descriptor & 3 {
            0 => 0,
            1 => 1,
            2 => 2,
            _ => 4,
        };
        let content_size = match descriptor >> 6 {
            0 => usize::from(is_single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        (Part::FrameHeader, usize::from(!is_single_segment) + dictionary + content_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_divided_into_its_parts_however_it_comes() {
        // A skipped frame of two bytes; a frame with a window, a raw block of three, a run, and a checksum; an empty one.
        let stream = b"\x53\x2a\x4d\x18\x02\0\0\0ab\x28\xb5\x2f\xfd\x04\x00\x18\0\0abc\x2b\0\0xCCCC\x28\xb5\x2f\xfd\x20\x00\x01\0\0";
        let parts = [4, 4, 2, 4, 1, 1, 3, 3, 3, 1, 4, 4, 1, 1, 3];
        for size in 1..=stream.len() {
            let (mut walk, mut found, mut length) = (Parts::default(), Vec::new(), 0);
            for mut chunk in stream.chunks(size) {
                while !chunk.is_empty() {
                    let (taken, is_complete) = walk.next(chunk).unwrap();
                    chunk = &chunk[taken..];
                    length += taken;
                    if is_complete {
                        found.push(std::mem::take(&mut length));
                    }
                }
            }
            assert_eq!(found, parts, "in chunks of {size}");
        }
    }

    #[test]
    fn what_does_not_begin_as_zstd_is_none() {
        assert!(Parts::default().next(b"{\"a\":1}").is_err());
    }
}

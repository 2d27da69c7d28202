//! Request ids: unique within a process by counting, between processes by chance.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;

use super::access::RequestId;

/// Makes request ids.
pub struct RequestIds {
    process: [u8; 12],
    count: AtomicU64,
}

const DIGITS: [u8; 16] = *b"0123456789abcdef";

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestIds {
    /// A maker with a random beginning of its own.
    #[must_use]
    pub fn new() -> Self {
        // Without randomness ids are unique in this process still.
        Self { process: random_digits().unwrap_or([b'0'; 12]), count: AtomicU64::new(0) }
    }

    /// The next id.
    #[must_use]
    pub fn next(&self) -> RequestId {
        let mut id = [0; 24];
        let (process, count) = id.split_at_mut(12);
        process.copy_from_slice(&self.process);
        count.copy_from_slice(&hex(self.count.fetch_add(1, Ordering::Relaxed)));
        RequestId(id)
    }
}

/// Twelve hexadecimal digits by chance; `None` where the system has no randomness to give.
#[must_use]
pub fn random_digits() -> Option<[u8; 12]> {
    let mut random = [0_u8; 8];
    rand::fill(&mut random).ok()?;
    Some(hex(u64::from_be_bytes(random)))
}

/// The lowest 48 bits in hexadecimal.
fn hex(number: u64) -> [u8; 12] {
    let mut digits = [0; 12];
    for (index, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = (number >> (4 * index)) & 15;
        *digit = DIGITS.get(usize::try_from(nibble).unwrap_or(0)).copied().unwrap_or(b'0');
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_count() {
        let ids = RequestIds::new();
        let (first, second) = (ids.next().to_string(), ids.next().to_string());
        assert_eq!(first.len(), 24);
        assert_eq!(first.get(..12), second.get(..12));
        assert!(first.ends_with("000000000000") && second.ends_with("000000000001"));
        assert_eq!(&hex(0xabc), b"000000000abc");
    }
}

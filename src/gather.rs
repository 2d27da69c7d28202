//! Small pieces written as one.
//!
//! hyper hands over an answer's head and its first bytes as two slices, and a head alone as a list of one. For so
//! little, `writev` costs the kernel more than copying them together costs us.

use std::cell::RefCell;
use std::io::IoSlice;

/// What is copied at the most, in bytes. The chunks of a large body are larger and go out as they are.
const BYTES_MAX: usize = 4096;

thread_local! {
    /// The thread's and not a connection's: an idle one should not keep it.
    static TOGETHER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Gives `write` all of `slices` as one, if that is cheaper than writing them as they are.
pub fn together<R>(slices: &[IoSlice<'_>], write: impl FnOnce(&[u8]) -> R) -> Option<R> {
    if let [only] = slices {
        return Some(write(only));
    }
    if slices.iter().map(|slice| slice.len()).sum::<usize>() > BYTES_MAX {
        return None;
    }
    TOGETHER.with_borrow_mut(|bytes| {
        bytes.clear();
        slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
        Some(write(bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[&[u8]]) -> Option<Vec<u8>> {
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        together(&slices, <[u8]>::to_vec)
    }

    #[test]
    fn a_head_and_a_small_body_are_one_and_a_large_body_stays_where_it_is() {
        assert_eq!(written(&[b"head ", b"body"]), Some(b"head body".to_vec()));
        assert_eq!(written(&[b"next"]), Some(b"next".to_vec()));
        assert_eq!(written(&[b"head", &[0; BYTES_MAX]]), None);
        let alone = vec![0; 2 * BYTES_MAX];
        assert_eq!(written(&[&alone]), Some(alone.clone()));
    }
}

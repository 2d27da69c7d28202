//! Names by chance. A leaf.

use aws_lc_rs::rand;

/// A name that nobody else will come upon: 128 random bits in hexadecimal. `None` where the system has no randomness to
/// give.
#[must_use]
pub fn name() -> Option<String> {
    let mut random = [0_u8; 16];
    rand::fill(&mut random).ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let (one, other) = (name().unwrap(), name().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}

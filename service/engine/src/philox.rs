//! Philox4x32-10: 128 random bits as a pure function of a counter and a key (Salmon et al., "Parallel random
//! numbers: as easy as 1, 2, 3", 2011). There is no state, so any block can be drawn by any thread.

const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const LOW: u64 = 0xFFFF_FFFF;

/// Ten rounds over one counter, as two 64-bit words: output words 1, 0 and 3, 2.
///
/// Words live in the low halves of `u64` lanes, which is what a vector multiply (32 x 32 -> 64) wants. The high
/// halves hold rubbish between rounds; only the multiply and the last line look at a word, and both mask it.
#[inline(always)]
pub(crate) fn philox(counter: [u32; 4], key: u64) -> [u64; 2] {
    let mut words = counter.map(u64::from);
    let mut key = [key as u32, (key >> 32) as u32];
    for _ in 0..10 {
        let first = (words[0] & LOW) * MULTIPLIERS[0];
        let second = (words[2] & LOW) * MULTIPLIERS[1];
        words = [
            (second >> 32) ^ words[1] ^ u64::from(key[0]),
            second,
            (first >> 32) ^ words[3] ^ u64::from(key[1]),
            first,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    [(words[1] << 32) | (words[0] & LOW), (words[3] << 32) | (words[2] & LOW)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
        let [a, b] = philox(counter, u64::from(key[0]) | u64::from(key[1]) << 32);
        [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32]
    }

    #[test]
    fn zeros_give_the_known_answer() {
        assert_eq!(words([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    }

    #[test]
    fn ones_give_the_known_answer() {
        assert_eq!(words([!0; 4], [!0; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    }

    #[test]
    fn the_digits_of_pi_give_the_known_answer() {
        let counter = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
        let key = [0xa4093822, 0x299f31d0];
        assert_eq!(words(counter, key), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }
}

//! The answer to a question, and the few bytes that stand for it in the cache.

use causal_engine::Ate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::question::Digest256;

/// The length of an encoded answer: four numbers, a count, and a check.
pub const ENCODED: usize = 5 * 8 + 8;

/// An estimated average treatment effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// Mean outcome of the treated arm less that of the control arm.
    pub estimate: f64,
    /// Standard error of the estimate.
    #[schema(minimum = 0)]
    pub standard_error: f64,
    /// The 95 % confidence interval: lower bound, upper bound.
    pub confidence_interval: [f64; 2],
    /// Draws for each arm.
    pub samples: u64,
}

impl From<Ate> for Answer {
    fn from(ate: Ate) -> Self {
        let Ate { estimate, standard_error, confidence_interval, samples } = ate;
        Self { estimate, standard_error, confidence_interval, samples }
    }
}

impl Answer {
    /// The exact bits, and a check that binds them to their question.
    pub fn encode(&self, question: Digest256) -> [u8; ENCODED] {
        let [low, high] = self.confidence_interval;
        let words = [
            self.estimate.to_bits(),
            self.standard_error.to_bits(),
            low.to_bits(),
            high.to_bits(),
            self.samples,
        ];
        let mut bytes = [0; ENCODED];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let check = check(question, &bytes[..ENCODED - 8]);
        bytes[ENCODED - 8..].copy_from_slice(&check);
        bytes
    }

    /// Reads an answer back; anything but the exact bytes that were written for this question is no answer.
    pub fn decode(question: Digest256, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENCODED] = bytes.try_into().ok()?;
        if bytes[ENCODED - 8..] != check(question, &bytes[..ENCODED - 8]) {
            return None;
        }
        let mut words = [0_u64; 5];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(place.try_into().ok()?);
        }
        let [estimate, standard_error, low, high, samples] = words;
        Some(Self {
            estimate: f64::from_bits(estimate),
            standard_error: f64::from_bits(standard_error),
            confidence_interval: [f64::from_bits(low), f64::from_bits(high)],
            samples,
        })
    }
}

fn check(question: Digest256, bytes: &[u8]) -> [u8; 8] {
    let sum: [u8; 32] = Sha256::new().chain_update(question.0).chain_update(bytes).finalize().into();
    let mut check = [0; 8];
    check.copy_from_slice(&sum[..8]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUESTION: Digest256 = Digest256([3; 32]);

    fn answer(bits: [u64; 4], samples: u32) -> Answer {
        let [estimate, standard_error, low, high] = bits.map(f64::from_bits);
        Answer { estimate, standard_error, confidence_interval: [low, high], samples: u64::from(samples) }
    }

    proptest! {
        #[test]
        fn an_answer_is_read_back_bit_for_bit(bits in any::<[u64; 4]>(), samples in any::<u32>()) {
            let encoded = answer(bits, samples).encode(QUESTION);
            prop_assert_eq!(Answer::decode(QUESTION, &encoded).unwrap().encode(QUESTION), encoded);
        }

        #[test]
        fn one_flipped_bit_makes_it_no_answer(at in 0..ENCODED * 8) {
            let mut encoded = answer([1, 2, 3, 4], 5).encode(QUESTION);
            encoded[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(Answer::decode(QUESTION, &encoded), None);
        }
    }

    #[test]
    fn the_answer_to_another_question_is_no_answer() {
        let encoded = answer([1, 2, 3, 4], 5).encode(QUESTION);
        assert_eq!(Answer::decode(Digest256([4; 32]), &encoded), None);
        assert_eq!(Answer::decode(QUESTION, &encoded[1..]), None);
        assert_eq!(Answer::decode(QUESTION, b""), None);
    }
}

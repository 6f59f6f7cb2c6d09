//! Frames as bytes: a little-endian `u32` length, then that many bytes of postcard.

use gauntlet_core::evidence::{FRAME_LIMIT, Frame};

/// Bytes that are no frame, or a frame that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The frame is longer than a reader accepts.
    #[error("a frame of {bytes} bytes; {FRAME_LIMIT} are accepted")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
    /// The bytes do not make a frame.
    #[error("bytes that are no frame")]
    Garbled(#[from] postcard::Error),
    /// A frame with bytes behind its end.
    #[error("{0} bytes behind the end of a frame")]
    Trailing(usize),
}

/// Puts bytes, as they come, back together to frames. After an error it gives only that error.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    read: usize,
}

const PREFIX: usize = 4;

/// A frame with its length before it.
pub fn encode(frame: &Frame) -> Result<Vec<u8>, CodecError> {
    let mut bytes = postcard::to_extend(frame, vec![0; PREFIX])?;
    let body = bytes.len() - PREFIX;
    let length = u32::try_from(body).ok().filter(|length| *length <= FRAME_LIMIT);
    let length = length.ok_or(CodecError::TooLong { bytes: body as u64 })?;
    bytes[..PREFIX].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

impl Decoder {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.buffer.drain(..self.read);
            self.read = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, once all its bytes are in.
    ///
    /// No `Iterator`: more bytes may come after a `None`.
    #[expect(clippy::should_implement_trait, reason = "it fails, and goes on after `None`")]
    pub fn next(&mut self) -> Result<Option<Frame>, CodecError> {
        let waiting = &self.buffer[self.read..];
        let Some((prefix, rest)) = waiting.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let length = u32::from_le_bytes(*prefix);
        if length > FRAME_LIMIT {
            return Err(CodecError::TooLong { bytes: u64::from(length) });
        }
        let Some(body) = rest.get(..length as usize) else { return Ok(None) };
        let (frame, behind) = postcard::take_from_bytes(body)?;
        if !behind.is_empty() {
            return Err(CodecError::Trailing(behind.len()));
        }
        self.read += PREFIX + length as usize;
        Ok(Some(frame))
    }

    /// Bytes that make no whole frame yet. At the end of the stream there should be none.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.read
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_core::evidence::{Class, FRAME_LIMIT, Frame, LoadCounts, Operation, Request};
    use proptest::prelude::*;

    use super::{CodecError, Decoder, encode};

    fn request() -> impl Strategy<Value = Request> {
        let classes = prop::sample::select(Class::ALL.to_vec());
        let operations = prop::sample::select(Operation::ALL.to_vec());
        let times = (any::<u64>(), any::<u64>(), any::<u64>());
        let numbers = (any::<u16>(), any::<u16>(), any::<u32>());
        (times, numbers, classes, operations, ".{0,20}", ".{0,20}", ".{0,60}").prop_map(
            |((intended_us, sent_us, done_us), (step, status, bytes), class, operation, arm, key, value)| {
                Request {
                    intended_us,
                    sent_us,
                    done_us,
                    step,
                    arm,
                    status,
                    class,
                    bytes,
                    operation,
                    key,
                    value,
                }
            },
        )
    }

    fn frame() -> impl Strategy<Value = Frame> {
        prop_oneof![
            Just(Frame::Began),
            prop::collection::vec(request(), 0..40).prop_map(Frame::Rows),
            (any::<u64>(), any::<u64>()).prop_map(|(scheduled, sent)| Frame::Ended(LoadCounts {
                scheduled,
                sent,
                ..LoadCounts::default()
            })),
            ".{0,80}".prop_map(Frame::Failed),
        ]
    }

    proptest! {
        #[test]
        fn frames_come_back_as_they_were_however_their_bytes_are_cut(
            frames in prop::collection::vec(frame(), 0..6),
            cut in 1usize..700,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| encode(frame).unwrap()).collect();
            let (mut decoder, mut back) = (Decoder::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                while let Some(frame) = decoder.next().unwrap() {
                    back.push(frame);
                }
            }
            prop_assert_eq!(back, frames);
            prop_assert_eq!(decoder.pending(), 0);
        }

        #[test]
        fn any_bytes_give_frames_or_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_bytes_are_there() {
        let mut decoder = Decoder::default();
        decoder.push(&(FRAME_LIMIT + 1).to_le_bytes());
        let wrong = CodecError::TooLong { bytes: u64::from(FRAME_LIMIT) + 1 };
        assert_eq!(decoder.next(), Err(wrong.clone()));
        assert_eq!(decoder.next(), Err(wrong));
    }

    #[test]
    fn a_frame_over_the_limit_is_not_made() {
        let text = "x".repeat(FRAME_LIMIT as usize);
        assert!(matches!(encode(&Frame::Failed(text)), Err(CodecError::TooLong { .. })));
    }

    #[test]
    fn bytes_behind_a_frame_but_within_its_length_are_refused() {
        let mut bytes = encode(&Frame::Began).unwrap();
        bytes.push(7);
        bytes[0] += 1;
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert_eq!(decoder.next(), Err(CodecError::Trailing(1)));
    }
}

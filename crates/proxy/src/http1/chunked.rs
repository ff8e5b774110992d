//! Taking a body out of its chunks (RFC 9112, 7.1), byte by byte where it must, strictly: sizes are hexadecimal digits, lines end in CR LF.
//! Extensions and trailers are read past and not passed on.

/// The most digits of a chunk's size.
pub(crate) const SIZE_DIGITS_MAX: u8 = 16;
/// The most bytes of one body's chunk extensions together: they are for nobody, and can be sent without end.
pub(crate) const EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of one body's trailers.
pub(crate) const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { digits: u8, size: u64 },
    Extension { size: u64 },
    SizeLineFeed { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    LastLineFeed,
    Done,
}

/// The chunks are malformed, or have more beside their data than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunks of a body are malformed")]
pub(crate) struct MalformedChunk;

/// Where in the chunks the reader is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkedDecoder {
    state: State,
    extension_bytes: usize,
    trailer_bytes: usize,
}

impl ChunkedDecoder {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Size { digits: 0, size: 0 },
            extension_bytes: 0,
            trailer_bytes: 0,
        }
    }

    /// Whether the last chunk and the trailers are behind.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes off the front of `input` until there is data, which it gives, or `input` is used up or the body done.
    pub(crate) fn decode<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<&'b [u8]>, MalformedChunk> {
        loop {
            if let State::Data { left } = self.state {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                if length == 0 {
                    return Ok(None);
                }
                let (data, rest) = input.split_at(length);
                *input = rest;
                let left = left - length as u64;
                self.state = if left == 0 {
                    State::DataReturn
                } else {
                    State::Data { left }
                };
                return Ok(Some(data));
            }
            if self.is_done() {
                return Ok(None);
            }
            let Some((byte, rest)) = input.split_first() else {
                return Ok(None);
            };
            *input = rest;
            self.state = self.after(*byte)?;
        }
    }

    fn after(&mut self, byte: u8) -> Result<State, MalformedChunk> {
        Ok(match (self.state, byte) {
            (State::Size { digits, size }, _) => after_size(byte, digits, size)?,
            (State::Extension { size }, b'\r') => State::SizeLineFeed { size },
            (State::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_MAX {
                    return Err(MalformedChunk);
                }
                State::Extension { size }
            }
            (State::SizeLineFeed { size: 0 } | State::TrailerLineFeed, b'\n') => State::TrailerStart,
            (State::SizeLineFeed { size }, b'\n') => State::Data { left: size },
            (State::DataReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::Size { digits: 0, size: 0 },
            (State::TrailerStart, b'\r') => State::LastLineFeed,
            (State::Trailer, b'\r') => State::TrailerLineFeed,
            (State::LastLineFeed, b'\n') => State::Done,
            (State::TrailerStart | State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err(MalformedChunk);
                }
                State::Trailer
            }
            _ => return Err(MalformedChunk),
        })
    }
}

fn after_size(byte: u8, digits: u8, size: u64) -> Result<State, MalformedChunk> {
    match byte {
        b'\r' if digits > 0 => Ok(State::SizeLineFeed { size }),
        b';' if digits > 0 => Ok(State::Extension { size }),
        _ => {
            let digit = char::from(byte).to_digit(16).ok_or(MalformedChunk)?;
            if digits == SIZE_DIGITS_MAX {
                return Err(MalformedChunk);
            }
            Ok(State::Size {
                digits: digits + 1,
                size: size << 4 | u64::from(digit),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, and what was left over; an error when it is malformed, none when it is incomplete.
    fn decode(mut input: &[u8], cut: usize) -> Result<Option<(Vec<u8>, usize)>, MalformedChunk> {
        let mut decoder = ChunkedDecoder::new();
        let mut body = Vec::new();
        while !input.is_empty() && !decoder.is_done() {
            let (mut part, rest) = input.split_at(cut.min(input.len()));
            let length = part.len();
            while let Some(data) = decoder.decode(&mut part)? {
                body.extend_from_slice(data);
            }
            let unused = &input[length - part.len()..length];
            input = if unused.is_empty() {
                rest
            } else {
                &input[length - part.len()..]
            };
        }
        Ok(decoder.is_done().then_some((body, input.len())))
    }

    #[test]
    fn chunks_are_taken_apart_wherever_the_bytes_were_cut() {
        let input = b"5\r\nhello\r\n00006;ext=\"a b\"\r\n world\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\nnext";
        for cut in 1..input.len() {
            assert_eq!(
                decode(input, cut),
                Ok(Some((b"hello world".to_vec(), 4))),
                "{cut}"
            );
        }
    }

    #[test]
    fn whatever_some_parser_might_read_differently_is_malformed() {
        for input in [
            "\r\n",
            "x\r\n",
            "5 \r\nhello\r\n",
            " 5\r\nhello\r\n",
            "+5\r\n",
            "0x5\r\n",
            "5\nhello\r\n",
            "5\r\nhello\n",
            "5\r\nhelloX\r\n",
            "5;\n",
            "5;a\x01\r\n",
            "5;a\r\r\n",
            "0\r\n\n",
            "0\r\nA: b\n\r\n",
            "0\r\nA\x00: b\r\n\r\n",
            "-1\r\n",
            ";a\r\n",
            "11111111111111111\r\n",
        ] {
            assert_eq!(decode(input.as_bytes(), 3), Err(MalformedChunk), "{input:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = |length: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length));
        assert!(matches!(
            decode(extension(EXTENSION_BYTES_MAX).as_bytes(), 999),
            Ok(Some(_))
        ));
        assert_eq!(
            decode(extension(EXTENSION_BYTES_MAX + 1).as_bytes(), 999),
            Err(MalformedChunk)
        );
        let many = "1;eee\r\nx\r\n".repeat(EXTENSION_BYTES_MAX / 3 + 1);
        assert_eq!(
            decode(many.as_bytes(), 999),
            Err(MalformedChunk),
            "all of a body's together"
        );
        let trailer = |length: usize| format!("0\r\n{}\r\n\r\n", "t".repeat(length));
        assert!(matches!(
            decode(trailer(TRAILER_BYTES_MAX).as_bytes(), 999),
            Ok(Some(_))
        ));
        assert_eq!(
            decode(trailer(TRAILER_BYTES_MAX + 1).as_bytes(), 999),
            Err(MalformedChunk)
        );
        let digits = "0".repeat(usize::from(SIZE_DIGITS_MAX));
        assert!(matches!(
            decode(format!("{digits}\r\n\r\n").as_bytes(), 999),
            Ok(Some(_))
        ));
        assert_eq!(
            decode(format!("0{digits}\r\n\r\n").as_bytes(), 999),
            Err(MalformedChunk)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_verdict(input in proptest::collection::vec(any::<u8>(), 0..200), cut in 1_usize..50) {
            let whole = decode(&input, input.len().max(1));
            prop_assert_eq!(whole, decode(&input, cut), "however they are cut");
        }

        #[test]
        fn what_is_encoded_is_decoded(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..5), cut in 1_usize..400) {
            let mut encoded = Vec::new();
            for chunk in &chunks {
                super::super::body::BodyEncoding::Chunked.data(chunk, &mut encoded);
            }
            super::super::body::BodyEncoding::Chunked.end(&mut encoded);
            prop_assert_eq!(decode(&encoded, cut), Ok(Some((chunks.concat(), 0))));
        }
    }
}

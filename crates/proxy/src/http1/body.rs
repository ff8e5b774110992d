//! A body on its way from one framing into another.

use std::io::Write as _;

use super::chunked::{ChunkedDecoder, MalformedChunk};
use super::framing::BodyLength;

/// Takes a body out of its framing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyDecoder {
    /// So many bytes are to come.
    Known(u64),
    /// Chunks.
    Chunked(ChunkedDecoder),
    /// Everything until the end.
    UntilClose,
}

/// Why a body ended where it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Its chunks are malformed.
    #[error(transparent)]
    Malformed(#[from] MalformedChunk),
    /// Its connection ended before it did.
    #[error("the connection ended within a body")]
    Truncated,
}

impl BodyDecoder {
    pub(crate) fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::Empty => Self::Known(0),
            BodyLength::Known(length) => Self::Known(length),
            BodyLength::Chunked => Self::Chunked(ChunkedDecoder::new()),
            BodyLength::UntilClose => Self::UntilClose,
        }
    }

    /// Whether all of it has come. A body until the end never has: its end says so.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Known(left) => *left == 0,
            Self::Chunked(decoder) => decoder.is_done(),
            Self::UntilClose => false,
        }
    }

    /// Takes bytes off the front of `input` and gives the next data in them, if there is any.
    pub(crate) fn decode<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<&'b [u8]>, MalformedChunk> {
        let length = match self {
            Self::Chunked(decoder) => return decoder.decode(input),
            Self::Known(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= length as u64;
                length
            }
            Self::UntilClose => input.len(),
        };
        let (data, rest) = input.split_at(length);
        *input = rest;
        Ok((!data.is_empty()).then_some(data))
    }

    /// What it means that the connection ended here.
    pub(crate) fn at_end(&self) -> Result<(), BodyError> {
        match self {
            Self::UntilClose => Ok(()),
            _ if self.is_done() => Ok(()),
            _ => Err(BodyError::Truncated),
        }
    }
}

/// Puts a body into a framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEncoding {
    /// As it is: its length was said, or its end is the connection's.
    Plain,
    /// In chunks.
    Chunked,
}

impl BodyEncoding {
    /// Adds data, which is not empty.
    pub(crate) fn data(self, data: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Plain => out.extend_from_slice(data),
            Self::Chunked => {
                // Writing to a vector cannot fail.
                let _ = write!(out, "{:x}\r\n", data.len());
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Adds what says that there is no more.
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        if self == Self::Chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_length_takes_its_own_bytes_only() {
        let mut decoder = BodyDecoder::new(BodyLength::Known(5));
        let mut input = &b"helloGET /"[..];
        assert_eq!(decoder.decode(&mut input), Ok(Some(&b"hello"[..])));
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert_eq!(input, b"GET /");
        assert!(decoder.is_done());
        assert!(BodyDecoder::new(BodyLength::Empty).is_done());
    }

    #[test]
    fn an_early_end_is_an_error_unless_the_end_is_the_framing() {
        assert_eq!(
            BodyDecoder::new(BodyLength::Known(1)).at_end(),
            Err(BodyError::Truncated)
        );
        assert_eq!(
            BodyDecoder::new(BodyLength::Chunked).at_end(),
            Err(BodyError::Truncated)
        );
        assert_eq!(BodyDecoder::new(BodyLength::UntilClose).at_end(), Ok(()));
        assert_eq!(BodyDecoder::new(BodyLength::Empty).at_end(), Ok(()));
    }
}

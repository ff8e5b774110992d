//! An answer's body on its way: how far it is, how it is framed towards the client, and whether its connection can be used again.

use super::ExchangeError;
use crate::http1::body::{BodyDecoder, BodyEncoding};
use crate::http1::framing::{BodyLength, Version};
use crate::upstream::UpstreamError;

/// How far the answer's body is.
pub(super) struct Answer {
    pub(super) decoder: BodyDecoder,
    pub(super) encoding: BodyEncoding,
    pub(super) keeps_alive: bool,
    pub(super) is_done: bool,
    pub(super) broken: Option<UpstreamError>,
}

impl Answer {
    /// Passes bytes on; says whether some are left behind the body's end, which no honest upstream sends.
    pub(super) fn take(&mut self, input: &mut &[u8], mut data: impl FnMut(&[u8])) -> bool {
        loop {
            match self.decoder.decode(input) {
                Ok(Some(decoded)) => data(decoded),
                Ok(None) => break,
                Err(error) => {
                    self.broken = Some(UpstreamError::Body(error.into()));
                    return true;
                }
            }
        }
        !input.is_empty()
    }

    /// Says that there is no more, once.
    pub(super) fn end_if_done(&mut self, out: &mut Vec<u8>) {
        if self.decoder.is_done() && !self.is_done && self.broken.is_none() {
            self.encoding.end(out);
            self.is_done = true;
        }
    }

    /// The connection has ended.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ExchangeError> {
        self.decoder.at_end().map_err(UpstreamError::Body)?;
        self.keeps_alive = false;
        if !self.is_done {
            self.encoding.end(out);
            self.is_done = true;
        }
        Ok(())
    }
}

/// How an answer's body goes out to a client of this version.
pub(crate) fn encoding_for(body: BodyLength, version: Version) -> BodyEncoding {
    match (body, version) {
        (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => BodyEncoding::Chunked,
        _ => BodyEncoding::Plain,
    }
}

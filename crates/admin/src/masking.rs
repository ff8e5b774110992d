//! Addresses in answers to viewers, where the installation wants them masked: each becomes the network that it lies in, /24 or /48.
//!
//! It works on the bytes of every answer, whatever route they come from, so that no route can forget it: JSON, CSV and events alike, also
//! inside of longer texts. Must never hold back more of an answer than one address is long.

mod text;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{Uri, header};

use crate::problem::Problem;
use text::{Masker, is_narrower};

/// So much is masked before others have their turn.
const BYTES_AT_ONCE_MAX: usize = 16 * 1024;

/// Masks the answer's body.
pub(crate) fn mask(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let whole = stream::unfold(
        Some((body.into_data_stream(), Masker::default())),
        async |state| {
            let (mut body, mut masker) = state?;
            match body.next().await {
                Some(Ok(bytes)) => {
                    let masked = mask_piece(&mut masker, &bytes).await;
                    Some((Ok(Bytes::from(masked)), Some((body, masker))))
                }
                Some(Err(error)) => Some((Err(error), None)),
                None => Some((Ok(Bytes::from(masker.finish())), None)),
            }
        },
    );
    Response::from_parts(parts, Body::from_stream(whole))
}

async fn mask_piece(masker: &mut Masker, piece: &[u8]) -> Vec<u8> {
    let mut masked = Vec::with_capacity(piece.len());
    for bytes in piece.chunks(BYTES_AT_ONCE_MAX) {
        masked.extend(masker.take(bytes));
        tokio::task::yield_now().await;
    }
    masked
}

/// Refuses a question for an address, or for a narrower network than the caller sees: its answers would tell what is masked.
pub(crate) fn check_question(uri: &Uri) -> Result<(), Problem> {
    let query = uri.query().unwrap_or_default();
    let Ok(fields) = serde_urlencoded::from_str::<Vec<(String, String)>>(query) else {
        // Whoever reads it refuses it.
        return Ok(());
    };
    match fields.iter().find(|(_, value)| is_narrower(value)) {
        Some((name, _)) => Err(Problem::field(
            name,
            "Addresses are masked for your role: ask for a network of /24 (IPv4) or /48 (IPv6), or a wider one.",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

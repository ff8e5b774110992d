//! The operators' console at `/admin/ui/`: static files that the build embeds, compressed beforehand. Whatever is no file is
//! one of the console's own routes and gets its page; a missing file stays missing.
//! Must never answer anything of the API, or allow a page to run code that is not one of its own files.

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};

use crate::problem::{Code, Problem};

const ROOT: &str = "/admin/ui/";
const PAGE: &str = "index.html";
/// What lies in here has a hash of its content in its name.
const HASHED: &str = "assets/";
/// The compressed copies, best first: the coding, and what a file's name ends in.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];
/// How much of a file's hash names its content.
const ETAG_BYTES: usize = 16;

/// Nothing but the console's own files; no code or style in a page's text, and no text that becomes code.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
const PERMISSIONS_POLICY: &str =
    "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-read=()";

/// What is served when the build had no console to embed.
const PLACEHOLDER: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Key-IP Sentinel</title>\
     <h1>This build has no console</h1><p>Build it with <code>make console</code>, then build Sentinel again. \
     The API under <code>/admin/api/</code> works all the same.</p></html>\n";

#[derive(rust_embed::Embed)]
#[folder = "../../console/dist/app"]
#[allow_missing = true]
struct Files;

/// The console's routes. All are public: what the files show comes from the API, which asks who is there.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let to_root = || on(MethodFilter::GET, async || Redirect::permanent(ROOT));
    Router::new()
        .route("/admin", to_root())
        .route("/admin/", to_root())
        .route("/admin/ui", to_root())
        .route(ROOT, on(MethodFilter::GET, page))
        .route("/admin/ui/{*path}", on(MethodFilter::GET, file_or_page))
}

async fn page(headers: HeaderMap) -> Response {
    answer(PAGE, &headers).unwrap_or_else(placeholder)
}

async fn file_or_page(path: Result<Path<String>, PathRejection>, uri: Uri, headers: HeaderMap) -> Response {
    let Ok(Path(path)) = path else {
        return missing(&uri);
    };
    let is_copy = CODINGS.iter().any(|(_, ending)| path.ends_with(ending));
    match answer(&path, &headers) {
        Some(response) if !is_copy => response,
        _ if names_a_file(&path) => missing(&uri),
        _ => page(headers).await,
    }
}

/// A route of the console has no dot in its last part.
fn names_a_file(path: &str) -> bool {
    path.starts_with(HASHED) || path.rsplit('/').next().is_some_and(|last| last.contains('.'))
}

fn missing(uri: &Uri) -> Response {
    tracing::debug!(path = uri.path(), "the console has no such file");
    Problem::new(
        Code::NotFound,
        "The console has no such file; an older page may have asked for it: load it again.",
    )
    .into_response()
}

fn placeholder() -> Response {
    let content_type = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (StatusCode::SERVICE_UNAVAILABLE, content_type, PLACEHOLDER).into_response()
}

/// The file in the best coding that the caller takes, or that the caller has it already.
fn answer(path: &str, request: &HeaderMap) -> Option<Response> {
    let (file, coding) = best_copy(path, request)?;
    let etag = etag(&file.metadata.sha256_hash());
    let mut response = if has_already(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Bytes::from(file.data.into_owned()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type(path));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching(path)));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    );
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(PERMISSIONS_POLICY),
    );
    Some(response)
}

fn best_copy(path: &str, request: &HeaderMap) -> Option<(rust_embed::EmbeddedFile, Option<&'static str>)> {
    let compressed = CODINGS.into_iter().find_map(|(coding, ending)| {
        let copy = accepts(request, coding).then(|| Files::get(&format!("{path}{ending}")))??;
        Some((copy, Some(coding)))
    });
    compressed.or_else(|| Files::get(path).map(|file| (file, None)))
}

/// Whether the caller names the coding without refusing it by a weight of nought (RFC 9110, 12.5.3).
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
        name.trim().eq_ignore_ascii_case(coding) && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Whether one of the caller's tags is this one; how strong it is does not matter for a GET (RFC 9110, 13.1.2).
fn has_already(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes())
}

fn etag(hash: &[u8; 32]) -> HeaderValue {
    let digits = HEXLOWER.encode(&hash[..ETAG_BYTES]);
    HeaderValue::from_str(&format!("\"{digits}\"")).expect("hexadecimal digits are a header value")
}

fn caching(path: &str) -> &'static str {
    if path.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

/// By what the name ends in: the build makes no other kinds of files.
fn content_type(path: &str) -> HeaderValue {
    HeaderValue::from_static(match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests;

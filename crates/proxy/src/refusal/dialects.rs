//! The bodies of refusals in the forms that SDKs read. Each has all that its form wants, and nothing that a client wrote.

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct OpenAi<'a> {
    pub(super) error: OpenAiError<'a>,
}

#[derive(Serialize)]
pub(super) struct OpenAiError<'a> {
    pub(super) message: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) param: Option<&'static str>,
    pub(super) code: &'static str,
    pub(super) reference: &'a str,
}

#[derive(Serialize)]
pub(super) struct Anthropic<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) error: AnthropicError<'a>,
}

#[derive(Serialize)]
pub(super) struct AnthropicError<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) message: &'a str,
    pub(super) code: &'static str,
    pub(super) reference: &'a str,
}

#[derive(Serialize)]
pub(super) struct Gemini<'a> {
    pub(super) error: GeminiError<'a>,
}

#[derive(Serialize)]
pub(super) struct GeminiError<'a> {
    pub(super) code: u16,
    pub(super) message: &'a str,
    pub(super) status: &'static str,
    pub(super) details: [ErrorInfo<'a>; 1],
}

/// `google.rpc.ErrorInfo`.
#[derive(Serialize)]
pub(super) struct ErrorInfo<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    pub(super) reason: &'static str,
    pub(super) domain: &'static str,
    pub(super) metadata: Metadata<'a>,
}

#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    pub(super) reference: &'a str,
}

/// Room for nearly every body, so that writing one does not move it again and again.
const BODY_BYTES: usize = 512;

/// The body as text.
pub(super) fn text_of(body: &impl Serialize) -> String {
    let mut text = Vec::with_capacity(BODY_BYTES);
    serde_json::to_writer(&mut text, body).expect("text and numbers are always JSON");
    String::from_utf8(text).expect("JSON is text")
}

//! First answers to requests that may come again, so that a change that was asked for twice is made once.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::time::Timestamp;

/// For so long a first answer is given again.
pub const ANSWER_KEPT: Duration = Duration::from_hours(24);
/// A request that has no answer after this is over: the process that served it is gone. The same one may then be made anew.
pub const UNDER_WAY_MAX: Duration = Duration::from_mins(1);
/// So many requests of one account are remembered, the last ones.
pub const ANSWERS_OF_ACCOUNT_MAX: u32 = 2_000;

/// A request that its caller may send again, under a name of his own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatableRequest {
    /// Whose name it is.
    pub account: String,
    /// What the caller named it.
    pub key: String,
    /// Of all that decides what the request does.
    pub digest: [u8; 32],
    /// When it came.
    pub at: Timestamp,
}

/// The answer that a request got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body; empty without one.
    pub media_type: String,
    /// The body; text as it went out.
    pub body: String,
}

/// What is known of a request when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// Nothing: it is to be served, and is remembered as under way.
    First,
    /// It was answered like this.
    Answered(FirstAnswer),
    /// The same one is being served, here or elsewhere.
    UnderWay,
    /// The name was given to another request.
    KeyReused,
}

/// Remembers first answers for all replicas, each for [`ANSWER_KEPT`]. Removes what is older, step by step.
#[async_trait]
pub trait AnswerStore: Send + Sync {
    /// Asks about a request and, when nothing is known, remembers it: of many at the same time one is the first.
    async fn begin(&self, request: RepeatableRequest) -> Result<Repeated, StoreError>;

    /// Keeps the answer of the one that was the first; without an answer it is forgotten, and may come again as a first one.
    async fn finish(&self, request: RepeatableRequest, answer: Option<FirstAnswer>)
    -> Result<(), StoreError>;
}

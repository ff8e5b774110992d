//! First answers, kept beside everything else that the fake store holds.

use async_trait::async_trait;
use sentinel_core::ports::{AnswerStore, FirstAnswer, RepeatableRequest, Repeated, StoreError};

use super::FakeStore;

#[async_trait]
impl AnswerStore for FakeStore {
    async fn begin(&self, request: RepeatableRequest) -> Result<Repeated, StoreError> {
        let mut stored = self.working()?;
        if stored.is_under_way {
            return Ok(Repeated::UnderWay);
        }
        let known = stored
            .answers
            .iter()
            .find(|(known, _)| (&known.account, &known.key) == (&request.account, &request.key));
        match known {
            Some((known, _)) if known.digest != request.digest => Ok(Repeated::KeyReused),
            Some((_, Some(answer))) => Ok(Repeated::Answered(answer.clone())),
            Some((_, None)) => Ok(Repeated::UnderWay),
            None => {
                stored.answers.push((request, None));
                Ok(Repeated::First)
            }
        }
    }

    async fn finish(
        &self,
        request: RepeatableRequest,
        answer: Option<FirstAnswer>,
    ) -> Result<(), StoreError> {
        let mut stored = self.working()?;
        stored.answers.retain(|(known, _)| *known != request);
        if answer.is_some() {
            stored.answers.push((request, answer));
        }
        Ok(())
    }
}

//! First answers on the store in memory.

use async_trait::async_trait;
use sentinel_core::ports::{
    ANSWERS_OF_ACCOUNT_MAX, AnswerStore, FirstAnswer, RepeatableRequest, Repeated, StoreError,
};

use super::MemoryStore;
use crate::answers::{kept_since, under_way_since};

/// A request that is remembered, and its answer once there is one.
#[derive(Debug)]
pub(super) struct Remembered {
    request: RepeatableRequest,
    answer: Option<FirstAnswer>,
}

#[async_trait]
impl AnswerStore for MemoryStore {
    async fn begin(&self, request: RepeatableRequest) -> Result<Repeated, StoreError> {
        let mut state = self.state();
        let answers = &mut state.answers;
        answers.retain(|known| known.request.at > kept_since(request.at));
        let is_same = |known: &&Remembered| {
            known.request.account == request.account && known.request.key == request.key
        };
        if let Some(known) = answers.iter().find(is_same) {
            let is_over = known.answer.is_none() && known.request.at <= under_way_since(request.at);
            match &known.answer {
                _ if known.request.digest != request.digest => return Ok(Repeated::KeyReused),
                Some(answer) => return Ok(Repeated::Answered(answer.clone())),
                None if !is_over => return Ok(Repeated::UnderWay),
                None => {}
            }
        }
        answers.retain(|known| !is_same(&known));
        let own = answers
            .iter()
            .filter(|known| known.request.account == request.account);
        if own.count() >= ANSWERS_OF_ACCOUNT_MAX as usize
            && let Some(oldest) = answers
                .iter()
                .position(|known| known.request.account == request.account)
        {
            answers.remove(oldest);
        }
        answers.push(Remembered {
            request,
            answer: None,
        });
        Ok(Repeated::First)
    }

    async fn finish(
        &self,
        request: RepeatableRequest,
        answer: Option<FirstAnswer>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let place = state
            .answers
            .iter()
            .position(|known| known.request == request && known.answer.is_none());
        match (place, answer) {
            (Some(place), Some(answer)) => state.answers[place].answer = Some(answer),
            (Some(place), None) => {
                state.answers.remove(place);
            }
            (None, _) => {}
        }
        Ok(())
    }
}

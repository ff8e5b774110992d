mod chat;
mod email;
mod failures;
mod webhook;

use std::sync::Arc;

use sentinel_core::alert::Alert;
use sentinel_testkit::{Answer, ScriptedUpstream, SeenRequest, bounded};
use serde_json::Value;

use super::*;
use crate::testing::{NOW, channel_id, console, http, local_client};

/// A platform's receiver, and the channel that leads to it.
struct Receiver<P> {
    upstream: ScriptedUpstream,
    channel: HttpChannel<P>,
}

impl<P: Platform> Receiver<P> {
    async fn start(answer: Answer, platform: impl FnOnce(HttpUrl) -> P) -> Self {
        Self::start_with(answer, platform, Some(console())).await
    }

    async fn start_with(
        answer: Answer,
        platform: impl FnOnce(HttpUrl) -> P,
        console: Option<Arc<Console>>,
    ) -> Self {
        let upstream = ScriptedUpstream::start(answer).await;
        let url = http(&format!("{}/hook?key=token", upstream.url()));
        let id = channel_id("ops");
        let channel = HttpChannel::new(id, platform(url), local_client(), Language::English, console);
        Self { upstream, channel }
    }

    async fn send(&self, alert: &Alert) -> Result<(), Failure> {
        bounded("an attempt's end", self.channel.send(alert, NOW)).await
    }

    /// Sends, and gives what the receiver saw.
    async fn seen(&self, alert: &Alert) -> (SeenRequest, Value) {
        self.send(alert).await.expect("the receiver takes it");
        let last = self.upstream.requests().len() - 1;
        let request = self.upstream.wait_for_body(last).await;
        let body = serde_json::from_slice(&request.body).expect("JSON");
        (request, body)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text is not {value}"))
}

#[test]
fn as_many_lines_stay_as_fit() {
    let fits_up_to = |max: usize| fitting(5, |lines| lines, |lines| *lines <= max);
    assert_eq!(
        (fits_up_to(9), fits_up_to(5), fits_up_to(2), fits_up_to(0)),
        (5, 5, 2, 0)
    );
    assert_eq!(
        fitting(3, |lines| lines, |_| false),
        0,
        "without lines it goes out as it is"
    );
}

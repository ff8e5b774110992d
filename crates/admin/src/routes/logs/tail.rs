//! The audit log as it is written, as server-sent events.
//!
//! Each row comes once on one connection. Whoever connects again with the `Last-Event-ID` of before misses none, and may get some of the
//! last ones again: while an older row may still be on its way, events carry the id from before it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use sentinel_core::ports::{InterceptFilter, StoreError, StoredIntercept};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::query::LogQuery;
use super::view::InterceptView;
use crate::auth::standing::Standing;
use crate::extract::{QueryString, SignedIn, parse_number};
use crate::middleware::BearerToken;
use crate::parts::Admin;
use crate::problem::{Code, Problem};
use crate::server::Stopping;
use crate::tails::{Following, LOOK_ROWS_MAX, Place, Position, Run};

/// How often a tail says that it is there.
pub(super) const PING_PAUSE: Duration = Duration::from_secs(15);
/// How often it is looked whether the caller may still follow.
pub(super) const CHECK_PAUSE: Duration = Duration::from_secs(5);
/// So far behind a tail goes on from the store, in rows; what is older is left out, and counted.
pub(super) const CATCH_UP_ROWS_MAX: u64 = 10_000;
/// How many events wait for a slow reader.
const EVENTS_WAITING_MAX: usize = 64;
/// So long an event waits for a reader that takes nothing; then the tail ends.
pub(super) const READER_WAIT_MAX: Duration = Duration::from_secs(30);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells a proxy in front of us to pass events on as they come.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// Where the caller left off; none when it begins now.
pub(super) struct LastEventId(Option<i64>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(LAST_EVENT_ID) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default();
        Ok(Self(Some(parse_number("Last-Event-ID", text)?.max(0))))
    }
}

/// `GET /admin/api/logs/tail`.
#[utoipa::path(
    get,
    path = "/admin/api/logs/tail",
    summary = "Follows the log: each row as it is written, by whichever replica.",
    description = "Server-sent events. `intercept`: a row, as the list has it. `ping`, every 15 seconds. `skipped`: `{count}`, at most so many \
        rows were left out, since there were too many to catch up with or to wait for; the list has them. `end`: `{reason}`, one of `signed_out`, `stopping`, \
        `store_failed`. The `id` of an event says where to go on, in `Last-Event-ID`: it is the row's own, or a smaller one while an older \
        row may still be on its way, so that rows can come again but none is missed. Takes the filters of the list, not its pages.",
    params(
        LogQuery,
        ("Last-Event-ID" = Option<i64>, Header, description = "The `id` of the last event that was seen; left out, the tail begins now.")
    ),
    responses((status = 200, description = "Events, until somebody ends them.", content((String = "text/event-stream")))),
    extensions(("x-problems" = json!(["limit_reached"])))
)]
pub(super) async fn tail(
    State(admin): State<Arc<Admin>>,
    caller: SignedIn,
    BearerToken(token): BearerToken,
    stopping: Option<Extension<Stopping>>,
    QueryString(query): QueryString<LogQuery>,
    LastEventId(last): LastEventId,
) -> Result<Response, Problem> {
    query.is_no_export()?;
    query.is_no_page()?;
    let filter = query.filter(LOOK_ROWS_MAX)?;
    let place = admin.tails.place(&caller.name).ok_or_else(|| {
        Problem::new(
            Code::LimitReached,
            "Enough callers follow the log, or enough of this account: end another one first.",
        )
    })?;
    let following = admin.tails.follow().await?;
    let (events, waiting) = mpsc::channel(EVENTS_WAITING_MAX);
    let standing = Standing::new(&admin, caller, token);
    let tail = Tail {
        admin,
        filter,
        position: last.map_or_else(|| following.position.clone(), Position::behind),
        events,
        _place: place,
    };
    tokio::spawn(tail.run(standing, following, stopping.map(|Extension(stopping)| stopping)));
    let events = stream::unfold(waiting, async |mut waiting| {
        let event = waiting.recv().await?;
        Some((Ok::<Event, Infallible>(event), waiting))
    });
    Ok(([UNBUFFERED], Sse::new(events)).into_response())
}

/// Why a tail ends.
#[derive(Debug)]
enum End {
    /// Its reader is gone, or takes nothing.
    Unheard,
    /// The caller may not follow any more.
    SignedOut,
    /// The listener stops.
    Stopping,
    /// The store does not answer.
    StoreFailed,
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        tracing::debug!(%error, "a tail ends as the store failed");
        Self::StoreFailed
    }
}

/// Returns when the caller may not follow any more, or not as this one; whatever the tail is busy with meanwhile.
async fn ended(standing: Standing) {
    let mut check = interval_at(Instant::now() + CHECK_PAUSE, CHECK_PAUSE);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        check.tick().await;
        // Who cannot be looked up is not gone. Where there is no answer, there are no rows either.
        if let Ok(false) = standing.holds().await {
            return;
        }
    }
}

/// One caller that follows.
struct Tail {
    admin: Arc<Admin>,
    filter: InterceptFilter,
    position: Position,
    events: mpsc::Sender<Event>,
    _place: Place,
}

impl Tail {
    async fn run(mut self, standing: Standing, following: Following, stopping: Option<Stopping>) {
        let stopped = async {
            match stopping {
                Some(stopping) => stopping.wait().await,
                None => std::future::pending().await,
            }
        };
        let gone = self.events.clone();
        let end = tokio::select! {
            biased;
            () = gone.closed() => End::Unheard,
            () = stopped => End::Stopping,
            () = ended(standing) => End::SignedOut,
            end = self.follow(following) => end,
        };
        let reason = match end {
            End::Unheard => return,
            End::SignedOut => "signed_out",
            End::Stopping => "stopping",
            End::StoreFailed => "store_failed",
        };
        // A reader that takes nothing is not waited for.
        let _ = self.events.try_send(event("end", &json!({ "reason": reason })));
    }

    async fn follow(&mut self, mut following: Following) -> End {
        let mut ping = interval_at(Instant::now(), PING_PAUSE);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = async {
            self.catch_up(&following.position).await?;
            loop {
                tokio::select! {
                    appeared = following.appeared.recv() => match appeared {
                        Ok(appeared) => {
                            self.show(&appeared.rows, &appeared.position).await?;
                            self.skipped(appeared.given_up).await?;
                            self.position = appeared.position.clone();
                        }
                        Err(RecvError::Lagged(_)) => {
                            following = self.admin.tails.follow().await?;
                            self.catch_up(&following.position).await?;
                        }
                        Err(RecvError::Closed) => return Err::<Infallible, End>(End::StoreFailed),
                    },
                    _ = ping.tick() => self.ping().await?,
                }
            }
        };
        match outcome.await {
            Err(end) => end,
        }
    }

    /// Shows from the store what lies between here and there.
    async fn catch_up(&mut self, there: &Position) -> Result<(), End> {
        let (mut way, left_out) = self.position.way_to(there, CATCH_UP_ROWS_MAX);
        self.skipped(left_out).await?;
        while !way.is_empty() {
            let rows = self.admin.intercepts.by_ids(way.clone(), LOOK_ROWS_MAX).await?;
            self.show(&rows, there).await?;
            match rows.last() {
                Some(last) if rows.len() >= LOOK_ROWS_MAX as usize => behind(&mut way, last.id),
                _ => break,
            }
        }
        self.position = there.clone();
        Ok(())
    }

    async fn show(&self, rows: &[StoredIntercept], position: &Position) -> Result<(), End> {
        for row in rows.iter().filter(|row| self.filter.lets_through(row)) {
            let go_on = row.id.min(position.complete_to());
            let shown = event("intercept", &InterceptView::from(row.clone()));
            self.send(shown.id(go_on.to_string())).await?;
        }
        Ok(())
    }

    /// Its id spares whoever connects again the rows that no filter let through.
    async fn ping(&self) -> Result<(), End> {
        let go_on = self.position.complete_to().to_string();
        self.send(event("ping", &json!({})).id(go_on)).await
    }

    /// Says that so many rows at most do not come.
    async fn skipped(&self, count: u64) -> Result<(), End> {
        if count == 0 {
            return Ok(());
        }
        self.send(event("skipped", &json!({ "count": count }))).await
    }

    async fn send(&self, event: Event) -> Result<(), End> {
        let sent = self.events.send_timeout(event, READER_WAIT_MAX).await;
        sent.map_err(|_| End::Unheard)
    }
}

fn event(kind: &str, data: &impl serde::Serialize) -> Event {
    Event::default()
        .event(kind)
        .json_data(data)
        .expect("text, numbers and lists are always JSON")
}

/// Takes what lies up to this id out of the way.
fn behind(way: &mut Vec<Run>, id: i64) {
    way.retain(|run| *run.end() > id);
    if let Some(first) = way.first_mut()
        && *first.start() <= id
    {
        *first = id + 1..=*first.end();
    }
}

#[cfg(test)]
mod tests;

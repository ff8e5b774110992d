//! Raw answers of an upstream: what the client gets of each, and that the next request gets its own answer and nothing of this one.

mod cut;
mod framing;
mod heads;
mod storms;

use sentinel_testkit::{Answer, RawClient, RawHead};

use super::{PROBE, Then, bytes, echoing_upstream, get, report, shortened, text, why};
use crate::support::Sentinel;

/// What the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    /// A whole answer: its head, line by line, its body, and what becomes of the client's connection.
    Whole(&'static [&'static str], &'static str, Then),
    /// The beginning of one, and an end that cannot be taken for the answer's.
    Broken(&'static str),
    /// 502: nothing of it.
    Refused,
}

use Gets::{Broken, Refused, Whole};

/// Whether the upstream's connection is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Kept,
    Dropped,
    /// The upstream closes it behind the bytes.
    Closes,
}

use Connection::{Closes, Kept};

type Row = (&'static str, &'static str, Connection, Gets);

const OK: &str = "HTTP/1.1 200 OK";
/// A whole answer of no bytes.
const EMPTY: Gets = Whole(&[OK, "content-length: 0"], "", Then::Open);
/// A whole answer of five.
const HELLO: Gets = Whole(&[OK, "content-length: 5"], "hello", Then::Open);
/// The same in chunks.
const HELLO_IN_CHUNKS: Gets = Whole(&[OK, "transfer-encoding: chunked"], "hello", Then::Open);

async fn run(rows: &'static [Row], request: &str) {
    let mut running = tokio::task::JoinSet::new();
    for row in rows {
        let request = request.to_owned();
        running.spawn(async move {
            let told = format!("{}\n    answered {}", row.0, shortened(row.1));
            let outcome = tokio::spawn(judge(row, request)).await;
            outcome
                .unwrap_or_else(|panic| Err(why(panic)))
                .map_err(|why| format!("{told}\n    {why}"))
        });
    }
    report(running).await;
}

async fn judge(&(_, answer, connection, gets): &Row, request: String) -> Result<(), String> {
    let upstream = echoing_upstream().await;
    let sentinel = Sentinel::start(upstream.address());
    let answer = Answer::raw(bytes(answer));
    upstream.answer_next(if connection == Closes {
        answer.then_close()
    } else {
        answer
    });
    let mut client = sentinel.client().await;
    client.send(&request).await;
    let to_head = request.starts_with("HEAD ");
    let head = client.read_head().await;
    let then = match gets {
        Whole(lines, body, then) => {
            judge_head(&head, lines)?;
            let got = if to_head {
                Ok(Vec::new())
            } else {
                read_all(&mut client).await
            };
            if got.as_deref().map(text) != Ok(body.to_owned()) {
                return Err(format!("its body was {:?}", got.map(|body| text(&body))));
            }
            then
        }
        Broken(beginning) => {
            let got = read_all(&mut client).await;
            if got.as_deref().map_err(|body| text(body)) != Err(beginning.to_owned()) {
                return Err(format!("its body was {:?}", got.map(|body| text(&body))));
            }
            Then::Closed
        }
        Refused if head.status != 502 => return Err(format!("got {}, not 502", text(&head.bytes))),
        Refused => {
            if !to_head {
                client.read_body().await;
            }
            Then::Open
        }
    };
    if then == Then::Closed {
        let more = client.wait_for_close().await;
        if !more.is_empty() {
            return Err(format!("more came: {}", shortened(&text(&more))));
        }
        client = sentinel.client().await;
    }
    let probe = client.request(PROBE).await;
    if (probe.status(), probe.text().as_str()) != (200, "GET /probe") {
        return Err(format!(
            "the next request got {} {:?}",
            probe.status(),
            probe.text()
        ));
    }
    client.reset();
    // A refused or broken answer leaves nothing to be used again.
    let is_kept = connection == Kept && matches!(gets, Whole(..));
    if (upstream.connections() == 1) != is_kept {
        return Err(format!(
            "the upstream's connection: expected {connection:?}, {} made",
            upstream.connections()
        ));
    }
    Ok(())
}

fn judge_head(head: &RawHead, expected: &[&str]) -> Result<(), String> {
    let got = text(&head.bytes);
    let lines: Vec<&str> = got.trim_end_matches("\r\n").split("\r\n").collect();
    // A reason that is empty leaves a space, which nothing of the head's end may take away.
    if lines == expected {
        Ok(())
    } else {
        Err(format!("its head was {lines:?}"))
    }
}

/// The whole body, or what came of one that broke off.
async fn read_all(client: &mut RawClient) -> Result<Vec<u8>, Vec<u8>> {
    let mut body = Vec::new();
    loop {
        match client.try_read_chunk().await {
            Ok(Some(chunk)) => body.extend(chunk),
            Ok(None) => return Ok(body),
            Err(_) => return Err(body),
        }
    }
}

//! The show: real requests through a running Sentinel, each step checked against what it says.
//!
//! It changes nothing but the bindings of its own keys, and stops at the first step that did not do what it says.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::binding::{BindingId, BindingRecord};
use sentinel_core::decision::RefusalReason;
use sentinel_core::event::Actor;
use sentinel_core::fingerprint::ApiKey;
use sentinel_core::network::ClientIp;
use sentinel_core::ports::{
    BindingAdmin, BindingFilter, InterceptFilter, InterceptStore, StoreError, StoredIntercept,
};
use sentinel_core::time::Clock;
use serde_json::Value;

use super::client::{Reply, Request, can_come_from, send};
use super::keys::DEMO_KEY;
use super::screen::Screen;

/// What a refusal carries to be found again.
pub(super) const REFERENCE_HEADER: &str = "x-sentinel-reference";
/// Where the owner of the key lives.
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where somebody else lives.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// A key that the upstream does not know.
const UNKNOWN_KEY: &str = "sk-SomebodyGuessedThisKey0000001";
/// The longest wait for something that is written after the answer went out.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// The pause between two looks while waiting.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How many rows to ask for: more than the show makes.
const PAGE_ROWS: u32 = 50;

const WHOLE: &str = r#"{"model":"demo","messages":[{"role":"user","content":"Hi"}]}"#;
const STREAMED: &str = r#"{"model":"demo","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;

/// A running Sentinel with no bindings yet, in front of a demo upstream that accepts [`DEMO_KEY`].
pub(crate) struct Stage {
    /// Where its proxy listens, on 127.0.0.1.
    pub(crate) proxy: SocketAddr,
    /// Its bindings, wired so that a change is noticed by its proxy at once.
    pub(crate) bindings: Arc<dyn BindingAdmin>,
    /// Its audit log.
    pub(crate) intercepts: Arc<dyn InterceptStore>,
    /// Its clock.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Runs the show and writes it to `output`. True when every step did what it says; errors come from `output` alone.
pub(crate) async fn show(stage: &Stage, output: &mut (dyn Write + Send)) -> io::Result<bool> {
    show_within(stage, output, SETTLE_MAX).await
}

async fn show_within(
    stage: &Stage,
    output: &mut (dyn Write + Send),
    settle_max: Duration,
) -> io::Result<bool> {
    let mut show = Show {
        stage,
        settle_max,
        screen: Screen::new(output),
    };
    match show.run().await {
        Ok(()) => {
            show.screen.text("\nEvery step did what it says.")?;
            Ok(true)
        }
        Err(Failure::Unexpected { expected, got }) => {
            show.screen.bad(&expected, &got)?;
            show.screen.text("\nThe demo failed at this step.")?;
            Ok(false)
        }
        Err(Failure::Output(error)) => Err(error),
    }
}

/// Why the show ended early.
enum Failure {
    Unexpected { expected: String, got: String },
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn unexpected(expected: impl Into<String>, got: impl Into<String>) -> Failure {
    Failure::Unexpected {
        expected: expected.into(),
        got: got.into(),
    }
}

fn store_failure(error: &StoreError) -> Failure {
    unexpected("an answer from the store", error.to_string())
}

struct Show<'s, 'w> {
    stage: &'s Stage,
    settle_max: Duration,
    screen: Screen<'w>,
}

impl Show<'_, '_> {
    async fn run(&mut self) -> Result<(), Failure> {
        self.screen.text(&format!(
            "Key-IP Sentinel at http://{}, in front of a demo upstream. Everything here is thrown away afterwards.",
            self.stage.proxy
        ))?;
        can_come_from(ELSEWHERE).map_err(|error| {
            unexpected(
                format!("{ELSEWHERE} to be an address of this machine, as on Linux"),
                format!("{error} (on macOS, add it with: sudo ifconfig lo0 alias {ELSEWHERE} up)"),
            )
        })?;
        let binding = self.first_use_binds().await?;
        self.same_address_is_allowed().await?;
        let reference = self.other_address_is_refused().await?;
        self.refusal_is_on_record(&reference, binding).await?;
        self.operator_unbinds(binding).await?;
        self.next_use_binds_again(binding).await?;
        self.unknown_key_leaves_nothing().await
    }

    async fn first_use_binds(&mut self) -> Result<BindingId, Failure> {
        self.screen
            .step("A key's first use binds it to the network that it came from")?;
        self.ask(HOME, DEMO_KEY, WHOLE, 200).await?;
        let record = self.only_binding(HOME).await?;
        self.screen.good(&format!(
            "bound: {} may be used from {}",
            record.hint.as_str(),
            networks(&record)
        ))?;
        Ok(record.binding.id)
    }

    async fn same_address_is_allowed(&mut self) -> Result<(), Failure> {
        self.screen.step("From there it works as before, streams too")?;
        let reply = self.ask(HOME, DEMO_KEY, STREAMED, 200).await?;
        let ended = reply.events().last() == Some("[DONE]");
        if reply.pieces < 2 || !ended {
            return Err(unexpected(
                "a stream in several pieces that ends in [DONE]",
                format!("{} pieces: {}", reply.pieces, reply.body),
            ));
        }
        self.only_binding(HOME).await?;
        Ok(self.screen.good("allowed, and passed on event by event")?)
    }

    async fn other_address_is_refused(&mut self) -> Result<String, Failure> {
        self.screen.step("The same key from elsewhere is refused")?;
        let reply = self.ask(ELSEWHERE, DEMO_KEY, WHOLE, 403).await?;
        let reference = self.refusal_reference(&reply, ELSEWHERE, HOME)?;
        self.screen
            .good("refused; the answer names the caller's own address and never the permitted one")?;
        Ok(reference)
    }

    async fn refusal_is_on_record(&mut self, reference: &str, binding: BindingId) -> Result<(), Failure> {
        self.screen
            .step("The refusal is on record, found by its reference")?;
        self.screen.command(&format!(
            "curl -H \"Authorization: Bearer $ADMIN_TOKEN\" \\\n  'http://127.0.0.1:7001/admin/api/logs?reference={reference}'"
        ))?;
        let intercept = self.recorded(reference).await?.intercept;
        let as_expected = intercept.reason == RefusalReason::KeyIpMismatch
            && intercept.client_ip == ClientIp::new(ELSEWHERE)
            && intercept.binding == Some(binding);
        if !as_expected {
            return Err(unexpected(
                format!("a key_ip_mismatch of binding {binding} from {ELSEWHERE}"),
                format!("{intercept:?}"),
            ));
        }
        self.screen.text(&format!(
            "   {} {} {} {} from {} by {}",
            intercept.at.rfc3339(),
            intercept.reason.code(),
            intercept.method,
            intercept.path,
            intercept.client_ip,
            intercept.hint.as_ref().map_or("no key", |hint| hint.as_str()),
        ))?;
        Ok(self.screen.good("the audit log has it")?)
    }

    async fn operator_unbinds(&mut self, binding: BindingId) -> Result<(), Failure> {
        self.screen.step("The operator unbinds the key")?;
        self.screen
            .command(&format!("sentinel bindings unbind {binding}"))?;
        let actor = Actor {
            name: "demo".to_owned(),
            client_ip: None,
            at: self.stage.clock.now(),
        };
        let unbound = self
            .stage
            .bindings
            .unbind(binding, actor)
            .await
            .map_err(|error| store_failure(&error))?;
        let left = self.bindings().await?;
        if unbound.is_none() || !left.is_empty() {
            return Err(unexpected("no binding left", describe(&left)));
        }
        Ok(self
            .screen
            .good("unbound; its next use binds it again, wherever that is")?)
    }

    async fn next_use_binds_again(&mut self, before: BindingId) -> Result<(), Failure> {
        self.screen.step("The next use binds it to its new home")?;
        self.ask(ELSEWHERE, DEMO_KEY, WHOLE, 200).await?;
        let record = self.only_binding(ELSEWHERE).await?;
        if record.binding.id == before {
            return Err(unexpected("a new binding", format!("binding {before} once more")));
        }
        self.screen.good(&format!(
            "bound: {} may be used from {}",
            record.hint.as_str(),
            networks(&record)
        ))?;
        let reply = self.ask(HOME, DEMO_KEY, WHOLE, 403).await?;
        self.refusal_reference(&reply, HOME, ELSEWHERE)?;
        Ok(self.screen.good("and refused from the old one")?)
    }

    async fn unknown_key_leaves_nothing(&mut self) -> Result<(), Failure> {
        self.screen
            .step("A key that the upstream does not know leaves no binding behind")?;
        let reply = self.ask(HOME, UNKNOWN_KEY, WHOLE, 401).await?;
        if error_code(&reply).as_deref() != Some("invalid_api_key") {
            return Err(unexpected("the upstream's own invalid_api_key", reply.body));
        }
        self.only_binding(ELSEWHERE).await?;
        Ok(self
            .screen
            .good("the upstream's 401 came through, and the key is not bound")?)
    }

    /// Asks for a chat completion, shows it, and insists on the status.
    async fn ask(&mut self, from: IpAddr, key: &str, body: &str, status: u16) -> Result<Reply, Failure> {
        const PATH: &str = "/v1/chat/completions";
        self.screen
            .command(&curl(self.stage.proxy, PATH, from, key, body))?;
        let authorization = format!("Bearer {key}");
        let request = Request {
            from,
            path: PATH,
            headers: &[
                ("authorization", &authorization),
                ("content-type", "application/json"),
                ("user-agent", "sentinel-demo"),
            ],
            body: Some(body),
        };
        let reply = send(self.stage.proxy, &request)
            .await
            .map_err(|error| unexpected(format!("status {status}"), error.to_string()))?;
        self.screen.reply(&reply)?;
        if reply.status == status {
            Ok(reply)
        } else {
            Err(unexpected(
                format!("status {status}"),
                format!("status {}", reply.status),
            ))
        }
    }

    /// Insists that the refusal has its code, names the caller, hides the permitted address, and carries a reference.
    fn refusal_reference(&self, reply: &Reply, caller: IpAddr, permitted: IpAddr) -> Result<String, Failure> {
        let code = error_code(reply);
        if code.as_deref() != Some(RefusalReason::KeyIpMismatch.code()) {
            return Err(unexpected("the code key_ip_mismatch", format!("{code:?}")));
        }
        let said = reply.body.replace(&self.stage.proxy.to_string(), "");
        if !said.contains(&caller.to_string()) || said.contains(&permitted.to_string()) {
            return Err(unexpected(
                format!("an answer that names {caller} and not {permitted}"),
                reply.body.clone(),
            ));
        }
        reply
            .header(REFERENCE_HEADER)
            .map(str::to_owned)
            .ok_or_else(|| unexpected("a header X-Sentinel-Reference", format!("{:?}", reply.headers)))
    }

    /// Waits until there is exactly one binding: the demo key's, to this one address.
    async fn only_binding(&self, address: IpAddr) -> Result<BindingRecord, Failure> {
        let hint = ApiKey::new(DEMO_KEY).hint();
        let fits = |records: &[BindingRecord]| match records {
            [record] => record.hint == hint && networks(record) == format!("{address}/32"),
            _ => false,
        };
        let look = async {
            loop {
                let mut records = self.bindings().await?;
                if fits(&records) {
                    return Ok(records.swap_remove(0));
                }
                tokio::time::sleep(LOOK_PAUSE).await;
            }
        };
        if let Ok(found) = tokio::time::timeout(self.settle_max, look).await {
            return found;
        }
        Err(unexpected(
            format!("one binding, {} to {address}/32", hint.as_str()),
            describe(&self.bindings().await?),
        ))
    }

    /// Waits until the audit log has this reference.
    async fn recorded(&self, reference: &str) -> Result<StoredIntercept, Failure> {
        let look = async {
            loop {
                let filter = InterceptFilter {
                    reference: Some(reference.to_owned()),
                    limit: PAGE_ROWS,
                    ..InterceptFilter::default()
                };
                let rows = self.stage.intercepts.list(filter).await;
                let rows = rows.map_err(|error| store_failure(&error))?;
                if let Some(row) = rows.into_iter().next() {
                    return Ok(row);
                }
                tokio::time::sleep(LOOK_PAUSE).await;
            }
        };
        tokio::time::timeout(self.settle_max, look)
            .await
            .unwrap_or_else(|_| {
                Err(unexpected(
                    format!("an audit record {reference}"),
                    format!("none within {:?}", self.settle_max),
                ))
            })
    }

    async fn bindings(&self) -> Result<Vec<BindingRecord>, Failure> {
        let filter = BindingFilter {
            limit: PAGE_ROWS,
            ..BindingFilter::default()
        };
        let records = self.stage.bindings.list(filter).await;
        records.map_err(|error| store_failure(&error))
    }
}

fn curl(proxy: SocketAddr, path: &str, from: IpAddr, key: &str, body: &str) -> String {
    let interface = if from == HOME {
        String::new()
    } else {
        format!("--interface {from} ")
    };
    format!(
        "curl -iN {interface}http://{proxy}{path} \\\n  -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n  -d '{body}'"
    )
}

fn error_code(reply: &Reply) -> Option<String> {
    let body: Value = serde_json::from_str(&reply.body).ok()?;
    body.pointer("/error/code")?.as_str().map(str::to_owned)
}

fn networks(record: &BindingRecord) -> String {
    let networks: Vec<_> = record.binding.networks.iter().map(ToString::to_string).collect();
    networks.join(", ")
}

fn describe(records: &[BindingRecord]) -> String {
    if records.is_empty() {
        return "no binding".to_owned();
    }
    let each: Vec<_> = records
        .iter()
        .map(|record| format!("{} to {}", record.hint.as_str(), networks(record)))
        .collect();
    each.join("; ")
}

#[cfg(test)]
mod tests;

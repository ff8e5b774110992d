//! `sentinel forget`: removes what names an address or a key from the store, for good; without `--yes` it only says what that would be.
//!
//! Must never remove what decides, nor write down what was forgotten: the event of it holds counts.

use std::io::Write;

use clap::Args;
use sentinel_core::event::AdminEvent;
use sentinel_core::ports::{AdminEventStore, Forgettable, ForgettingStore, Traces};
use sentinel_core::time::Clock;
use serde_json::json;

use super::{ACTOR, CliError, table};

/// The word for it in the admin events.
const FORGET: &str = "forget";

/// What is to be forgotten.
#[derive(Debug, Args)]
pub(crate) struct ForgetArguments {
    /// An address, a network like 2001:db8::/64, or a key's hint as it is shown, like sk-ab…wxyz
    #[arg(value_name = "ADDRESS|HINT")]
    what: Forgettable,
    /// Do it; left out, it is only said what would be removed
    #[arg(long)]
    yes: bool,
}

/// Says where it is named; with `--yes` removes what can go. The event of it is there before anything is gone.
pub(super) async fn run(
    arguments: ForgetArguments,
    (store, events): (&dyn ForgettingStore, &dyn AdminEventStore),
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let ForgetArguments { what, yes } = arguments;
    let found = store.traces(&what).await?;
    if !yes {
        print(&found, false, out)?;
        let next = if found.is_forgotten() {
            "Nothing of this would be removed."
        } else {
            "Nothing was removed. To remove it for good, say the same with --yes."
        };
        return Ok(writeln!(out, "\n{next}")?);
    }
    if !found.is_forgotten() {
        events.append(event(&what, &found, clock)).await?;
    }
    let gone = store.forget_traces(&what).await?;
    print(&gone, true, out)?;
    writeln!(
        out,
        "\nRefusals of the last seconds may be on their way into the store: do it again in a minute. Caches on Redis forget by themselves; \
         logs of the service, what alerts were delivered, and backups are yours to clear."
    )?;
    Ok(())
}

fn event(what: &Forgettable, found: &Traces, clock: &dyn Clock) -> AdminEvent {
    let kind = match what {
        Forgettable::Addresses(_) => "address",
        Forgettable::Key(_) => "key",
    };
    let detail = json!({
        "kind": kind,
        "intercepts": found.intercepts,
        "mentions": found.mentions,
        "archived_bindings": found.archived,
        "top_places": found.top_places,
        "alerts": found.alerts,
    });
    AdminEvent {
        at: clock.now(),
        actor: ACTOR.to_owned(),
        client_ip: None,
        action: FORGET.to_owned(),
        detail: detail.to_string(),
    }
}

fn print(traces: &Traces, is_done: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let rows = |rows: &[(u64, &str)]| -> Vec<[table::Cell; 2]> {
        let shown = rows.iter().filter(|(count, _)| *count > 0);
        shown
            .map(|(count, what)| [format!("  {count}").into(), (*what).into()])
            .collect()
    };
    writeln!(out, "{}", if is_done { "Removed:" } else { "Would be removed:" })?;
    if traces.is_forgotten() {
        writeln!(out, "  nothing")?;
    }
    let gone = [
        (traces.intercepts, "refused or observed requests"),
        (traces.mentions, "networks of bindings in others' requests"),
        (traces.archived, "archived bindings"),
        (
            traces.top_places,
            "places among those refused most; the counts stay, without a name",
        ),
        (traces.alerts, "alerts, with their history and deliveries"),
    ];
    table::print_rows(&rows(&gone), out)?;
    let kept = rows(&[
        (
            traces.bindings,
            "bindings in force: they keep the key from others. Unbind them first if the key is out of use",
        ),
        (
            traces.events,
            "events of operators: the chain that proves them whole holds every word. They name it as long as they are kept",
        ),
        (traces.sessions, "sessions of operators: until they are over"),
    ]);
    if !kept.is_empty() {
        writeln!(out, "{}", if is_done { "Kept:" } else { "Would stay:" })?;
        table::print_rows(&kept, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

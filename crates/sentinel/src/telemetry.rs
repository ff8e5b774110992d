//! Logs: to standard error, for people on a terminal, one JSON object per line elsewhere.
//!
//! Text that a client chose can stand in a log line, so everything that a terminal or a reader of lines could act on is
//! shown escaped. tracing-subscriber's own format lets line ends through; the fields are therefore written here.

use std::fmt;
use std::io::{self, IsTerminal as _};

use sentinel_core::event::printable;
use tracing::Subscriber;
use tracing::field::Field;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::config::{LogConfig, LogFormat};

/// The most characters of one field that are logged.
const FIELD_CHARACTERS_MAX: usize = 8192;
/// The field that is the message itself.
const MESSAGE: &str = "message";

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The filter cannot be read.
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logs were set up before.
    #[error("logs are set up already")]
    Twice,
}

/// The most lines that wait to be written. A reader that stands still must not stand in the way of requests: lines beyond
/// the bound are dropped, which records in the store never are.
const LINES_QUEUED_MAX: usize = 16_384;

/// Sends the whole process's logs to standard error. To be called once, first thing. What waits is written when the
/// guard is dropped.
pub(crate) fn init(config: &LogConfig) -> Result<WorkerGuard, TelemetryError> {
    let is_json = match config.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let is_coloured = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let filter = EnvFilter::try_new(&config.filter)?;
    let (writer, guard) = queued(io::stderr());
    let dispatch = if is_json {
        json(filter, writer).into()
    } else {
        human(filter, writer, is_coloured).into()
    };
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| TelemetryError::Twice)?;
    Ok(guard)
}

/// A queue in front of `target`, and a thread that empties it.
fn queued(target: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_QUEUED_MAX)
        .lossy(true)
        .thread_name("log")
        .finish(target)
}

fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .finish()
}

fn human<W>(filter: EnvFilter, writer: W, is_coloured: bool) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(is_coloured)
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .finish()
}

/// Writes one field; texts come in quotes, as their `Debug` does it.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = printable(format!("{value:?}").as_bytes(), FIELD_CHARACTERS_MAX);
    if field.name() == MESSAGE {
        return writer.write_str(&value);
    }
    if writer.has_ansi_escapes() {
        let style = anstyle::Style::new().italic();
        write!(writer, "{style}{}{style:#}={value}", field.name())
    } else {
        write!(writer, "{}={value}", field.name())
    }
}

#[cfg(test)]
mod tests;

//! E-mail over SMTP: TLS from the start, STARTTLS, or none; one plain and one HTML part. Connections go through the same guard as all others.
//!
//! STARTTLS is spoken here, not by the library, so that nothing that came before TLS is read after it. Must never send a password or a
//! message without TLS when TLS is asked for.

mod stream;

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use sentinel_core::alert::{Alert, ChannelId};
use sentinel_core::time::Timestamp;
use std::sync::Arc;
use tokio::time::timeout;

use self::stream::SmtpStream;
use super::{Channel, Failure};
use crate::escape;
use crate::links::Console;
use crate::outbound::{Destination, Dialer, OutboundStream};
use crate::secret::Secret;
use crate::text::{Language, Message};

pub use stream::SMTP_ANSWERS_BYTES_MAX;

/// The most recipients of one channel.
pub const RECIPIENTS_MAX: usize = 20;
/// The longest that one message takes, from the name to the server's last word.
pub const SMTP_TIMEOUT: Duration = Duration::from_secs(30);

/// How the connection to the server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte, as on port 465.
    Tls,
    /// TLS after a plain beginning, as on port 587. Without it nothing is sent.
    StartTls,
    /// None: for a relay on a network that is trusted.
    Plain,
}

/// What is wrong with a mail channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailProblem {
    /// The sender.
    #[error("the sender is no e-mail address")]
    Sender,
    /// The recipients.
    #[error("there have to be 1 to {RECIPIENTS_MAX} recipients, each an e-mail address")]
    Recipients,
}

/// A mail server and whom it writes to.
pub struct Email {
    id: ChannelId,
    language: Language,
    console: Option<Arc<Console>>,
    dialer: Dialer,
    server: Destination,
    security: Security,
    credentials: Option<(String, Secret)>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    /// Writes from `from` to each of `to` through `server`.
    pub fn new(
        id: ChannelId,
        (server, security): (Destination, Security),
        (from, to): (&str, &[String]),
        dialer: Dialer,
        language: Language,
        console: Option<Arc<Console>>,
    ) -> Result<Self, EmailProblem> {
        let from = from.parse().map_err(|_| EmailProblem::Sender)?;
        if !(1..=RECIPIENTS_MAX).contains(&to.len()) {
            return Err(EmailProblem::Recipients);
        }
        let to: Result<Vec<Mailbox>, _> = to.iter().map(|address| address.parse()).collect();
        Ok(Self {
            id,
            language,
            console,
            dialer,
            server,
            security,
            credentials: None,
            from,
            to: to.map_err(|_| EmailProblem::Recipients)?,
        })
    }

    /// Signs in first.
    #[must_use]
    pub fn with_credentials(mut self, user: impl Into<String>, password: Secret) -> Self {
        self.credentials = Some((user.into(), password));
        self
    }

    #[cfg(test)]
    pub(super) fn lead_to(&mut self, server: Destination) {
        self.server = server;
    }

    async fn deliver(&self, mail: &lettre::Message) -> Result<(), Failure> {
        let hello = hello();
        let stream = self.connect(&hello).await?;
        let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello)
            .await
            .map_err(|error| failure(&error))?;
        if let Some((user, password)) = &self.credentials {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .await
                .map_err(|error| failure(&error))?;
        }
        connection
            .send(mail.envelope(), &mail.formatted())
            .await
            .map_err(|error| failure(&error))?;
        // The server has taken it; what it says to the farewell changes nothing.
        let _ = connection.quit().await;
        Ok(())
    }

    async fn connect(&self, hello: &ClientId) -> Result<SmtpStream, Failure> {
        let mut socket = self.dialer.connect(&self.server).await?;
        Ok(match self.security {
            Security::Plain => SmtpStream::new(OutboundStream::Plain(socket)),
            Security::Tls => SmtpStream::new(self.dialer.secure(&self.server, socket, &[]).await?),
            Security::StartTls => {
                stream::start_tls(&mut socket, hello).await?;
                SmtpStream::greeted(self.dialer.secure(&self.server, socket, &[]).await?)
            }
        })
    }

    fn write(&self, alert: &Alert, now: Timestamp) -> Result<lettre::Message, Failure> {
        let message = Message::compose(alert, self.language, self.console.as_deref());
        let domain = self.from.email.domain();
        let since_epoch = now.since(Timestamp::from_unix_ms(0));
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(&message.title)
            .date(std::time::UNIX_EPOCH + since_epoch)
            // The same at every attempt: mail programs show a repetition once.
            .message_id(Some(format!("<{}@{domain}>", alert.notice_id())))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if alert.sequence > 0 {
            let first = format!("<{}.0@{domain}>", alert.id);
            mail = mail.in_reply_to(first.clone()).references(first);
        }
        for recipient in &self.to {
            mail = mail.to(recipient.clone());
        }
        mail.multipart(MultiPart::alternative_plain_html(plain(&message), html(&message)))
            .map_err(|error| Failure::never(format!("the mail cannot be written: {error}")))
    }
}

#[async_trait]
impl Channel for Email {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn send(&self, alert: &Alert, now: Timestamp) -> Result<(), Failure> {
        let mail = self.write(alert, now)?;
        timeout(SMTP_TIMEOUT, self.deliver(&mail))
            .await
            .unwrap_or_else(|_| Err(Failure::later("the mail server did not answer in time")))
    }
}

/// What we call ourselves: nothing of the machine. RFC 5321 wants an address where there is no name.
fn hello() -> ClientId {
    ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST)
}

fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    let text = format!("the mail server did not take it: {error}");
    if error.is_permanent() || error.is_client() {
        Failure::never(text)
    } else {
        Failure::later(text)
    }
}

fn plain(message: &Message) -> String {
    let mut text = format!("{}\n\n", message.title);
    for line in &message.lines {
        let _ = writeln!(text, "{}: {}", line.label, line.value);
    }
    for link in &message.links {
        let _ = write!(text, "\n{}:\n{}\n", link.label, link.url);
    }
    text
}

fn html(message: &Message) -> String {
    let mut text = String::from("<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>");
    let _ = write!(text, "<h3>{}</h3><table>", escape::html(&message.title));
    for line in &message.lines {
        let _ = write!(
            text,
            "<tr><th align=\"left\">{}</th><td>{}</td></tr>",
            escape::html(line.label),
            escape::html(&line.value)
        );
    }
    text.push_str("</table><p>");
    for link in &message.links {
        let _ = write!(
            text,
            "<a href=\"{}\">{}</a> &nbsp; ",
            escape::html(&link.url),
            escape::html(link.label)
        );
    }
    text.push_str("</p></body></html>");
    text
}

//! How the demo looks on a terminal: numbered steps, the line a person would type, what came back, what it means.
//!
//! The styles are written always; the stream it writes to drops them where there is no terminal.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::client::Reply;

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const COMMAND: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const REFUSED: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// How much of an answer is shown, in characters.
const SHOWN_CHARACTERS_MAX: usize = 600;

/// Where the demo writes.
pub(super) struct Screen<'w> {
    output: &'w mut (dyn Write + Send),
    step: usize,
}

impl<'w> Screen<'w> {
    pub(super) fn new(output: &'w mut (dyn Write + Send)) -> Self {
        Self { output, step: 0 }
    }

    /// A sentence of its own.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.output, "{text}")
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &str) -> io::Result<()> {
        self.step += 1;
        writeln!(self.output, "\n{TITLE}{}. {title}{TITLE:#}", self.step)
    }

    /// The line that does the same by hand.
    pub(super) fn command(&mut self, line: &str) -> io::Result<()> {
        for line in line.lines() {
            writeln!(self.output, "   {COMMAND}{line}{COMMAND:#}")?;
        }
        self.output.flush()
    }

    /// What came back: the status, the reference if there is one, and the body or the end of a stream.
    pub(super) fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        let style = if reply.status < 400 { GOOD } else { REFUSED };
        writeln!(
            self.output,
            "   {style}{}{style:#}",
            http::StatusCode::from_u16(reply.status)
                .map_or_else(|_| reply.status.to_string(), |status| status.to_string())
        )?;
        if let Some(reference) = reply.header(super::scenario::REFERENCE_HEADER) {
            writeln!(self.output, "   X-Sentinel-Reference: {reference}")?;
        }
        if reply.events().count() > 1 {
            let last = reply.events().last().unwrap_or_default();
            writeln!(
                self.output,
                "   {} events in {} pieces, the last: data: {last}",
                reply.events().count(),
                reply.pieces
            )
        } else {
            let shown: String = reply.body.trim().chars().take(SHOWN_CHARACTERS_MAX).collect();
            writeln!(self.output, "   {shown}")
        }
    }

    /// A finding that is as it should be.
    pub(super) fn good(&mut self, finding: &str) -> io::Result<()> {
        writeln!(self.output, "   {GOOD}✓{GOOD:#} {finding}")
    }

    /// A step that failed.
    pub(super) fn bad(&mut self, expected: &str, got: &str) -> io::Result<()> {
        writeln!(self.output, "   {BAD}✗ expected:{BAD:#} {expected}")?;
        writeln!(self.output, "   {BAD}  but got: {BAD:#} {got}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_shown_up_to_its_bound() {
        for (length, shown) in [
            (SHOWN_CHARACTERS_MAX, SHOWN_CHARACTERS_MAX),
            (SHOWN_CHARACTERS_MAX + 1, SHOWN_CHARACTERS_MAX),
        ] {
            let reply = Reply {
                status: 200,
                headers: http::HeaderMap::new(),
                body: "é".repeat(length),
                pieces: 1,
            };
            let mut output = Vec::new();
            Screen::new(&mut output)
                .reply(&reply)
                .expect("a vector takes everything");
            let text = String::from_utf8(output).expect("text");
            assert_eq!(text.matches('é').count(), shown);
        }
    }
}

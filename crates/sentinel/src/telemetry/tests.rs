use std::sync::{Arc, Mutex};

use super::*;

/// Collects what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic while held").clone()).expect("logs are UTF-8")
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("no panic while held")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

const HOSTILE: &str = "a\r\nINFO forged\x1b[31m\u{7}\u{9b}\u{202e}";

fn log_hostile_text() {
    tracing::info!(shown = %HOSTILE, debugged = ?HOSTILE, plain = HOSTILE, "said {HOSTILE}");
    tracing::info_span!("request", path = %HOSTILE).in_scope(|| tracing::warn!(count = 3, "again"));
}

#[test]
fn no_text_forges_a_line_or_reaches_a_terminal() {
    let filter = || EnvFilter::new("info");
    for is_coloured in [false, true] {
        let lines = Lines::default();
        tracing::subscriber::with_default(human(filter(), lines.clone(), is_coloured), log_hostile_text);
        let text = lines.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains(['\r', '\u{7}', '\u{9b}', '\u{202e}']), "{text:?}");
        assert!(
            !text.contains("\x1b[31mforged") && text.contains("\\u{1b}[31m"),
            "{text:?}"
        );
        assert!(text.contains("said a\\u{d}\\u{a}INFO forged"), "{text:?}");
        assert_eq!(text.contains('\x1b'), is_coloured);
    }
    let lines = Lines::default();
    tracing::subscriber::with_default(json(filter(), lines.clone()), log_hostile_text);
    let text = lines.text();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains(['\r', '\x1b', '\u{7}']), "{text:?}");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("each line is one JSON object");
    }
}

#[test]
fn the_filter_holds_and_fields_are_bounded() {
    let lines = Lines::default();
    tracing::subscriber::with_default(human(EnvFilter::new("warn"), lines.clone(), false), || {
        tracing::info!("quiet");
        tracing::warn!(long = %"x".repeat(FIELD_CHARACTERS_MAX + 1), "loud");
    });
    let text = lines.text();
    assert!(!text.contains("quiet"));
    assert!(text.contains("loud") && text.ends_with("x…\n"));
    assert_eq!(text.matches('x').count(), FIELD_CHARACTERS_MAX);
}

/// Takes nothing until it is released.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl io::Write for Stuck {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // Released when the sender is gone, from then on at once.
        let _ = self.0.recv();
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_stands_still_costs_lines_and_no_time() {
    let (release, held) = std::sync::mpsc::channel();
    let (mut writer, guard) = queued(Stuck(held));
    let dropped = writer.error_counter();
    for _ in 0..2 * LINES_QUEUED_MAX {
        io::Write::write_all(&mut writer, b"line\n").expect("never fails");
    }
    assert!(
        dropped.dropped_lines() >= LINES_QUEUED_MAX - 2,
        "{}",
        dropped.dropped_lines()
    );
    drop(release);
    drop(guard);
}

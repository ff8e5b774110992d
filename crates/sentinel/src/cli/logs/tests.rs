use clap::Parser as _;
use sentinel_core::event::Reference;
use sentinel_store::MemoryStore;
use sentinel_testkit::bounded;

use super::*;
use crate::cli::{Cli, Command};

fn intercept(number: i64) -> Intercept {
    let at = Timestamp::from_unix_ms(1_800_000_000_000 + number * 1_000);
    Intercept {
        reference: Reference::from_stored(format!("sr_{number}")),
        at,
        last_at: at,
        reason: if number % 2 == 0 {
            RefusalReason::KeyBanned
        } else {
            RefusalReason::KeyMissing
        },
        outcome: InterceptOutcome::Refused,
        binding: None,
        networks: sentinel_core::binding::Networks::default(),
        fingerprint: None,
        hint: None,
        client_ip: ClientIp::new("192.0.2.7".parse().expect("an address")),
        method: "GET".to_owned(),
        path: "/v1/\u{1b}models".to_owned(),
        user_agent: String::new(),
        count: 3,
        profile: "".into(),
        replica: "".into(),
    }
}

fn arguments(line: &str) -> LogsArguments {
    let line = format!("sentinel logs {line}");
    let cli = Cli::try_parse_from(line.split_whitespace()).expect("a good line");
    match cli.command {
        Command::Logs(arguments) => arguments,
        _ => panic!("{line} is about logs"),
    }
}

async fn with_rows(numbers: impl IntoIterator<Item = i64>) -> Arc<dyn InterceptStore> {
    let store = MemoryStore::new();
    let rows = numbers.into_iter().map(intercept).collect();
    InterceptStore::append(&store, rows).await.expect("it takes them");
    Arc::new(store)
}

async fn exported(store: &Arc<dyn InterceptStore>, line: &str) -> String {
    let mut out = Vec::new();
    run(arguments(line), store, &mut out).await.expect("it reads");
    String::from_utf8(out).expect("UTF-8")
}

#[tokio::test]
async fn an_export_has_every_row_of_its_filter_newest_first() {
    let rows = i64::from(PAGE_ROWS) * 2 + 1;
    let store = with_rows(1..=rows).await;
    let all = exported(&store, "export").await;
    assert_eq!(all.lines().count(), usize::try_from(rows).expect("small"));
    let newest = format!("sr_{rows}");
    assert!(all.starts_with("{\"id\":") && all.lines().next().is_some_and(|first| first.contains(&newest)));
    let banned = exported(&store, "export --reason key_banned --format csv").await;
    assert_eq!(
        banned.lines().count(),
        usize::try_from(rows / 2 + 1).expect("small")
    );
    assert!(banned.starts_with("id,reference,at,"), "{}", &banned[..40]);
    let since = Timestamp::from_unix_ms(1_800_000_000_000 + rows * 1_000).rfc3339();
    let last = exported(&store, &format!("export --since {since}")).await;
    assert_eq!(last.lines().count(), 1);
}

/// Tells of each piece that is written.
struct Told(tokio::sync::mpsc::UnboundedSender<String>);

impl Write for Told {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8(piece.to_vec()).expect("UTF-8");
        self.0
            .send(text)
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_tail_prints_what_is_written_from_now_on_and_ends_with_its_reader() {
    let store = with_rows([1, 2]).await;
    let follower = LogFollower::at_end(Arc::clone(&store)).await.expect("it reads");
    let LogsCommand::Tail { which, output } = arguments("tail --reason key_banned").command else {
        panic!("it is a tail");
    };
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut out = Told(sender);
    let tail = follow(follower, which.filter(), output, &mut out);
    let reader = async {
        let new = [3, 4].map(intercept).to_vec();
        store.append(new).await.expect("it takes them");
        let mut text = String::new();
        while !text.contains('\n') {
            text += &told.recv().await.expect("it goes on");
        }
        drop(told);
        store.append(vec![intercept(6)]).await.expect("it takes it");
        text
    };
    let (ended, text) = bounded("the tail to end", async { tokio::join!(tail, reader) }).await;
    assert_eq!(
        text,
        "2027-01-15T08:00:04Z  refused  key_banned  192.0.2.7  -  GET /v1/\\u{1b}models  sr_4  ×3\n"
    );
    assert!(matches!(ended, Err(CliError::Io(_))), "{ended:?}");
}

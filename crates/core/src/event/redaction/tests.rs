use proptest::prelude::*;

use super::*;

/// A key as new-api makes them: 48 letters and digits.
const KEY: &str = "sk-a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4";

fn path(text: &str) -> String {
    path_shown(text, Some(KEY))
}

/// Each byte escaped, `times` times.
fn escaped(text: &str, times: usize) -> String {
    (0..times).fold(text.to_owned(), |text, _| {
        let escapes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        escapes.concat()
    })
}

#[test]
fn ordinary_text_stays_as_it_is() {
    for text in [
        "/",
        "/v1/chat/completions",
        "/v1/mess%61ges",
        "/v1beta/models/gemini-2.5-pro-preview-06-05:generateContent",
        "/v1/threads/thread_abc123/runs",
        "/caf%C3%A9/\u{e9}",
        "/100%",
        "/task-force/sk-short",
    ] {
        assert_eq!(path(text), text);
    }
    let agent = "OpenAI/Python 1.99.9 (Linux; x86_64) a?b;c";
    assert_eq!(user_agent_shown(agent.as_bytes(), Some(KEY)), agent);
    assert_eq!(user_agent_shown(b"a\x1b[31m", None), "a\\u{1b}[31m");
}

#[test]
fn the_presented_key_is_hidden_in_every_spelling() {
    let stem = &KEY[3..];
    for (written, shown) in [
        (KEY.to_owned(), "/x/sk-a…/y"),
        (stem.to_owned(), "/x/a1B2…/y"),
        (stem.to_uppercase(), "/x/A1B2…/y"),
        (format!("{stem}-12"), "/x/a1B2…/y"),
        (KEY.replace('a', "%61"), "/x/sk-%61…/y"),
        (KEY.replace("sk-", "%73k%2D"), "/x/%73k%2Da…/y"),
    ] {
        assert_eq!(path(&format!("/x/{written}/y")), shown, "{written}");
    }
    for times in 1..=DECODINGS_MAX {
        let shown = path(&format!("/x/{}/y", escaped(KEY, times)));
        assert!(
            shown.starts_with("/x/%") && shown.ends_with("…/y"),
            "{times}: {shown}"
        );
        assert!(!shown.contains(&escaped("B2", times)), "{times}: {shown}");
    }
}

#[test]
fn a_key_without_shape_is_hidden_when_it_was_presented() {
    let shown = |text: &str, key| path_shown(text, Some(key));
    assert_eq!(shown("/x/hunter2/y", "hunter2"), "/x/…/y");
    assert_eq!(shown("/x/HUNTER2/y", "hunter2"), "/x/…/y");
    assert_eq!(shown("/x/my.secret.word!/y", "my.secret.word!"), "/x/my.s…/y");
    assert_eq!(shown("/x/hunter2hunter2", "sk-hunter2-1"), "/x/…");
    assert_eq!(shown("/ababa/y", "aba"), "/…ba/y");
    assert_eq!(shown("/v1/models", ""), "/v1/models");
    assert_eq!(
        shown("/u{1b}/\u{1b}", "u{1b}"),
        "…",
        "what is made printable could spell it"
    );
}

#[test]
fn other_keys_are_hidden_too() {
    for (text, shown) in [
        ("/x/sk-12345678", "/x/sk-1…"),
        ("/x/sk-1234567", "/x/sk-1234567"),
        ("/x/%73k-12345678/y", "/x/%73k-1…/y"),
        ("/x/SK-ABCDEFGH", "/x/SK-A…"),
        ("/x/sk-a-sk-bcdefghijk", "/x/sk-a…"),
        ("/x/sk-ant-api03-AbC_9", "/x/sk-a…"),
        ("/0123456789abcdef0123456789abcdef/x", "/0123…/x"),
        (
            "/0123456789abcdef0123456789abcde/x",
            "/0123456789abcdef0123456789abcde/x",
        ),
        (
            "/abcdefghijklmnopqrstuvwxyzabcdefghij",
            "/abcdefghijklmnopqrstuvwxyzabcdefghij",
        ),
    ] {
        assert_eq!(path_shown(text, None), shown);
    }
}

#[test]
fn a_path_is_cut_at_its_query_and_its_parameters() {
    for cut in [
        "?key=1", ";a=b/c", "%3Fkey=1", "%3fkey=1", "%3Bx", "%3bx", "%253Fx", "%25253Bx",
    ] {
        assert_eq!(path(&format!("/v1/models{cut}")), "/v1/models", "{cut}");
    }
    assert_eq!(path("/v1/%25/%3"), "/v1/%25/%3");
}

#[test]
fn what_is_shown_is_bounded() {
    assert_eq!(
        path(&"a".repeat(PATH_CHARACTERS_MAX)).chars().count(),
        PATH_CHARACTERS_MAX
    );
    assert_eq!(
        path(&"a".repeat(PATH_CHARACTERS_MAX + 1)).chars().count(),
        PATH_CHARACTERS_MAX + 1
    );
    let agent = user_agent_shown("é".repeat(9_999).as_bytes(), None);
    assert_eq!(agent.chars().count(), USER_AGENT_CHARACTERS_MAX + 1);
}

#[test]
fn a_key_at_the_end_of_what_is_searched_is_hidden() {
    let key = ".!".repeat(20);
    // Hidden stretches before it, so that the end of what is searched is shown at all.
    let filler = "sk-12345678/".repeat(600);
    let filler = format!("{filler}{}", ".".repeat(SEARCHED_BYTES_MAX - filler.len() - 20));
    let inside = printable_without_keys(filler.as_bytes(), usize::MAX, Some(&key));
    assert!(inside.ends_with("............"), "{inside}");
    for times in 0..=1 {
        let text = format!("{filler}{}", escaped(&key, times));
        let shown = printable_without_keys(text.as_bytes(), usize::MAX, Some(&key));
        assert!(!shown.contains(".!") && !shown.contains("%2E"), "{times}");
    }
    let reach = key.len() * ESCAPED_BYTES_MAX;
    let shown = printable_without_keys(
        "/".repeat(SEARCHED_BYTES_MAX + 1).as_bytes(),
        usize::MAX,
        Some(&key),
    );
    assert_eq!(shown.len(), SEARCHED_BYTES_MAX - reach + '…'.len_utf8());
}

/// `text` in the forms that somebody who reads it may try.
fn readings(text: &str) -> Vec<String> {
    let mut readings = vec![text.to_owned()];
    for _ in 0..DECODINGS_MAX {
        let last = readings.last().expect("one at least");
        let decoded = percent_encoding::percent_decode_str(last)
            .decode_utf8_lossy()
            .into_owned();
        readings.push(decoded);
    }
    readings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_that_contains_the_key_yields_it(
        key in prop_oneof!["[!-~]{1,60}", "sk-[A-Za-z0-9]{1,48}", "[ab]{1,6}"],
        before in prop_oneof!["[ -~]{0,40}", "[ab%2561]{0,20}", "\\PC{0,8}"],
        between in prop_oneof!["[ -~]{0,10}", "[ab]{0,10}"],
        after in "[ -~]{0,300}",
        escapes in prop::collection::vec(0_usize..4, 60),
    ) {
        let written: String = key
            .chars()
            .zip(&escapes)
            .map(|(character, times)| escaped(&character.to_string(), *times))
            .collect();
        let text = format!("{before}{written}{between}{key}{after}");
        let folded = key.to_ascii_lowercase();
        for shown in [
            printable_without_keys(text.as_bytes(), 256, Some(&key)),
            path_shown(&text, Some(&key)),
            user_agent_shown(text.as_bytes(), Some(&key)),
        ] {
            prop_assert!(shown.chars().count() <= 256 * 10 + 1);
            prop_assert!(!shown.chars().any(char::is_control));
            for reading in readings(&shown) {
                prop_assert!(!reading.to_ascii_lowercase().contains(&folded), "{} in {}", key, shown);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_not_searched_would_not_be_changed(
        text in "([ -~]|sk-|SK-|chat/|[a-z0-9]{6}|a1B2c3D4){0,12}",
        presented in prop_oneof![
            Just(KEY.to_owned()), Just(String::new()), "[a-zA-Z0-9 /-]{1,8}", "(sk-|SK-)?(a1B2|ab|chat)-?[a-z0-9]{0,40}"
        ],
        characters_max in 0_usize..80,
    ) {
        if let Some(shown) = harmless(text.as_bytes(), characters_max, &presented) {
            prop_assert_eq!(shown, searched(text.as_bytes(), characters_max, Some(&presented)));
        }
    }
}

#[test]
fn ordinary_text_is_not_searched() {
    for text in ["/v1/chat/completions", "OpenAI/Python 1.99.9 (Linux; x86_64)", ""] {
        assert_eq!(harmless(text.as_bytes(), 256, KEY), Some(text));
    }
    assert_eq!(harmless(b"/v1/chat/completions", 256, "chat"), None);
}

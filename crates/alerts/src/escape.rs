//! Text that a client chose, made harmless for each format that it is put into. Must never be skipped for a value because "it is ours".

/// For HTML, and for the subset of it that Telegram reads ("HTML style" in the Bot API's formatting options: `<`, `>`, `&` and, in
/// attributes, `"`).
pub(crate) use sentinel_core::html::escaped as html;

/// For Slack's mrkdwn ("Escaping text" in Slack's formatting reference names these three). Mentions and links need `<`.
pub(crate) fn slack(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// For the Markdown of DingTalk and WeCom, which document no escape: what makes links, images, mentions, tags, quotes, headings and
/// emphasis is shown in its full-width form, and `://` is broken so that nothing becomes a link by itself.
pub(crate) fn markdown(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '[' => '［',
            ']' => '］',
            '(' => '（',
            ')' => '）',
            '<' => '＜',
            '>' => '＞',
            '*' => '＊',
            '`' => '｀',
            '#' => '＃',
            '!' => '！',
            '@' => '＠',
            '~' => '～',
            '|' => '｜',
            '\\' => '＼',
            '&' => '＆',
            control if control.is_control() => ' ',
            other => other,
        })
        .collect::<String>()
        .replace("://", "：//")
        .replace("www.", "www．")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader of HTML makes of it.
    fn read_html(text: &str) -> String {
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    proptest! {
        #[test]
        fn html_has_no_tag_and_reads_as_it_was_written(text in any::<String>()) {
            let escaped = html(&text);
            let has_special = escaped.contains(['<', '>', '"', '\'']);
            prop_assert!(!has_special);
            for entity in escaped.split('&').skip(1) {
                let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
                prop_assert!(known.iter().any(|name| entity.starts_with(name)));
            }
            prop_assert_eq!(read_html(&escaped), text);
        }

        #[test]
        fn slack_has_no_mention_and_no_link(text in any::<String>()) {
            let escaped = slack(&text);
            let has_special = escaped.contains(['<', '>']);
            prop_assert!(!has_special);
            for entity in escaped.split('&').skip(1) {
                prop_assert!(["amp;", "lt;", "gt;"].iter().any(|name| entity.starts_with(name)));
            }
            prop_assert_eq!(read_html(&escaped), text);
        }

        #[test]
        fn markdown_has_nothing_that_makes_a_structure(text in any::<String>()) {
            let escaped = markdown(&text);
            let has_special = escaped.contains(|c: char| "[]()<>*`#!@~|\\&".contains(c) || c.is_control());
            prop_assert!(!has_special);
            prop_assert!(!escaped.contains("://") && !escaped.contains("www."));
            prop_assert_eq!(escaped.matches("//").count() > 0, text.contains("//"));
        }
    }

    #[test]
    fn what_attackers_write_is_shown_and_does_nothing() {
        assert_eq!(html("<b>&\"'"), "&lt;b&gt;&amp;&quot;&#39;");
        assert_eq!(
            slack("<!channel> <https://evil|x>"),
            "&lt;!channel&gt; &lt;https://evil|x&gt;"
        );
        assert_eq!(
            markdown("[x](https://evil)\n# @all"),
            "［x］（https：//evil） ＃ ＠all"
        );
        assert_eq!(markdown("/v1/chat_completions"), "/v1/chat_completions");
    }
}

//! Takes a DSN apart into its options, and puts it together again without some of them. Knows both forms that libpq has; must never
//! judge a value.

use super::DsnError;

/// What may be said, by libpq's names.
pub(super) const KNOWN: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "connect_timeout",
    "tcp_user_timeout",
    "load_balance_hosts",
    "target_session_attrs",
    "channel_binding",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslnegotiation",
];

/// One option.
pub(super) struct Pair {
    pub(super) key: String,
    /// Without its quotes and escapes.
    pub(super) value: String,
    /// As it was written.
    written: String,
}

/// A DSN taken apart.
pub(super) struct Form {
    /// What stands before the options of a URL.
    before: Option<String>,
    pairs: Vec<Pair>,
}

impl Form {
    pub(super) fn of(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        let is_url = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if is_url {
            Self::url(text)
        } else {
            Self::pairs(text)
        }
    }

    /// The DSN again, with these options only.
    pub(super) fn with(before: Option<&str>, pairs: &[Pair]) -> String {
        before.map_or_else(
            || joined(pairs, " "),
            |before| format!("{before}?{}", joined(pairs, "&")),
        )
    }

    /// Its two parts.
    pub(super) fn into_parts(self) -> (Option<String>, Vec<Pair>) {
        (self.before, self.pairs)
    }

    fn url(text: &str) -> Result<Self, DsnError> {
        // A question mark may stand in a password.
        let credentials = text.find('@').map_or(0, |at| at + 1);
        let query = text[credentials..].find('?').map(|mark| credentials + mark);
        let (before, query) = query.map_or((text, ""), |mark| (&text[..mark], &text[mark + 1..]));
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').ok_or(DsnError::Malformed)?;
                Ok(Pair {
                    key: percent_decoded(key)?,
                    value: percent_decoded(value)?,
                    written: pair.to_owned(),
                })
            })
            .collect::<Result<_, DsnError>>()?;
        Ok(Self {
            before: Some(before.to_owned()),
            pairs,
        })
    }

    fn pairs(text: &str) -> Result<Self, DsnError> {
        let mut pairs = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (pair, after) = first_pair(rest)?;
            pairs.push(pair);
            rest = after.trim_start();
        }
        if pairs.is_empty() {
            return Err(DsnError::Malformed);
        }
        Ok(Self { before: None, pairs })
    }
}

fn joined(pairs: &[Pair], between: &str) -> String {
    let written: Vec<&str> = pairs.iter().map(|pair| pair.written.as_str()).collect();
    written.join(between)
}

/// `key = value` or `key = 'value'`, with backslashes before quotes and backslashes; and what follows it.
fn first_pair(text: &str) -> Result<(Pair, &str), DsnError> {
    let (key, after) = text.split_once('=').ok_or(DsnError::Malformed)?;
    let after = after.trim_start();
    let is_quoted = after.starts_with('\'');
    let mut value = String::new();
    let mut characters = after.char_indices().skip(usize::from(is_quoted));
    let end = loop {
        match characters.next() {
            None if is_quoted => return Err(DsnError::Malformed),
            None => break after.len(),
            Some((place, '\'')) if is_quoted => break place + 1,
            Some((place, character)) if !is_quoted && character.is_whitespace() => break place,
            Some((_, '\\')) => value.extend(characters.next().map(|(_, escaped)| escaped)),
            Some((_, character)) => value.push(character),
        }
    };
    let key = key.trim();
    let pair = Pair {
        key: key.to_owned(),
        value,
        written: format!("{key}={}", &after[..end]),
    };
    Ok((pair, &after[end..]))
}

fn percent_decoded(text: &str) -> Result<String, DsnError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or(DsnError::Malformed)?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| DsnError::Malformed)
}

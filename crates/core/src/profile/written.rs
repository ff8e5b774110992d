//! Path rules as people write them: `/v1/*`, `/chat`, `*:generate*`, `*`. Must never guess what a star in another place means.

use std::borrow::Cow;
use std::str::FromStr;

use super::PathRule;

/// The text is no rule about paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathRuleError {
    /// It is empty.
    #[error("a path rule is empty; wanted one like /v1/*, /chat, *:generate* or *")]
    Empty,
    /// It has a star where none means anything.
    #[error("a star stands at the end (/v1/*) or at both ends (*:generate*) and nowhere else")]
    Star,
    /// It names the beginning of a path without its slash.
    #[error("a path begins with a slash")]
    NoSlash,
    /// It has a character that no path has once its query is gone and its escapes are decoded.
    #[error("a path rule has visible ASCII only, and neither ? nor # nor %")]
    Character,
}

/// `*` is every path, `/v1/*` those that begin so, `*:generate*` those that contain it, anything else that path alone.
impl FromStr for PathRule {
    type Err = PathRuleError;

    fn from_str(text: &str) -> Result<Self, PathRuleError> {
        if text.is_empty() {
            return Err(PathRuleError::Empty);
        }
        let is_of_path = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'%');
        if !text.bytes().all(is_of_path) {
            return Err(PathRuleError::Character);
        }
        if text == "*" {
            return Ok(Self::Any);
        }
        let contained = text
            .strip_prefix('*')
            .and_then(|rest| rest.strip_suffix('*'))
            .filter(|stem| !stem.is_empty());
        let (stem, rule): (_, fn(Cow<'static, str>) -> Self) = match (contained, text.strip_suffix('*')) {
            (Some(stem), _) => (stem, Self::Contains),
            (None, Some(stem)) => (stem, Self::Prefix),
            (None, None) => (text, Self::Exact),
        };
        if stem.contains('*') {
            return Err(PathRuleError::Star);
        }
        if contained.is_none() && !stem.starts_with('/') {
            return Err(PathRuleError::NoSlash);
        }
        Ok(rule(Cow::Owned(stem.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_look() {
        for (text, holds, fails) in [
            ("*", "/anything", None),
            ("/v1/*", "/v1/x", Some("/v1")),
            ("/chat", "/chat", Some("/chat/")),
            ("*:generate*", "/a/b:generateContent", Some("/a/b:stream")),
            ("/*", "/", Some("*")),
        ] {
            let rule: PathRule = text.parse().expect("a rule");
            assert!(rule.holds(holds.as_bytes()), "{text} {holds}");
            assert!(!fails.is_some_and(|path| rule.holds(path.as_bytes())), "{text}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for (text, error) in [
            ("", PathRuleError::Empty),
            ("**", PathRuleError::Star),
            ("*x", PathRuleError::Star),
            ("/v1/*/x", PathRuleError::Star),
            ("/v1/**", PathRuleError::Star),
            ("*a*b*", PathRuleError::Star),
            ("v1/*", PathRuleError::NoSlash),
            ("chat", PathRuleError::NoSlash),
            ("/a b", PathRuleError::Character),
            ("/a?b", PathRuleError::Character),
            ("/a%20b", PathRuleError::Character),
            ("/\u{e9}", PathRuleError::Character),
        ] {
            assert_eq!(text.parse::<PathRule>(), Err(error), "{text}");
        }
    }
}

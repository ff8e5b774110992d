use super::*;
use crate::credential::read;
use crate::header::OwnedHeaderLines;

mod anthropic;
mod gemini;
mod litellm;
mod new_api;
mod one_api;
mod openai;
mod sub2api;

/// A request: its target, and its headers as `name: value`.
type Written = (&'static str, &'static [&'static str]);

/// What is expected of one profile, as tables.
struct Expected {
    /// The profile.
    profile: &'static str,
    /// Requests, each with the key that is read from it, with the name of the error, or with `none`.
    keys: &'static [(Written, &'static str)],
    /// Spellings, all of one key.
    one_key: &'static [&'static str],
    /// Spellings, each of a key of its own.
    other_keys: &'static [&'static str],
    /// Where keys are claimed.
    claims: &'static [&'static str],
    /// Where they are not.
    no_claims: &'static [&'static str],
    /// The dialect of each path.
    dialects: &'static [(&'static str, Dialect)],
}

impl Expected {
    fn check(&self) {
        let profile = Profile::built_in(self.profile).expect("built in");
        for ((target, headers), expected) in self.keys {
            assert_eq!(key(&profile, target, headers), *expected, "{target} {headers:?}");
        }
        let stems: Vec<String> = self.one_key.iter().map(|key| stem(&profile, key)).collect();
        assert!(stems.windows(2).all(|pair| pair[0] == pair[1]), "{stems:?}");
        for other in self.other_keys {
            assert!(!stems.contains(&stem(&profile, other)), "{other}");
        }
        for path in self.claims {
            assert!(claims(&profile, path), "{path}");
        }
        for path in self.no_claims {
            assert!(!claims(&profile, path), "{path}");
        }
        for (path, dialect) in self.dialects {
            assert_eq!(profile.dialect(&RequestPath::new(path)), *dialect, "{path}");
        }
    }
}

fn key(profile: &Profile, target: &str, headers: &[&str]) -> String {
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let owned: OwnedHeaderLines = headers.iter().filter_map(|line| line.split_once(": ")).collect();
    match read(profile, &RequestPath::new(path), query, owned.lines()) {
        Ok(Some(found)) => found.key().expose().to_owned(),
        Ok(None) => "none".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

/// What of the key is compared.
fn stem(profile: &Profile, key: &str) -> String {
    match profile.normalisation.apply(key) {
        Some(NormalisedKey::Exact(stem)) => stem.to_owned(),
        Some(NormalisedKey::CaseFolded(stem)) => stem.to_lowercase(),
        None => String::new(),
    }
}

fn claims(profile: &Profile, path: &str) -> bool {
    profile.is_claim_path(&RequestPath::new(path))
}

#[test]
fn every_built_in_profile_is_found_by_its_name() {
    for name in Profile::BUILT_IN {
        assert_eq!(Profile::built_in(name).expect("built in").name, name);
    }
    assert!(Profile::built_in("nothing").is_none());
}

#[test]
fn no_spelling_of_a_claim_path_is_a_way_around_it() {
    let new_api = Profile::built_in("new-api").expect("built in");
    for path in [
        "//v1/chat/completions",
        "/%761/chat/completions",
        "/x/../v1/chat/completions",
        "/v1/../api/x",
        "/v1%2fchat/completions",
        "/./v1/chat/completions",
    ] {
        assert!(claims(&new_api, path), "{path}");
    }
}

#[test]
fn spellings_of_one_key_normalise_alike() {
    let stem = |text: &str| match Normalisation::SkPrefixAndChannel.apply(text) {
        Some(NormalisedKey::CaseFolded(stem)) => stem.to_owned(),
        other => format!("{other:?}"),
    };
    for text in ["sk-K1", "K1", "sk-K1-12", "K1-12"] {
        assert_eq!(stem(text), "K1", "{text}");
    }
    assert_eq!(
        stem("sk-sk-K1"),
        "sk",
        "only one prefix is cut, as the gateway does"
    );
    assert!(Normalisation::SkPrefixAndChannel.apply("sk-").is_none());
    assert!(Normalisation::SkPrefixAndChannel.apply("-12").is_none());
    assert!(matches!(
        Normalisation::Exact.apply("sk-a-b"),
        Some(NormalisedKey::Exact("sk-a-b"))
    ));
    assert!(Normalisation::Exact.apply("").is_none());
}

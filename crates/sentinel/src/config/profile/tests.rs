use sentinel_core::credential;
use sentinel_core::header::OwnedHeaderLines;
use sentinel_core::path::RequestPath;

use super::super::reference;
use super::super::{ConfigErrors, Loaded, Requirements, Sources, load};
use super::carrier::SCHEMES_MAX;
use super::reader::TEXT_BYTES_MAX;
use super::*;

/// Loads a file that names `mine` as the profile.
fn loaded(text: &str, profile: &str) -> Result<Loaded, Vec<String>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("sentinel.toml");
    std::fs::write(&file, text).expect("it can be written");
    let sources = Sources {
        environment: vec![("SENTINEL_PROFILE".into(), profile.into())],
        file: Some(file),
    };
    load(&sources, Requirements { upstream: false })
        .map_err(|ConfigErrors(problems)| problems.iter().map(ToString::to_string).collect())
}

fn profile(text: &str) -> Profile {
    loaded(text, "mine")
        .unwrap_or_else(|errors| panic!("{errors:#?}"))
        .config
        .upstream
        .profile
}

fn errors(text: &str) -> Vec<String> {
    loaded(text, "new-api").map(|_| ()).expect_err("wanted errors")
}

/// The one error of a profile that is right but for `line`.
fn error(line: &str) -> String {
    let errors = errors(&format!("[profiles.mine]\nbase = 'openai'\n{line}\n"));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.into_iter().next().expect("there is one")
}

fn key(profile: &Profile, path: &str, query: Option<&str>, headers: &[(&str, &str)]) -> String {
    let lines: OwnedHeaderLines = headers.iter().copied().collect();
    match credential::read(profile, &RequestPath::new(path), query, lines.lines()) {
        Ok(Some(found)) => found.key().expose().to_owned(),
        Ok(None) => "none".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn the_example_is_a_profile_that_does_what_it_says() {
    let text = reference::own_profile();
    let profile = loaded(&text, "my-gateway")
        .expect("it is right")
        .config
        .upstream
        .profile;
    assert_eq!(profile.name, "my-gateway");
    let read = |path, query, headers: &[_]| key(&profile, path, query, headers);
    let both = [("authorization", "Bearer sk-a"), ("x-my-key", "sk-m")];
    assert_eq!(read("/v1/chat", None, &both), "sk-m");
    assert_eq!(read("/v1/chat", None, &[("x-my-key", "Bearer sk-m")]), "sk-m");
    assert_eq!(read("/chat", None, &both), "sk-a");
    assert_eq!(read("/v1beta/models", Some("key=sk-q"), &[]), "sk-q");
    assert_eq!(read("/v1/models", Some("key=sk-q"), &[]), "none");
    assert_eq!(
        read("/v1/x", None, &[("authorization", "Bearer sk%2da")]),
        "Malformed"
    );
    for header in ["x-my-key", "x-other-key", "authorization", "x-api-key"] {
        assert!(
            profile.credential_headers.iter().any(|name| name == header),
            "{header}"
        );
    }
    for (path, is_claim) in [
        ("/v1/x", true),
        ("/chat", true),
        ("/chat/x", false),
        ("/a:generate", true),
    ] {
        assert_eq!(profile.is_claim_path(&RequestPath::new(path)), is_claim, "{path}");
    }
    for (path, dialect) in [
        ("/v1/messages/count_tokens", Dialect::Anthropic),
        ("/x:generateContent", Dialect::Gemini),
        ("/", Dialect::OpenAi),
    ] {
        assert_eq!(profile.dialect(&RequestPath::new(path)), dialect, "{path}");
    }
}

#[test]
fn a_base_fills_in_what_is_left_out() {
    let profile = profile("[profiles.mine]\nbase = 'new-api'\nclaim_paths = ['/relay/*']\n");
    let base = Profile::built_in("new-api").expect("built in");
    assert_eq!(
        (&*profile.name, profile.normalisation),
        ("mine", base.normalisation)
    );
    assert_eq!(profile.carriers, base.carriers);
    assert_eq!(profile.placeholder, base.placeholder);
    assert!(profile.is_claim_path(&RequestPath::new("/relay/x")));
    assert!(!profile.is_claim_path(&RequestPath::new("/v1/x")));
}

#[test]
fn without_a_base_the_necessary_is_asked_for() {
    let text = "[profiles.mine]\ncarriers = [{ header = 'X-Key' }]\nclaim_paths = ['*']\nnormalisation = 'sk-prefix-and-channel'\n";
    let profile = profile(text);
    assert_eq!(key(&profile, "/", None, &[("x-key", "sk-a")]), "sk-a");
    assert_eq!(
        key(&profile, "/", None, &[("authorization", "Bearer sk-a")]),
        "none"
    );
    assert_eq!(profile.normalisation, Normalisation::SkPrefixAndChannel);
    let errors = errors("[profiles.mine]\nnormalisation = 'exact'\n");
    assert_eq!(errors.len(), 2, "{errors:#?}");
    for (error, field) in errors.iter().zip(["carriers", "claim_paths"]) {
        assert!(
            error.starts_with(&format!("profiles.mine.{field}: is not set")),
            "{error}"
        );
    }
}

#[test]
fn all_errors_are_told_together_each_by_its_field() {
    let errors = errors(
        "[profiles.mine]\n\
         base = 'gpt'\n\
         cariers = []\n\
         normalisation = 'loose'\n\
         claim_paths = ['v1/*', 7]\n\
         credential_headers = ['Host']\n\
         carriers = [\n\
           { header = 'x_key' },\n\
           { header = 'x-a', query = 'b' },\n\
           { header = 'x-b', scheme = ['Bearer '] },\n\
           { header = 'x-c', schemes = ['Bearer'] },\n\
         ]\n\
         dialects = [{ paths = ['*'], dialect = 'french' }]\n",
    );
    let wanted = [
        "profiles.mine.cariers: is no field; did you mean carriers?",
        "profiles.mine.base: 'gpt' is no base; the built-in profiles are new-api, ",
        "profiles.mine.normalisation: cannot be 'loose'; wanted one of exact, sk-prefix-and-channel",
        "profiles.mine.carriers[1].header: 'x_key' has an underscore",
        "profiles.mine.carriers[2]: wanted exactly one of header, query, ",
        "profiles.mine.carriers[3].scheme: is no field; did you mean schemes?",
        "profiles.mine.carriers[4].schemes[1]: 'Bearer' is no scheme",
        "profiles.mine.claim_paths[1]: 'v1/*': a path begins with a slash",
        "profiles.mine.claim_paths[2]: is a integer; wanted text in quotes",
        "profiles.mine.dialects[1].dialect: cannot be 'french'",
        "profiles.mine.credential_headers[1]: 'Host' means something else",
    ];
    assert_eq!(errors.len(), wanted.len(), "{errors:#?}");
    for wanted in wanted {
        let found = errors.iter().find(|error| error.starts_with(wanted));
        let found = found.unwrap_or_else(|| panic!("{wanted}: {errors:#?}"));
        assert!(found.contains("sentinel.toml, line "), "{found}");
    }
}

#[test]
fn single_values_are_judged() {
    for (line, wanted) in [
        ("carriers = []", "carriers: is empty"),
        ("carriers = 'x'", "carriers: is a string; wanted a list"),
        ("carriers = ['x-key']", "carriers[1]: is a string; wanted a table"),
        (
            "carriers = [{ paths = ['*'] }]",
            "carriers[1]: wanted exactly one of",
        ),
        (
            "carriers = [{ header = 'x-a' }, { header = 'X-A' }]",
            "carriers[2]: is there twice",
        ),
        (
            "carriers = [{ header = 'x-a', paths = [] }]",
            "carriers[1].paths: is empty",
        ),
        (
            "carriers = [{ header = 'x-a', bare = false }]",
            "carriers[1].bare: is false",
        ),
        (
            "carriers = [{ header = 'x-a', bare = 'no' }]",
            "carriers[1].bare: is a string",
        ),
        (
            "carriers = [{ header = 'x-a', schemes = ['A B '] }]",
            "carriers[1].schemes[1]: 'A B '",
        ),
        ("carriers = [{ query = 'k&y' }]", "carriers[1].query: 'k&y'"),
        (
            "carriers = [{ query = 'key', bare = true }]",
            "carriers[1].bare: has a meaning",
        ),
        (
            "carriers = [{ websocket_protocol = false }]",
            "carriers[1].websocket_protocol: is false",
        ),
        (
            "claim_paths = ['/a/*/b']",
            "claim_paths[1]: '/a/*/b': a star stands",
        ),
        ("dialects = [{ paths = ['*'] }]", "dialects[1]: wanted { paths"),
        ("credential_headers = ['']", "credential_headers[1]: has 0 bytes"),
    ] {
        let error = error(line);
        assert!(
            error.starts_with(&format!("profiles.mine.{wanted}")),
            "{line}: {error}"
        );
    }
}

#[test]
fn headers_that_mean_something_else_are_refused() {
    for name in [
        "host",
        "Content-Length",
        "connection",
        "Cookie",
        "x-forwarded-for",
        "X-Real-IP",
        "cf-connecting-ip",
        "sec-websocket-protocol",
        "proxy-authorization",
        "x.key",
    ] {
        assert!(credential_header(name).is_err(), "{name}");
        let carrier = error(&format!("carriers = [{{ header = '{name}' }}]"));
        assert!(carrier.contains("carriers[1].header"), "{carrier}");
    }
    for name in ["authorization", "X-My-Key", "api-key", "x-acme-token"] {
        assert!(credential_header(name).is_ok(), "{name}");
    }
}

#[test]
fn a_name_is_plain_and_shadows_no_other() {
    for (name, wanted) in [
        ("litellm", "profiles.litellm: is a built-in profile"),
        ("My-Gateway", "profiles.My-Gateway: is no name"),
        ("'a b'", "profiles.a b: is no name"),
    ] {
        let errors = errors(&format!("[profiles.{name}]\nbase = 'openai'\n"));
        assert!(errors.len() == 1 && errors[0].starts_with(wanted), "{errors:#?}");
    }
    let unknown = loaded("[profiles.mine]\nbase = 'openai'\n", "others").map(|_| ());
    let unknown = unknown.expect_err("no such profile");
    assert!(
        unknown[0].contains("'others' is no profile") && unknown[0].contains("gemini, mine"),
        "{unknown:#?}"
    );
    let untyped = errors("[profiles]\nmine = 'openai'\n");
    assert!(
        untyped[0].starts_with("profiles.mine: is a string; wanted a table"),
        "{untyped:#?}"
    );
}

#[test]
fn the_client_address_is_no_credential() {
    let text = "[profiles.mine]\nbase = 'openai'\ncredential_headers = ['x-my-ip']\n\
                [proxy]\ntrusted_proxies = ['10.0.0.0/8']\nclient_ip_header = 'X-My-IP'\n";
    let errors = loaded(text, "mine")
        .map(|_| ())
        .expect_err("one header for two things");
    assert!(
        errors.len() == 1 && errors[0].contains("holds keys in the profile mine"),
        "{errors:#?}"
    );
    assert!(loaded(text, "new-api").is_ok());
}

/// A list's field, its bound, and how its entries are written.
type BoundedList<'c> = (&'c str, usize, &'c dyn Fn(usize) -> String);

#[test]
fn every_list_has_its_bound() {
    let many =
        |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(", ");
    let header = |index| format!("'x-h{index}'");
    let carrier = |index| format!("{{ header = 'x-h{index}' }}");
    let path = |index| format!("'/p{index}'");
    let dialect = |index| format!("{{ paths = ['/p{index}'], dialect = 'plain' }}");
    let cases: [BoundedList<'_>; 4] = [
        ("carriers", CARRIERS_MAX, &carrier),
        ("claim_paths", PATH_RULES_MAX, &path),
        ("dialects", DIALECTS_MAX, &dialect),
        ("credential_headers", HEADERS_MAX, &header),
    ];
    for (field, max, one) in cases {
        profile(&format!(
            "[profiles.mine]\nbase = 'openai'\n{field} = [{}]\n",
            many(max, one)
        ));
        let error = error(&format!("{field} = [{}]", many(max + 1, one)));
        assert!(
            error.contains(&format!("{field}: has {} entries", max + 1)),
            "{error}"
        );
    }
    let schemes = |count| {
        let schemes = many(count, &|index| format!("'S{index} '"));
        format!("carriers = [{{ header = 'x-h', schemes = [{schemes}] }}]")
    };
    profile(&format!(
        "[profiles.mine]\nbase = 'openai'\n{}\n",
        schemes(SCHEMES_MAX)
    ));
    assert!(error(&schemes(SCHEMES_MAX + 1)).contains("carriers[1].schemes: has 17 entries"));
    let text = |bytes: usize| format!("claim_paths = ['/{}']", "x".repeat(bytes - 1));
    profile(&format!(
        "[profiles.mine]\nbase = 'openai'\n{}\n",
        text(TEXT_BYTES_MAX)
    ));
    assert!(error(&text(TEXT_BYTES_MAX + 1)).contains("has 257 bytes"));
    let name = "n".repeat(NAME_CHARACTERS_MAX);
    loaded(&format!("[profiles.{name}]\nbase = 'openai'\n"), &name).expect("just short enough");
    errors(&format!("[profiles.{name}n]\nbase = 'openai'\n"));
    let profiles = |count| {
        (0..count).fold(String::new(), |text, index| {
            text + &format!("[profiles.p{index}]\nbase = 'openai'\n")
        })
    };
    loaded(&profiles(PROFILES_MAX), "p31").expect("just few enough");
    assert!(errors(&profiles(PROFILES_MAX + 1))[0].starts_with("profiles: has 33 profiles"));
}

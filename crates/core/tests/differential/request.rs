//! Requests as an attacker would write them: every carrier, spelled in every way, several at once.

use std::fmt;

use proptest::prelude::*;

/// What every generated key contains, and nothing else does. A text with one of them is a credential.
pub(crate) const SECRETS: [&str; 3] = ["Ka1", "Kb2", "Kc3"];

/// A request as it stands on the wire, after its lines were split and their outer blanks cut.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// The values of a header, in their order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = String> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// Whether it asks for a WebSocket.
    pub(crate) fn asks_for_websocket(&self) -> bool {
        self.values("upgrade")
            .any(|value| value.eq_ignore_ascii_case("websocket"))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = self
            .query
            .as_deref()
            .map_or(String::new(), |query| format!("?{query}"));
        writeln!(formatter, "{}{query}", self.path)?;
        self.headers.iter().try_for_each(|(name, value)| {
            writeln!(formatter, "  {name}: {:?}", String::from_utf8_lossy(value))
        })
    }
}

const PATHS: &[&str] = &[
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/gpt-5",
    "/v1/responses",
    "/v1/realtime",
    "/v1beta/models",
    "/v1beta/models/gemini-pro:generateContent",
    "/v1beta/models/gemini-pro:streamGenerateContent",
    "/v1beta/openai/models",
    "/v1beta/openai/chat/completions",
    "/v1alpha/models/x:generateContent",
    "/upload/v1beta/files",
    "/mj/submit/imagine",
    "/suno/submit/music",
    "/api/log/token",
    "/api/usage/token",
    "/api/user/self",
    "/dashboard/billing/usage",
    "/antigravity/v1/messages",
    "/antigravity/v1beta/models/x",
    "/antigravity/models",
    "/responses",
    "/backend-api/codex/responses",
    "/openai/deployments/x/chat/completions",
    "/langfuse/api/public/ingestion",
    "/gemini/v1beta/models/x:generateContent",
    "/anthropic/v1/messages",
    "/vertex_ai/x",
    "/chat/completions",
    "/completion",
    "/",
];

const HEADERS: &[&str] = &[
    "authorization",
    "Authorization",
    "AUTHORIZATION",
    "x-api-key",
    "X-Api-Key",
    "x-goog-api-key",
    "api-key",
    "mj-api-secret",
    "x-litellm-api-key",
    "ocp-apim-subscription-key",
    "litellm_user_api_key",
    "x_api_key",
    "proxy-authorization",
];

const SCHEMES: &[&str] = &[
    "",
    "",
    "Bearer ",
    "Bearer ",
    "bearer ",
    "BEARER ",
    "bEaReR ",
    "Bearer  ",
    "Bearer\t",
    "Bearer \t",
    "Bearer",
    "Bearer%20",
    "Bearer Bearer ",
    "bearer Bearer ",
    "Basic ",
    "basic ",
    "Token ",
    "AWS4-HMAC-SHA256 Credential=",
    "AWS4-HMAC-SHA256 Credential=Bearer ",
    "AWS4-HMAC-SHA256Credential=",
    "aws4-hmac-sha256 Credential=",
    "sk- ",
];

const PROTOCOLS: &[&str] = &[
    "realtime",
    "openai-beta.realtime-v1",
    "openai-insecure-api-key",
    "openai-insecure-api-key.",
    "mcp",
    "",
];

const PROTOCOL_PREFIXES: &[&str] = &[
    "openai-insecure-api-key.",
    "openai-insecure-api-key.",
    "openai-insecure-api-key",
    "OpenAI-Insecure-Api-Key.",
    "x-openai-insecure-api-key.",
    "",
];

const QUERY_NAMES: &[&str] = &[
    "key",
    "key",
    "k%65y",
    "%6bey",
    "%6Bey",
    "KEY",
    "key+",
    "+key",
    "key%00",
    "key%zz",
    "key%ff",
    "k%25%36%35y",
    "x;key",
    "api_key",
    "api-key",
    "api%2Dkey",
    "api%5fkey",
    "apikey",
    "access_token",
    "$httpHeaders",
    "%24httpHeaders",
];

const NOMINATIONS: &[&str] = &[
    "close",
    "keep-alive",
    "upgrade",
    "Upgrade",
    "x-trace",
    "authorization",
    "X-Api-Key",
    "x-goog-api-key",
    "mj-api-secret",
    "sec-websocket-protocol",
    "host",
    "te",
];

/// A key in one of its spellings; now and then no key.
fn key() -> impl Strategy<Value = String> {
    let before = prop::sample::select(vec!["sk-", "sk-", "sk-", "", "", "sk-sk-", "SK-", "sk-ant-"]);
    let after = prop::sample::select(vec![
        "", "", "", "", "-12", "-", "--", "=", "==", ",x", ":x", ";x", "/x", "%2D", "%41", "%u0041", "\"",
        "\\",
    ]);
    let spelled =
        (before, secret(), after).prop_map(|(before, secret, after)| format!("{before}{secret}{after}"));
    let odd = prop::sample::select(vec!["", "midjourney-proxy", "sk-", "-", "Bearer", "null", "*"]);
    prop_oneof![8 => spelled, 1 => odd.prop_map(str::to_owned)]
}

/// A secret, at times in another case: some gateways' databases do not tell cases apart.
fn secret() -> impl Strategy<Value = String> {
    (prop::sample::select(SECRETS.to_vec()), prop::bool::weighted(0.1)).prop_map(|(secret, is_lower)| {
        if is_lower {
            secret.to_lowercase()
        } else {
            secret.to_owned()
        }
    })
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    let plain = (prop::sample::select(SCHEMES.to_vec()), key(), key(), 0..12_u8).prop_map(
        |(scheme, key, other, shape)| match shape {
            0 => format!("{scheme}{key} {other}"),
            1 => format!("{scheme}{key},{other}"),
            2 => format!("{scheme}{key}, Bearer {other}"),
            3 => format!("{scheme}{}", escaped(&key)),
            _ => format!("{scheme}{key}"),
        },
    );
    let basic = (key(), key(), 0..5_u8).prop_map(|(user, password, shape)| {
        let encoded = match shape {
            0 => base64(user.as_bytes()),
            1 => base64(format!("{user}:{password}:x").as_bytes()),
            2 => base64(format!("{user}:Bearer {password}").as_bytes()),
            3 => format!("{}!", base64(format!("{user}:{password}").as_bytes())),
            _ => base64(format!("{user}:{password}").as_bytes()),
        };
        format!("Basic {encoded}")
    });
    let foreign = key().prop_map(|key| [key.as_bytes(), "\u{a0}\u{e9}".as_bytes()].concat());
    prop_oneof![
        12 => plain.prop_map(String::into_bytes),
        3 => basic.prop_map(String::into_bytes),
        1 => foreign,
    ]
    .prop_map(|value| value.trim_ascii().to_vec())
}

fn credential_line() -> impl Strategy<Value = (String, Vec<u8>)> {
    (prop::sample::select(HEADERS.to_vec()), header_value())
        .prop_map(|(name, value)| (name.to_owned(), value))
}

fn protocol_line() -> impl Strategy<Value = (String, Vec<u8>)> {
    let token = prop_oneof![
        prop::sample::select(PROTOCOLS.to_vec()).prop_map(str::to_owned),
        (prop::sample::select(PROTOCOL_PREFIXES.to_vec()), key())
            .prop_map(|(prefix, key)| format!("{prefix}{key}")),
    ];
    let separator = prop::sample::select(vec![", ", ",", " ,\t"]);
    (prop::collection::vec(token, 1..4), separator).prop_map(|(tokens, separator)| {
        let value = tokens.join(separator);
        (
            "Sec-WebSocket-Protocol".to_owned(),
            value.trim_ascii().as_bytes().to_vec(),
        )
    })
}

fn other_line() -> impl Strategy<Value = (String, Vec<u8>)> {
    let nominations = prop::collection::vec(prop::sample::select(NOMINATIONS.to_vec()), 1..3)
        .prop_map(|names| ("Connection", names.join(", ")));
    let upgrade = prop::sample::select(vec!["websocket", "WebSocket", "h2c"])
        .prop_map(|protocol| ("Upgrade", protocol.to_owned()));
    let plain = Just(("Accept", "*/*".to_owned()));
    prop_oneof![nominations, upgrade, plain].prop_map(|(name, value)| (name.to_owned(), value.into_bytes()))
}

fn query() -> impl Strategy<Value = Option<String>> {
    let value = (key(), 0..8_u8).prop_map(|(key, shape)| match shape {
        0 => escaped(&key),
        1 => format!("+{}", key.replace(' ', "+")),
        2 => format!("{key}%zz"),
        3 => format!("{key}%ff"),
        4 => format!("{key}%20x"),
        _ => key,
    });
    let credential = (prop::sample::select(QUERY_NAMES.to_vec()), value)
        .prop_map(|(name, value)| format!("{name}={}", value.replace([' ', '\t', '#'], "%20")));
    let plain =
        prop::sample::select(vec!["alt=sse", "beta=true", "", "key", "=", "a=b;c=d"]).prop_map(str::to_owned);
    let parts = prop::collection::vec(prop_oneof![3 => credential, 2 => plain], 0..4);
    prop::option::weighted(0.6, parts.prop_map(|parts| parts.join("&")))
}

/// The path, at times in a spelling that some gateway reads as another path.
fn path() -> impl Strategy<Value = String> {
    (
        prop::sample::select(PATHS.to_vec()),
        0..24_u8,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(path, shape, at)| {
            let at = at.index(path.len());
            let (before, after) = path.split_at(at);
            let byte = path.as_bytes()[at];
            match shape {
                0 => format!("{before}%{byte:02x}{}", &after[1..]),
                1 => format!("{before}%{byte:02X}{}", &after[1..]),
                2 => path.replacen('/', "//", 2),
                3 => format!("/x/..{path}"),
                4 => format!("/.{path}"),
                5 => format!("{path}/"),
                6 => path.to_uppercase(),
                7 => path.replace('/', "\\"),
                8 => path.replacen("/v1", "/v1;a=b", 1),
                9 => format!("{path};/v1/models"),
                10 => path.replace('/', "%2f"),
                11 => format!("{path}/../../v1/models"),
                12 => format!("{before}%25{byte:02x}{}", &after[1..]),
                13 => format!("/v1/models/..{path}"),
                14 => format!("{path}%00"),
                15 => format!("{path}%zz"),
                _ => path.to_owned(),
            }
        })
}

/// Every byte as a percent escape.
fn escaped(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |escaped, byte| escaped + &format!("%{byte:02x}"))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

/// Generated requests.
pub(crate) fn requests() -> impl Strategy<Value = Request> {
    let line = prop_oneof![6 => credential_line(), 2 => protocol_line(), 1 => other_line()];
    let lines = prop::collection::vec(line, 0..6);
    (path(), query(), lines, prop::bool::weighted(0.2)).prop_map(|(path, query, mut headers, repeats)| {
        if repeats && let Some(first) = headers.first().cloned() {
            headers.push(first);
        }
        Request { path, query, headers }
    })
}

/// Requests as honest clients write them, with one credential or with several: nothing about them is odd.
pub(crate) fn honest_requests() -> impl Strategy<Value = Request> {
    let secret = || prop::sample::select(SECRETS.to_vec());
    let headers = prop::sample::subsequence(HONEST_HEADERS.to_vec(), 0..=HONEST_HEADERS.len());
    let headers = headers.prop_flat_map(|names| {
        let count = names.len();
        let secrets = prop::collection::vec(prop::sample::select(SECRETS.to_vec()), count);
        (Just(names), secrets).prop_map(|(names, secrets)| {
            let line = |(name, before): (&str, &str), secret: &str| {
                (name.to_owned(), format!("{before}sk-{secret}").into_bytes())
            };
            names
                .into_iter()
                .zip(secrets)
                .map(|(name, secret)| line(name, secret))
                .collect::<Vec<_>>()
        })
    });
    let query = prop::option::weighted(
        0.4,
        secret().prop_map(|secret| format!("alt=sse&key=sk-{secret}")),
    );
    let request = (prop::sample::select(PATHS.to_vec()), query, headers, secret());
    request.prop_map(|(path, query, mut headers, secret)| {
        if path == "/v1/realtime" {
            // LiteLLM does not look there on a WebSocket, and its clients know it.
            headers.retain(|(name, _)| name != "x-litellm-api-key");
            let protocols = format!("realtime, openai-insecure-api-key.sk-{secret}");
            headers.push(("Sec-WebSocket-Protocol".to_owned(), protocols.into_bytes()));
            headers.push(("Upgrade".to_owned(), b"websocket".to_vec()));
        }
        Request {
            path: path.to_owned(),
            query: query.filter(|_| path.contains("/v1beta/models")),
            headers,
        }
    })
}

/// Headers of honest clients, with what stands before the key in them.
const HONEST_HEADERS: &[(&str, &str)] = &[
    ("Authorization", "Bearer "),
    ("x-api-key", ""),
    ("x-goog-api-key", ""),
    ("api-key", ""),
    ("mj-api-secret", ""),
    ("x-litellm-api-key", "Bearer "),
];

use super::*;
use crate::redis::{DEFAULT_PREFIX, PREFIX_BYTES_MAX, RedisSettings};

const SECRET: &str = "p%40ss-w0rd";

fn url(text: &str) -> RedisUrl {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shown(text: &str) -> String {
    url(text).to_string()
}

#[test]
fn every_form_is_understood_and_shown_without_its_passwords() {
    assert_eq!(shown("redis://cache"), "redis://cache:6379");
    assert_eq!(shown("valkeys://cache:7000/"), "rediss://cache:7000");
    assert_eq!(
        shown(&format!("rediss://sentinel:{SECRET}@cache.example.net:6380/3")),
        "rediss://sentinel@cache.example.net:6380/3"
    );
    assert_eq!(
        shown(&format!(
            "redis-sentinel://:{SECRET}@a,b:26380,[2001:db8::1]/2?sentinelMasterId=main&sentinelPassword={SECRET}"
        )),
        "redis-sentinel://a:26379,b:26380,[2001:db8::1]:26379/2?sentinelMasterId=main"
    );
    assert_eq!(
        shown(&format!("rediss-cluster://user:{SECRET}@10.0.0.1,10.0.0.2:7001")),
        "rediss-cluster://user@10.0.0.1:6379,10.0.0.2:7001"
    );
}

#[test]
fn names_and_passwords_are_read_out_of_percent_signs() {
    let read = url(&format!("redis://us%3Aer:{SECRET}@cache"));
    assert_eq!(read.credentials.username.as_deref(), Some("us:er"));
    assert_eq!(read.credentials.password.as_deref(), Some("p@ss-w0rd"));
    assert_eq!(
        url("redis://:a/b?c@d@cache").credentials.password.as_deref(),
        Some("a/b?c@d")
    );
    assert_eq!(
        url("redis://user@cache").credentials.username.as_deref(),
        Some("user")
    );
    assert_eq!(url("redis://cache").credentials.username, None);
    let sentinel =
        url("redis-sentinel://a?sentinelMasterId=m&sentinelUsername=u&sentinelPassword=p&database=4");
    let Kind::Sentinel { primary, credentials } = sentinel.kind else {
        panic!("Sentinels")
    };
    assert_eq!((primary.as_str(), sentinel.database), ("m", 4));
    assert_eq!(credentials.username.as_deref(), Some("u"));
    assert_eq!(credentials.password.as_deref(), Some("p"));
}

#[test]
fn what_is_wrong_is_said_without_a_secret() {
    use RedisUrlError::*;
    let cases = [
        ("cache:6379", Scheme),
        ("http://cache", Scheme),
        ("redis://", Host(1)),
        ("redis://:s3cret@", Host(1)),
        ("redis://cache:0", Host(1)),
        ("redis://cache:70000", Host(1)),
        ("redis://2001:db8::1", Host(1)),
        ("redis://ca che", Host(1)),
        ("redis-cluster://a,,b", Host(2)),
        ("redis://a,b", Hosts(1)),
        ("redis://cache/s3cret", Database),
        ("redis://cache/-1", Database),
        ("redis-cluster://a/1", ClusterDatabase),
        ("redis://:%FF@cache", Credentials),
        ("redis-sentinel://a", SentinelMasterId),
        ("redis-sentinel://a?sentinelMasterId=", SentinelMasterId),
        ("redis://cache?protocol=3", Option("protocol".to_owned())),
        (
            "redis://cache?sentinelMasterId=m",
            Option("sentinelMasterId".to_owned()),
        ),
    ];
    for (text, expected) in cases {
        let error = text.parse::<RedisUrl>().expect_err(text);
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn as_many_hosts_as_the_bound_are_taken() {
    let hosts = |count: usize| format!("redis-cluster://{}", vec!["a"; count].join(","));
    assert_eq!(url(&hosts(HOSTS_MAX)).hosts.len(), HOSTS_MAX);
    let one_more = hosts(HOSTS_MAX + 1).parse::<RedisUrl>();
    assert_eq!(one_more, Err(RedisUrlError::Hosts(HOSTS_MAX)));
}

#[test]
fn settings_do_not_print_a_password() {
    let settings = RedisSettings::new(url(&format!("redis://user:{SECRET}@cache")));
    let shown = format!("{settings:?} {:?}", settings.url);
    assert!(shown.contains("user@cache"), "{shown}");
    assert!(!shown.contains("ss-w0rd"), "{shown}");
}

#[test]
fn a_prefix_is_short_and_plain() {
    let with = |prefix: &str| {
        let settings = RedisSettings::new(url("redis://cache")).with_prefix(prefix);
        settings.map(|settings| settings.prefix)
    };
    let longest = "x".repeat(PREFIX_BYTES_MAX);
    for prefix in [DEFAULT_PREFIX, "a/b.c-d_e:", &longest] {
        assert_eq!(with(prefix), Ok(prefix.to_owned()));
    }
    let too_long = "x".repeat(PREFIX_BYTES_MAX + 1);
    for prefix in ["", "a b", "{a}", "a*", "ä:", "a\n", &too_long] {
        assert!(with(prefix).is_err(), "{prefix:?}");
    }
}

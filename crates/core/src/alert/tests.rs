use super::*;

fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(milliseconds)
}

fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

fn seen(count: u64, at: i64) -> Seen {
    Seen {
        count,
        peak: count,
        ..Seen::nothing(moment(at))
    }
}

fn alert() -> Alert {
    Alert {
        id: AlertId::random(),
        sequence: 0,
        state: AlertState::Firing,
        rule: RuleKind::RefusalsPerBinding,
        severity: Severity::Warning,
        subject: Subject::Binding(BindingId(7)),
        binding: Some(BindingId(7)),
        hint: Some(KeyHint::from_stored("sk-ab…wxyz".to_owned())),
        seen: Seen {
            networks: vec![network("192.0.2.0/24"), network("2001:db8::/64")],
            example: Some(Example {
                reference: Reference::random(),
                reason: RefusalReason::KeyIpMismatch,
                client_ip: ClientIp::new("192.0.2.9".parse().expect("an address")),
                method: "POST".to_owned(),
                path: "/v1/chat/completions".to_owned(),
                user_agent: "curl/8".to_owned(),
            }),
            ..seen(12, 1_000)
        },
        told: 12,
        threshold: 10,
        window: Duration::from_mins(1),
        raised_at: moment(2_000),
        at: moment(2_000),
        replica: "a".to_owned(),
    }
}

#[test]
fn an_alert_is_read_back_as_it_was_written() {
    let written = serde_json::to_string(&alert()).expect("it can be written");
    let mut read: Alert = serde_json::from_str(&written).expect("it can be read");
    let again = serde_json::to_string(&read).expect("it can be written");
    assert_eq!(written, again);
    read.subject = Subject::Many;
    read.binding = None;
    read.hint = None;
    read.seen.example = None;
    let written = serde_json::to_string(&read).expect("it can be written");
    assert_eq!(serde_json::from_str::<Alert>(&written).expect("read"), read);
    let damaged = written.replace("many:", "nobody:");
    assert!(serde_json::from_str::<Alert>(&damaged).is_err());
}

#[test]
fn each_transition_has_a_name_of_its_own() {
    let raised = alert();
    let mut later = raised.clone();
    later.seen.merge(&seen(5, 3_000));
    let updated = later.advanced(AlertState::Updated, moment(4_000), "b");
    assert_eq!(raised.notice_id(), format!("{}.0", raised.id));
    assert_eq!(updated.notice_id(), format!("{}.1", raised.id));
    assert_eq!((updated.told, updated.seen.count), (17, 17));
    assert_eq!((updated.at, updated.raised_at), (moment(4_000), moment(2_000)));
    assert_eq!(updated.replica, "b");
}

#[test]
fn what_replicas_saw_adds_up_whoever_comes_first() {
    let mut one = seen(3, 5_000);
    one.add_network(network("192.0.2.1"));
    let mut two = seen(4, 2_000);
    two.add_network(network("192.0.2.2"));
    two.example = alert().seen.example;
    let (mut ab, mut ba) = (one.clone(), two.clone());
    ab.merge(&two);
    ba.merge(&one);
    assert_eq!((ab.count, ab.peak, ba.count, ba.peak), (7, 4, 7, 4));
    assert_eq!(
        (ab.first_at, ab.last_at, ab.above_at),
        (moment(2_000), moment(5_000), moment(5_000))
    );
    assert_eq!(ab.example, ba.example);
    assert_eq!(ab.networks.len(), 2);
    let mut full = seen(u64::MAX, 1);
    full.merge(&one);
    assert_eq!(full.count, u64::MAX);
}

#[test]
fn an_alert_names_so_many_networks_and_says_that_there_are_more() {
    let mut seen = seen(1, 1);
    for last in 0..ALERT_NETWORKS_MAX {
        seen.add_network(network(&format!("192.0.2.{last}")));
        seen.add_network(network("192.0.2.0"));
    }
    assert!(!seen.has_more_networks);
    seen.add_network(network("198.51.100.1"));
    assert_eq!(seen.networks.len(), ALERT_NETWORKS_MAX);
    assert!(seen.has_more_networks);
}

#[test]
fn names_of_channels_are_plain() {
    let longest = "x".repeat(CHANNEL_CHARACTERS_MAX);
    for name in ["ops", "Feishu-1", "on_call", &longest] {
        assert_eq!(ChannelId::new(name).map(|id| id.to_string()), Ok(name.to_owned()));
    }
    let longer = "x".repeat(CHANNEL_CHARACTERS_MAX + 1);
    for name in ["", "a b", "é", "a/b", "a\n", &longer] {
        assert_eq!(ChannelId::new(name), Err(ChannelNameMalformed), "{name}");
    }
}

#[test]
fn words_round_trip() {
    for severity in Severity::ALL {
        assert_eq!(Severity::from_word(severity.as_str()), Some(severity));
    }
    for state in AlertState::ALL {
        assert_eq!(AlertState::from_word(state.as_str()), Some(state));
    }
    for state in ports::DeliveryState::ALL {
        assert_eq!(ports::DeliveryState::from_word(state.as_str()), Some(state));
    }
    assert!(AlertState::Firing.is_open() && AlertState::Updated.is_open() && !AlertState::Calmed.is_open());
}

#[test]
fn an_error_is_kept_on_one_line_and_cut() {
    use ports::{DELIVERY_ERROR_CHARACTERS_MAX, delivery_error_kept};
    assert_eq!(delivery_error_kept("a\r\nb\0c"), "a  b c");
    let long = "é".repeat(DELIVERY_ERROR_CHARACTERS_MAX + 1);
    assert_eq!(
        delivery_error_kept(&long).chars().count(),
        DELIVERY_ERROR_CHARACTERS_MAX
    );
}

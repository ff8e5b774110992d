//! Checks the certificate that clients see. Whether its files are in order is a matter of the configuration; here it is for how long.

use std::time::Duration;

use sentinel_core::time::Timestamp;
use sentinel_proxy::Certificate;

use super::Finding;
use crate::config::Config;

/// With fewer days left somebody should look why it was not renewed: what renews does it much earlier.
const DAYS_LEFT_GOOD: u64 = 14;

/// Whether the certificate is valid, and for how long; nothing without one.
pub(super) fn certificate(config: &Config, now: Timestamp) -> Option<Finding> {
    let tls = config.proxy.tls.as_ref()?;
    Some(match Certificate::load(tls) {
        Ok(certificate) => validity(&certificate, now),
        Err(error) => Finding::bad(PART, error.to_string(), ""),
    })
}

const PART: &str = "certificate";

fn validity(certificate: &Certificate, now: Timestamp) -> Finding {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    if now < from {
        let text = format!("is not valid before {}", from.rfc3339());
        return Finding::bad(PART, text, "correct the clock, or wait: no client takes it yet");
    }
    if now > until {
        let text = format!("has not been valid since {}", until.rfc3339());
        let advice = "renew it: no client takes it; a running Sentinel reads it again by itself";
        return Finding::bad(PART, text, advice);
    }
    let days = until.since(now).as_secs() / Duration::from_hours(24).as_secs();
    let text = format!("valid for {days} more days, until {}", until.rfc3339());
    if days < DAYS_LEFT_GOOD {
        Finding::warning(PART, text)
    } else {
        Finding::good(PART, text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use sentinel_proxy::TlsConfig;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn days_are_counted() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = TlsConfig::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let key = KeyPair::generate().expect("a key");
        let mut wanted = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        wanted.not_before = date_time_ymd(2030, 1, 1);
        wanted.not_after = date_time_ymd(2030, 4, 1);
        let made = wanted.self_signed(&key).expect("a certificate");
        fs::write(&config.certificate, made.pem()).expect("it can be written");
        fs::write(&config.key, key.serialize_pem()).expect("it can be written");
        let certificate = Certificate::load(&config).expect("in order");
        let judged = |from: Timestamp, days: i64| {
            let now = Timestamp::from_unix_ms(from.unix_ms() + days * 86_400_000);
            let finding = validity(&certificate, now);
            (finding.verdict, finding.text)
        };
        let (first, last) = (certificate.not_before(), certificate.not_after());
        assert_eq!(judged(first, -1).0, Verdict::Bad);
        assert_eq!(
            judged(first, 0),
            (
                Verdict::Good,
                "valid for 90 more days, until 2030-04-01T00:00:00Z".to_owned()
            )
        );
        assert_eq!(judged(last, -14).0, Verdict::Good);
        assert_eq!(judged(last, -13).0, Verdict::Warning);
        assert_eq!(judged(last, 0).0, Verdict::Warning);
        assert_eq!(judged(last, 1).0, Verdict::Bad);
    }
}

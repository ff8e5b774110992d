//! Mail, to a server on this machine that speaks as its script says, with and without TLS.

use std::sync::Mutex;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::email::Email;
use super::*;
use crate::outbound::Destination;
use crate::secret::Secret;
use crate::testing::{ScriptedResolver, alert, dialer};

/// What the server does besides taking mails.
#[derive(Clone, Copy, Default)]
struct Manners {
    security: Option<Security>,
    /// Offers no STARTTLS.
    hides_starttls: bool,
    /// Says more than it is asked before TLS.
    injects: bool,
    /// Answers the recipient with this.
    recipient: Option<&'static str>,
    /// Answers the password with this.
    password: Option<&'static str>,
    /// Says this without end instead of a greeting.
    babbles: bool,
}

struct Server {
    port: u16,
    pem: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(manners: Manners) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["mail.test".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, hearing) = (acceptor.clone(), Arc::clone(&hearing));
                tokio::spawn(async move { serve(socket, acceptor, manners, &hearing).await });
            }
        });
        Self {
            port,
            pem: cert.pem(),
            heard,
        }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }

    fn channel(&self, security: Security) -> Email {
        let resolver = ScriptedResolver::default()
            .with("mail.test", &[&["127.0.0.1"]])
            .with("inside.test", &[&["10.0.0.1"]]);
        let server = Destination::new("mail.test", self.port).expect("a name");
        Email::new(
            channel_id("mail"),
            (server, security),
            ("Sentinel <sentinel@example.com>", &["ops@example.com".to_owned()]),
            dialer(Arc::new(resolver), &["127.0.0.1"], self.pem.as_bytes()),
            Language::Chinese,
            Some(console()),
        )
        .expect("addresses")
    }

    async fn send(&self, security: Security) -> Result<(), Failure> {
        let channel = self
            .channel(security)
            .with_credentials("user", Secret::new("SECRET"));
        bounded("an attempt", channel.send(&alert(), NOW)).await
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, manners: Manners, heard: &Mutex<Vec<String>>) {
    match manners.security {
        Some(Security::Tls) => {
            if let Ok(stream) = acceptor.accept(socket).await {
                let _ = talk(&mut BufReader::new(stream), manners, true, true, heard).await;
            }
        }
        Some(Security::StartTls) => {
            let mut stream = BufReader::new(socket);
            if talk(&mut stream, manners, true, false, heard).await == Ok(true)
                && let Ok(stream) = acceptor.accept(stream.into_inner()).await
            {
                heard.lock().expect("not poisoned").push("TLS".to_owned());
                let _ = talk(&mut BufReader::new(stream), manners, false, true, heard).await;
            }
        }
        _ => {
            let _ = talk(&mut BufReader::new(socket), manners, true, true, heard).await;
        }
    }
}

/// Speaks until the end, or (true) until TLS is to begin.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    manners: Manners,
    greets: bool,
    is_secure: bool,
    heard: &Mutex<Vec<String>>,
) -> Result<bool, ()> {
    async fn say<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) -> Result<(), ()> {
        stream.write_all(text.as_bytes()).await.map_err(drop)?;
        stream.flush().await.map_err(drop)
    }
    if manners.babbles {
        loop {
            say(stream, "220-without end ").await?;
        }
    }
    if greets {
        say(stream, "220 mail.test ESMTP\r\n").await?;
    }
    let mut is_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.map_err(drop)? == 0 {
            return Ok(false);
        }
        let line = line.trim_end().to_owned();
        heard.lock().expect("not poisoned").push(line.clone());
        if is_data {
            if line == "." {
                is_data = false;
                say(stream, "250 taken\r\n").await?;
            }
            continue;
        }
        let word = line.split(' ').next().unwrap_or_default().to_owned();
        match word.as_str() {
            "EHLO" if is_secure || manners.hides_starttls => {
                say(
                    stream,
                    "250-mail.test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
                )
                .await?;
            }
            "EHLO" => say(stream, "250-mail.test\r\n250 STARTTLS\r\n").await?,
            "STARTTLS" if manners.injects => {
                say(stream, "220 go\r\n250 injected\r\n").await?;
                return Ok(true);
            }
            "STARTTLS" => {
                say(stream, "220 go\r\n").await?;
                return Ok(true);
            }
            "AUTH" => {
                let answer = manners.password.unwrap_or("235 welcome");
                say(stream, &format!("{answer}\r\n")).await?;
            }
            "RCPT" => {
                let answer = manners.recipient.unwrap_or("250 known");
                say(stream, &format!("{answer}\r\n")).await?;
            }
            "DATA" => {
                is_data = true;
                say(stream, "354 go on\r\n").await?;
            }
            "QUIT" => {
                say(stream, "221 bye\r\n").await?;
                return Ok(false);
            }
            _ => say(stream, "250 well\r\n").await?,
        }
    }
}

fn manners(security: Security) -> Manners {
    Manners {
        security: Some(security),
        ..Manners::default()
    }
}

#[tokio::test]
async fn a_mail_is_delivered_in_each_way() {
    for security in [Security::Tls, Security::StartTls, Security::Plain] {
        let server = Server::start(manners(security)).await;
        assert_eq!(server.send(security).await, Ok(()), "{security:?}");
        let heard = server.heard();
        let position = |start: &str| heard.iter().position(|line| line.starts_with(start));
        let auth = position("AUTH PLAIN ").expect("signed in");
        if security == Security::StartTls {
            assert!(position("TLS").expect("TLS") < auth, "no password before TLS");
        }
        assert!(auth < position("MAIL FROM:<sentinel@example.com>").expect("a sender"));
        assert!(position("RCPT TO:<ops@example.com>").is_some());
        for header in [
            "Message-ID: <al_aaaabbbbccccdddd.0@example.com>",
            "Auto-Submitted: auto-generated",
            "Date: Thu, 01 Jan 2026 00:00:00",
            "Subject: =?utf-8?",
            "Content-Type: multipart/alternative",
        ] {
            assert!(position(header).is_some(), "{header}: {heard:#?}");
        }
        assert!(!heard.iter().any(|line| line.contains("SECRET")));
    }
}

#[tokio::test]
async fn a_later_notice_belongs_to_the_first_and_client_text_is_escaped() {
    let server = Server::start(manners(Security::Plain)).await;
    let mut later = alert();
    later.sequence = 2;
    let channel = server.channel(Security::Plain);
    bounded("an attempt", channel.send(&later, NOW))
        .await
        .expect("taken");
    let heard = server.heard();
    assert!(heard.contains(&"In-Reply-To: <al_aaaabbbbccccdddd.0@example.com>".to_owned()));
    assert!(
        !heard.iter().any(|line| line.starts_with("AUTH")),
        "nobody signs in without a name"
    );
    let message = heard.join("\n");
    let html = message
        .split("Content-Type: text/html")
        .nth(1)
        .expect("an HTML part");
    // Quoted-printable: long lines are cut, each cut marked by an equals sign.
    let html: String = html
        .lines()
        .map(|line| line.strip_suffix('=').unwrap_or(line))
        .collect();
    assert!(html.contains("/v1/&lt;b&gt;&amp;[x](https://evil)"), "{html}");
    assert!(!html.contains("<at id"));
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let hiding = Manners {
        hides_starttls: true,
        ..manners(Security::StartTls)
    };
    let server = Server::start(hiding).await;
    let failure = server.send(Security::StartTls).await.expect_err("no TLS");
    assert_eq!(failure.again, Again::Never);
    assert_eq!(server.heard(), ["EHLO [127.0.0.1]"]);
}

#[tokio::test]
async fn what_is_said_before_tls_is_not_believed_after_it() {
    let injecting = Manners {
        injects: true,
        ..manners(Security::StartTls)
    };
    let server = Server::start(injecting).await;
    let failure = server.send(Security::StartTls).await.expect_err("injected");
    assert_eq!(failure.again, Again::Later(None));
    assert!(!server.heard().iter().any(|line| line.starts_with("AUTH")));
}

#[tokio::test]
async fn the_servers_word_says_whether_another_attempt_helps() {
    for (recipient, password, again) in [
        (Some("450 later"), None, Again::Later(None)),
        (Some("550 nobody"), None, Again::Never),
        (None, Some("535 wrong"), Again::Never),
        (None, Some("454 busy"), Again::Later(None)),
    ] {
        let server = Server::start(Manners {
            recipient,
            password,
            ..manners(Security::Tls)
        })
        .await;
        let failure = server.send(Security::Tls).await.expect_err("refused");
        assert_eq!(failure.again, again, "{}", failure.text);
        assert!(!failure.text.contains("SECRET"));
    }
}

#[tokio::test]
async fn a_server_without_end_is_cut_off_after_so_many_bytes() {
    for security in [Security::Plain, Security::StartTls] {
        let babbling = Manners {
            babbles: true,
            ..manners(security)
        };
        let server = Server::start(babbling).await;
        let failure = server.send(security).await.expect_err("no greeting");
        assert_eq!(
            failure.again,
            Again::Later(None),
            "after {SMTP_ANSWERS_BYTES_MAX} bytes"
        );
    }
}

#[tokio::test]
async fn a_server_inside_is_refused_and_a_silent_one_costs_so_much_time() {
    let server = Server::start(manners(Security::Plain)).await;
    let mut channel = server.channel(Security::Plain);
    channel.lead_to(Destination::new("inside.test", 25).expect("a name"));
    let failure = bounded("an attempt", channel.send(&alert(), NOW))
        .await
        .expect_err("inside");
    assert_eq!(failure.again, Again::Never);
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("bound");
    channel.lead_to(Destination::new("mail.test", address.port()).expect("a name"));
    let sending = tokio::spawn(async move { channel.send(&alert(), NOW).await });
    let _kept = bounded("a connection", silent.accept())
        .await
        .expect("a connection");
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    let failure = sending.await.expect("no panic").expect_err("silence");
    assert_eq!(failure.again, Again::Later(None));
    assert!(before.elapsed() <= SMTP_TIMEOUT + Duration::from_millis(2));
}

#[test]
fn addresses_have_to_be_some() {
    let make = |from: &str, to: &[String]| {
        let server = Destination::new("mail.test", 25).expect("a name");
        let dialer = crate::testing::local_dialer();
        let made = Email::new(
            channel_id("mail"),
            (server, Security::Tls),
            (from, to),
            dialer,
            Language::English,
            None,
        );
        made.map(drop)
    };
    let one = ["a@example.com".to_owned()];
    assert_eq!(make("sentinel@example.com", &one), Ok(()));
    assert_eq!(make("nobody", &one), Err(EmailProblem::Sender));
    assert_eq!(
        make("a@example.com\r\nBcc: x@example.com", &one),
        Err(EmailProblem::Sender)
    );
    assert_eq!(make("a@example.com", &[]), Err(EmailProblem::Recipients));
    assert_eq!(
        make("a@example.com", &["b".to_owned()]),
        Err(EmailProblem::Recipients)
    );
    let most = vec!["a@example.com".to_owned(); RECIPIENTS_MAX];
    assert_eq!(make("a@example.com", &most), Ok(()));
    let more = vec!["a@example.com".to_owned(); RECIPIENTS_MAX + 1];
    assert_eq!(make("a@example.com", &more), Err(EmailProblem::Recipients));
}

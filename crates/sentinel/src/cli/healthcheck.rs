//! Asks the admin listener of a running server whether it is well, as a container's health check does.
//!
//! One request by hand: an HTTP client would be more to start than there is to say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::CliError;

/// The most bytes of the answer that are read; its first line is all that counts.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Fails unless `/health` answers 200 within `timeout`.
pub(super) async fn run(listen: SocketAddr, timeout: Duration) -> Result<(), CliError> {
    let address = reachable(listen);
    let unhealthy = |text: String| Err(CliError::Unhealthy(format!("{address}: {text}")));
    match tokio::time::timeout(timeout, ask(address)).await {
        Err(_) => unhealthy(format!("no answer within {} s", timeout.as_secs())),
        Ok(Err(error)) => unhealthy(error.to_string()),
        Ok(Ok(answer)) => match status(&answer) {
            Some(200) => Ok(()),
            Some(status) => unhealthy(format!("answered {status}")),
            None => unhealthy("what answers there does not speak HTTP".to_owned()),
        },
    }
}

/// Where a listener on every address is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The status in an answer's first line.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Longer than any answer takes.
    const LONG: Duration = Duration::from_mins(1);

    /// A server that reads a request, says `answer` and closes; with no answer it stays silent.
    async fn server(answer: Option<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0_u8; 512];
            let _ = stream.read(&mut request).await;
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.expect("it is read"),
                None => std::future::pending().await,
            }
        });
        address
    }

    #[tokio::test]
    async fn only_a_200_is_well() {
        for (answer, complaint) in [
            (Some("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}"), None),
            (
                Some("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
                Some("answered 503"),
            ),
            (Some("SSH-2.0-x\r\n"), Some("does not speak HTTP")),
            (Some(""), Some("does not speak HTTP")),
        ] {
            let outcome = run(server(answer).await, LONG).await;
            let text = outcome.err().map(|error| error.to_string());
            match complaint {
                None => assert_eq!(text, None),
                Some(complaint) => assert!(
                    text.clone().is_some_and(|text| text.contains(complaint)),
                    "{text:?}"
                ),
            }
        }
    }

    /// Time stands still but for those who wait for it, so that nobody waits.
    #[tokio::test(start_paused = true)]
    async fn the_wait_is_bounded() {
        let error = run(server(None).await, Duration::from_secs(3))
            .await
            .expect_err("it is silent");
        assert!(error.to_string().ends_with("no answer within 3 s"), "{error}");
    }

    #[tokio::test]
    async fn nobody_there_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let error = run(address, LONG).await.expect_err("nobody listens");
        assert!(error.to_string().contains("refused"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn a_listener_on_every_address_is_reached_by_loopback() {
        let reached = |text: &str| reachable(text.parse().expect("an address")).to_string();
        assert_eq!(reached("0.0.0.0:7001"), "127.0.0.1:7001");
        assert_eq!(reached("[::]:7001"), "[::1]:7001");
        assert_eq!(reached("192.0.2.1:7001"), "192.0.2.1:7001");
    }
}

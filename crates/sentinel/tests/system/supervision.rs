//! What a service manager hears, from the start to the end of the process.

use std::os::unix::net::UnixDatagram;

use crate::cluster::Cluster;

/// The next message.
fn heard(socket: &UnixDatagram) -> String {
    let mut message = [0_u8; 256];
    let length = socket.recv(&mut message).expect("a message within the time-out");
    String::from_utf8_lossy(&message[..length]).trim().to_owned()
}

#[tokio::test]
async fn the_service_manager_hears_that_it_serves_lives_and_stops() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(sentinel_testkit::WAIT_MAX))
        .expect("a time-out");
    let mut cluster = Cluster::builder()
        .embedded()
        .variable("NOTIFY_SOCKET", path.to_str().expect("UTF-8"))
        // A sign of life every half second: few wait in the socket while the replica gets ready.
        .variable("WATCHDOG_USEC", "1500000")
        .start(1)
        .await;
    assert_eq!(heard(&socket), "READY=1");
    assert_eq!(heard(&socket), "WATCHDOG=1");
    assert_eq!(heard(&socket), "WATCHDOG=1", "again and again");
    let reader = std::thread::spawn(move || {
        loop {
            match heard(&socket).as_str() {
                "WATCHDOG=1" => {}
                other => return other.to_owned(),
            }
        }
    });
    assert!(cluster.replicas[0].stop().await.success());
    assert_eq!(reader.join().expect("no panic"), "STOPPING=1");
}

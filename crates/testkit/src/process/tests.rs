use std::io::{BufRead, BufReader};

use tokio::net::TcpStream;

use super::family::Status;
use super::*;

/// A server that is nothing but a shell with this script.
fn shell(script: &str) -> ServerProcess {
    let invocation = Invocation {
        program: Program::on_path(&["sh"], "a shell is missing"),
        arguments: ["-c", script].map(OsString::from).to_vec(),
        account: None,
    };
    let folder = WatchedFolder::new_in(&std::env::temp_dir(), "sentinel-testkit-process-", "");
    ServerProcess::new(invocation, folder, HeldPort::new())
}

/// One with a child that has left its process group and its session, as PostgreSQL's children do.
async fn with_a_child() -> (ServerProcess, [i32; 2]) {
    let server = shell("setsid sleep 1000 & echo $! >child; wait");
    server.launch();
    server.until(async || child_of(&server).is_some()).await;
    let parent = server.child().as_ref().expect("it runs").id();
    let processes = [
        i32::try_from(parent).expect("process numbers are small"),
        child_of(&server).expect("there since"),
    ];
    (server, processes)
}

fn child_of(server: &ServerProcess) -> Option<i32> {
    let number = fs::read_to_string(server.folder().join("child")).ok()?;
    number.trim().parse().ok()
}

fn lives(process: i32) -> bool {
    Status::of(process).is_some_and(|status| status.state != 'Z')
}

async fn gone(what: &str, is_there: impl Fn() -> bool) {
    bounded(what, async {
        while is_there() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_whole_family_stops_goes_on_and_dies() {
    let (server, family) = with_a_child().await;
    let all_are = |state: char| {
        family
            .iter()
            .all(|number| Status::of(*number).is_some_and(|s| s.state == state))
    };
    server.freeze().await;
    assert!(all_are('T'));
    server.thaw();
    gone("the stop", || !all_are('S')).await;
    server.freeze().await;
    server.kill().await;
    assert!(!server.runs() && !family.into_iter().any(lives));
}

#[tokio::test]
async fn a_dropped_server_takes_its_children_and_its_folder_along() {
    let (server, family) = with_a_child().await;
    let folder = server.folder().to_owned();
    server.freeze().await;
    drop(server);
    assert!(!folder.exists());
    gone("the children", || family.into_iter().any(lives)).await;
}

/// Set in the environment of the process that is to be killed.
const VICTIM: &str = "SENTINEL_TESTKIT_VICTIM";

#[tokio::test]
async fn a_killed_test_takes_its_servers_along() {
    if std::env::var_os(VICTIM).is_some() {
        return wait_to_be_killed().await;
    }
    let mut victim = Command::new(std::env::current_exe().expect("a program has a path"))
        .args([
            "--exact",
            "process::tests::a_killed_test_takes_its_servers_along",
            "--nocapture",
        ])
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can be started");
    let output = BufReader::new(victim.stdout.take().expect("a pipe"));
    let mut lines = output.lines().map(|line| line.expect("text"));
    let told: Vec<String> = lines
        .find_map(|line| {
            Some(
                line.strip_prefix("servers ")?
                    .split(' ')
                    .map(str::to_owned)
                    .collect(),
            )
        })
        .expect("the victim starts servers");
    let (folders, processes): (Vec<String>, Vec<String>) =
        told.into_iter().partition(|word| word.starts_with('/'));
    let lives = |number: &String| lives(number.parse().expect("a number"));
    assert!(processes.len() == 4 && processes.iter().all(lives));
    victim.kill().expect("it runs");
    victim.wait().expect("it is ours");
    gone("the servers", || processes.iter().any(lives)).await;
    gone("the folders", || {
        folders.iter().any(|folder| PathBuf::from(folder).exists())
    })
    .await;
}

async fn wait_to_be_killed() {
    let (running, one) = with_a_child().await;
    let (frozen, other) = with_a_child().await;
    frozen.freeze().await;
    let folders = [running.folder().display(), frozen.folder().display()];
    println!(
        "\nservers {} {} {} {} {} {}",
        folders[0], folders[1], one[0], one[1], other[0], other[1]
    );
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_told_with_the_end_of_its_log() {
    let server = shell("seq 1 100");
    server.launch();
    gone("the server", || server.runs()).await;
    let tail = server.log_tail();
    let lines: Vec<&str> = tail.lines().skip(1).collect();
    assert_eq!((lines.len(), lines[0]), (LOG_TAIL_LINES_MAX, "71"));
    // And may be started again.
    server.launch();
    gone("the server", || server.runs()).await;
}

#[tokio::test]
async fn a_held_port_is_refused_until_somebody_listens_there_and_afterwards() {
    let port = HeldPort::new();
    let refused = async || {
        let error = TcpStream::connect(port.address()).await.err();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    assert!(refused().await);
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket
        .set_reuseaddr(true)
        .expect("a socket that others may share");
    socket.bind(port.address()).expect("as a server does");
    let listener = socket.listen(1).expect("nobody else listens");
    let connected = TcpStream::connect(port.address()).await.expect("it listens");
    drop((listener, connected));
    assert!(refused().await);
}

#[test]
#[should_panic(expected = "no-such-server is missing: on Debian, apt-get install it")]
fn a_missing_program_fails_the_test_with_what_to_install() {
    Program::on_path(
        &["no-such-server"],
        "no-such-server is missing: on Debian, apt-get install it",
    );
}

#[test]
fn accounts_are_found_by_name() {
    let accounts = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65533:nobody:/:/usr/sbin/nologin\nbroken:x\n";
    let nobody = Account {
        uid: 65534,
        gid: 65533,
    };
    assert_eq!(Account::named("nobody", accounts), Some(nobody));
    assert_eq!(Account::named("postgres", accounts), None);
    assert_eq!(Account::named("broken", accounts), None);
}

//! The socket: its place, its modes, who else is behind it; and what a verb finds there.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::Timestamp;
use qbackd::control::Client;
use qbackd::daemon::control::{Limits, Socket, handed_over, serve};
use qbackd::error::Kind;
use tokio_util::sync::CancellationToken;

use super::desk::Fake;
use super::{House, within};

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn the_socket_is_open_to_all_in_a_folder_that_only_its_owner_writes_and_goes_with_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/control.sock");
    let socket = Socket::bind(&path).await.unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o666, 0o755));
    drop(socket);
    assert!(!path.exists());
    // The folder's parent is somebody else's business.
    let error = Socket::bind(&dir.path().join("a/b/control.sock")).await.unwrap_err();
    assert!(error.line().contains("cannot make the folder"), "{error}");
}

#[tokio::test]
async fn the_socket_of_a_dead_daemon_is_replaced_and_that_of_a_living_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener leaves its file");
    assert!(Client::connect(&path).await.unwrap().is_none());
    let living = Socket::bind(&path).await.unwrap();
    let error = Socket::bind(&path).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TryAgain);
    assert!(error.line().contains("another daemon listens there"), "{error}");
    // A successor that came all the same keeps its socket.
    std::fs::remove_file(&path).unwrap();
    let successor = Socket::bind(&path).await.unwrap();
    drop(living);
    assert!(path.exists());
    drop(successor);
    std::fs::write(&path, "precious").unwrap();
    let error = Socket::bind(&path).await.unwrap_err();
    assert!(error.line().contains("no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn where_nobody_listens_there_is_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent.sock");
    assert!(Client::connect(&path).await.unwrap().is_none());
    assert!(Client::connect(&dir.path().join("no/folder/control.sock")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_says_nothing_for_5_seconds_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let _hung = UnixListener::bind(&path).unwrap();
    let begun = tokio::time::Instant::now();
    let error = Client::connect(&path).await.unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (Kind::Unavailable, 69));
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_reach_the_socket_is_not_permitted() {
    let house = House::new().await;
    let verb = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=4245", "--regid=4245", "--clear-groups", "--inh-caps=-all", "--"]);
        // The program lies where only root may look.
        let program = house.dir.path().join("qbackd");
        if !program.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_qbackd"), &program).unwrap();
        }
        let output = command.arg(program).args(["reload", "--socket"]).arg(&house.socket).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = verb();
    assert!(code == Some(77) && said.contains("uid 4245 may not reload the configuration"), "{said}");
    let folder = house.socket.parent().unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (code, said) = verb();
    assert!(code == Some(77) && said.contains("cannot ask the daemon at"), "{said}");
    house.end().await;
}

/// Set in the process that systemd's tool starts.
const CHILD: &str = "QBACKD_TEST_CHILD";

#[test]
fn a_socket_that_systemd_listens_on_is_taken_over_and_left_in_place() {
    if let Some(path) = std::env::var_os(CHILD) {
        let handed = handed_over().unwrap();
        assert!(handed.is_some() && std::env::var_os("LISTEN_FDS").is_none());
        let answered = async {
            let socket = Socket::open(handed, Path::new(&path)).await.unwrap();
            let (desk, stop) =
                (Arc::new(Fake::new(&Path::new(&path).with_extension("d"), "", "games")), CancellationToken::new());
            let server = tokio::spawn(serve(socket, desk, Limits::default(), Timestamp::UNIX_EPOCH, stop.clone()));
            let client = Client::connect(Path::new(&path)).await.unwrap().unwrap();
            stop.cancel();
            server.await.unwrap();
            client.build().pid
        };
        let pid = tokio::runtime::Runtime::new().unwrap().block_on(answered);
        assert!(pid == std::process::id() && Path::new(&path).exists());
        println!("taken over");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    std::fs::create_dir(path.with_extension("d")).unwrap();
    let mut child = Command::new("systemd-socket-activate")
        .arg("--listen")
        .arg(&path)
        .arg(format!("--setenv={CHILD}={}", path.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "control::socket::a_socket_that_systemd_listens_on_is_taken_over_and_left_in_place"])
        .arg("--nocapture")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("the tests need `systemd-socket-activate`: {e}"));
    // It starts the program at the first caller.
    let caller = within(|| UnixStream::connect(&path).ok());
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success() && out.contains("taken over"), "{out}");
    drop(caller);
}

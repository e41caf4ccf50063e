//! Without root: a user who may make namespaces of their own, and open no device.

use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use agentkernel_egress::{Addresses, HostSockets, Options, Upstreams, start, tun};

use crate::world::{Place, compile, echo, public};

/// Set in the process that is the sandbox.
const INSIDE: &str = "EGRESS_TEST_INSIDE";
const NAME: &str = "rootless::a_user_without_root_and_without_the_device_has_a_plane";

#[test]
fn a_user_without_root_and_without_the_device_has_a_plane() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let Some(host) = Place::new() else { return };
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A copy that others may execute, wherever this program lies.
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let program = folder.path().join("plane");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [folder.path(), &program] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let child = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["unshare", "-Ur", "-n"])
        .arg(&program)
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, "yes")
        .current_dir("/")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) => return eprintln!("not tested: setpriv cannot be started: {error}"),
    };
    let carried = tun::take_over(ours.as_fd()).map(|device| {
        host.run(move || {
            crate::world::bring_up(&[crate::world::SERVER]);
            let listener = std::net::TcpListener::bind((crate::world::SERVER, 7)).unwrap();
            std::thread::spawn(move || listener.incoming().flatten().for_each(echo));
            let addresses = Addresses::default();
            let options = Options {
                addresses,
                policy: compile(&public()),
                upstreams: Upstreams::Given(Vec::new()),
                dial: Arc::new(HostSockets),
                events: tokio::sync::mpsc::channel(16).0,
            };
            start(
                tun::prepare(&addresses, tun::Attachment::Veth).device(device),
                options,
            )
            .unwrap()
        })
    });
    if carried.is_ok() {
        std::io::Write::write_all(&mut &ours, b"go").unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    if carried.is_err() && said.contains("unshare failed") {
        return eprintln!("not tested: no user namespaces here: {said}");
    }
    assert!(carried.is_ok() && output.status.success(), "{said}");
}

/// In the namespaces: hands the device over and talks through it.
fn inside() {
    assert!(File::open("/dev/net/tun").is_err() || tun::Attachment::of_this_host() == tun::Attachment::Tun);
    let prepared = tun::prepare(&Addresses::default(), tun::Attachment::Veth);
    let device = tun::configure(&prepared).unwrap();
    let socket = std::io::stdin();
    tun::hand_over(socket.as_fd(), &device).unwrap();
    drop(device);
    let mut go = [0; 2];
    std::io::Read::read_exact(&mut socket.lock(), &mut go).unwrap();
    let mut stream = std::net::TcpStream::connect((crate::world::SERVER, 7)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::io::Write::write_all(&mut stream, b"hello").unwrap();
    let mut heard = [0; 5];
    std::io::Read::read_exact(&mut stream, &mut heard).unwrap();
    assert_eq!(&heard, b"hello");
}

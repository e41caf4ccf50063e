//! Real TLS: a server and clients of OpenSSL, over a plane that reads what they say before their secret begins.

use std::{
    io::Write,
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use agentkernel_types::{Attempt, NetworkEventKind};

use crate::{
    world::{OTHER, SERVER, World, allowlist},
    world_or_return,
};

/// A server for `good.test` and `other.test`, and the folder with its certificate.
struct Server {
    folder: tempfile::TempDir,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// None, and the reason is printed: there is no OpenSSL here.
    fn start(world: &World, options: &'static [&'static str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=good.test"])
            .args(["-addext", "subjectAltName=DNS:good.test,DNS:other.test"])
            .arg("-keyout")
            .arg(path("key.pem"))
            .arg("-out")
            .arg(path("certificate.pem"))
            .output();
        match made {
            Ok(output) => assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) => {
                eprintln!("not tested: openssl cannot be started: {error}");
                return None;
            }
        }
        let (key, certificate) = (path("key.pem"), path("certificate.pem"));
        let process = world.host.run(move || {
            let process = Command::new("openssl")
                .args(["s_server", "-quiet", "-rev", "-accept", &format!("{SERVER}:443")])
                .args(options)
                .arg("-key")
                .arg(key)
                .arg("-cert")
                .arg(certificate)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let begin = Instant::now();
            while TcpStream::connect((SERVER, 443)).is_err() {
                assert!(begin.elapsed() < Duration::from_secs(20), "the server listens");
                std::thread::yield_now();
            }
            process
        });
        Some(Self { folder, process })
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// Says a line to it from the sandbox. What came back, or nothing if there was no connection.
    fn talk(&self, world: &World, options: &'static [&'static str]) -> Option<String> {
        let certificate = self.certificate();
        client(world, SERVER, 443, move |command| {
            command
                .args(["-verify_return_error", "-verify_hostname", "good.test"])
                .arg("-CAfile")
                .arg(certificate)
                .args(options);
        })
    }
}

fn client(
    world: &World,
    place: &'static str,
    port: u16,
    options: impl FnOnce(&mut Command) + Send + 'static,
) -> Option<String> {
    world.sandbox.run(move || {
        let mut command = Command::new("timeout");
        command.args(["20", "openssl", "s_client", "-quiet", "-connect"]);
        command.arg(format!("{place}:{port}"));
        options(&mut command);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = process.stdin.take().unwrap();
        // Refused by a client that has ended already. The server answers the last line with its end.
        let _ = input.write_all(b"hello\nCLOSE\n");
        let output = process.wait_with_output().unwrap();
        drop(input);
        let heard = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (!heard.is_empty()).then_some(heard)
    })
}

#[test]
fn a_server_that_is_named_truly_is_talked_to() {
    let world = world_or_return!(allowlist(&["good.test:443"]));
    world.names.set("good.test", &[SERVER]);
    world.resolve("good.test").unwrap();
    // The second group makes the server ask for another greeting, which must name the same.
    let Some(server) = Server::start(&world, &["-groups", "P-256"]) else {
        return;
    };
    let ways: [&'static [&'static str]; 3] = [
        &["-servername", "good.test"],
        &["-servername", "good.test", "-tls1_2"],
        &["-servername", "good.test", "-groups", "X25519:P-256"],
    ];
    for way in ways {
        assert_eq!(server.talk(&world, way).as_deref(), Some("olleh"), "{way:?}");
    }
}

#[test]
fn a_server_that_is_named_falsely_or_not_at_all_gets_no_byte() {
    let mut world = world_or_return!(allowlist(&["good.test:443", "other.test:443"]));
    world.names.set("good.test", &[SERVER]);
    world.names.set("other.test", &[OTHER]);
    world.resolve("good.test").unwrap();
    world.resolve("other.test").unwrap();
    let Some(server) = Server::start(&world, &[]) else {
        return;
    };
    assert_eq!(
        server.talk(&world, &["-servername", "good.test"]).as_deref(),
        Some("olleh"),
        "the truth is not refused"
    );
    // Allowed itself, at the address of another one; denied; a part of an allowed one; and nothing.
    let lies: [&'static [&'static str]; 5] = [
        &["-servername", "other.test"],
        &["-servername", "evil.test"],
        &["-servername", "x.good.test"],
        &["-noservername"],
        &["-servername", "evil.test", "-tls1_2"],
    ];
    for lie in lies {
        assert_eq!(server.talk(&world, lie), None, "{lie:?}");
    }
    let arrived = world.trap(OTHER, 443);
    let fronting: [&'static [&'static str]; 3] = [
        &["-servername", "good.test"],
        &["-servername", "evil.test"],
        &["-noservername"],
    ];
    for (number, lie) in fronting.into_iter().enumerate() {
        assert_eq!(
            client(&world, OTHER, 443, move |command| {
                command.args(lie);
            }),
            None
        );
        // One for the connection itself, none for bytes.
        let begin = Instant::now();
        while arrived.load(Ordering::SeqCst) < number as u64 + 1 {
            assert!(begin.elapsed() < Duration::from_secs(20), "it was connected");
            std::thread::yield_now();
        }
        assert_eq!(arrived.load(Ordering::SeqCst), number as u64 + 1, "{lie:?}");
    }
    let denied = world.wait_for(
        |event| matches!(event, NetworkEventKind::Denied(denial) if denial.attempt == Attempt::Claim),
    );
    let NetworkEventKind::Denied(denial) = denied else {
        unreachable!()
    };
    assert_eq!(denial.name.unwrap().as_str(), "other.test");
}

//! What each mode reaches.

use agentkernel_tests::internet::{HOST, ROUTER, serve_here};

use crate::{Place, fetch};

const REACHED: i32 = 0;
const NOT: i32 = 7;

/// By name, by address, private, of the host, metadata, and by names that lead to such.
#[test]
fn each_mode_reaches_what_it_says() {
    let Some(place) = Place::new() else { return };
    let here = serve_here(&format!("{HOST}:0"));
    let (router, own) = (format!("http://{ROUTER}/"), format!("http://{here}/"));
    let cases: [(&str, [i32; 3]); 11] = [
        // An allowlist of example.org, public, open.
        ("http://example.org/", [REACHED, REACHED, REACHED]),
        ("http://www.example.org/", [NOT, REACHED, REACHED]),
        ("http://other.test/", [NOT, REACHED, REACHED]),
        ("http://93.184.215.14/", [NOT, REACHED, REACHED]),
        ("http://six.test/", [NOT, REACHED, REACHED]),
        (&router, [NOT, NOT, REACHED]),
        ("http://rebinding.test/", [NOT, NOT, REACHED]),
        ("http://169.254.169.254/", [NOT, NOT, NOT]),
        ("http://metadata.test/", [NOT, NOT, NOT]),
        ("http://loopback.test/", [NOT, NOT, NOT]),
        (&own, [NOT, NOT, REACHED]),
    ];
    let modes: [&[&str]; 3] = [
        &["--allow", "example.org"],
        &["--network", "public"],
        &["--network", "open"],
    ];
    for (url, expected) in cases {
        for (flags, expected) in modes.iter().zip(expected) {
            let outcome = place.run(flags, &fetch(url));
            assert_eq!(
                outcome.status.code(),
                Some(expected),
                "{url} with {flags:?}: {}{}",
                outcome.text(),
                outcome.errors()
            );
        }
    }
}

#[test]
fn none_has_loopback_only_and_host_has_no_policy() {
    let Some(place) = Place::new() else { return };
    place
        .run(&["--network", "none"], &fetch("http://93.184.215.14/"))
        .expect_code(NOT);
    let interfaces = ["sh", "-c", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"];
    place
        .run(&["--network", "none"], &interfaces)
        .success()
        .expect_text("lo\n");
    place
        .run(&["--network", "host"], &fetch(&format!("http://{ROUTER}/")))
        .success();
}

#[test]
fn the_profiles_have_their_modes() {
    let Some(place) = Place::new() else { return };
    for (profile, public, private) in [
        ("restrictive", NOT, NOT),
        ("moderate", REACHED, NOT),
        ("permissive", REACHED, REACHED),
    ] {
        let flags = ["--profile", profile];
        place
            .run(&flags, &fetch("http://example.org/"))
            .expect_code(public);
        place
            .run(&flags, &fetch(&format!("http://{ROUTER}/")))
            .expect_code(private);
    }
}

#[test]
fn a_denial_wins_and_names_itself_on_stderr() {
    let Some(place) = Place::new() else { return };
    let flags = ["--network", "open", "--deny", "*.test", "--deny", "10.55.0.0/16"];
    place.run(&flags, &fetch("http://example.org/")).success();
    for (url, rule) in [
        ("http://other.test/", "deny *.test"),
        ("http://10.55.0.1/", "deny 10.55.0.0/16"),
    ] {
        let outcome = place.run(&flags, &fetch(url)).expect_code(NOT);
        let notes: Vec<String> = outcome.errors().lines().map(str::to_owned).collect();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].contains("the network policy refused") && notes[0].contains(rule),
            "{notes:?}"
        );
    }
    // A command that went well needs no note.
    let outcome = place
        .run(&flags, &["sh", "-c", "getent hosts other.test; true"])
        .success();
    assert_eq!(outcome.errors(), "");
}

#[test]
fn a_claimed_name_must_be_the_one_that_was_looked_up() {
    let Some(place) = Place::new() else { return };
    let script = r#"
import socket, sys
for host in sys.argv[1:]:
    connection = socket.create_connection(("example.org", 80), timeout=10)
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    try:
        print(host, connection.recv(15).decode() or "nothing")
    except ConnectionResetError:
        print(host, "reset")
"#;
    let outcome = place.run(
        &["--allow", "example.org"],
        &[
            "python3",
            "-c",
            script,
            "example.org",
            "fronted.test",
            "93.184.215.14",
        ],
    );
    outcome
        .success()
        .expect_text("example.org HTTP/1.1 200 OK\nfronted.test reset\n93.184.215.14 reset\n");
}

#[test]
fn one_service_of_the_host_is_opened_by_its_port() {
    let Some(place) = Place::new() else { return };
    let (open, closed) = (serve_here("127.0.0.1:0"), serve_here("127.0.0.1:0"));
    let rule = format!("host:{}", open.port());
    let url = |port: u16| format!("http://host.agentkernel.internal:{port}/");
    let flags = ["--allow", rule.as_str()];
    place.run(&flags, &fetch(&url(open.port()))).success();
    place.run(&flags, &fetch(&url(closed.port()))).expect_code(NOT);
    // Not by an address of the host's, and not by the loopback, which is the sandbox's own.
    for host in ["127.0.0.1", HOST] {
        let url = format!("http://{host}:{}/", open.port());
        place.run(&flags, &fetch(&url)).expect_code(NOT);
    }
}

#[test]
fn an_ordinary_users_sandbox_has_the_same_policy() {
    let Some(place) = Place::rootless() else { return };
    place
        .run(&["--allow", "example.org"], &fetch("http://example.org/"))
        .success();
    place
        .run(&["--allow", "example.org"], &fetch("http://other.test/"))
        .expect_code(NOT);
    place.create("box", &["--network", "public"]);
    place.home.exec("box", &fetch("http://other.test/")).success();
    place
        .home
        .exec("box", &fetch(&format!("http://{ROUTER}/")))
        .expect_code(NOT);
}

#[test]
fn a_project_narrows_and_never_widens() {
    let Some(place) = Place::new() else { return };
    place
        .home
        .write("agentkernel.toml", "[network]\nallow = [\"example.org\"]\n");
    place.run(&[], &fetch("http://example.org/")).success();
    place.run(&[], &fetch("http://other.test/")).expect_code(NOT);
    place
        .home
        .write("agentkernel.toml", "[network]\nmode = \"open\"\n");
    let outcome = place.run(&[], &["true"]).expect_code(125);
    assert!(outcome.errors().contains("open"), "{}", outcome.errors());
}
